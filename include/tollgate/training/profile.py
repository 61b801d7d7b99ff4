"""The frozen distributions of a model's training rows: what later rows are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.features import TableFile
from tollgate.stats.distributions import LAYOUT, frozen

REFERENCE_ROWS = 20_000


def freeze(features: pa.Table | TableFile, scores: np.ndarray, book: Book) -> dict[str, Any]:
    """The profile of a snapshot: the bins of every feature of ``book`` and of the score, and the rows in each.

    Args:
        features: raw features, one column a feature (float64 or string, null = missing).
        scores: P(default) of the same rows, float64; not a number for rows that the model was fitted on, whose scores
            are more extreme than those of any later row.

    Returns a mapping that JSON can carry: its ``layout``, and ``{"features": {name: entry}, "score": entry}`` with
    entries of ``distributions.frozen``.
    """
    fresh = scores[~np.isnan(scores)]
    entries = {f.name: frozen(f.kind, features[f.name]) for f in book.features}
    return {"layout": LAYOUT, "features": entries, "score": frozen("number", fresh)}


def reference_sample(features: pa.Table | TableFile, scores: np.ndarray, seed: int) -> pa.Table:
    """At most 20,000 seeded rows of the raw features with their ``score``, in their original order.

    Args:
        scores: as for ``freeze``; null in the sample where they are no number.
    """
    places = np.arange(features.num_rows)
    if len(places) > REFERENCE_ROWS:
        places = np.sort(np.random.default_rng(seed).choice(len(places), REFERENCE_ROWS, replace=False))
    return features.take(pa.array(places)).append_column(
        "score", pa.array(scores[places], pa.float64(), from_pandas=True))
