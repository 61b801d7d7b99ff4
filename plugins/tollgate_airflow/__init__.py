"""What Airflow needs to run Tollgate: one operator, two triggers, three sensors and forms, and the Model Board."""
