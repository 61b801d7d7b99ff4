-- One database a keeper of state; PostgreSQL's image runs this once, on an empty volume.
CREATE DATABASE airflow;
CREATE DATABASE mlflow;
CREATE DATABASE mlflow_auth;
CREATE DATABASE optuna;
