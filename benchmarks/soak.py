"""Two books, night after night, in the cluster at full speed: what stays flat, and whether one troubles the other.

    python -m benchmarks.soak [--nights 30] [--out docs/soak.md]

In a cluster of its own, as `make cluster` starts it, two small simulated books have a champion each; then a backfill a
book asks for the nights of its cron in turn, and each night is scored, published, monitored and judged. The second
book is in trouble all the while: a model of it waits for an approval that nobody gives, and a file in its landing is
not what the book says. At every few nights the memory and open files of each service, the disk, the rows of Airflow's
database and the bytes of all are counted; the tasks' times are Airflow's own. Told to end (Ctrl-C) before the last
night, it writes the page of those that are over.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import psutil
from tests.cluster import running
from tests.cluster.running import Cluster

from tollgate.books import load_book
from tollgate.books.shipped import instalment
from tollgate.demo.airflow import OVER

WELL, TROUBLED = "consumer", "instalment"
NIGHTLY = ("score_nightly", "monitor_drift")
FIRST = date(2007, 1, 1)      # the as-of of the first model of each book
EVERY = 5                     # nights of each book between two samples
LAST_MONTH = "2007-12"        # that landed before the first night; as-of reads keep apart what a night may see
CRON = "0 2 * * *"
A_PAGE = 100                  # runs that Airflow answers at once
# What is tested is operation, and not how good a model of a small simulation is.
WIDE = {"auc_min": 0.6, "ks_min": 0.1, "false_negative_max": 0.5, "calibration_gap_max": 0.1, "slice_gap_max": 0.5,
        "cost_margin": 0.9, "defaults_ratio_max": 5.0, "calibration_slope_max": 5.0, "champion_margin": 0.5,
        "baseline_margin": 0.5}
COUNTED = ("dag_run", "task_instance", "xcom", "asset_event", "job", "log", "trigger", "callback", "deadline")
ROWS = """
import json, os
from sqlalchemy import create_engine, text
# A backfill makes the runs of all its nights at once.
BEGUN = dict.fromkeys(("dag_run", "task_instance"), " WHERE start_date IS NOT NULL")
with create_engine(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]).connect() as connection:
    tables = {row[0] for row in connection.execute(text(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))}
    print(json.dumps({
        "rows": {name: connection.execute(text(f"SELECT count(*) FROM {name}{BEGUN.get(name, '')}")).scalar_one()
                 for name in COUNTED if name in tables},
        "connections": connection.execute(text("SELECT count(*) FROM pg_stat_activity")).scalar_one(),
        "bytes": connection.execute(text("SELECT sum(pg_database_size(datname)) FROM pg_database")).scalar_one()},
        default=int))
"""


@dataclass(frozen=True)
class Town(Cluster):
    """The cluster as those see it who work on one of its books."""

    book: str = WELL

    def backfill(self, nights: int) -> None:
        """Ask for so many nights of the book's cron, one after the other."""
        last = FIRST + timedelta(days=nights)
        done = self.project.run(
            "tollgate", "cluster", "exec", "scheduler", "airflow", "backfill", "create", "--dag-id",
            self.dag("score_nightly"), "--from-date", str(FIRST + timedelta(days=1)), "--to-date",
            str(last + timedelta(days=1)), "--max-active-runs", "1", **self.ports)
        assert done.returncode == 0, done.stderr[-3_000:]

    def over(self, kind: str) -> list[dict[str, Any]]:
        """The runs of a DAG of the book that have ended, of all that it ever had."""
        found = list[dict[str, Any]]()
        while True:
            some = self.operator.call("GET", f"/dags/{self.dag(kind)}/dagRuns?order_by=run_after&limit={A_PAGE}"
                                             f"&offset={len(found)}")
            found += some["dag_runs"]
            if len(found) >= some["total_entries"]:
                return [run for run in found if run["state"] in OVER]


@dataclass(frozen=True)
class Sample:
    """What the cluster holds at one moment, after so many nights of the book that is well.

    Attributes:
        memory: resident bytes by service, a page that processes share counted for each. files: that are open.
        disk: bytes of all volumes. rows: of Airflow's database by table. connections, database: PostgreSQL's, in bytes.
    """

    nights: int
    memory: dict[str, int]
    files: dict[str, int]
    disk: int
    rows: dict[str, int]
    connections: int
    database: int


def sample(town: Town) -> Sample:
    """Count."""
    memory, files = defaultdict[str, int](int), defaultdict[str, int](int)
    for one in town.ask("status")["services"]:
        if not one.get("pid"):
            continue
        with suppress(psutil.Error):
            process = psutil.Process(int(one["pid"]))
            for member in [process, *process.children(recursive=True)]:
                with suppress(psutil.Error):
                    memory[one["service"]] += member.memory_info().rss
                    files[one["service"]] += member.num_fds()
    counted = run_in_scheduler(town, ROWS.replace("COUNTED", repr(COUNTED)))
    disk = sum(path.stat().st_blocks * 512 for path in (town.folder / "volumes").rglob("*") if path.is_file())
    return Sample(len(town.over("score_nightly")), dict(memory), dict(files), disk, counted["rows"],
                  counted["connections"], counted["bytes"])


