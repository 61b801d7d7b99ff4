"""What Tollgate waits for without holding a worker: files in landing, a request to retrain, the end of a training."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Collection
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from tollgate_airflow.process import CommandFailed, ask

LOOK_SECONDS = "10"  # between two looks: each is a process, and a quarter of a second of one core
BACK_OFF_MAX = 60.0  # seconds between two polls of a command that keeps failing


def look_seconds() -> float:
    """How long to wait between two looks, by ``TOLLGATE_LOOK_SECONDS``. Raises ``ValueError`` for what is no time."""
    told = os.environ.get("TOLLGATE_LOOK_SECONDS") or LOOK_SECONDS
    try:
        if 0 < float(told) < float("inf"):
            return float(told)
    except ValueError:
        pass
    raise ValueError(f"TOLLGATE_LOOK_SECONDS must be a number of seconds above 0 (got: {told}); unset it for the "
                     f"default of {LOOK_SECONDS}.")


async def _poll(command: list[str], every: float, log: Any) -> AsyncIterator[dict[str, Any]]:
    """The command's answers for ever; a failure is logged and asked again ever more slowly.

    It waits before the first question too: Airflow takes a task for killed when it resumes within the moment in
    which the scheduler still handles its deferral.
    """
    wait = every
    while True:
        await asyncio.sleep(wait)
        try:
            answer = await ask(command)
        except (CommandFailed, OSError) as failure:
            wait = min(wait * 2, BACK_OFF_MAX)
            log.warning("tollgate %s failed, next try in %.0f s: %s", " ".join(command), wait, failure)
        else:
            wait = every
            yield answer


class LandingTrigger(BaseEventTrigger):
    """Fires when complete files of a book stand in landing that no earlier event named, and again while one waits.

    Args:
        book: whose files; no other's are looked at, and none's trouble holds up another's.
        every: seconds between two looks, ``look_seconds`` if not given.
        again: seconds after which files that still stand there are announced once more: whatever the run of the event
            before came to, they do not wait for the next file.
    """

    def __init__(self, book: str, every: float | None = None, again: float = 600.0) -> None:
        super().__init__()
        self.book = book
        self.every = every or look_seconds()
        self.again = again

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How the triggerer makes it again."""
        return ("tollgate_airflow.triggers.LandingTrigger",
                {"book": self.book, "every": self.every, "again": self.again})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll landing; a file that was taken in and lands again is new again."""
        named: set[str] = set()
        told = time.monotonic()
        async for answer in _poll(["ingest", "list", f"--book={self.book}"], self.every, self.log):
            waiting = {file["name"] for file in answer["files"]}
            if waiting - named or (waiting and time.monotonic() - told >= self.again):
                told = time.monotonic()
                yield TriggerEvent({"files": len(waiting)})
            named = waiting


class DriftTrigger(BaseTrigger):
    """Fires once, with the oldest request to retrain a book that the run may take.

    Args:
        book: whose requests.
        dag_id, run_id: the run that waits.
        every: seconds between two looks, ``look_seconds`` if not given.
    """

    def __init__(self, book: str, dag_id: str, run_id: str, every: float | None = None) -> None:
        super().__init__()
        self.book = book
        self.dag_id = dag_id
        self.run_id = run_id
        self.every = every or look_seconds()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How the triggerer makes it again."""
        return ("tollgate_airflow.triggers.DriftTrigger",
                {"book": self.book, "dag_id": self.dag_id, "run_id": self.run_id, "every": self.every})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll the requests until one is free; Airflow is asked of the runs that hold the others."""
        async for answer in _poll(["requests", "list", f"--book={self.book}"], self.every, self.log):
            requests = answer["requests"]
            try:
                living = {run for run in claimants(requests) if await sync_to_async(is_running)(self.dag_id, run)}
            except AirflowRuntimeError as failure:  # an Airflow that does not tell has not said that a run has ended
                self.log.warning("Airflow does not tell which runs live: %s", failure)
                living = claimants(requests)
            if (request := free(requests, self.run_id, living)) is not None:
                yield TriggerEvent(request)
                return


class EndTrigger(BaseTrigger):
    """Fires once, when a run has ended or was deleted: nobody can wait for what is no more.

    Args:
        dag_id, run_id: that run.
        every: seconds between two looks.
    """

    def __init__(self, dag_id: str, run_id: str, every: float = 2.0) -> None:
        super().__init__()
        self.dag_id = dag_id
        self.run_id = run_id
        self.every = every

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How the triggerer makes it again."""
        return ("tollgate_airflow.triggers.EndTrigger",
                {"dag_id": self.dag_id, "run_id": self.run_id, "every": self.every})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask Airflow until the run lives no more; an Airflow that does not tell is asked again."""
        while True:
            await asyncio.sleep(self.every)
            try:
                if not await sync_to_async(is_running)(self.dag_id, self.run_id):
                    yield TriggerEvent(self.run_id)
                    return
            except AirflowRuntimeError as failure:
                self.log.warning("Airflow does not tell whether %s lives: %s", self.run_id, failure)


def claimants(requests: list[dict[str, Any]]) -> set[str]:
    """The runs that have claimed one of the requests."""
    return {request["run_id"] for request in requests if request["state"] == "claimed"}


def free(requests: list[dict[str, Any]], run_id: str, living: Collection[str]) -> dict[str, Any] | None:
    """The first request that the run may take: one that is open, its own, or that of a run which lives no more.

    That run is told under ``ended``, which is empty else.
    """
    for request in requests:
        if request["state"] == "open" or request["run_id"] == run_id:
            return {**request, "ended": ""}
        if request["run_id"] not in living:
            return {**request, "ended": request["run_id"]}
    return None


def is_running(dag_id: str, run_id: str) -> bool:
    """Whether Airflow still has something to do for that run; one that was deleted does not live."""
    return RuntimeTaskInstance.get_dr_count(dag_id=dag_id, run_ids=[run_id], states=["queued", "running"]) > 0
