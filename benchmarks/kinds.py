"""Whether monitoring tells the kinds of drift apart: how often each is said to have moved, in worlds of a known change.

The worlds, the model and the windows of ``benchmarks.alarms``; every label of a window is known. The default rules, and
the limits of ``monitoring.kinds`` where there is none. Prints the table of docs/alarms.md:

    python -m benchmarks.kinds
"""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
import pyarrow as pa
from benchmarks.alarms import BOOK, PARAMS, SCENARIOS, SEED, Life

from tollgate.monitoring.concept import CONCEPT, calibration, residuals
from tollgate.monitoring.kinds import MOVED, conclusions
from tollgate.monitoring.label_drift import LABEL, at_maturity
from tollgate.monitoring.measures import FEATURE, PREDICTION
from tollgate.monitoring.performance import PERFORMANCE, estimated
from tollgate.stats.intervals import wilson
from tollgate.training import slice_columns

KINDS = (FEATURE, PREDICTION, LABEL, CONCEPT, PERFORMANCE)
LIVES = {"stationary": 12}  # of every other world one
WINDOWS = 10                # of a life
DAY = date(2100, 1, 1)


def moved(scenario: str, rows: int) -> Counter[str]:
    """How many of the windows of a world each kind is said to have moved in."""
    found, confidence = Counter[str](), PARAMS.monitoring.confidence
    for k in range(LIVES.get(scenario, 1)):
        life = Life(rows, np.random.default_rng([SEED, rows, k, *scenario.encode()]))
        for _ in range(WINDOWS):
            now, seen, later = life.window(scenario)
            columns = pa.table({name: (now.groups if name in now.groups.column_names else now.features)[name]
                                for name in slice_columns(BOOK)})
            measured = [*seen, estimated(now.score, life.baseline, confidence),
                        *({**row, "segment": "matured"} for row in later),
                        *calibration(now.score, now.bad, confidence), *at_maturity(now.bad, life.baseline, confidence),
                        *residuals(BOOK, columns, now.score, now.bad, confidence, PARAMS.monitoring.min_sample)]
            told = [{"window_from": DAY, "window_to": DAY, "model_version": "1", **row} for row in measured]
            found.update(one.kind for one in conclusions(BOOK, PARAMS.monitoring, told, []) if one.state == MOVED)
    return found


def main() -> None:
    """Print the table."""
    print(f"| world | rows a window | windows | {' | '.join(KINDS)} |\n|{'---|' * 8}", flush=True)
    for scenario in ("stationary", *SCENARIOS):
        for rows in (500, 5_000):
            windows, found = LIVES.get(scenario, 1) * WINDOWS, moved(scenario, rows)
            shares = (f"{100 * found[kind] / windows:.1f} %{_reach(found[kind], windows)}" for kind in KINDS)
            print(f"| `{scenario}` | {rows:,} | {windows} | {' | '.join(shares)} |", flush=True)


def _reach(count: int, windows: int) -> str:
    """The 95 % interval of a share, where it is of enough windows to be told."""
    low, high = wilson(count, windows, 0.95)
    return f" ({100 * low:.1f}-{100 * high:.1f})" if windows > 100 else ""


if __name__ == "__main__":
    main()
