"""Our sweep against scikit-learn's HalvingRandomSearchCV, to the same out-of-time AUC, in one run.

Both search the same points (the sweep's own draw) on the same folds, with the same rows, monotone constraints, seed and
number of threads: one to a fit, as many fits at once as the sweep has workers. Ours starts from an empty study, in a
database that has had one before: its tables are made once in its life. Theirs
gives no answer before its end, so that its full run is timed, without training scores and without the refit. It halves
by its own arithmetic, in three ways: boosting rounds, as far as they last ("exhaust"); boosting rounds from the sweep's
own first rung; and its default resource, rows, at the maximum of rounds. The point that each chose is fitted in the
same way, by the train stage's function, and judged on the test months.

    python benchmarks/sweep.py [BOOK ...]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import optuna  # noqa: F401  (loaded before any clock starts, as scikit-learn is)
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from home import own_home
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import HalvingRandomSearchCV
from xgboost import XGBClassifier

from tollgate import stages, training
from tollgate.books import Book, load_book
from tollgate.config import Params, load_params

AS_OF = date(2007, 1, 1)
GOAL = 1 / 4
Choice = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """One book's rows, as the split stage leaves them."""

    book: Book
    params: Params
    features: pa.Table
    split: pa.Table

    def out_of_time_auc(self, choice: Choice) -> float:
        """The area under the ROC curve on the test months, of a model fitted as the train stage does."""
        parts = training.prepare(self.book, self.features, self.split["split"], self.params)
        test = self.features.filter(pc.equal(self.split["split"], "test"))
        fitted = training.fit(parts, self.params, choice).fitted
        return float(roc_auc_score(test["label"], fitted.predict(parts.encoder.encode(test))))


def rows_of(book: str, scratch: Path, as_of: date = AS_OF) -> Rows:
    """Every stage up to the split, in ``scratch``."""
    params, run = load_params(book=book, as_of=as_of), scratch / "run"
    run.mkdir()
    for stage in ("fetch", "history", "snapshot", "features", "split"):
        stages.STAGES[stage](run, params)
    return Rows(load_book(book), params, pq.read_table(run / "features.parquet"), pq.read_table(run / "split.parquet"))


def ours(rows: Rows) -> list[Choice]:
    """The sweep stage: what it chose, and all points that it tried."""
    folds = training.prepare_folds(rows.book, rows.features, rows.split, rows.params)
    swept = training.finish(training.open_study(rows.params, "benchmark"), folds, rows.params)
    return [swept["best"]["params"], *(trial["params"] for trial in swept["trials"])]


def theirs(rows: Rows, points: list[Choice], **halving: Any) -> Choice:
    """What HalvingRandomSearchCV chose of the same points."""
    params, label = rows.params, rows.features["label"].to_numpy()
    parts = training.prepare(rows.book, rows.features, rows.split["split"], params)
    folds = [[np.flatnonzero(pc.equal(fold, part)) for part in ("train", "validation")]
             for fold in training.folds(rows.split)]
    model = XGBClassifier(n_estimators=params.sweep.rounds_max, tree_method="hist", n_jobs=params.sweep.threads,
                          random_state=params.seed, monotone_constraints=parts.inputs.directions,
                          enable_categorical=True,
                          feature_types=["c" if codes else "q" for codes in parts.inputs.codes])
    search = HalvingRandomSearchCV(
        model, [{name: [value] for name, value in point.items()} for point in points], n_candidates=len(points),
        cv=folds, scoring="roc_auc", refit=False, return_train_score=False, random_state=params.seed,
        n_jobs=params.sweep.workers, error_score="raise", **halving)
    with joblib.parallel_backend("threading"):  # the rows are not copied to processes
        search.fit(parts.encoder.encode(rows.features), label)
    return {name: search.best_params_[name] for name in points[0]}


def timed(name: str, rows: Rows, search: Callable[[], Any]) -> tuple[Any, float]:
    """What a search found, and its wall time in seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = search()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    auc = rows.out_of_time_auc(found[0] if isinstance(found, list) else found)
    print(f"{rows.book.name}: {name}: {wall:.1f} s wall, {cpu:.1f} s CPU, out-of-time AUC {auc:.4f}", flush=True)
    return found, wall


def main() -> None:
    """Measure each book and print the ratios."""
    for book in sys.argv[1:] or ("sba", "consumer"):
        with own_home() as scratch:
            rows = rows_of(book, scratch)
            training.open_study(rows.params, "the first of this database")
            (_, *points), own = timed("our sweep", rows, lambda rows=rows: ours(rows))
            by_rounds = {"resource": "n_estimators", "max_resources": rows.params.sweep.rounds_max}
            for name, halving in (("rounds, exhaust", {**by_rounds, "min_resources": "exhaust"}),
                                  ("rounds, our first rung",
                                   {**by_rounds, "min_resources": rows.params.sweep.rounds_first}),
                                  ("rows, exhaust", {"min_resources": "exhaust"})):
                _, other = timed(f"HalvingRandomSearchCV ({name})", rows,
                                 lambda rows=rows, points=points, halving=halving: theirs(rows, points, **halving))
                print(f"{book}: ours takes {own / other:.2f} of it (goal: {GOAL:.2f})", flush=True)


if __name__ == "__main__":
    main()
