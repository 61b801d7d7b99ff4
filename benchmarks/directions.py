"""Whether any feature of `sba` may have a monotone direction: the two tables of docs/directions.md.

The first tells which way default goes with a feature among the approvals of one year: by rank alone, and in a fit of
that year's loans, where the other features are told too. The second compares models that are fitted under a direction
with the one that is fitted freely, as horizon.py judges them, on the same loans; and one that is told whether the bank
is in the borrower's state, which the release knows only in the end.

Run it as `python -m benchmarks.directions`, with `TOLLGATE_DATA` at a folder to keep.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from benchmarks.horizon import AS_OFS, BOOK, CONFIDENCE, POINT, Judged, approved, bring_history, judge, parameters
from benchmarks.planted_leaks import described
from scipy.special import logit

from tollgate.books import Feature
from tollgate.estimators import Rows, estimator
from tollgate.features import Encoder, make_features
from tollgate.stats.ranking import auc_interval, paired

HORIZON, GAP = 24, 1
YEARS, DEFAULTS_MIN, ROUNDS = range(1995, 2011), 100, 50
LOW_AND_HIGH: dict[str, tuple[object, object] | None] = {  # None: the quartiles of the year
    "employees": None, "approved": None, "guaranteed_share": None, "is_franchise": (0.0, 1.0),
    "business_age": ("1", "2")}
EXPECTED: dict[str, Literal[-1, 1]] = {"employees": -1, "approved": 1, "guaranteed_share": 1, "is_franchise": -1}
HOME_BANK = Feature("home_bank", "number", ("state", "bank_state"), lambda a, b: (a == b).astype(float))


def directions(year: int) -> str | None:
    """A row of the first table: of each feature the AUC alone, and the fit's change of the log-odds from low to high.

    None where too few loans defaulted to tell.
    """
    rows, bad = approved(date(year, 1, 1), date(year + 1, 1, 1), HORIZON)
    if bad.sum() < DEFAULTS_MIN:
        return None
    made = make_features(BOOK, rows)
    encoder = Encoder.learn(BOOK, made)
    seen = Rows(encoder.encode(made), bad)
    fitting = estimator("xgboost").learner(encoder.columns(), seen, seen, 0, 1).start(POINT)
    fitting.to(ROUNDS)
    fitted = fitting.at(ROUNDS)
    cells = []
    for name, ends in LOW_AND_HIGH.items():
        column = made[name]
        values = (column if ends is None else pc.equal(column, ends[1])).cast(pa.float64()).to_numpy()
        known = np.isfinite(values)
        area, (low, high) = auc_interval(bad[known], values[known], CONFIDENCE)
        odds = [logit(fitted.predict(encoder.encode(made.set_column(
            made.column_names.index(name), name, pa.array([end] * len(bad), column.type)))))
            for end in ends or np.nanquantile(values, [0.25, 0.75])]
        cells.append(f"{area:.3f} ({low:.3f}-{high:.3f}), {np.mean(odds[1] - odds[0]):+.2f}")
    return f"| {year} | {bad.sum():,} | {' | '.join(cells)} |"


def judged(features: tuple[Feature, ...]) -> list[Judged]:
    """A model with these features at each as-of."""
    with described(replace(BOOK, features=features)):
        return [judge(parameters(as_of, HORIZON, GAP)) for as_of in AS_OFS]


def ahead(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> str:
    """The difference of two AUC on the same loans, with its two-sided interval."""
    _, difference, (low, high) = paired(one[0], one[1], other[1], (1 + CONFIDENCE) / 2)
    return f"{difference:+.4f} ({low:+.4f}, {high:+.4f})"


def main() -> None:
    """Print both tables."""
    bring_history()
    print(f"| approved in | defaults | {' | '.join(LOW_AND_HIGH)} |\n|{'---|' * (2 + len(LOW_AND_HIGH))}")
    for line in filter(None, map(directions, YEARS)):
        print(line, flush=True)
    head = ' | '.join(f'{as_of:%Y-%m}' for as_of in AS_OFS)
    print(f"\n| model | judged on | {head} |\n|{'---|' * (2 + len(AS_OFS))}")
    free, tried = judged(BOOK.features), {
        **{f"`{name}` {'up' if way > 0 else 'down'}":
           tuple(replace(f, monotone=way if f.name == name else 0) for f in BOOK.features)
           for name, way in EXPECTED.items()},
        "with `home_bank`": (*BOOK.features, HOME_BANK)}
    for name, features in tried.items():
        found = judged(features)
        for on in ("test", "after"):
            cells = (ahead(getattr(one, on), getattr(other, on)) for one, other in zip(found, free, strict=True))
            print(f"| {name} | {on} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
