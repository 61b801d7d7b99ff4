"""`sba` from 1997 to 2010, month after month through Airflow: the loop, and what came of every alert.

    python -m benchmarks.decade [--from 1997-01] [--to 2010-12] [--every 1] [--home data/decade] [--out docs/decade.md]
    python -m benchmarks.decade --page --home data/decade --out docs/decade.md

In a home of its own, in the Airflow that `make demo` starts. From the first month on a model is asked for until
one passes its gates; from then on each month is scored, monitored, and retrained where the loop asks for it.
Whoever approves is this script, with the replay's clock: what passed its gates, it approves.

All that is known of how far it came stands in the lake and in Airflow: a replay that was killed goes on where it was.
`--page` makes the page of what is there, without Airflow; the replay itself ends with it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from benchmarks import decade_page, decade_told
from benchmarks.home import link_sources
from tests import scratch
from tests.ports import free_port
from tests.scratch import Scratch

from tollgate import ingest, lake, registry, requests, services
from tollgate.books import load_book
from tollgate.clock import months_before
from tollgate.config import settings
from tollgate.demo import stack
from tollgate.demo.airflow import OVER, Airflow, dag_id
from tollgate.errors import PassingFault
from tollgate.ingest.landing import files, months_of

BOOK = "sba"
LAST_OUTCOME = "2014-12"          # of the book: labels of the last nights mature after them
POLL_SECONDS, LOOK_SECONDS, PATIENCE_SECONDS = 3, 60, 60 * 60
GO_ON = ("train_weekly", "score_nightly", "monitor_drift")  # unpaused all the while
# Nothing changes in the DAG files, and half a second more between two tasks is little of a night.
CALMER = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600", "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "600",
          "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
          # A file that a busy machine was too slow to read would be without DAGs until it is read again.
          "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600", "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "900"}
# What the replay lays over params.yaml, and why: docs/decade.md repeats it.
OVERLAY: dict[str, tuple[dict[str, Any], str]] = {
    "snapshot": ({"min_defaults": 40}, "a year of loans has 25-60 charge-offs within 24 months until 1998"),
    "gates": ({"auc_min": 0.60, "ks_min": 0.15, "false_negative_max": 0.35, "approval_min": 0.10, "cost_max": 30.0,
               "cost_margin": 0.99, "baseline_margin": 0.05, "champion_margin": 0.03, "defaults_ratio_max": 15.0,
               "slice_gap_max": 0.35, "calibration_gap_max": 0.06, "calibration_slope_max": 5.0},
              "on so few defaults intervals are 0.05-0.10 wide, and of a hundredth of defaults no rule that catches "
              "most is cheap: as shipped the gates refused every model that was tried as of 2000 to 2006"),
    "sweep": ({"trials": 4}, "time"),
    "scoring": ({"shards": 1}, "time"),
}


@dataclass(frozen=True)
class Plan:
    """The nights of a replay.

    Attributes:
        first, last: months, as their first days. every: months between two nights, each of which scores them all.
        ask_every: months between two attempts at a first model.
    """

    first: date
    last: date
    every: int = 1
    ask_every: int = 12

    def attempts(self) -> list[date]:
        """The as-ofs at which a first model is asked for, until one passes."""
        return _days(self.first, self.last, self.ask_every)

    def nights(self, begin: date) -> list[date]:
        """The as-ofs of the nights after a first model of ``begin``: each scores the months since the one before."""
        return _days(months_before(begin, -self.every), months_before(self.last, -1), self.every)


def _days(first: date, last: date, step: int) -> list[date]:
    found = [first]
    while (following := months_before(found[-1], -step)) <= last:
        found.append(following)
    return [day for day in found if day <= last]


def month_before(day: date) -> str:
    """The month of which ``day`` sees everything, as YYYY-MM."""
    return f"{months_before(day, 1):%Y-%m}"


def home_of(folder: Path, plan: Plan) -> Scratch:
    """The project of a replay at ``folder``: made at first, found again when it goes on."""
    if (folder / "project").is_dir():
        return Scratch(folder / "project", folder / "project" / "data")
    project = scratch.make(folder / "project", book=BOOK, as_of=str(plan.first))
    path = project.folder / "params.yaml"
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    raw["schedules"] = {BOOK: {"late_hours": None}}
    raw["scoring"]["window_months"], raw["monitoring"]["window_days"] = plan.every, 31 * plan.every
    for section, (values, _) in OVERLAY.items():
        own = raw["books"][BOOK].setdefault(section, {})
        own.update(values)
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    link_sources(project.data)
    return project


@contextmanager
def living_in(project: Scratch) -> Iterator[None]:
    """Our own process has the replay's settings from here on."""
    before = dict(os.environ)
    port = project.folder / "airflow.port"  # the same again: an Airflow that outlived a killed replay still listens
    if not port.exists():
        port.write_text(str(free_port(713, 714)), encoding="utf-8")
    os.environ.update(project.places, TOLLGATE_AIRFLOW_PORT=port.read_text(encoding="utf-8"))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def airflow_of(project: Scratch) -> Iterator[Airflow]:
    """The replay's Airflow, stopped in the end."""
    project.ask("fetch", BOOK)
    try:
        service = stack.airflow()
        service = replace(service, environment={**service.environment, **CALMER})
        stack.start(service)
        stack.wait_until_up(service)
        yield Airflow(service.url)
    finally:
        stack.stop()


