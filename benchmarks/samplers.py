"""The two ways to draw a sweep's points, with the same number of them, judged on the test months.

Each seed draws other points; the rows, folds and rungs are the same. What each chose is fitted as the train stage does.

    python benchmarks/samplers.py [BOOK ...]
"""

from __future__ import annotations

import sys
import time

import numpy as np
from home import own_home
from sweep import Rows, rows_of

from tollgate import training
from tollgate.config import Params

SEEDS, TRIALS = 6, 24
WAYS = {"sobol": {"sampler": "sobol"}, "tpe, batches of 6": {"sampler": "tpe", "batch": 6},
        "tpe, batches of 8": {"sampler": "tpe", "batch": 8}, "tpe, batches of 12": {"sampler": "tpe", "batch": 12}}


def tried(rows: Rows, way: str, seed: int) -> tuple[float, float, float]:
    """The AUC on the folds of the chosen point, that on the test months, and the seconds that the sweep took."""
    sweep = {**rows.params.sweep.model_dump(), "trials": TRIALS, **WAYS[way]}
    params = Params.model_validate({**rows.params.model_dump(), "sweep": sweep, "seed": seed})
    folds = training.prepare_folds(rows.book, rows.features, rows.split, params)
    began = time.perf_counter()
    best = training.finish(training.open_study(params, "samplers"), folds, params)["best"]
    return best["auc"], rows.out_of_time_auc(best["params"]), time.perf_counter() - began


def main() -> None:
    """Print each way's means, and the difference to the even draw with its standard error over the seeds."""
    for book in sys.argv[1:] or ("sba", "consumer"):
        with own_home() as scratch:
            rows = rows_of(book, scratch)
            for way in WAYS:
                results = np.array([tried(rows, way, seed) for seed in range(SEEDS)])
                if way == "sobol":
                    even = results[:, 1]
                ahead, error = (results[:, 1] - even).mean(), (results[:, 1] - even).std(ddof=1) / SEEDS ** 0.5
                folds, test, seconds = results.mean(axis=0)
                print(f"{book}: {way}: AUC on the folds {folds:.4f}, on the test months {test:.4f} "
                      f"({ahead:+.4f} +- {error:.4f}), {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