def run_in_scheduler(town: Town, program: str) -> Any:
    """The JSON that a program prints in the scheduler, whose Python reads Airflow's database."""
    done = town.project.run("tollgate", "cluster", "exec", "scheduler", "/opt/tollgate/.venv-airflow/bin/python", "-c",
                            program, **town.ports)
    assert done.returncode == 0, done.stderr[-3_000:]
    return json.loads(done.stdout.splitlines()[-1])


def begin(town: Town, source: Path) -> None:
    """The book's months land and are taken in, and its first model is approved; its nights may come."""
    sent = town.folder / "instances" / "worker-1" / "data" / "sources" / town.book
    if not sent.exists():  # the simulated lender sits on the first worker
        sent.parent.mkdir(parents=True, exist_ok=True)
        source.rename(sent)
    for kind in ("ingest_validate", "train_weekly", *NIGHTLY):
        town.operator.pause(town.dag(kind), False)
    town.land(LAST_MONTH, "--since", load_book(town.book).require_sender().first_month)
    town.until(town.ingested)
    run = town.train(str(FIRST))
    town.approve()
    state = town.ended("train_weekly", run)
    assert state == "success", f"{town.book}: its first training came to {state}"


def trouble(town: Town) -> None:
    """A model that waits for an approval, and a file that is not what the book says; neither is looked after."""
    town.operator.trigger(town.dag("train_weekly"), "unanswered", {
        "as_of": str(FIRST + timedelta(days=31)), "reason": "nobody will answer"})
    town.until(lambda: questions(town) or town.over("train_weekly")[1:])
    assert questions(town), "the second model passed no gates: there is nothing to leave unanswered"
    town.python("worker-1", f"""
from tollgate.config import settings
from tollgate.lake import Store
Store(settings().landing).write("{town.book}/applications_2008-01.csv", b"no,such,header\\n1,2,3\\n")""")
    town.until(lambda: "failed" in {run["state"] for run in town.over("ingest_validate")})


def questions(town: Town) -> list[dict[str, Any]]:
    """What waits for an approver of the book."""
    return [one for one in town.operator.questions() if one["task_instance"]["dag_id"] == town.dag("train_weekly")]


def soak(well: Town, troubled: Town, nights: int) -> list[Sample]:
    """Have the nights of both books pass, or some of them if told to end; a sample before, every few, and after."""
    samples, enough = [sample(well)], Event()
    for town in (well, troubled):
        town.backfill(nights)
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, lambda *_: enough.set())
    while samples[-1].nights < nights or any(left(town, nights) for town in (well, troubled)):
        if enough.wait(5):
            break
        if len(well.over("score_nightly")) >= min(samples[-1].nights + EVERY, nights) > samples[-1].nights:
            samples.append(sample(well))
            print(f"{samples[-1].nights} nights: {sum(samples[-1].memory.values()) / 2**20:,.0f} MB, "
                  f"{sum(samples[-1].files.values()):,} open files", flush=True)
    return [*samples, sample(well)]


def left(town: Town, nights: int) -> bool:
    """Whether a night of the book is not scored yet, or not judged."""
    return any(len(town.over(kind)) < nights for kind in NIGHTLY)


def task_seconds(town: Town, kind: str) -> list[tuple[str, float]]:
    """By the days of their runs, in order: how long the tasks of each took, added up."""
    found = []
    for run in sorted(town.over(kind), key=lambda run: str(run["run_after"])):
        times = [(datetime.fromisoformat(task["end_date"]) - datetime.fromisoformat(task["start_date"])).total_seconds()
                 for task in town.operator.tasks(town.dag(kind), run["dag_run_id"])
                 if task["start_date"] and task["end_date"]]
        found.append((run["state"], sum(times)))
    return found