@dataclass
class Replay:
    """One replay on its way, or further on it."""

    plan: Plan
    airflow: Airflow
    asked: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Every month of the plan that is not behind it; a line a month."""
        self._until(lambda: self.airflow.ready(BOOK), "the DAG files")
        for kind in GO_ON:
            self.airflow.pause(dag_id(kind, BOOK), False)
        begin = self._first_model()
        self._land(LAST_OUTCOME)
        for day in self.plan.nights(begin):
            began = time.monotonic()
            self._score(day)
            self._until(lambda day=day: self._verdict(day) is not None, f"the verdict as of {day}")
            self._retrain()
            verdict = self._verdict(day) or {}
            print(f"{day} v{verdict['model_version']} {verdict['level']} request={verdict['request']} "
                  f"{time.monotonic() - began:.0f} s", flush=True)
        self._until(lambda: self._idle("monitor_drift"), "monitor_drift to finish")

    def _first_model(self) -> date:
        """Ask for a model until there is a champion; the as-of of the first."""
        for day in self.plan.attempts():
            if (found := registry.champions_since(BOOK)) is not None:
                return found
            began = time.monotonic()
            self._land(month_before(day))
            run = f"decade__{day}"
            if self._state("train_weekly", run) is None:
                self.airflow.trigger(dag_id("train_weekly", BOOK), run,
                                     {"as_of": str(day), "reason": "the first model of the book"})
            self._until(lambda run=run: self._state("train_weekly", run) in OVER, f"train_weekly ({run})", trains=True)
            print(f"{day} first model: {self._state('train_weekly', run)} {time.monotonic() - began:.0f} s", flush=True)
        if (found := registry.champions_since(BOOK)) is None:
            raise SystemExit(f"No model passed its gates until {self.plan.last}.")
        return found

    def _score(self, day: date) -> None:
        run = f"decade__{day}"
        if self._state("score_nightly", run) != "success":
            self.airflow.trigger(dag_id("score_nightly", BOOK), run, {"as_of": str(day)})
        self._until(lambda: self._state("score_nightly", run) in OVER, f"score_nightly ({run})")
        if self._state("score_nightly", run) == "failed":
            raise PassingFault("A night failed", value=run, remedy=f"Read its log at {self.airflow.url}, and go on.")

    def _land(self, month: str) -> None:
        """Have everything up to ``month`` taken in: as-of reads keep apart what a night may see.

        Landing is watched only meanwhile: each look is a process, and costs as much as a task in every ten seconds.
        """
        book = load_book(BOOK)
        since = max((f"{months_before(_month(told[2]), -1):%Y-%m}" for entry in files(BOOK)
                     if (told := months_of(book, Path(entry.path).name))), default=book.require_sender().first_month)
        if since <= month:
            ingest.land(book, month, since)
        if ingest.new_files(BOOK):
            self.airflow.pause(dag_id("ingest_validate", BOOK), False)
            self._until(lambda: not ingest.new_files(BOOK) and self._idle("ingest_validate"), "ingest_validate")
        self.airflow.pause(dag_id("ingest_validate", BOOK), True)

    def _retrain(self) -> None:
        """Have an open request answered; for as long as there is none, nothing looks for one."""
        dag = dag_id("retrain_on_drift", BOOK)
        if requests.open_requests(BOOK):
            before = self._over(dag)
            self.airflow.pause(dag, False)
            self._until(lambda: not requests.open_requests(BOOK) and self._over(dag) > before, dag, trains=True)
        self.airflow.pause(dag, True)
        for run in self.airflow.runs(dag):
            if run["state"] not in OVER:  # the next, which waits for the next request
                path = f"/dags/{dag}/dagRuns/{run['dag_run_id']}"
                self.airflow.call("PATCH", f"{path}?update_mask=state", body={"state": "failed"}, accept=(404,))
                self.airflow.call("DELETE", path, accept=(404, 409))

    def _over(self, dag: str) -> set[str]:
        return {run["dag_run_id"] for run in self.airflow.runs(dag) if run["state"] in OVER}

    def _verdict(self, day: date) -> dict[str, Any] | None:
        found = lake.read(lake.verdicts(BOOK), filters=[("day", "=", str(day))]).to_pylist()
        return found[0] if found else None

    def _state(self, kind: str, run: str) -> str | None:
        return self.airflow.state(dag_id(kind, BOOK), run)

    def _idle(self, kind: str) -> bool:
        return all(run["state"] in OVER for run in self.airflow.runs(dag_id(kind, BOOK)))

    def _until(self, done: Callable[[], bool], what: str, *, trains: bool = False) -> None:
        """Wait until ``done``; where a model ``trains`` meanwhile, answer for it."""
        end, look = time.monotonic() + PATIENCE_SECONDS, time.monotonic() + LOOK_SECONDS
        while not done():
            if time.monotonic() > look:
                self._read_again()
                look += LOOK_SECONDS
            if time.monotonic() > end:
                raise PassingFault(f"Waited {PATIENCE_SECONDS} seconds for {what}", value=self.airflow.url,
                                   remedy="Look at what is running there, then run this again: it goes on.")
            if trains:
                self._approve()
            time.sleep(POLL_SECONDS)

    def _read_again(self) -> None:
        """A DAG file that a busy machine was too slow to read has no DAGs until it is read again."""
        if self.airflow.import_errors():
            for kind in GO_ON:
                self.airflow.pause(dag_id(kind, BOOK), False)

    def _approve(self) -> None:
        """Say yes to what waits since an earlier look: an answer in the breath of the question is lost."""
        for question in self.airflow.questions(dag_id("train_weekly", BOOK)):
            if question["task_instance"]["id"] in self.asked:
                with suppress(PassingFault):
                    self.airflow.respond(question, "Approve", "its gates passed")
            self.asked.add(question["task_instance"]["id"])


def _month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")


def main() -> None:
    """Replay, then write the page; or the page alone."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--from", dest="first", type=_month, default=_month("1997-01"), metavar="YYYY-MM")
    options.add_argument("--to", dest="last", type=_month, default=_month("2010-12"), metavar="YYYY-MM")
    options.add_argument("--every", type=int, default=1, help="months between two nights")
    options.add_argument("--ask-every", type=int, default=12, help="months between two attempts at a first model")
    options.add_argument("--home", type=Path, default=None, help="where the replay lives, and goes on")
    options.add_argument("--out", type=Path, default=None, help="the page; its pictures go to images/ beside it")
    options.add_argument("--page", action="store_true", help="make the page alone, of what is there")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that Airflow is ended with us
    plan = Plan(chosen.first, chosen.last, chosen.every, chosen.ask_every)
    project = home_of((chosen.home or settings().data / "decade").resolve(), plan)
    with living_in(project):
        if not chosen.page:
            with airflow_of(project) as airflow:
                Replay(plan, airflow).run()
        if chosen.out:
            idle = services.running_database("mlflow") is None
            overlay = [(section, values, why) for section, (values, why) in OVERLAY.items()]
            told = {**decade_told.told(BOOK), "first": f"{plan.first:%Y-%m}", "every": plan.every,
                    "ask_every": plan.ask_every, "overlay": overlay}
            decade_page.write(told, chosen.out)
            if idle:
                services.stop_embedded()


if __name__ == "__main__":
    main()
