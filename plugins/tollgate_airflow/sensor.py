"""Tasks that wait on the triggerer, and so cost no worker while they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.providers.standard.triggers.external_task import DagStateTrigger
from airflow.sdk import BaseOperator

from tollgate_airflow.triggers import DriftTrigger

ENDED = ["success", "failed"]


class DriftSensor(BaseOperator):
    """Wait for an open request to retrain, and return it."""

    ui_color = "#f4e7d3"

    def execute(self, context: Any) -> None:
        """Hand over to the triggerer at once."""
        self.defer(trigger=DriftTrigger(), method_name="found")

    def found(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """The request becomes the task's result."""
        self.log.info("Request %s of book %s: %s", event["key"], event["book"], event["reason"])
        return event


class TrainingSensor(BaseOperator):
    """Wait for one run of a training DAG, whoever started it, and return how it ended in a few words.

    Apart from the task that triggers the run, so that a restart between the two neither trains twice nor forgets
    to wait. A run that failed is a result, not a fault of this task.
    """

    template_fields: Sequence[str] = ("run",)
    ui_color = "#f4e7d3"

    def __init__(self, *, training_dag_id: str, run: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.training_dag_id = training_dag_id
        self.run = run

    def execute(self, context: Any) -> str:
        """Look once, then hand over to the triggerer."""
        if context["ti"].get_dagrun_state(self.training_dag_id, self.run) not in ENDED:
            self.defer(trigger=DagStateTrigger(dag_id=self.training_dag_id, run_ids=[self.run], states=ENDED,
                                               poll_interval=2.0), method_name="ended")
        return self.ended(context)

    def ended(self, context: Any, event: Any = None) -> str:
        """Say how the run ended, from the states of its tasks."""
        states = context["ti"].get_task_states(self.training_dag_id, run_ids=[self.run]).get(self.run, {})
        return f"{how_it_ended(states)} by {self.training_dag_id} run {self.run}"


def how_it_ended(states: dict[str, str | None]) -> str:
    """A few words for the record, from the task states of a training run."""
    for task, words in (("promote", "promoted"), ("reject", "rejected")):
        if states.get(task) == "success":
            return words
    failed = sorted(task for task, state in states.items() if state == "failed")
    if "register" in failed:
        return "refused at the gates"
    return f"failed at {failed[0]}" if failed else "ended without a decision"
