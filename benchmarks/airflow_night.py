"""What Airflow costs a night: score_nightly of 100,000 loans over the same commands in a row.

    python -m benchmarks.airflow_night [ROWS]

A simulated lender whose months from 2007-01 on are that large, and a champion that was trained on small ones before.
Every other night is scored by `tollgate score pin`, each `shard` and `publish`, one process after the other, before
Airflow is started; those between by a run of `score_nightly` in the Airflow that `make demo` starts, which counts from
the moment it is asked for until its last task has ended. Another night goes first on either side and does not count.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from benchmarks.airflow_overhead import AS_OF, STAGES
from tests import scratch
from tests.ports import free_port
from tests.scratch import Scratch

from tollgate.books.shipped import consumer
from tollgate.clock import months_before
from tollgate.demo import stack
from tollgate.demo.airflow import OVER, Airflow, dag_id

BOOK, TRAINED_ON = "consumer", 600  # a month
SCORE = dag_id("score_nightly", BOOK)
NIGHTS = 4  # the first of each side is not counted
GOAL = 2.0
LARGE = {"ingest": {"rows_ratio_max": 1e6}}  # its months grow at once


def lay_out(folder: Path, rows: int) -> Scratch:
    """A project with a champion, and the applications of every night in its lake."""
    project = scratch.make(folder / "project", book=BOOK, sweep={"trials": 2}, gates={"bootstrap_draws": 50}, **LARGE)
    project.simulate(TRAINED_ON)
    path = project.data / "sources" / BOOK / "source.parquet"
    small = pq.read_table(path)
    large = consumer.simulate(seed=project.seed, rows_a_month=rows, first_month="2007-01",
                              last_month=f"{night(NIGHTS - 2):%Y-%m}")
    named = pc.binary_join_element_wise("L", large["loan_id"], "")  # no loan of the small months has such a name
    large = large.set_column(large.column_names.index("loan_id"), "loan_id", named)
    before = small.filter(pc.less(small["application_date"], date.fromisoformat(AS_OF)))
    pq.write_table(pa.concat_tables([before, large.cast(small.schema)]).replace_schema_metadata(small.schema.metadata),
                   path)
    project.ask("ingest", "history", BOOK, f"--as-of={night(NIGHTS)}")
    project.ask("run", "open", "first", f"--book={BOOK}", f"--as-of={AS_OF}")
    for stage in STAGES:
        project.ask("run", "stage", "first", stage)
    (model,) = project.ask("models", BOOK)["models"]
    project.ask("promote", BOOK, model["version"], f"--digest={model['digest']}", TOLLGATE_TODAY="as-of")
    return project


def night(k: int) -> date:
    """The day of the kth night, the first of a month, which has the applications of the month before."""
    return months_before(date(2007, 2, 1), -k)


def in_a_row(project: Scratch, day: date) -> float:
    """Seconds for the commands of a night, one process after the other."""
    began = time.perf_counter()
    pin = project.ask("score", "pin", BOOK, f"--as-of={day}", f"--run-id=bench__{day}")
    for shard in pin["shards"]:
        project.ask("score", "shard", pin["attempt"], str(shard["shard"]))
    project.ask("score", "publish", pin["attempt"])
    return time.perf_counter() - began


def through_airflow(airflow: Airflow, day: date) -> float:
    """Seconds from the asking for a run to the end of its last task."""
    asked, run_id = datetime.now().astimezone(), f"bench__{day}"
    airflow.trigger(SCORE, run_id, {"as_of": str(day)})
    while (state := airflow.state(SCORE, run_id)) not in OVER:
        time.sleep(0.5)
    if state == "failed":
        raise SystemExit("score_nightly failed; nothing was measured")
    ended = [task["end_date"] for task in airflow.tasks(SCORE, run_id) if task["end_date"]]
    return (max(map(datetime.fromisoformat, ended)) - asked).total_seconds()


def measure(name: str, score: Callable[[date], float], days: list[date], project: Scratch, rows: int) -> float:
    """The median of the nights but for the first; prints each. A night of other rows ends it."""
    seconds = [score(day) for day in days]
    found = {night["attempt"].split("/")[2]: night["rows"] for night in project.ask("score", "list", BOOK)["nights"]}
    if other := {str(day): found.get(str(day)) for day in days if abs(found.get(str(day), 0) - rows) > rows / 10}:
        raise SystemExit(f"Nights of other sizes than {rows}: {other}")
    print(f"{name}: " + ", ".join(f"{taken:.1f}" for taken in seconds) + " s, the first not counted", flush=True)
    return statistics.median(seconds[1:])


def main(rows: int) -> None:
    """Measure both sides and print their ratio."""
    days = [night(k) for k in range(NIGHTS)]
    with tempfile.TemporaryDirectory() as folder:
        project = lay_out(Path(folder), rows)
        os.environ.update(project.places, TOLLGATE_AIRFLOW_PORT=str(free_port(713, 714)))
        try:
            alone = measure("in a row", lambda day: in_a_row(project, day), days[::2], project, rows)
            stack.start(stack.airflow())
            stack.wait_until_up(stack.airflow())
            airflow = Airflow(stack.airflow().url)
            while not airflow.ready(BOOK):
                time.sleep(1)
            airflow.pause(SCORE, False)
            ours = measure("through Airflow", lambda day: through_airflow(airflow, day), days[1::2], project, rows)
        finally:
            stack.stop()
    print(f"a night of {rows:,} loans: {ours:.1f} s through Airflow, {alone:.1f} s in a row: {ours / alone:.2f} times "
          f"(goal: {GOAL:.0f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 100_000)
