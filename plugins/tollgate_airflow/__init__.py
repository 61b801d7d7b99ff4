"""What Airflow needs to run Tollgate: operators, triggers, sensors, forms, buttons, and the Model Board."""
