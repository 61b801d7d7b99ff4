"""The whole loop on one machine: Airflow, MLflow, and a replay of a book's loans through them."""

from tollgate.demo.cleaning import clean
from tollgate.demo.replay import Plan, run
from tollgate.demo.stack import run_airflow, stop

__all__ = ["Plan", "clean", "run", "run_airflow", "stop"]
