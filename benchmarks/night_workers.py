"""Two workers of the shards of a night against one, each a process with a core of its own, as on a machine of its own.

A simulated month is pinned; then the shards are scored by one worker, and again by two that take turns, with nothing
shared but the store. Each has loaded the model before any clock starts; the time is from a common start to the end of
the last one.

    python benchmarks/night_workers.py [ROWS]
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

from gates import build, settle
from home import own_home
from night import NIGHT, TRAINED_ON, fill, know

from tollgate import nights, scoring
from tollgate.books import load_book

ROWS, GOAL, RUNS = 5_000_000, 1.7, 2


def work(run: Path, key: str, shards: list[int], core: int, start: Barrier) -> None:
    """One worker's shards, one after the other."""
    os.sched_setaffinity(0, {core})
    know(run)
    scoring.score_shard(key, shards[0])
    start.wait()
    for shard in shards:
        scoring.score_shard(key, shard)


def seconds(run: Path, key: str, shards: int, workers: int) -> float:
    """How long so many workers take."""
    spawned = multiprocessing.get_context("spawn")
    start = spawned.Barrier(workers + 1)
    cores = sorted(os.sched_getaffinity(0))
    crew = [spawned.Process(target=work, args=(run, key, list(range(k, shards, workers)), cores[k], start))
            for k in range(workers)]
    for one in crew:
        one.start()
    start.wait()
    began = time.perf_counter()
    for one in crew:
        one.join()
    took = time.perf_counter() - began
    assert all(one.exitcode == 0 for one in crew)
    return took


def main(rows: int) -> None:
    """Pin, then score by one and by two."""
    with own_home(), tempfile.TemporaryDirectory() as folder:
        params = settle(Path(folder))
        run = Path(folder) / "run"
        build(run, params, TRAINED_ON)
        fill(rows)
        know(run)
        key = scoring.pin(load_book("consumer"), NIGHT, "workers", params)["attempt"]
        pin = nights.read_pin(nights.attempt_of(key))
        one, two = (min(seconds(run, key, pin.shards, workers) for _ in range(RUNS)) for workers in (1, 2))
        print(f"{pin.rows:,} rows in {pin.shards} shards: one worker {one:.1f} s, two {two:.1f} s, "
              f"{one / two:.2f} times (goal: {GOAL})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else ROWS)
