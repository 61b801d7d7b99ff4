"""What a setting of the sweep costs and finds, judged on the test months: how points are drawn, and the first rung.

Each seed draws other points, the same for every setting that draws evenly; rows and folds are the same. What each
sweep chose is fitted as the train stage does. A comparison's first setting is what the others are held against.

    python benchmarks/sweep_settings.py {draw|first_rung} [BOOK@AS_OF ...]
"""

from __future__ import annotations

import sys
import time
from datetime import date
from typing import Any

import numpy as np
from home import own_home
from sweep import Rows, rows_of

from tollgate import training
from tollgate.config import Params

SEEDS = 6
COMPARISONS: dict[str, dict[str, dict[str, Any]]] = {
    "draw": {"sobol": {"trials": 24, "sampler": "sobol"},
             **{f"tpe, batches of {size}": {"trials": 24, "sampler": "tpe", "batch": size} for size in (6, 8, 12)}},
    "first_rung": {"every point to its end": {"rounds_first": 400},
                   **{f"a first rung of {rounds}": {"rounds_first": rounds} for rounds in (20, 10, 5, 3)}},
}
CASES = ("sba@2007-01-01", "consumer@2007-01-01")


def tried(rows: Rows, settings: dict[str, Any], seed: int) -> tuple[float, float, float]:
    """The AUC on the folds of the chosen point, that on the test months, and the seconds that the sweep took."""
    sweep = {**rows.params.sweep.model_dump(), **settings}
    params = Params.model_validate({**rows.params.model_dump(), "sweep": sweep, "seed": seed})
    folds = training.prepare_folds(rows.book, rows.features, rows.split, params)
    began = time.perf_counter()
    best = training.finish(training.open_study(params, "settings"), folds, params)["best"]
    return best["auc"], rows.out_of_time_auc(best["params"]), time.perf_counter() - began


def main(comparison: str, cases: list[str]) -> None:
    """Print each setting's means, and the difference to the first with its standard error over the seeds."""
    for case in cases or CASES:
        book, _, day = case.partition("@")
        with own_home() as scratch:
            rows, first = rows_of(book, scratch, date.fromisoformat(day)), None
            for name, settings in COMPARISONS[comparison].items():
                results = np.array([tried(rows, settings, seed) for seed in range(SEEDS)])
                first = results[:, 1] if first is None else first
                ahead, error = (results[:, 1] - first).mean(), (results[:, 1] - first).std(ddof=1) / SEEDS ** 0.5
                folds, test, seconds = results.mean(axis=0)
                print(f"{case}: {name}: AUC on the folds {folds:.4f}, on the test months {test:.4f} "
                      f"({ahead:+.4f} +- {error:.4f}), {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
