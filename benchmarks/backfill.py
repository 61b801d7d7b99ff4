"""Six months of nights, backfilled: each scored once by the champion in force on its day.

    python -m benchmarks.backfill [demo] [cluster] [--out docs/backfill.md]

Over a small simulated book, in the stack that `make demo` starts and in the services of docker-compose.yml as
`make cluster` starts them (about half an hour each on two cores). A first model is trained as of 2007-01-01 and a
second one as of 2007-05-01, both approved; then one backfill asks for every night from 2007-02-01 to 2007-07-31.
Monitoring is paused meanwhile: the nights of the past are not news.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tests import scratch
from tests.cluster import running
from tests.cluster.running import BOOK, ROWS_A_MONTH, SMALL, People
from tests.ports import free_port
from tests.scratch import Scratch

from tollgate.demo.airflow import Airflow

FIRST, SECOND = "2007-01-01", "2007-05-01"
BEGIN, END = date(2007, 2, 1), date(2007, 7, 31)
AT_ONCE = 1  # a night takes what those before it left
ONE_SHARD = {"shards": 1}  # a small book's night is one
PATIENCE_SECONDS = 2 * 60 * 60
# What an instance prints of the lake: for each night the versions that scored it, its rows and its loans.
NIGHTS = f"""
import json
from collections import defaultdict
from tollgate import lake
found = lake.read(lake.scores("{BOOK}"), columns=["day", "model_version", "loan_id"]).to_pylist()
nights = defaultdict(lambda: [set(), 0, set()])
for row in found:
    versions, rows, loans = nights[row["day"]]
    versions.add(row["model_version"]); loans.add(row["loan_id"]); nights[row["day"]][1] += 1
print(json.dumps({{day: [sorted(v), rows, len(loans)] for day, (v, rows, loans) in nights.items()}}))
"""
HEAD = """# Six months, backfilled

Written by `python -m benchmarks.backfill {places} --out docs/backfill.md`, on two cores: a small simulated book,
two models approved (as of {first} and of {second}), then one backfill of `score_nightly` for every night
from {begin} to {end}, {at_once} runs at once, with `monitor_drift` paused. Every night was asked of the lake
afterwards. It is whole when it holds each of its loans once, all of them scored by one version.

| where | nights asked for | runs that succeeded | whole | by version 1 | by version 2 | from | minutes |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Demo(People):
    """The stack that the demo starts, and the one person who uses it."""

    project: Scratch
    operator: Airflow
    approver: Airflow

    def inside(self, instance: str, *command: str) -> dict[str, Any]:
        """The demo has one machine."""
        return self.project.ask(*command)

    def python(self, instance: str, program: str) -> str:
        """What a program prints that the pipeline's Python runs."""
        program += "\nimport os, sys\nsys.stdout.flush()\nos._exit(0)"
        done = self.project.run("python", "-c", program)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def demo(folder: Path) -> Iterator[Demo]:
    """The demo's stack after its first month, its first model approved."""
    project = scratch.make(folder / "project", **SMALL, scoring=ONE_SHARD)
    project.simulate(ROWS_A_MONTH)
    ports = {"TOLLGATE_AIRFLOW_PORT": str(free_port(713, 714)), "TOLLGATE_MLFLOW_PORT": str(free_port())}
    try:
        done = project.run("tollgate", "demo", "run", "--book", BOOK, "--months", "1", **ports)
        assert done.returncode == 0, done.stderr
        airflow = Airflow(f"http://127.0.0.1:{ports['TOLLGATE_AIRFLOW_PORT']}")
        yield Demo(project, airflow, airflow)
    finally:
        project.run("tollgate", "demo", "stop", **ports)


@contextmanager
def cluster(folder: Path) -> Iterator[running.Cluster]:
    """The services of docker-compose.yml, the first model approved by the approver."""
    with running.cluster(folder, scoring=ONE_SHARD) as made:
        made.land("2006-12", "--since", "2003-01")
        made.until(made.ingested)
        train(made, FIRST)
        yield made


def train(place: People, as_of: str) -> None:
    """A model of that as-of becomes the champion."""
    run = place.train(as_of)
    place.approve()
    assert place.ended("train_weekly", run) == "success"


def backfill(place: Demo | running.Cluster) -> dict[str, Any]:
    """Train the second model, backfill the nights, and look at what the lake holds of each."""
    place.land("2007-07", "--since", "2007-01")
    place.until(place.ingested)
    train(place, SECOND)
    place.operator.pause("monitor_drift", True)
    began = time.monotonic()
    asked = place.operator.call("POST", "/backfills", body={
        "dag_id": "score_nightly", "from_date": f"{BEGIN}T00:00:00Z", "to_date": f"{END + timedelta(days=1)}T00:00:00Z",
        "dag_run_conf": {"book": BOOK}, "max_active_runs": AT_ONCE, "reprocess_behavior": "none"})
    place.until(lambda: place.operator.call("GET", f"/backfills/{asked['id']}")["completed_at"], PATIENCE_SECONDS)
    minutes = (time.monotonic() - began) / 60
    runs = Counter(run["state"] for run in backfilled(place))
    nights = json.loads(place.python("worker-1", NIGHTS).splitlines()[-1])
    days = [str(BEGIN + timedelta(days=k)) for k in range((END - BEGIN).days + 1)]
    whole = {day: nights[day][0][0] for day in days
             if day in nights and len(nights[day][0]) == 1 and nights[day][1] == nights[day][2] > 0}
    by = Counter(whole.values())
    return {"asked": len(days), "succeeded": runs["success"], "whole": len(whole), "1": by["1"], "2": by["2"],
            "first of 2": min((day for day, version in whole.items() if version == "2"), default="none"),
            "minutes": minutes, "runs": dict(runs)}


def backfilled(place: People) -> list[dict[str, Any]]:
    """Every run of the backfill."""
    found: list[dict[str, Any]] = []
    while True:
        page = place.operator.call(
            "GET", f"/dags/score_nightly/dagRuns?run_type=backfill&limit=100&offset={len(found)}")
        found += page["dag_runs"]
        if not page["dag_runs"] or len(found) >= page["total_entries"]:
            return found


PLACES: dict[str, Callable[[Path], AbstractContextManager[Demo | running.Cluster]]] = {"demo": demo, "cluster": cluster}


def main() -> None:
    """Backfill in each place and print or write the page."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("places", nargs="*", choices=list(PLACES), default=list(PLACES))
    options.add_argument("--out", type=Path)
    chosen = options.parse_args()
    page = HEAD.format(places=" ".join(chosen.places), first=FIRST, second=SECOND, begin=BEGIN, end=END,
                       at_once=AT_ONCE)
    for name in chosen.places:
        with tempfile.TemporaryDirectory() as folder, PLACES[name](Path(folder)) as place:
            told = backfill(place)
        print(name, told, flush=True)
        page += (f"| {name} | {told['asked']} | {told['succeeded']} | {told['whole']} | {told['1']} | {told['2']} | "
                 f"{told['first of 2']} | {told['minutes']:.0f} |\n")
    if chosen.out:
        chosen.out.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
