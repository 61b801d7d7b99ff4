"""Two workers of one sweep against one, each a process of its own with nothing shared but the study's database.

That is what Airflow's mapped tasks are, without what Airflow adds. Each worker has read and encoded its rows before any
clock starts; the time is from a common start to the end of the last one.

    python benchmarks/sweep_workers.py [BOOK ...]
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from multiprocessing.synchronize import Barrier

from home import own_home
from sweep import Rows, rows_of

from tollgate import training
from tollgate.config import Params

GOAL = 1.7
RUNS = 3


def climb(rows: Rows, params: Params, name: str, start: Barrier) -> None:
    """One worker."""
    folds = training.prepare_folds(rows.book, rows.features, rows.split, params)
    study = training.open_study(params, name)
    start.wait()
    training.work(study, folds, training.Course(params))


def seconds(rows: Rows, workers: int, name: str) -> float:
    """What so many workers take for a sweep that nobody has begun."""
    apart = multiprocessing.get_context("fork")
    start = apart.Barrier(workers + 1)
    climbing = [apart.Process(target=climb, args=(rows, rows.params, name, start)) for _ in range(workers)]
    for worker in climbing:
        worker.start()
    start.wait()
    began = time.perf_counter()
    for worker in climbing:
        worker.join()
    if any(worker.exitcode for worker in climbing):
        raise SystemExit("A worker failed.")
    return time.perf_counter() - began


def main() -> None:
    """Print the best of three of each, and their ratio."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for book in sys.argv[1:] or ("sba", "consumer"):
        with own_home() as scratch:
            rows = rows_of(book, scratch)
            one, two = (min(seconds(rows, workers, f"{workers} {run}") for run in range(RUNS))
                        for workers in (1, 2))
        print(f"{book}: one worker {one:.2f} s, two {two:.2f} s: {one / two:.2f} times (goal: {GOAL})", flush=True)


if __name__ == "__main__":
    main()
