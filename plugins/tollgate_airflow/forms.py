"""What the trigger forms ask for, and how a run learns its book, its as-of and its id from them."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import yaml
from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference, Param

from tollgate_airflow.incidents import failed, late, settled
from tollgate_airflow.process import project
from tollgate_airflow.replay import ReplayedCron

# A partition key is "BOOK|DAY". A run that an asset started has one; any other run has its form.
BOOK = "{{ partition_key.split('|')[0] if partition_key else params.book }}"
AS_OF = ("{{ partition_key.split('|')[1] if partition_key "
         "else params.as_of or (dag_run.logical_date or dag_run.run_after).date() }}")
AGAIN = "{{ params.again or '' }}"
RUN = "{{ run_id | replace(':', '-') | replace('+', '-') | replace('~', '-') }}"
DECIDES = {"queue": "decide"}  # of a worker that holds the ledger's key; an executor without queues does not look at it
TRAINED_BY = {"trained-by": "{{ dag_run.triggering_user_name or 'scheduler' }}"}
BOOK_NAME = "^[a-z][a-z0-9_]*$"
MAP_NAME = "{{ task.item['name'] }}"
GATE_NAME = "{{ task.item['gate'] }}"

# How long the command of a task may take before it is taken for hung: ended with all that it has started, and retried.
QUICK, STEP, LONG = timedelta(minutes=15), timedelta(hours=2), timedelta(hours=12)


def within(limit: timedelta) -> dict[str, Any]:
    """The arguments of a DAG whose tasks each take less than ``limit``, and of which people hear when one fails.

    A passing fault is retried for more than five minutes: a server is restarted, a worker replaced meanwhile.
    """
    return {"on_success_callback": settled, "on_failure_callback": settled, "default_args": {
        "retries": 6, "retry_delay": timedelta(seconds=6), "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=5), "execution_timeout": limit,
        "on_failure_callback": partial(failed, default_book())}}


def late_after(dag: str) -> DeadlineAlert | None:
    """When people hear that a run of the DAG is late: the ``late_hours:`` of params.yaml; None for never."""
    hours = (_params().get("late_hours") or {}).get(dag)
    return None if hours is None else DeadlineAlert(
        DeadlineReference.DAGRUN_QUEUED_AT, timedelta(hours=hours),
        AsyncCallback(late, {"book": default_book(), "hours": hours}), name="late")


def default_book() -> str:
    """The ``book:`` of params.yaml: what a scheduled run works on."""
    return str(_params()["book"])


def cron(dag: str) -> str | ReplayedCron | None:
    """When a DAG runs by itself: the ``cron:`` of params.yaml; None for only by hand. In a replay nothing does."""
    cron = (_params().get("cron") or {}).get(dag)
    return ReplayedCron(cron, timezone="UTC") if cron and os.environ.get("TOLLGATE_TODAY") else cron


def book() -> Param:
    """Which book; the one of params.yaml unless told otherwise."""
    params = _params()
    return Param(params["book"], type="string", pattern=BOOK_NAME, examples=sorted(params["books"]),
                 title="Book", description="Which loan portfolio: one of the suggested ones, or any other book's name.")


def any_book() -> Param:
    """Which book, or all of them."""
    return Param(None, type=["null", "string"], pattern=BOOK_NAME, examples=sorted(_params()["books"]), title="Book",
                 description="Only the files of this loan portfolio; empty means every one.")


def _params() -> dict[str, Any]:
    """params.yaml. Which books there are is known on the other side of the command line, which refuses a wrong one."""
    path = project() / "params.yaml"
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read(path: Path, changed: int) -> dict[str, Any]:
    """The file as it was ``changed``: a DAG file asks more than once, and is read over and over."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {"books": {}, **found}


def as_of() -> Param:
    """The day the run stands at."""
    return Param(None, type=["null", "string"], format="date", title="As-of",
                 description="The run sees nothing that became known on or after this day; "
                             "empty means the day it is scheduled for.")


def trials() -> Param:
    """How long the sweep is."""
    return Param(None, type=["null", "integer"], minimum=1, maximum=1000, title="Trials",
                 description="Hyperparameter trials of the sweep, over all its workers; empty means as in params.yaml.")


def reason(default: str | None = None) -> Param:
    """Why a person or a request asks for the run."""
    return Param(default, type="string", minLength=1, title="Reason",
                 description="Why; it is shown to the approver and kept in the record.")


def again() -> Param:
    """Why a published night is scored once more; empty for any other."""
    return Param(None, type=["null", "string"], title="Why again",
                 description="Only for a night that is published already: why it is scored once more. The ledger keeps "
                             "it with your name; what counted until now is kept too. Else leave it empty.")


def incident() -> Param:
    """What a task could not write down; empty in any run that no task has started."""
    return Param(None, type=["null", "object"], title="Incident",
                 description="Filled in by a task that failed while the lake was away. Leave it empty.")


def version() -> Param:
    """A registered model version."""
    return Param(type="string", pattern="^[0-9]+$", title="Version",
                 description="The registered version to go back to, as the Model Board shows it.")


def comment() -> Param:
    """What the approver has to say."""
    return Param("", type="string", title="Comment", description="Why; it is kept in the ledger.")
