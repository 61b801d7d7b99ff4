"""Train a challenger, take it through the gates, and ask a person."""

from airflow.sdk import DAG

from tollgate_airflow import forms
from tollgate_airflow.approval import ModelApproval
from tollgate_airflow.books import scheduled
from tollgate_airflow.operator import GateOperator, TollgateOperator

ABOUT = """
# Train weekly
By the book's `schedules` in params.yaml, by hand with the form, or by its `retrain_on_drift` for a request.
`snapshot` to `refit` are the stages of `dvc.yaml`, run in this run's own workspace: `dvc repro` does the very same.
**A red square in `gates`** is a refusal, not a crash: *Gate report*, under its *Details*, shows what was measured. A
refused model goes no further; one that passed becomes the challenger and waits at `approve`, under *Required Actions*.
The answer is bound to the digest it saw; without one in 7 days the run fails and nothing changes.
"""
DECISION = "{{ ti.xcom_pull('approve', key='decision')['%s'] }}"


def stage(name: str, doc: str, kind: type[TollgateOperator] = TollgateOperator, **more: object) -> TollgateOperator:
    """One stage of `dvc.yaml`, in the run's own workspace."""
    return kind(task_id=name, command=["run", "stage", forms.RUN, name], doc_md=doc, **more)


for book in scheduled():
    with DAG(**book.dag("train_weekly", "model"), schedule=book.cron("train_weekly"), max_active_runs=4, doc_md=ABOUT,
             params={"as_of": forms.as_of(), "trials": forms.trials(), "reason": forms.reason("weekly training")}):
        opened = TollgateOperator(
            task_id="open", command=["run", "open", forms.RUN], returns="workers",
            options={"book": book.name, "as-of": forms.AS_OF, "trials": "{{ params.trials or '' }}"},
            doc_md="A workspace for this run, with the parameters and the champion pinned.")
        snapshot = stage("snapshot", "The exact training rows of the as-of: mature labels, nothing known later.")
        features = stage("features", "The model's inputs, by the library that scoring calls too.")
        split = stage("split", "Train, validation and test, in the order of time.")
        work = TollgateOperator.partial(
            task_id="work", command=["run", "work", forms.RUN], each=["worker"], execution_timeout=forms.LONG,
            map_index_template=forms.MAP_NAME, doc_md="One worker's share of the one study.").expand(item=opened.output)
        sweep = stage("sweep", "The best trial of the study.", execution_timeout=forms.LONG)
        train = stage("train", "The model of the best trial, its operating threshold and its profile.")
        evaluate = stage("evaluate", "The saved predictions that every gate recomputes from.")
        gate = stage("gate", "All gates, the report, the table for the approver.", returns="gates", kind=GateOperator)
        gates = GateOperator.partial(
            task_id="gates", command=["run", "gate", forms.RUN], each=["gate"], map_index_template=forms.GATE_NAME,
            doc_md="One gate's verdict: the measured value, its interval, the limit.").expand(item=gate.output)
        refit = stage("refit", "The judged model fitted again on all matured loans, where that is proven better.")
        register = stage("register", "The run in MLflow; the challenger, if every gate passed.", kind=GateOperator,
                         options=forms.TRAINED, **forms.DECIDES)
        approve = ModelApproval(
            task_id="approve", book=book.name, gate="gate", register="register", approve="promote", reject="reject",
            params={"comment": forms.comment()}, doc_md="A person answers, under *Required Actions*.", **forms.DECIDES)
        said = {"by": DECISION % "by", "comment": DECISION % "comment", "answered-at": DECISION % "answered_at"}
        promote = TollgateOperator(
            task_id="promote", command=["promote", book.name, DECISION % "version"], **forms.DECIDES,
            options={"digest": DECISION % "digest", **said}, doc_md="The challenger, if unchanged, is made champion.")
        reject = TollgateOperator(task_id="reject", command=["reject", book.name, DECISION % "version"], options=said,
                          doc_md="The challenger is put aside; the champion stays.", **forms.DECIDES)
        opened >> snapshot >> features >> split >> work >> sweep >> train >> evaluate >> gate
        [gate >> gates, gate >> refit >> register] >> approve >> [promote, reject]
