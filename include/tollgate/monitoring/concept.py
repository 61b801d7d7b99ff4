"""Whether loans default as their scores say once that is known: by band of the scores, and by part of the book.

Rows are measured columns of the lake's ``measures``. Features and scores may stand still while this moves.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.stats.calibration import count_test, observed_over_expected, quantile_bins
from tollgate.training import parts

CONCEPT, CALIBRATION, RESIDUAL = "concept", "calibration", "residual"
BANDS = 5  # of the scores: a tenth of the loans that a month brings is hardly ever enough to judge

Row = dict[str, Any]


def calibration(score: np.ndarray, bad: np.ndarray, confidence: float) -> list[Row]:
    """The default rate of all of these loans (``segment`` None) and of each fifth of the scores, beside the mean score.

    ``parameters`` have how many times as many defaulted as were expected, with Garwood's exact interval at
    ``confidence``; ``null_value`` and ``p_value`` are those of ``count_test``. Equal scores share a band.

    Args:
        score: P(default), float64 of shape (loans,). bad: whether they turned out bad, bool, row by row.
    """
    if not len(score):
        return []
    bins = quantile_bins(score, BANDS)
    bands = [np.flatnonzero(bins == code) for code in np.unique(bins)]
    return [_row(CALIBRATION, "score", None, score, bad, confidence),
            *(_row(CALIBRATION, "score", f"scores of {score[band].min():.2%} to {score[band].max():.2%}", score[band],
                   bad[band], confidence) for band in bands if len(band) < len(score))]


def residuals(book: Book, columns: pa.Table, score: np.ndarray, bad: np.ndarray, confidence: float,
              loans_min: int) -> list[Row]:
    """The default rate of each part of the book beside its mean score, as ``calibration``.

    Args:
        columns: those that slices are cut from, of the same loans, row by row. loans_min: smaller parts are left out.
    """
    return [_row(RESIDUAL, column, part, score[member], bad[member], confidence)
            for column, part, member in parts(book, columns) if loans_min <= len(member) < len(score)]


def _row(metric: str, subject: str, segment: str | None, score: np.ndarray, bad: np.ndarray, confidence: float) -> Row:
    n, defaults, due = len(score), int(bad.sum()), float(score.sum())
    p_value, null = count_test(defaults, due, confidence)
    times, (low, high) = observed_over_expected(bad, score, confidence)
    told = {"confidence": confidence, "defaults": defaults, "expected": due, "times": times, "low": low, "high": high}
    return {"kind": CONCEPT, "subject": subject, "segment": segment, "metric": metric, "value": defaults / n,
            "reference": due / n, "null_value": null / n, "p_value": p_value, "n": n, "reference_n": None,
            "level": None, "parameters": json.dumps(told, sort_keys=True)}
