"""A PostgreSQL for the tests of one process: started by the first that asks, its databases copied from one."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path

import psycopg2
import pytest
from ports import free_port
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from tollgate.config import AS_OF
from tollgate.services import postgres

NAME_OF_HOME = "mlflow.database"
# What a test writes need not outlive the machine.
OPTIONS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "300",
           "autovacuum": "off"}
PREPARE = "from tollgate import registry; registry.prepare()"
STUDIES = "from tollgate.training import answers; answers.prepare()"


class Databases:
    """A server at ``folder``, and what tests need of it: homes with an MLflow of their own, and places for studies."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self._numbers = folder, free_port(), count(1)
        self._password = folder / "pgpass"

    @contextmanager
    def running(self) -> Iterator[Databases]:
        """Serve, and end with whoever asked."""
        password = secrets.token_hex(8)
        self._password.touch(mode=0o600)
        self._password.write_text(f"127.0.0.1:*:*:tollgate:{password}\n")
        data = self.folder / "data"
        postgres.initialise(data, "tollgate", password)
        with (self.folder / "log.txt").open("wb") as log:
            server = subprocess.Popen(postgres.serving(data, "127.0.0.1", self.port, OPTIONS), stdout=log, stderr=log,
                                      cwd=self.folder, start_new_session=True)
        try:
            up = Retrying(retry=retry_if_result(lambda ready: not ready), wait=wait_fixed(0.02),
                          stop=stop_after_delay(180))
            up(lambda: (found := postgres.postmaster(data)) is not None and found.ready)
            yield self
        finally:
            server.send_signal(signal.SIGQUIT)  # nothing of it is kept
            server.wait()

    def url(self, name: str) -> str:
        """Where a database is."""
        return f"postgresql+psycopg2://tollgate@127.0.0.1:{self.port}/{name}?passfile={self._password}"

    def new(self, like: str = "template1") -> str:
        """The name of a new database, a copy of another, whose users are sent away."""
        name = f"test_{next(self._numbers)}"
        self.cut_off(like)
        self._tell(f"CREATE DATABASE {name} TEMPLATE {like}")
        return name

    def cut_off(self, name: str) -> None:
        """End the sessions of a database."""
        self._tell("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name)

    def forget(self, name: str) -> None:
        """Remove a database."""
        self._tell(f"DROP DATABASE {name} WITH (FORCE)")

    def settle(self, patch: pytest.MonkeyPatch, home: Path) -> str:
        """Live in a home with an MLflow of its own: a copy of what the home was copied with, else an empty one."""
        home.mkdir(parents=True, exist_ok=True)
        note = home / NAME_OF_HOME
        name = self.new(note.read_text() if note.exists() else self._empty)
        note.write_text(name)
        self.enter(patch, home)
        return name

    def enter(self, patch: pytest.MonkeyPatch, home: Path) -> None:
        """Live in a home that is settled already, in a replay: the tests' models stand in years long past."""
        patch.setenv("TOLLGATE_DATA", str(home))
        patch.setenv("TOLLGATE_TODAY", AS_OF)
        patch.setenv("TOLLGATE_MLFLOW", self.url((home / NAME_OF_HOME).read_text()))
        patch.setenv("TOLLGATE_OPTUNA", self.url(self.shared_studies))

    @cached_property
    def _empty(self) -> str:
        """A database with MLflow's tables, made by two at once as on a fresh machine where Airflow starts two tasks."""
        name = self.new()
        environment = {**os.environ, "TOLLGATE_MLFLOW": self.url(name)}
        making = [subprocess.Popen([sys.executable, "-c", PREPARE], env=environment) for _ in range(2)]
        assert [process.wait() for process in making] == [0, 0]
        return name

    @cached_property
    def studies(self) -> str:
        """A database with the table of sweeps."""
        name = self.new()
        subprocess.run([sys.executable, "-c", STUDIES], env={**os.environ, "TOLLGATE_OPTUNA": self.url(name)},
                       check=True)
        return name

    @cached_property
    def shared_studies(self) -> str:
        """For the tests that are not about sweeps: whose study is finished already has nothing to do."""
        return self.new(self.studies)

    def _tell(self, statement: str, *values: str) -> None:
        with closing(psycopg2.connect(host="127.0.0.1", port=self.port, user="tollgate", dbname="postgres",
                                      passfile=str(self._password))) as connection:
            connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