def change(values: list[float]) -> str:
    """The median of the first third, of the last, and their ratio."""
    third = max(len(values) // 3, 1)
    first, last = statistics.median(values[:third]), statistics.median(values[-third:])
    return f"{first:,.1f} | {last:,.1f} | {last / first:.2f}" if first else f"{first:,.1f} | {last:,.1f} | -"


PAGE = """# A soak

`python -m benchmarks.soak --nights {asked} --out docs/soak.md` writes this page: the cluster of docker-compose.yml on
one machine of two cores, two simulated books (`{well}` and `{troubled}`, 600 applications a month), and of each the
nights of its cron (`{cron}`), which `airflow backfill create` asks for in turn as fast as they go. A world of 2007 is
replayed, in which nothing begins by the machine's clock. It ended after {nights} of {asked} nights of `{well}`, in
{minutes:.0f} minutes.

![Memory, open files, database and task times](images/soak.svg)

`{troubled}` is in trouble all the while: version 2 of it waits for an approval, and a file that came into its landing
has other columns than the book, so that `ingest_validate` failed. After the last night the question {question}.

| book | nights that succeeded | that failed | judged | published by |
|---|---|---|---|---|
{books}

## What stays as it was

The median of the first third of the samples, or nights, and of the last; there is a sample every {every} nights, with
whatever tasks run at that moment.

| what | first third | last third | ratio |
|---|---|---|---|
{flat}

## What grows with every night

Each night leaves its runs, tasks and rows; `airflow db clean` and `tollgate tidy` are what ends that.

| what | before | after | a night of one book |
|---|---|---|---|
{growing}
"""


def main() -> None:
    """Soak, and write the page."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--nights", type=int, default=30)
    options.add_argument("--out", type=Path, default=None)
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cluster is ended with us
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = folder / TROUBLED
        source.mkdir()
        instalment.fetch(source, lambda done, total: None, 3, instalment.STATIONARY, rows_a_month=running.ROWS_A_MONTH)
        schedule = {"score_nightly": CRON, "late_hours": None}
        with running.cluster(folder / "town", schedules={WELL: schedule, TROUBLED: schedule},
                             books={WELL: {"gates": WIDE}, TROUBLED: {"gates": WIDE}}) as made:
            well, troubled = (Town(made.project, made.ports, book) for book in (WELL, TROUBLED))
            for town in (well, troubled):
                begin(town, source)
                print(f"{town.book}: its first model is approved", flush=True)
            trouble(troubled)
            began = time.monotonic()
            samples = soak(well, troubled, chosen.nights)
            if not samples[-1].nights:
                raise SystemExit("No night was over: there is nothing to tell.")
            written = page(well, troubled, samples, chosen.nights, time.monotonic() - began)
            if chosen.out:
                draw(well, troubled, samples, chosen.out.parent / "images" / "soak.svg")
    if chosen.out:
        chosen.out.write_text(written, encoding="utf-8")
    print(written)


def page(well: Town, troubled: Town, samples: list[Sample], asked: int, seconds: float) -> str:
    """The page, in Markdown."""
    books, nights = [], samples[-1].nights
    busy = samples[1:]  # before the first night no task runs
    of_both = sum(len(town.over("score_nightly")) for town in (well, troubled))
    for town in (well, troubled):
        states = [state for state, _ in task_seconds(town, "score_nightly")]
        judged = town.inside("worker-1", "monitor", "list", town.book)["verdicts"]
        versions = sorted({str(verdict["model_version"]) for verdict in judged})
        books.append(f"| {town.book} | {states.count('success')} | {states.count('failed')} | {len(judged)} | "
                     f"version {', '.join(versions)} |")
    flat = [f"| memory of {name}, MB | {change([one.memory.get(name, 0) / 2**20 for one in busy])} |"
            for name in sorted(samples[0].memory)]
    flat += [f"| open files of {name} | {change([one.files.get(name, 0) for one in busy])} |"
             for name in sorted(samples[0].files)]
    flat += [f"| connections to PostgreSQL | {change([one.connections for one in busy])} |"]
    flat += [f"| seconds of the tasks of a night, {kind}, {town.book} | "
             f"{change([took for _, took in task_seconds(town, kind)])} |"
             for town in (well, troubled) for kind in NIGHTLY]
    first, last = samples[0], samples[-1]
    grown = [("disk of all volumes, MB", first.disk / 2**20, last.disk / 2**20),
             ("databases, MB", first.database / 2**20, last.database / 2**20),
             *((f"rows of {name}", first.rows[name], last.rows[name]) for name in sorted(first.rows))]
    growing = [f"| {what} | {before:,.0f} | {after:,.0f} | {(after - before) / of_both:,.1f} |"
               for what, before, after in grown]
    return PAGE.format(asked=asked, nights=nights, every=EVERY, well=WELL, troubled=TROUBLED, cron=CRON,
                       minutes=seconds / 60, books="\n".join(books),
                       question="still stands" if questions(troubled) else "stands no more",
                       flat="\n".join(flat), growing="\n".join(growing))


def draw(well: Town, troubled: Town, samples: list[Sample], path: Path) -> None:
    """The picture of what the page says."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "soak", "font.size": 9,
                                "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 8), layout="constrained")
        memory, files, rows, tasks = figure.subplots(4, 1)
        nights = [one.nights for one in samples]
        for name in sorted(samples[0].memory):
            memory.plot(nights, [one.memory.get(name, 0) / 2**20 for one in samples], label=name, linewidth=1)
            files.plot(nights, [one.files.get(name, 0) for one in samples], linewidth=1)
        memory.set(ylabel="memory (MB)")
        memory.legend(ncols=6, fontsize=7, frameon=False)
        files.set(ylabel="open files")
        rows.plot(nights, [sum(one.rows.values()) for one in samples], label="rows of Airflow's database")
        rows.set(ylabel="rows", xlabel=f"nights of {well.book}")
        for town in (well, troubled):
            for kind in NIGHTLY:
                took = [seconds for _, seconds in task_seconds(town, kind)]
                tasks.plot(range(1, len(took) + 1), took, label=f"{kind}, {town.book}", linewidth=1)
        tasks.set(ylabel="seconds of tasks", xlabel="night")
        tasks.legend(ncols=2, fontsize=7, frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
