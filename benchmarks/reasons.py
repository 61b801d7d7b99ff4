"""Contributions of a row's inputs from tables, against XGBoost's own ``pred_contribs`` on the same rows, in one run.

A fit of the simulated book, as deep and as long as asked for; one thread each, in seconds of its processor. Theirs is
timed on fewer rows, for it is slow. Also told: what making the tables costs once a model, how far the two lie apart in
log-odds, and on how many rows both name the same reasons in the same order.

    python benchmarks/reasons.py [ROWS]
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import xgboost

from tollgate.books import load_book
from tollgate.books.shipped import consumer
from tollgate.estimators import Rows, estimator
from tollgate.estimators.xgboost_trees import Trees
from tollgate.features import Encoder, make_features

SHAPES = ((3, 300), (4, 200), (6, 100))     # depth and rounds
FEWER, REASONS = 5_000, 4
GOAL = 20


def reasons(contributions: np.ndarray) -> np.ndarray:
    """The places of the inputs that raised each row's score most, -1 where nothing more did."""
    order = np.argsort(-contributions, axis=1, kind="stable")[:, :REASONS]
    return np.where(np.take_along_axis(contributions, order, axis=1) > 0, order, -1)


def main() -> None:
    """Print a line for each shape."""
    rows = int(sys.argv[1]) if sys.argv[1:] else 100_000
    book = load_book("consumer")
    names = {column.source: column.name for column in book.applications}
    sent = consumer.simulate(seed=1, rows_a_month=max(rows // 84, 1) + 1)
    features = make_features(book, sent.rename_columns([names.get(name, name) for name in sent.column_names]))
    encoder = Encoder.learn(book, features)
    inputs, matrix = encoder.columns(), encoder.encode(features)[:rows]
    label = sent["default_date"].is_valid().to_numpy()[:rows].astype(np.int8)
    columns: dict[str, Any] = {"feature_names": list(inputs.names), "enable_categorical": True,
                               "feature_types": ["c" if codes else "q" for codes in inputs.codes]}
    for depth, rounds in SHAPES:
        learner = estimator("xgboost").learner(inputs, Rows(matrix, label), Rows(matrix[:1], label[:1]), 1, 1)
        fitting = learner.start({"max_depth": depth, "learning_rate": 0.1, "min_child_weight": 20.0})
        fitting.to(rounds)
        trees = fitting.at(rounds)
        assert isinstance(trees, Trees)
        began = time.process_time()
        trees.contributions(matrix[:1])
        made = time.process_time() - began
        began = time.process_time()
        mine = trees.contributions(matrix)
        ours = len(matrix) / (time.process_time() - began)
        few = xgboost.DMatrix(matrix[:FEWER], **columns)
        trees.booster.set_param({"nthread": 1})
        began = time.process_time()
        own = trees.booster.predict(few, pred_contribs=True)[:, :-1]
        theirs = FEWER / (time.process_time() - began)
        apart = np.abs(mine[:FEWER] - own).max()
        same = np.mean((reasons(mine[:FEWER]) == reasons(own)).all(axis=1))
        print(f"depth {depth}, {rounds} trees: {ours:,.0f} rows a second against {theirs:,.0f}, {ours / theirs:.1f} "
              f"times (goal {GOAL}); tables made in {made:.2f} s; at most {apart:.1e} apart; the same reasons on "
              f"{same:.2%}", flush=True)


if __name__ == "__main__":
    main()
