"""The frozen distributions of a model's training rows: what later rows are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.books import Book

BINS = 10
REFERENCE_ROWS = 20_000


def freeze(features: pa.Table, scores: np.ndarray, book: Book) -> dict[str, Any]:
    """The profile of a snapshot: bins and shares of every feature of ``book`` and of the score.

    Args:
        features: raw features, one column a feature (float64 or string, null = missing).
        scores: P(default) of the same rows, float64.

    Returns a mapping that JSON can carry: ``{"rows", "features": {name: entry}, "score": entry}``. A number's entry
    holds the inner ``edges`` of its bins (``edge <= x`` falls to the right), a category's its sorted ``levels``;
    ``shares`` is as ``shares()`` answers.
    """
    entries = {f.name: _frozen(f.kind, features[f.name]) for f in book.features}
    return {"rows": features.num_rows, "features": entries, "score": _frozen("number", np.asarray(scores))}


def shares(entry: dict[str, Any], values: pa.ChunkedArray | np.ndarray) -> np.ndarray:
    """The share of ``values`` in each bin of a profile's entry, float64, summing to 1 (all zero without rows).

    Numbers: one share a bin, then missing. Categories: one share a level, then any other, then missing.
    """
    if entry["kind"] == "number":
        numbers, edges = _numbers(values), np.asarray(entry["edges"], dtype=np.float64)
        bins = len(edges) + 2
        where = np.where(np.isnan(numbers), bins - 1, np.searchsorted(edges, numbers, side="right"))
    else:
        texts, levels = _texts(values), entry["levels"]
        bins = len(levels) + 2
        known = pc.fill_null(pc.index_in(texts, value_set=pa.array(levels, pa.string())), len(levels))
        where = np.where(texts.is_null().to_numpy(zero_copy_only=False), bins - 1, known.to_numpy())
    return np.bincount(where, minlength=bins) / max(len(where), 1)


def reference_sample(features: pa.Table, scores: np.ndarray, seed: int) -> pa.Table:
    """At most 20,000 seeded rows of the raw features with their ``score``, in their original order."""
    whole = features.append_column("score", pa.array(scores, pa.float64()))
    if whole.num_rows <= REFERENCE_ROWS:
        return whole
    drawn = np.random.default_rng(seed).choice(whole.num_rows, REFERENCE_ROWS, replace=False)
    return whole.take(np.sort(drawn))


def _frozen(kind: str, values: pa.ChunkedArray | np.ndarray) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": kind}
    if kind == "number":
        entry["edges"] = _edges(_numbers(values)).tolist()
    else:
        entry["levels"] = sorted(_texts(values).drop_null().unique().to_pylist())
    return {**entry, "shares": shares(entry, values).tolist()}


def _edges(numbers: np.ndarray) -> np.ndarray:
    """Inner edges of quantile bins, each one an observed value, so that no bin is empty in the reference.

    A number of at most ten distinct values gets one bin a value: quantiles would hide a rare 1 among zeros.
    """
    present = numbers[~np.isnan(numbers)]
    if len(present) == 0:
        return present
    distinct = np.unique(present)
    if len(distinct) > BINS:
        cuts = np.quantile(present, np.arange(1, BINS) / BINS, method="inverted_cdf")
        distinct = np.unique(np.concatenate([distinct[:1], cuts]))
    return distinct[1:]


def _numbers(values: pa.ChunkedArray | np.ndarray) -> np.ndarray:
    if isinstance(values, np.ndarray):
        return values.astype(np.float64)
    return values.cast(pa.float64()).to_numpy()


def _texts(values: pa.ChunkedArray | np.ndarray) -> pa.Array:
    chunked = pa.chunked_array([pa.array(values, pa.string())]) if isinstance(values, np.ndarray) else values
    return pa.concat_arrays(chunked.cast(pa.string()).chunks or [pa.array([], pa.string())])
