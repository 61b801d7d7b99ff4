"""Compare a night's scores with the champion's profile, and conclude."""

from airflow.sdk import DAG, PartitionedAssetTimetable

from tollgate_airflow import assets, forms
from tollgate_airflow.books import scheduled
from tollgate_airflow.operator import TollgateOperator
from tollgate_airflow.telling import TellPeople

ABOUT = """
# Monitor drift
Starts by itself for every partition of the book's `scores` that was published; by hand, for a day.

`drift` and `performance` measure; `guard` holds a promoted champion against the one before on the same loans, and rolls
it back where it is surely worse; `verdict` concludes, also where a step before it failed. One drifting night is no
event: it looks at the last windows, asks for an effect above its own noise, and keeps a cool-down. A tripped verdict
leaves one request, which `retrain_on_drift` picks up. What began or worsened is told by the connections
`tollgate_mail`, `tollgate_slack` and `tollgate_webhook`, where they are. Runs follow one another, because a verdict
looks back at the one before.
"""


def monitor(book: str, what: str, doc: str, **how: str) -> TollgateOperator:
    """One step of monitoring, for the run's day."""
    return TollgateOperator(task_id=what, command=["monitor", what, book], options={"as-of": forms.AS_OF}, doc_md=doc,
                            **how)


for it in scheduled():
    book = it.name
    with DAG(**it.dag("monitor_drift", "monitoring"), schedule=PartitionedAssetTimetable(assets=assets.scores(book)),
             max_active_runs=1, doc_md=ABOUT, params={"as_of": forms.as_of()}):
        drift = monitor(book, "drift",
                        "PSI, KS and chi-square of every feature and of the score, against the frozen profile.")
        performance = monitor(book, "performance",
                              "AUC, calibration and decline rate on the labels that have matured since.")
        guard = monitor(book, "guard", "The champion beside the one before; perhaps a rollback, told in the ledger.",
                        **forms.DECIDES)
        verdict = monitor(book, "verdict", "The alerts, the level, and perhaps a request to retrain.",
                          trigger_rule="all_done")
        report = monitor(book, "report", "The page with the distributions behind the verdict.")
        tell = TellPeople(task_id="tell", book=book, doc_md="By mail, Slack and a webhook, each where it is connected; "
                                                            "what could not be told waits.")

        drift >> guard
        [drift, performance, guard] >> verdict >> [report, tell]
