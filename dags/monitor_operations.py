"""Every morning, whatever became of the night: whether outcomes still arrive, and what people were not told of yet."""

from airflow.sdk import DAG

from tollgate_airflow import forms
from tollgate_airflow.books import scheduled
from tollgate_airflow.operator import TollgateOperator
from tollgate_airflow.telling import TellPeople

ABOUT = """
# Monitor operations
By its cron in params.yaml; by hand, for a day; and by a task that failed while the lake was away.

A feed of outcomes may stop while no night is published: `feed` looks at it every day, and leaves a day that has a
verdict as it is. `tell` tells what no channel could be told of before. A task that fails tells people itself, at once;
where it cannot write that down, a run of this DAG keeps the `incident` until `keep` has written it.
"""
INCIDENT = "{{ (params.incident or {}).get('%s', '') }}"

for book in scheduled():
    with DAG(**book.dag("monitor_operations", "monitoring"), schedule=book.cron("monitor_operations"),
             max_active_runs=4, doc_md=ABOUT, params={"as_of": forms.as_of(), "incident": forms.incident()}):
        keep = TollgateOperator(
            task_id="keep", command=["alerts", "begin", book.name, INCIDENT % "event"], only_if=INCIDENT % "event",
            options={"as-of": forms.AS_OF, **{name.replace("_", "-"): INCIDENT % name
                                              for name in ("severity", "message", "run_id", "told")}},
            retries=300, on_failure_callback=None, doc_md="Writes down what a task could not, for a day until it can.")
        feed = TollgateOperator(
            task_id="feed", command=["monitor", "feed", book.name], options={"as-of": forms.AS_OF},
            trigger_rule="none_failed", doc_md="Whether outcomes still arrive.")
        tell = TellPeople(task_id="tell", book=book.name, trigger_rule="all_done", doc_md="What nobody knows yet.")

        keep >> feed >> tell
