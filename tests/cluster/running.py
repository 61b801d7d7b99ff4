"""A cluster of docker-compose.yml's services over a small simulated book, and the people who use it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
from dotenv import dotenv_values
from tenacity import Retrying, retry_if_not_result, stop_after_delay, wait_fixed
from tests import scratch
from tests.ports import free_port
from tests.scratch import Scratch

from tollgate.config import AS_OF, PROJECT
from tollgate.demo.airflow import OVER, Airflow, dag_id

BOOK = "consumer"
ROWS_A_MONTH = 600
SMALL = {"book": BOOK, "sweep": {"trials": 4}, "gates": {"bootstrap_draws": 50}}
BUILT_FROM = ("docker", "docker-compose.yml", ".env.example", "Makefile", "pyproject.toml", "README.md")
PATIENCE_SECONDS = 900


class People:
    """Those who work at one installation, and what they do there; each answers for what they see through Airflow."""

    book: str = BOOK
    operator: Airflow
    approver: Airflow

    def inside(self, instance: str, *command: str) -> dict[str, Any]:
        """The answer of a ``tollgate`` command on one of its machines."""
        raise NotImplementedError

    def land(self, month: str, *more: str) -> None:
        """The lender's system sends a month."""
        self.inside("worker-1", "land", self.book, "--month", month, *more)

    def until(self, done: Callable[[], Any], seconds: int = PATIENCE_SECONDS) -> Any:
        """The first true answer."""
        return Retrying(retry=retry_if_not_result(bool), wait=wait_fixed(1), stop=stop_after_delay(seconds))(done)

    def dag(self, kind: str) -> str:
        """The DAG of a kind of their book."""
        return dag_id(kind, self.book)

    def ended(self, kind: str, run_id: str) -> str:
        """Wait for the end of a run; its state."""
        return str(self.until(lambda: (state := self.operator.state(self.dag(kind), run_id)) in OVER and state))

    def ingested(self) -> bool:
        """Whether nothing waits in landing and no run takes anything in."""
        runs = self.operator.runs(self.dag("ingest_validate"))
        return bool(runs) and all(run["state"] in OVER for run in runs) and not self.inside(
            "worker-2", "ingest", "list", "--book", self.book)["files"]

    def train(self, as_of: str, run_id: str = "") -> str:
        """The operator asks for a model; the id of the run."""
        run_id = run_id or f"by_hand__{as_of}"
        self.operator.trigger(self.dag("train_weekly"), run_id, {"as_of": as_of, "reason": "asked for by hand"})
        return run_id

    def approve(self) -> None:
        """The approver says yes to the question that stands, until Airflow has taken the answer.

        It loses one that comes before its scheduler has seen the task wait, and asks again (apache/airflow#72716).
        """
        asked: dict[str, dict[str, Any]] = {}

        def answered() -> bool:
            for question in self.approver.questions(self.dag("train_weekly")):
                if question["task_instance"]["id"] in asked:
                    self.approver.respond(question, "Approve", "looks right")
                asked[question["task_instance"]["id"]] = question["task_instance"]
            return any(task["id"] in asked and task["state"] == "success" for one in asked.values()
                       for task in self.operator.tasks(one["dag_id"], one["dag_run_id"]))

        self.until(answered)

    def score(self, as_of: str) -> str:
        """The operator asks for a night; the id of the run."""
        run_id = f"by_hand__{as_of}"
        self.operator.trigger(self.dag("score_nightly"), run_id, {"as_of": as_of})
        return run_id

    def verdicts(self) -> list[str]:
        """The days that monitoring has judged."""
        return [verdict["as_of"] for verdict in self.inside("worker-2", "monitor", "list", self.book)["verdicts"]]


@dataclass(frozen=True)
class Cluster(People):
    """One cluster that was started, and whose it is."""

    project: Scratch
    ports: dict[str, str]

    @property
    def folder(self) -> Path:
        return self.project.data / "cluster"

    @cached_property
    def secrets(self) -> dict[str, str]:
        """The values of .env that nobody may see; who logs in is told, in S3's words by an access key."""
        found = dotenv_values(self.project.folder / ".env", interpolate=False)
        return {name: str(value) for name, value in found.items()
                if not name.endswith(("_NAME", "_ACCESS_KEY", "_PUBLIC_KEYS"))}

    def person(self, role: str) -> Airflow:
        """Airflow's page as the first person of a role sees it: ADMIN, OPERATOR or APPROVER."""
        return Airflow(f"http://127.0.0.1:{self.ports['TOLLGATE_AIRFLOW_PORT']}", role.lower(),
                       self.secrets[f"AIRFLOW_{role}_PASSWORD"])

    @cached_property
    def operator(self) -> Airflow:
        return self.person("OPERATOR")

    @cached_property
    def approver(self) -> Airflow:
        return self.person("APPROVER")

    def ask(self, *arguments: str) -> dict[str, Any]:
        """The answer of a verb of `tollgate cluster`."""
        return self.project.ask("cluster", *arguments, **self.ports)

    def state(self, instance: str) -> dict[str, Any]:
        """How an instance stands."""
        return {one["instance"]: one for one in self.ask("status")["services"]}[instance]

    def inside(self, instance: str, *command: str) -> dict[str, Any]:
        """The answer of a ``tollgate`` command in an instance."""
        done = self.project.run("tollgate", "cluster", "exec", instance, "/opt/tollgate/.venv/bin/tollgate", *command,
                                **self.ports)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def python(self, instance: str, program: str) -> str:
        """What a program prints that the pipeline's Python runs in an instance."""
        python = "/opt/tollgate/.venv/bin/python"
        program += "\nimport os, sys\nsys.stdout.flush()\nos._exit(0)"  # as tollgate ends, and for its reason
        done = self.project.run("tollgate", "cluster", "exec", instance, python, "-c", program, **self.ports)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def on_its_network(self, program: str) -> str:
        """What a program of ours prints on the cluster's network, as a stranger there."""
        known = json.loads((self.folder / "supervisor.pid").read_text())
        done = subprocess.run(["nsenter", f"--target={known['pid']}", "--user", "--preserve-credentials", "--net", "--",
                               sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=PROJECT)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kill(self, instance: str) -> int:
        """End an instance as if its machine had lost its power; its pid."""
        pid = int(self.state(instance)["pid"])
        psutil.Process(pid).kill()
        return pid


@contextmanager
def cluster(folder: Path, **changes: Any) -> Iterator[Cluster]:
    """A cluster from a project of its own, as `make cluster` starts it, ended whole; ``changes`` as of a scratch."""
    project = scratch.make(folder / "project", **SMALL, **changes)
    for name in BUILT_FROM:
        (project.folder / name).symlink_to(PROJECT / name)
    project.simulate(ROWS_A_MONTH)
    ports = {"TOLLGATE_AIRFLOW_PORT": str(free_port()), "TOLLGATE_MLFLOW_PORT": str(free_port())}
    replay = {"TOLLGATE_TODAY": AS_OF}  # its loans are of years long past
    try:
        done = project.run("tollgate", "--json", "cluster", "start", **ports, **replay)
        assert done.returncode == 0, done.stderr
        made = Cluster(project, ports)
        # The simulated lender sits on the first worker.
        source = made.folder / "instances" / "worker-1" / "data" / "sources" / BOOK
        shutil.copytree(project.data / "sources" / BOOK, source)
        for kind in ("ingest_validate", "train_weekly", "score_nightly", "monitor_drift", "retrain_on_drift"):
            made.operator.pause(made.dag(kind), False)
        yield made
    finally:
        project.run("tollgate", "cluster", "stop", **ports)
