"""The demo's Airflow over a project of its own, and the one person who works there."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.home import link_sources
from tests import scratch
from tests.cluster.running import People
from tests.ports import free_port
from tests.scratch import Scratch

from tollgate.demo import stack
from tollgate.demo.airflow import Airflow


@dataclass(frozen=True)
class Stack(People):
    """The demo's Airflow over a project, and whoever uses it."""

    project: Scratch
    operator: Airflow
    approver: Airflow
    book: str

    def inside(self, instance: str, *command: str) -> dict[str, Any]:
        """There is one machine."""
        return self.project.ask(*command)


@contextmanager
def started(folder: Path, book: str, known: date, kinds: Sequence[str], **changes: Any) -> Iterator[Stack]:
    """The stack over all that the book told until a day; our own process has its settings meanwhile.

    Args:
        kinds: of the DAGs that are not paused. changes: of params.yaml, as of a scratch.
    """
    project = scratch.make(folder / "project", book=book, **changes)
    link_sources(project.data)
    project.ask("fetch", book)
    project.ask("ingest", "history", book, f"--as-of={known}")
    ports = {"TOLLGATE_AIRFLOW_PORT": str(free_port(713, 714)), "TOLLGATE_MLFLOW_PORT": str(free_port())}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that Airflow is ended with us
    before = dict(os.environ)
    os.environ.update(project.places, **ports)
    try:
        service = stack.airflow()
        stack.start(service)
        stack.wait_until_up(service)
        airflow = Airflow(service.url)
        made = Stack(project, airflow, airflow, book)
        made.until(lambda: airflow.ready(book))
        for kind in kinds:
            airflow.pause(made.dag(kind), False)
        yield made
    finally:
        stack.stop()
        os.environ.clear()
        os.environ.update(before)
