"""Tasks that wait on the triggerer, and so cost no worker while they do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, TaskDeferralTimeout

from tollgate_airflow.approval import PATIENCE
from tollgate_airflow.triggers import DriftTrigger, EndTrigger, is_running

GATE = re.compile(r"gates(_\d+)?")  # a mapped task, and one of its instances


class DriftSensor(BaseOperator):
    """Wait for a request to retrain the book that this run may take, and return it.

    It waits for as long as there is none: its DAG is always on, and a bound would only start the same wait anew.
    A request whose run has ended or was deleted (``ended``) is taken over.
    """

    ui_color = "#f4e7d3"
    patience: timedelta | None = None

    def __init__(self, *, book: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.book = book

    def execute(self, context: Any) -> None:
        """Hand over to the triggerer at once."""
        self.defer(trigger=DriftTrigger(self.book, context["ti"].dag_id, context["ti"].run_id), method_name="found")

    def found(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """The request becomes the task's result."""
        self.log.info("Request %s of book %s: %s", event["key"], event["book"], event["reason"])
        if event["ended"]:
            self.log.warning("It was claimed by the run %s, which has ended: this run takes it over.", event["ended"])
        return event


class TrainingSensor(BaseOperator):
    """Wait for one run of a training DAG, whoever started it, and return how it ended: ``{"outcome", "result"}``.

    Apart from the task that triggers the run, so that a restart between the two neither trains twice nor forgets
    to wait. A run that failed or was deleted is a result, not a fault of this task; one that has not ended after
    ``patience``, which outlasts that of its approver, is given up on.
    """

    template_fields: Sequence[str] = ("run",)
    ui_color = "#f4e7d3"
    patience = PATIENCE + timedelta(days=1)

    def __init__(self, *, training_dag_id: str, run: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.training_dag_id = training_dag_id
        self.run = run

    def execute(self, context: Any) -> dict[str, str]:
        """Look once, then hand over to the triggerer."""
        if is_running(self.training_dag_id, self.run):
            self.defer(trigger=EndTrigger(self.training_dag_id, self.run), method_name="ended", timeout=self.patience)
        return self.ended(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Go on. Raises ``AirflowFailException`` when the patience is at its end: to wait again would not help."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            raise AirflowFailException(
                f"The run {self.run} of {self.training_dag_id} has not ended within {self.patience.days} days. End it, "
                "or clear this task to wait again.") from None

    def ended(self, context: Any, event: Any = None) -> dict[str, str]:
        """Say how the run ended, from the states of its tasks."""
        states = context["ti"].get_task_states(self.training_dag_id, run_ids=[self.run]).get(self.run, {})
        outcome, words = training_outcome(states)
        return {"outcome": outcome, "result": f"{words} by {self.training_dag_id} run {self.run}"}


def training_outcome(states: dict[str, str | None]) -> tuple[str, str]:
    """The outcome of a training run and a few words for the record, from the states of its tasks.

    A challenger is refused where a gate is red; a `register` that is red alone could not reach a server.
    """
    for task, outcome in (("promote", "promoted"), ("reject", "rejected")):
        if states.get(task) == "success":
            return outcome, outcome
    failed = sorted(task for task, state in states.items() if state == "failed")
    if "register" in failed and any(GATE.fullmatch(task) for task in failed):
        return "refused", "refused at the gates"
    return "failed", f"failed at {failed[0]}" if failed else "ended without a decision"
