"""A small model of any estimator, fitted and kept in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tollgate.books import Book
from tollgate.estimators import Fitted, Rows, estimator
from tollgate.features import Encoder

CHOICES: dict[str, dict[str, Any]] = {
    "xgboost": {"max_depth": 4}, "lightgbm": {"num_leaves": 8, "min_data_in_leaf": 5},
    "scorecard": {"bins_max": 6, "bin_share_min": 0.05, "regularisation": 0.1}}


def keep_model(folder: Path, book: Book, features: pa.Table, label: np.ndarray, *, kind: str = "xgboost",
               rounds: int = 15, threshold: float = 0.3) -> Fitted:
    """Fit on all rows and write ``model.json`` and what the estimator keeps; the fit as it was before."""
    encoder = Encoder.learn(book, features)
    rows = Rows(encoder.encode(features), label.astype(np.int8))
    columns = encoder.columns({feature.name: feature.monotone for feature in book.features})
    fitting = estimator(kind).learner(columns, rows, rows, 1, 1).start(CHOICES[kind])
    fitting.to(rounds)
    fitted = fitting.at(rounds)
    fitted.save(folder)
    pq.write_table(features, folder / "reference.parquet")
    (folder / "model.json").write_text(json.dumps({
        "book": book.name, "estimator": kind, "features": encoder.to_json(), "calibration": {"kind": "none"},
        "threshold": threshold}))
    return fitted
