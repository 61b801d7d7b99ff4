"""The whole loop on one machine: Airflow, MLflow, and a replay of a book's loans through them."""

from tollgate.demo.replay import Plan, run
from tollgate.demo.stack import clean, stop

__all__ = ["Plan", "clean", "run", "stop"]
