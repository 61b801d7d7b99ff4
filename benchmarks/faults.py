"""What is taken away from a cluster in mid-run, when the run ends all the same, and that nothing is lost or doubled.

    python -m benchmarks.faults [--out docs/faults.md]

Starts a cluster of its own over a small simulated book (about twenty minutes on two cores). A night or a training is
begun, one thing is killed or away for a minute, and nobody helps.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import running
from tests.cluster.running import BOOK, ROWS_A_MONTH, Cluster

AWAY_SECONDS = 60
FIRST = "2007-01-01"
HEAD = """# What happens when something is taken away

Written by `python -m benchmarks.faults --out docs/faults.md`: a cluster of `docker-compose.yml`'s services over a small
simulated book, as `make cluster` starts it, on two cores. In the middle of a run one thing was killed, or was away for
{away} seconds, and nobody helped. The seconds are from the fault to the end of the run; a night without any fault
took {plain:.0f} seconds, from the click to the publication. After each night, every loan of it was scored once, and
the ledger had one entry for each decision and verified.

| what was taken away | in the middle of | run ended as | seconds after the fault | tries of the task |
|---|---|---|---|---|
"""
FOOT = """
A killed worker is found when its task has not been heard of for 60 seconds (`TASK_INSTANCE_HEARTBEAT_TIMEOUT`), looked
at every 10; its tasks are then tried again elsewhere, and what they had started has ended with them. A task whose
server is away is tried again after 6, 12, 24, ... seconds, six times and for more than six minutes in sum. CI repeats
the worker that is killed in a shard (`tests/cluster/test_cluster.py`).
"""


@dataclass(frozen=True)
class Row:
    """One fault and what came of it."""

    what: str
    during: str
    state: str
    seconds: float
    tries: int


class Drill:
    """A cluster with a champion, whose months go by a night at a time."""

    def __init__(self, town: Cluster) -> None:
        self.town, self.rows, self.month = town, list[Row](), 1

    def run(self) -> float:
        """Every fault, one after the other; the seconds of a night without any."""
        town = self.town
        town.land("2006-12", "--since", "2003-01")
        town.until(town.ingested)
        run = town.train(FIRST)
        self._fault("a worker killed", "a sweep task", "train_weekly", run, "work", self._kill,
                    until=lambda: bool(town.approver.questions()))
        town.approve()
        self._fault("a worker killed", "promote", "train_weekly", run, "promote", self._kill)
        plain = self._plain_night()
        for task in ("shard", "publish"):
            self._night("a worker killed", task, self._kill)
        for server in ("s3", "mlflow", "postgres", "redis"):
            self._night(f"{server} away", "shard", lambda _, server=server: self._away(server))
        self._night("the scheduler killed", "shard", lambda _: town.kill("scheduler"))
        self._night("the triggerer killed", "shard", lambda _: town.kill("triggerer"))
        return plain

    def _land(self) -> str:
        """The next month arrives; the day of its night."""
        self.town.land(f"2007-{self.month:02}")
        self.town.until(self.town.ingested)
        self.month += 1
        return f"2007-{self.month:02}-01"

    def _plain_night(self) -> float:
        night = self._land()
        began = time.monotonic()
        assert self.town.ended("score_nightly", self.town.score(night)) == "success"
        self._check(night)
        return time.monotonic() - began

    def _night(self, what: str, task: str, fault: Callable[[str], object]) -> None:
        night = self._land()
        self._fault(what, task, "score_nightly", self.town.score(night), task, fault)
        self._check(night)

    def _fault(self, what: str, during: str, kind: str, run: str, task: str, fault: Callable[[str], object],
               until: Callable[[], bool] | None = None) -> None:
        town = self.town
        victim = town.until(lambda: next((t for t in town.operator.tasks(town.dag(kind), run) if t["task_id"] == task
                                          and t["state"] == "running" and t["hostname"]), None))
        began = time.monotonic()
        fault(victim["hostname"])
        if until is None:
            state = town.ended(kind, run)
        else:
            town.until(until)
            state = "went on"
        tries = max(int(t["try_number"]) for t in town.operator.tasks(town.dag(kind), run) if t["task_id"] == task)
        self.rows.append(Row(what, during, state, time.monotonic() - began, tries))
        print(self.rows[-1], flush=True)

    def _kill(self, worker: str) -> None:
        self.town.kill(worker)

    def _away(self, server: str) -> None:
        self.town.ask("down", server)
        time.sleep(AWAY_SECONDS)
        self.town.ask("up", server)

    def _check(self, night: str) -> None:
        """Every loan of the night was scored once, and every decision was written down once."""
        loans = json.loads(self.town.python("worker-1", f"""
import json
from tollgate import lake
rows = lake.read(lake.scores("{BOOK}"), filters=[("day", "=", "{night}")]).to_pylist()
print(json.dumps([row["loan_id"] for row in rows]))"""))
        assert len(loans) == len(set(loans)) == ROWS_A_MONTH, night
        kinds = [line["kind"] for line in self.town.inside("worker-1", "history", BOOK)["decisions"]]
        assert len(kinds) == len(set(kinds)), kinds
        assert self.town.inside("worker-1", "ledger", "verify", BOOK)["intact"] is True


def page(rows: list[Row], plain: float) -> str:
    """The page of the docs."""
    lines = [f"| {row.what} | {row.during} | {row.state} | {row.seconds:.0f} | {row.tries} |" for row in rows]
    return HEAD.format(away=AWAY_SECONDS, plain=plain) + "\n".join(lines) + "\n" + FOOT


def main() -> None:
    """Run every fault and print or write the page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, running.cluster(Path(folder)) as town:
        drill = Drill(town)
        plain = drill.run()
    made = page(drill.rows, plain)
    if chosen.out:
        chosen.out.write_text(made, encoding="utf-8")
    print(made)


if __name__ == "__main__":
    main()
