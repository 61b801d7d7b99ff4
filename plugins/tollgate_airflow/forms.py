"""What the trigger forms ask for, and how a run learns its as-of and its id from them."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from airflow.sdk import Param

from tollgate_airflow.process import project

# A partition key is "BOOK|DAY". A run that an asset started has one; any other run has its form, or the day that it is
# where the book is.
AS_OF = ("{{ partition_key.split('|')[1] if partition_key "
         "else params.as_of or (dag_run.logical_date or dag_run.run_after).astimezone(book_zone).date() }}")
AGAIN = "{{ params.again or '' }}"
# Airflow's run ids are unique in a DAG alone, and every DAG's runs meet in the store.
RUN = "{{ (ti.dag_id ~ '__' ~ run_id) | replace(':', '-') | replace('+', '-') | replace('~', '-') }}"
DECIDES = {"queue": "decide"}  # of a worker that holds the ledger's key; an executor without queues does not look at it
TRAINED = {"trained-by": "{{ dag_run.triggering_user_name or 'scheduler' }}",
           "trained-in": "{{ ti.dag_id }}/{{ run_id }}"}
TEXT_MAX = 30_000  # characters that a person writes, of four bytes at most: a command's argument has room for 131,071
BOOK_NAME = "^[a-z][a-z0-9_]*$"
MAP_NAME = "{{ task.item['name'] }}"
GATE_NAME = "{{ task.item['gate'] }}"

# How long the command of a task may take before it is taken for hung: ended with all that it has started, and retried.
QUICK, STEP, LONG = timedelta(minutes=15), timedelta(hours=2), timedelta(hours=12)


def within(limit: timedelta) -> dict[str, Any]:
    """The default arguments of a DAG whose tasks each take less than ``limit``.

    A passing fault is retried for more than five minutes: a server is restarted, a worker replaced meanwhile.
    """
    return {"retries": 6, "retry_delay": timedelta(seconds=6), "retry_exponential_backoff": 2.0,
            "max_retry_delay": timedelta(minutes=5), "execution_timeout": limit}


def default_book() -> str:
    """The ``book:`` of params.yaml: the one that is shown first. Raises ``ValueError`` where it tells of none."""
    book = read_params().get("book")
    if book is None:
        raise ValueError("params.yaml names no book to show first. Write `book: sba` in it, for example.")
    return str(book)


def read_params() -> dict[str, Any]:
    """params.yaml, unchecked: what its words mean is known on the other side of the command line.

    Raises:
        ValueError: it is missing, or no YAML mapping.
    """
    path = project() / "params.yaml"
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as fault:
        raise ValueError(f"{path} cannot be read as YAML (got: {fault}). Mend it; until then there are no "
                         "DAGs.") from None


@lru_cache(maxsize=1)
def _read(path: Path, changed: int) -> dict[str, Any]:
    """The file as it was ``changed``: a DAG file asks more than once, and is read over and over."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise yaml.YAMLError(f"{type(found).__name__} in the place of a mapping of settings")
    return found


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
    return Param(default, type="string", minLength=1, maxLength=TEXT_MAX, title="Reason",
                 description="Why; it is shown to the approver and kept in the record.")


def again() -> Param:
    """Why a published night is scored once more; empty for any other."""
    return Param(None, type=["null", "string"], maxLength=TEXT_MAX, title="Why again",
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
    return Param("", type="string", maxLength=TEXT_MAX, title="Comment", description="Why; it is kept in the ledger.")
