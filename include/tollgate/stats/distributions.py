"""How values are distributed over bins, and how far two distributions lie apart: what monitoring and ingest share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BINS = 10


def frozen(kind: str, values: pa.ChunkedArray | np.ndarray) -> dict[str, Any]:
    """The bins of ``values`` and the share of each: a ``number``'s ``edges`` or a ``category``'s sorted ``levels``."""
    entry: dict[str, Any] = {"kind": kind}
    if kind == "number":
        entry["edges"] = _edges(_numbers(values)).tolist()
    else:
        entry["levels"] = sorted(_texts(values).drop_null().unique().to_pylist())
    return {**entry, "shares": shares(entry, values).tolist()}


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


def psi(expected: np.ndarray, actual: np.ndarray, r: int, n: int) -> float:
    """Population stability index: the sum of (a - e) ln(a / e) over the bins (Siddiqi, Credit Risk Scorecards, 2006).

    Args:
        expected, actual: shares of the bins, each summing to 1, of ``r`` reference rows and ``n`` current rows.

    A bin that is empty on one side counts as half a row there; a bin that is empty on both says nothing.
    """
    used = (expected > 0) | (actual > 0)
    e, a = np.maximum(expected[used], 0.5 / r), np.maximum(actual[used], 0.5 / n)
    return float(np.sum((a - e) * np.log(a / e)))


def psi_null(bins: int, r: int, n: int, confidence: float) -> float:
    """What the PSI of an unchanged feature stays below with probability ``confidence``.

    (1/r + 1/n) times the quantile of a chi-square with ``bins - 1`` degrees of freedom (Yurdakul and Naranjo,
    "Statistical properties of the population stability index", Journal of Risk Model Validation 14(4), 2020).
    """
    from scipy.special import gammaincinv  # chi2.ppf, without the seconds that scipy.stats takes to load

    return float((1 / r + 1 / n) * 2 * gammaincinv((bins - 1) / 2, confidence)) if bins > 1 else 0.0


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
