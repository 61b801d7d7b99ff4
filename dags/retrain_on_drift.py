"""One drift event, one retrain."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG

from tollgate_airflow import forms
from tollgate_airflow.books import scheduled
from tollgate_airflow.operator import TollgateOperator
from tollgate_airflow.sensor import DriftSensor, TrainingSensor
from tollgate_airflow.telling import TellPeople

ABOUT = """
# Retrain on drift
Always on: one run waits, at no worker's cost, until there is an open request to retrain its book.

It claims the request, so that no other run can, and starts the book's `train_weekly` under an id made of the request's
key: a crash and a restart find the same training run instead of starting a second. The run closes the request with the
result, also when the training was refused or failed. A refusal is a result: this DAG stays green and the champion
stays. After a verdict drift asks for nothing within the cool-down; after a training that broke off the next verdict may
ask again. Another book's retrain has a DAG of its own, and does not wait for this one.
"""
REQUEST = "{{ ti.xcom_pull('drift')['%s'] }}"
ENDED = ("{{ (ti.xcom_pull('wait') or {'outcome': 'failed', 'result': 'the training could not be started or followed'})"
         "['%s'] }}")
TRAINING = "drift__{{ ti.xcom_pull('drift')['key'] | replace(':', '-') | replace('|', '-') }}"

for book in scheduled():
    with DAG(**book.dag("retrain_on_drift", "monitoring", "model", limit=forms.QUICK), schedule="@continuous",
             start_date=datetime(2024, 1, 1, tzinfo=UTC), max_active_runs=1, doc_md=ABOUT):
        drift = DriftSensor(task_id="drift", book=book.name, doc_md="Waits on the triggerer for an open request.")
        claim = TollgateOperator(
            task_id="claim", command=["requests", "claim", book.name, REQUEST % "key"],
            options={"run-id": "{{ run_id }}", "ended": REQUEST % "ended"},
            doc_md="Takes the request, for this run alone; over from a run that ended without closing it.")
        train = TriggerDagRunOperator(
            task_id="train", trigger_dag_id=book.dag_id("train_weekly"), trigger_run_id=TRAINING,
            skip_when_already_exists=True, conf={"as_of": REQUEST % "as_of", "reason": REQUEST % "reason"},
            doc_md="Starts `train_weekly` for the request; skipped when that run exists already.")
        wait = TrainingSensor(
            task_id="wait", training_dag_id=book.dag_id("train_weekly"), run=TRAINING, trigger_rule="none_failed",
            doc_md="Waits on the triggerer for the training, and says how it ended.")
        close = TollgateOperator(
            task_id="close", command=["requests", "close", book.name, REQUEST % "key"],
            options={"result": ENDED % "result", "outcome": ENDED % "outcome"},
            doc_md="Closes the request with the result, however the training ended.")

        tell = TellPeople(task_id="tell", book=book.name, doc_md="Of a retrain that its gates refused.")

        drift >> claim >> train >> wait >> close.as_teardown(setups=claim, on_failure_fail_dagrun=True) >> tell
