"""What Airflow costs: the wall time of train_weekly over the same stages run in a row from the command line.

Both sides train on the same book as of the same day, each in a home of its own, one after the other on the same
machine. Airflow's side runs from the start of `open` to the end of `register`; waiting for a person does not count.

    python benchmarks/airflow_overhead.py [BOOK]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

AS_OF = "2007-01-01"
STAGES = ("snapshot", "features", "split", "sweep", "train", "evaluate", "gate", "refit", "register")
TOLLGATE = str(Path(sys.executable).with_name("tollgate"))


def tollgate(*arguments: str) -> None:
    """Run one verb to its end; its failure is ours."""
    subprocess.run([TOLLGATE, *arguments], check=True, stdout=subprocess.DEVNULL)


def in_a_row(book: str) -> float:
    """Seconds for the stages of one run, one process after the other."""
    began = time.perf_counter()
    try:
        tollgate("run", "open", "bench", "--book", book, "--as-of", AS_OF)
        for stage in STAGES:
            tollgate("run", "stage", "bench", stage)
        return time.perf_counter() - began
    finally:
        tollgate("demo", "stop")  # the sweep's database


def through_airflow(book: str) -> float:
    """Seconds for the same run as train_weekly, from its first task's start to the registration's end."""
    from tollgate.demo import stack
    from tollgate.demo.airflow import Airflow, dag_id

    stack.start(stack.airflow())
    stack.wait_until_up(stack.airflow())
    try:
        airflow = Airflow(stack.airflow().url)
        while not airflow.ready(book):
            time.sleep(1)
        training = dag_id("train_weekly", book)
        airflow.pause(training, False)
        airflow.trigger(training, "bench", {"as_of": AS_OF, "reason": "benchmark"})
        while True:
            tasks = list(airflow.tasks(training, "bench"))
            ended = [task["end_date"] for task in tasks if task["task_id"] == "register" and task["end_date"]]
            if ended:
                began = min(task["start_date"] for task in tasks if task["start_date"])
                return (datetime.fromisoformat(ended[0]) - datetime.fromisoformat(began)).total_seconds()
            if airflow.state(training, "bench") == "failed":
                raise SystemExit("train_weekly failed; nothing was measured")
            time.sleep(0.5)
    finally:
        stack.stop()


def main() -> None:
    """Measure both sides and print their ratio."""
    book = sys.argv[1] if len(sys.argv) > 1 else "sba"
    seconds = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, measure in (("in a row", in_a_row), ("through Airflow", through_airflow)):
            os.environ["TOLLGATE_DATA"] = str(Path(scratch) / name.replace(" ", "-"))
            tollgate("fetch", book)
            tollgate("ingest", "history", book, "--as-of", AS_OF)
            seconds[name] = measure(book)
            print(f"{book}: {name}: {seconds[name]:.1f} s", flush=True)
    print(f"{book}: train_weekly takes {seconds['through Airflow'] / seconds['in a row']:.2f} times "
          "the wall time of its stages in a row")


if __name__ == "__main__":
    main()
