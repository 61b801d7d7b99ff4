"""Go back to an earlier champion."""

from airflow.sdk import DAG

from tollgate_airflow import forms
from tollgate_airflow.books import scheduled
from tollgate_airflow.operator import TollgateOperator

ABOUT = """
# Roll back a model
By hand only. Re-points the champion to an earlier version, proves it by scoring again, and writes it into the ledger
with your name and your reason. The scores that are published stay; the next night is scored by the version you name.
"""

for book in scheduled():
    with DAG(**book.dag("rollback_model", "model"), schedule=None, max_active_runs=1, doc_md=ABOUT,
             params={"version": forms.version(), "reason": forms.reason()}):
        TollgateOperator(
            task_id="rollback", command=["rollback", book.name, "{{ params.version }}"],
            options={"by": "{{ dag_run.triggering_user_name or 'unknown' }}", "reason": "{{ params.reason }}"},
            doc_md="Re-points the champion, re-scores to prove it, records it.", **forms.DECIDES)
