"""What all tests of a window cost, beside Evidently's DataDriftPreset and a bare NumPy histogram of every column.

20 features (15 numbers, of which some are heavy-tailed, mostly zero, whole, or missing; 5 categories) and a score,
against a reference of 20,000 rows, a third of them drifted. The histogram is of 10 equal bins, of the numbers as they
stand and of the categories' codes, made beforehand. Prints, as JSON, the best of three seconds of each (Evidently's of
one), their ratios, and the peak memory, above that of the start, of processes of their own that are fed 1 and more
million rows in pieces. Two cores, as the project asks:

    taskset -c 0,1 .venv/bin/python benchmarks/drift_measures.py [ROWS] [MILLIONS ...]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from tollgate.config import Monitoring, load_params
from tollgate.monitoring.measures import Comparison
from tollgate.stats.distributions import LAYOUT, frozen

NUMBERS, CATEGORIES, REFERENCE, PIECE = 15, 5, 20_000, 2**18
LEVELS = np.array(["rent", "own", "mortgage", "other", "none"], dtype=object)


def window(rows: int, seed: int, moved: float) -> tuple[pa.Table, np.ndarray]:
    """Raw features and the score of so many rows; ``moved`` shifts every third feature."""
    rng, made = np.random.default_rng(seed), {}
    for k in range(NUMBERS):
        shift = moved if k % 3 == 0 else 0.0
        values = (rng.normal(shift, 1, rows), rng.lognormal(9 + shift, 1, rows), rng.poisson(20 + shift, rows) * 1.0,
                  np.where(rng.random(rows) < 0.9, 0, rng.lognormal(5 + shift, 1, rows)),
                  rng.beta(2, 5 - shift, rows))[k % 5]
        made[f"n{k:02d}"] = pa.array(values, mask=rng.random(rows) < 0.05 if k % 4 == 1 else None)
    for k in range(CATEGORIES):
        share = np.array([.4, .3, .2, .09, .01]) + (moved / 2 if k % 3 == 0 else 0.0) * np.array([-1, 1, 0, 0, 0])
        made[f"c{k}"] = pa.array(LEVELS[rng.choice(5, rows, p=share)], pa.string())
    return pa.table(made), rng.beta(1, 8 - moved, rows)


def profile_of(features: pa.Table, scores: np.ndarray) -> tuple[dict[str, Any], pa.Table]:
    """A model's profile and its reference rows, as training leaves them."""
    entries = {name: frozen("number" if name[0] == "n" else "category", features[name])
               for name in features.column_names}
    return ({"layout": LAYOUT, "features": entries, "score": frozen("number", scores)},
            features.append_column("score", pa.array(scores)))


def ours(profile: dict[str, Any], reference: pa.Table, features: pa.Table, scores: np.ndarray,
         params: Monitoring) -> int:
    """Every measure of a window that is fed in pieces; how many they are."""
    tests = Comparison(profile, reference)
    for start in range(0, len(scores), PIECE):
        tests.add(features.slice(start, PIECE), scores[start:start + PIECE])
        tests.follow(scores[start:start + PIECE])
    return len(tests.measures(params))


def best(of: int, call: Callable[[], object]) -> float:
    """The fewest seconds of so many calls."""
    found = []
    for _ in range(of):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return min(found)


def compared(rows: int) -> dict[str, Any]:
    """The seconds of all three on one window, and the ratios."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    params = load_params(book="consumer").monitoring
    before, now = window(REFERENCE, 1, 0.0), window(rows, 2, 0.1)
    profile, reference = profile_of(*before)
    frames = [features.append_column("score", pa.array(scores)).to_pandas() for features, scores in (now, before)]
    bare = [pa.compute.dictionary_encode(now[0][name]).combine_chunks().indices.to_numpy() if name[0] == "c" else
            now[0][name].drop_null().to_numpy() for name in now[0].column_names]
    ours(profile, reference, now[0].slice(0, 1000), now[1][:1000], params)  # imports
    seconds = {"tollgate": best(3, lambda: ours(profile, reference, *now, params)),
               "histogram": best(3, lambda: [np.histogram(column, 10) for column in [*bare, now[1]]]),
               "evidently": best(1, lambda: Report([DataDriftPreset()]).run(*frames))}
    return {"rows": rows, "columns": len(bare) + 1, "measures": ours(profile, reference, *now, params),
            "seconds": {name: round(took, 3) for name, took in seconds.items()},
            "times evidently": round(seconds["evidently"] / seconds["tollgate"], 1),
            "times a histogram": round(seconds["tollgate"] / seconds["histogram"], 2)}


def fed(millions: int) -> None:
    """Feed as many million rows, made a piece at a time, and print the megabytes that it took above the start's."""
    params, (profile, reference) = load_params(book="consumer").monitoring, profile_of(*window(REFERENCE, 1, 0.0))
    tests = Comparison(profile, reference)
    pieces = [window(PIECE, seed, 0.1) for seed in (2, 3)]
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for k in range(-(-millions * 1_000_000 // PIECE)):
        tests.add(*pieces[k % 2])
        tests.follow(pieces[k % 2][1])
    tests.measures(params)
    print(json.dumps({"rows": tests.rows, "megabytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begun)
                      // 1024}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--feed"]:
        fed(int(sys.argv[2]))
    else:
        rows, *millions = [int(given) for given in sys.argv[1:]] or [1_000_000, 1, 10]
        memory = [json.loads(subprocess.run([sys.executable, __file__, "--feed", str(many)], check=True, text=True,
                                            capture_output=True).stdout) for many in millions]
        print(json.dumps({**compared(rows), "memory": memory}, indent=1))
