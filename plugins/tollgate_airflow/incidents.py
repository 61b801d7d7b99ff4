"""What goes wrong in a run is told at once: a task that failed, a run that is late, a model that waits for a person."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from re import fullmatch
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.comms import TriggerDagRun
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.sdk.log import redact
from asgiref.sync import sync_to_async

from tollgate_airflow.forms import AS_OF
from tollgate_airflow.process import LIGHT, Child, without_credentials
from tollgate_airflow.telling import tell_directly, tell_of
from tollgate_airflow.triggers import is_running

OVER = ("success", "skipped")
MESSAGE_MAX = 600  # characters of an alert
KEEPER = "monitor_operations"  # the book's DAG that writes down later what could not be written down at once

Incident = dict[str, str]
log = logging.getLogger(__name__)


class GateRefused(AirflowFailException):
    """A gate refused the model: no fault of the task's, and several tasks of a run may say so."""


def failed(book: str, context: Any) -> None:
    """Tell of a task that failed beyond its retries: on its worker, or where that was lost, in the DAG processor."""
    task, error = context["task"], context.get("exception")
    name = f"{task.dag_id}.{task.task_id}"
    why = "its process was lost; its log says how far it came" if error is None else str(error) or type(error).__name__
    event = f"refused:{task.dag_id}" if isinstance(error, GateRefused) else f"failed:{name}"
    incident = _incident(book, event, _as_of(context), "warning", context["dag_run"].run_id,
                         f"{name} failed at try {context['ti'].try_number}: {why}")
    if not _happened(incident) and error is not None:  # a worker may start runs; no other process may
        _keep(incident, context["ti"].try_number)


def end_incidents(book: str, context: Any) -> None:
    """Note at the end of a run what of its DAG is over: what failed before and did not now, what waited or was late."""
    if "dag_run" not in context:  # of a run without any task instance nothing is known
        return
    dag, run = context["dag"], context["dag_run"]
    states = RuntimeTaskInstance.get_task_states(dag.dag_id, run_ids=[run.run_id]).get(run.run_id, {})
    over = [f"failed:{dag.dag_id}.{task}" for task in dag.task_ids if _is_over(task, states)]
    if run.state == "success":
        over += [f"late:{dag.dag_id}", f"refused:{dag.dag_id}"]
    # Runs of two DAGs that begin at one time have one id: what waits ends only with the run that asked.
    asks = any(waiting in getattr(task, "notifiers", ()) for task in dag.tasks)
    Child(["alerts", "end", book, *over, f"--as-of={_as_of(context)}", *([f"--run-id={run.run_id}"] if asks else [])],
          say=log.info).answer(LIGHT)


async def late(book: str, hours: float, zone: str, context: Mapping[str, Any]) -> None:
    """Tell, on the triggerer, of a run that still goes on, or waits to; of one that failed people know."""
    run = context["dag_run"]
    if not await sync_to_async(is_running)(run["dag_id"], run["dag_run_id"]):
        return
    stood = datetime.fromisoformat(run.get("logical_date") or run["run_after"]).astimezone(ZoneInfo(zone))
    day = (run.get("conf") or {}).get("as_of") or stood.date().isoformat()
    incident = _incident(book, f"late:{run['dag_id']}", day, "page", run["dag_run_id"],
                         f"{run['dag_id']} as of {day} is late: it has not succeeded {hours:g} hours after it was "
                         f"queued, and is {run['state']}")
    await sync_to_async(_happened)(incident)


def waiting(context: Any) -> None:
    """Tell that a model has passed its gates and waits for a person."""
    task = context["task"]
    try:
        link = f": {task.generate_link_to_ui_from_context(context=context)}"
    except ValueError:  # Airflow was not told where its pages are
        link = ""
    _happened(_incident(task.book, f"waiting:v{task.version}", _as_of(context), "info", context["dag_run"].run_id,
                        f"Version {task.version} of {task.book} has passed its gates and waits for an answer, for at "
                        f"most {task.response_timeout.days} days, under Required Actions{link}"))


def _incident(book: str, event: str, as_of: str, severity: str, run_id: str, message: str) -> Incident:
    said = str(redact(without_credentials(message))).splitlines()[0][:MESSAGE_MAX]
    return {"book": book, "event": event, "as_of": as_of, "severity": severity, "run_id": run_id, "message": said}


def _happened(incident: Incident) -> bool:
    """Write the incident down and tell people; where that fails, tell them directly. Whether it is written down."""
    reached: list[str] = []
    try:
        options = [f"--{name.replace('_', '-')}={incident[name]}" for name in
                   ("as_of", "severity", "run_id", "message")]
        begun = Child(["alerts", "begin", incident["book"], incident["event"], *options], say=log.info).answer(LIGHT)
        tell_of(incident["book"], begun["id"], log, reached)  # all that wait would be told twice where two tell at once
    except Exception as fault:  # that which is down may be what the task failed of, and no task fails twice for it
        log.error("The alert %s could not be written down: %s", incident["event"], fault)
        tell_directly({"id": "", "subject": incident["event"], **incident}, log, reached)
        incident["told"] = ",".join(reached)
        return False
    return True


def _keep(incident: Incident, attempt: int) -> None:
    """Have Airflow keep an incident, until a run of ``KEEPER`` can write it down."""
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    run_id = f"kept__{incident['event']}__{incident['run_id']}__{attempt}"
    SUPERVISOR_COMMS.send(TriggerDagRun(dag_id=f"{KEEPER}__{incident['book']}", run_id=run_id,
                                        conf={"as_of": incident["as_of"], "incident": incident}))


def _as_of(context: Any) -> str:
    """The day that the run stands at, as its tasks read it."""
    return str(context["dag"].get_template_env().from_string(AS_OF).render(context))


def _is_over(task: str, states: Mapping[str, str | None]) -> bool:
    """Whether a task, with all that it was mapped to, has nothing to complain of in its run."""
    mine = [state for name, state in states.items() if fullmatch(rf"{task}(_\d+)?", name)]
    return bool(mine) and all(state in OVER for state in mine)
