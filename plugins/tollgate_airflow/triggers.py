"""The two things Tollgate waits for without holding a worker: files in landing, and a request to retrain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from tollgate_airflow.process import CommandFailed, ask

BACK_OFF_MAX = 60.0  # seconds between two polls of a command that keeps failing


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
    """Fires when complete files stand in landing that no earlier event named."""

    def __init__(self, every: float = 5.0) -> None:
        super().__init__()
        self.every = every

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How the triggerer makes it again."""
        return "tollgate_airflow.triggers.LandingTrigger", {"every": self.every}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll landing; a file that was taken in and lands again is new again."""
        named: set[tuple[str, str]] = set()
        async for answer in _poll(["ingest", "list"], self.every, self.log):
            waiting = {(file["book"], file["name"]) for file in answer["files"]}
            if waiting - named:
                yield TriggerEvent({"files": len(waiting)})
            named = waiting


class DriftTrigger(BaseTrigger):
    """Fires once, with the oldest open request to retrain."""

    def __init__(self, every: float = 5.0) -> None:
        super().__init__()
        self.every = every

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How the triggerer makes it again."""
        return "tollgate_airflow.triggers.DriftTrigger", {"every": self.every}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll the requests until one is open."""
        async for answer in _poll(["requests", "list"], self.every, self.log):
            if waiting := [request for request in answer["requests"] if request["state"] == "open"]:
                yield TriggerEvent(waiting[0])
                return
