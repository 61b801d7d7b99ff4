"""How far a window of new rows lies from a model's frozen profile, and whether luck alone would explain it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.config import Monitoring
from tollgate.features import check_made
from tollgate.stats.distributions import psi, psi_null, shares

LEVELS = ("stable", "minor", "moderate", "major")
UNKNOWN = "unknown"
SCORE = "score"

Row = dict[str, Any]


def level_of(value: float, null: float, params: Monitoring) -> str:
    """The level of a PSI: by the effect-size limits, and stable unless it also exceeds its own null."""
    if value <= null:
        return LEVELS[0]
    return LEVELS[sum(value > limit for limit in (params.psi_minor, params.psi_moderate, params.psi_major))]


def worst(levels: Iterable[str]) -> str:
    """The worst of some levels; unknown when none of them is known."""
    known = [LEVELS.index(level) for level in levels if level != UNKNOWN]
    return LEVELS[max(known)] if known else UNKNOWN


def watched(book: Book) -> tuple[str, ...]:
    """What decides the verdict: the critical features and the score itself."""
    return (*book.critical, SCORE)


def measure(profile: dict[str, Any], reference: pa.Table, features: pa.Table, scores: np.ndarray,
            params: Monitoring) -> list[Row]:
    """One row a feature, and one for ``score``: the measured columns of the lake's ``drift`` table.

    Args:
        profile: the model's profile.json. reference: its reference.parquet (raw features and ``score``).
        features: raw features of the window; scores: their P(default), float64.

    Number features get the two-sample KS distance ``ks`` and its p-value, categories the p-value of a chi-square
    test; ``js`` is the Jensen-Shannon distance (base 2, 0 to 1) between the shares. ``level`` is unknown below
    ``params.min_sample`` rows, and every statistic is None without rows.

    Raises:
        BadInput: the book no longer makes a feature of the profile.
    """
    check_made(features, profile["features"])
    entries = {**profile["features"], SCORE: profile["score"]}
    values = {name: features[name] for name in profile["features"]} | {SCORE: pa.chunked_array([pa.array(scores)])}
    return [_measured(name, entries[name], reference[name], values[name], params)
            for name in entries]


def _measured(name: str, entry: dict[str, Any], reference: pa.ChunkedArray, values: pa.ChunkedArray,
              params: Monitoring) -> Row:
    n, r = len(values), entry["rows"]
    row: Row = {"feature": name, "kind": entry["kind"], "rows": n, "psi": None, "psi_null": None, "ks": None,
                "p_value": None, "js": None, "level": UNKNOWN}
    if n == 0:
        return row
    from scipy.spatial.distance import jensenshannon

    expected, actual = np.asarray(entry["shares"]), shares(entry, values)
    row["psi"] = psi(expected, actual, r, n)
    row["psi_null"] = psi_null(int(np.sum((expected > 0) | (actual > 0))), r, n, params.confidence)
    row["js"] = float(jensenshannon(expected, actual, base=2))
    if entry["kind"] == "number":
        row["ks"], row["p_value"] = _ks(reference, values)
    else:
        row["p_value"] = _chi_square(expected * r, actual * n)
    if n >= params.min_sample:
        row["level"] = level_of(row["psi"], row["psi_null"], params)
    return row


def _ks(reference: pa.ChunkedArray, values: pa.ChunkedArray) -> tuple[float | None, float | None]:
    from scipy.stats import ks_2samp

    before, now = (column.drop_null().to_numpy() for column in (reference, values))
    if len(before) == 0 or len(now) == 0:
        return None, None
    test = ks_2samp(before, now, method="asymp")
    return float(test.statistic), float(test.pvalue)


def _chi_square(before: np.ndarray, now: np.ndarray) -> float:
    from scipy.stats import chi2_contingency

    counts = np.rint([before, now])
    counts = counts[:, counts.sum(axis=0) > 0]
    return float(chi2_contingency(counts, correction=False).pvalue) if counts.shape[1] > 1 else 1.0
