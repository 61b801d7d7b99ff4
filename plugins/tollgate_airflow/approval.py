"""The approval: Airflow's own human-in-the-loop operator, bound to the artefact that it showed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLBranchOperator
from airflow.sdk.exceptions import AirflowFailException

from tollgate_airflow.incidents import waiting
from tollgate_airflow.links import GateReport, ModelCard

PATIENCE = timedelta(days=7)
SUBJECT = "Promote {{ task.book }} version {{ task.version }}?"
BODY = """{%% set run = ti.xcom_pull('%s') %%}
{{ ti.xcom_pull('%s', key='answer')['table'] }}

- [The whole gate report](/tollgate/{{ run.name }}/gates/{{ run.mlflow_run }}), with what stands behind each sentence
- [The model card](/tollgate/{{ run.name }}/card/{{ run.version }}): intended use, limits, data, fairness by group,
  and how it fared in the champion's shadow since
- Why it was trained: `{{ params.reason.replace('`', "'").split() | join(' ') }}`
- {{ run.refit }}
- Your answer holds for this artefact and no other: `{{ task.digest }}`
"""
REGISTERED = "{{ ti.xcom_pull('%s')['%s'] }}"


class ModelApproval(HITLBranchOperator):
    """Ask for Approve or Reject, go on to one of two tasks, and keep who said so, why, and about which artefact.

    The decision is under the XCom key ``decision``: ``by``, ``comment``, ``answered_at``, ``version`` and ``digest``.
    Version and digest are those of the moment of asking: if the model is registered anew while the question stands,
    the answer still names the artefact that the approver saw.

    Args:
        book: whose champion is asked about.
        gate, register: the tasks whose answers are shown.
        approve, reject: the tasks to go on to.
    """

    template_fields: Sequence[str] = ("book", "version", "digest", "subject", "body")  # the last two show the others
    operator_extra_links = (GateReport(), ModelCard())

    def __init__(self, *, book: str, gate: str, register: str, approve: str, reject: str, **kwargs: Any) -> None:
        super().__init__(subject=SUBJECT, body=BODY % (register, gate), options=["Approve", "Reject"],
                         options_mapping={"Approve": approve, "Reject": reject}, response_timeout=PATIENCE,
                         notifiers=[waiting], **kwargs)
        self.book = book
        self.version = REGISTERED % (register, "version")
        self.digest = REGISTERED % (register, "digest")

    def execute(self, context: Any) -> None:
        """Ask, and note what was shown.

        Raises:
            AirflowFailException: the page shows an earlier question, about another artefact or other gates.
        """
        if self._shown(context["ti"].id) != (self.subject, self.body):
            raise AirflowFailException(
                "Airflow still shows the question that this run asked first, and an answer to it would not be about "
                f"{self.digest} as its gates now stand. Start another run, or read the gate report and decide from a "
                f"terminal: tollgate promote {self.book} {self.version} --digest {self.digest} --by NAME, or "
                "tollgate reject.")
        context["ti"].xcom_push(key="asked", value={"version": self.version, "digest": self.digest})
        super().execute(context)

    def _shown(self, ti_id: Any) -> tuple[str, str | None]:
        """Subject and body of the page, which is made now if there is none yet.

        A cleared task keeps the page that it made first (apache/airflow#73235). Airflow tells what stands there, but
        the function that ``HITLOperator`` asks with throws that answer away.
        """
        from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        page = SUPERVISOR_COMMS.send(CreateHITLDetailPayload(
            ti_id=ti_id, options=self.options, subject=self.subject, body=self.body, params=self.serialized_params,
            assigned_users=[]))
        return page.subject, page.body

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Note the answer and branch.

        Raises:
            AirflowFailException: nobody answered in time. Asking again would not help, and nothing has changed.
        """
        if event.get("error_type") == "timeout":
            raise AirflowFailException(f"Nobody answered within {PATIENCE.days} days: version {self.version} stays the "
                                       "challenger, the champion stays. Clear this task to ask again.")
        if "error" not in event:
            ti = context["ti"]
            asked = ti.xcom_pull(task_ids=self.task_id, key="asked")
            user = event["responded_by_user"] or {}
            ti.xcom_push(key="decision", value={**asked, "by": user.get("name") or "unknown",
                                                "comment": (event["params_input"] or {}).get("comment") or "",
                                                "answered_at": event["responded_at"].isoformat()})
        return super().execute_complete(context, event)
