#!/bin/sh
# Before anything starts: what the machines share, Airflow's tables, and who may come in. Running it again changes
# nothing.
set -eu
/opt/tollgate/.venv/bin/tollgate prepare
airflow db migrate
# What they write of each permission is of no use in init's log, which is short enough to be read whole.
AIRFLOW__LOGGING__LOGGING_LEVEL=WARNING python docker/doors/airflow_people.py
/opt/tollgate/.venv/bin/python docker/doors/mlflow_people.py
