"""A demo that was replayed over a small book, in a project of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ports import free_port
from scratch import Scratch

from tollgate.demo.airflow import Airflow


@contextmanager
def replayed(project: Scratch, book: str, months: int, scenario: str, **settings: str) -> Iterator[tuple[Airflow, str]]:
    """The Airflow of the demo, and what it told its user; our own process has its settings meanwhile."""
    ports = {"TOLLGATE_AIRFLOW_PORT": str(free_port(713, 714)), "TOLLGATE_MLFLOW_PORT": str(free_port()), **settings}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**project.places, **ports}.items():
            patch.setenv(name, value)
        try:
            done = project.run("tollgate", "demo", "run", "--book", book, "--months", str(months),
                               "--scenario", scenario, **ports)
            assert done.returncode == 0, done.stderr
            yield Airflow(f"http://127.0.0.1:{ports['TOLLGATE_AIRFLOW_PORT']}"), done.stdout
        finally:
            project.run("tollgate", "demo", "stop", **ports)
