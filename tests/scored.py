"""A published night with the scores that a test wants, without a model."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from tollgate import nights, scoring
from tollgate.books import Book
from tollgate.features import make_features, with_histories
from tollgate.scoring.shards import APPROVE, DECLINE, REFUSED, SCHEMA, SCORED, as_published


def publish_night(book: Book, day: date, rows: pa.Table, score: np.ndarray, threshold: float, *, version: str = "1",
                  refused: np.ndarray | None = None, run: str = "r") -> nights.Attempt:
    """Pin these applications, score them so, and publish them.

    Args:
        rows: applications as they lie in the lake. score: P(default). refused: rows that cannot be scored, bool.
    """
    attempt = nights.claim(book.name, nights.NEW, day, run)
    rows, histories = with_histories(book, rows, day)
    files = nights.write_population(attempt, 0, rows, histories)
    champion = nights.Pinned(version, "d", "s")
    nights.write_pin(nights.Pin(attempt, run, None, champion, (), rows.num_rows, 0, 1, "rows", files, {},
                                {"scoring": {"window_months": 1, "reasons": 0}}))
    cannot = np.zeros(rows.num_rows, bool) if refused is None else refused
    scores = pa.table({
        "loan_id": rows["loan_id"], "applied_on": rows["applied_on"],
        "status": pa.array(np.where(cannot, REFUSED, SCORED), pa.string()),
        "refusal": pa.array(np.where(cannot, "it is broken", ""), pa.string(), mask=~cannot),
        "score": pa.array(score, pa.float64(), mask=cannot),
        "decision": pa.array(np.where(score >= threshold, DECLINE, APPROVE), pa.string(), mask=cannot),
        "reasons": pa.array([[]] * rows.num_rows, pa.list_(pa.string())),
    }, schema=SCHEMA)
    pin = nights.read_pin(attempt)
    nights.write_scored(attempt, 0, make_features(book, rows, histories), as_published(pin, scores))
    scoring.publish(str(attempt))
    return attempt
