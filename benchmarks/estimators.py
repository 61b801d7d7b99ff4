"""What each estimator reaches out of time, by the sweep and the fit of the pipeline itself, and what it costs.

All see the same rows, folds and test months; each draws its own points from `space` of params.yaml. The interval is
DeLong's, of the difference to the first estimator on the same loans.

    python benchmarks/estimators.py [BOOK@AS_OF ...]
"""

from __future__ import annotations

import sys
import time
from datetime import date

import pyarrow.compute as pc
from home import own_home
from sweep import rows_of

from tollgate import training
from tollgate.estimators import ESTIMATORS
from tollgate.stats.calibration import calibration_line
from tollgate.stats.ranking import paired

CASES = ("sba@2004-01-01", "sba@2007-01-01", "consumer@2007-01-01", "instalment@2007-01-01", "card@2007-01-01")
CONFIDENCE = 0.975  # of each end, so that both hold with 95 %


def main() -> None:
    """Measure each case and print a table line an estimator."""
    print("| book | as of | estimator | AUC out of time | ahead of the first | slope | sweep and fit |")
    print("|---|---|---|---|---|---|---|")
    for case in sys.argv[1:] or CASES:
        book, _, day = case.partition("@")
        with own_home() as scratch:
            rows = rows_of(book, scratch, date.fromisoformat(day))
            test = rows.features.filter(pc.equal(rows.split["split"], "test"))
            label, first = test["label"].to_numpy() == 1, None
            for kind in ESTIMATORS:
                params = rows.params.model_copy(update={"train": rows.params.train.model_copy(
                    update={"estimator": kind})})
                start = time.perf_counter()
                folds = training.prepare_folds(rows.book, rows.features, rows.split, params)
                best = training.finish(training.open_study(params, case), folds, params)["best"]
                found = training.fit(training.prepare(rows.book, rows.features, rows.split["split"], params),
                                     params, best["params"])
                took = time.perf_counter() - start
                score = found.predict(found.parts.encoder.encode(test))
                first = score if first is None else first
                (auc, _), ahead, (low, high) = paired(label, score, first, CONFIDENCE)
                beside = f"{ahead:+.4f} ({low:+.4f} to {high:+.4f})" if score is not first else ""
                print(f"| {book} | {day} | {kind} | {auc:.4f} | {beside} | "
                      f"{calibration_line(label, score)[0][1]:.2f} | {took:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
