"""How values are distributed over bins, and how far two distributions lie apart: for monitoring, ingest and gates.

Bins hold what is known and present. A missing value, or one unseen, is in no bin: either share has a test of its own
(``two_samples.share_test``), and the distances do not depend on how large the reference is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BINS = 10
LAYOUT = 2  # of what is frozen; the first kept shares, of bins that could go blind


@dataclass(frozen=True)
class Counts:
    """How many values fell where.

    Attributes:
        bins: int64, one count a bin. missing: values that are not there.
        unseen: of a category, the values of no known level, which are in no bin; of a number, the values below the
            reference's least or above its largest, which are in the bins at the ends too.
    """

    bins: np.ndarray
    unseen: int
    missing: int

    @property
    def known(self) -> int:
        """Values that are in a bin."""
        return int(self.bins.sum())


def frozen(kind: str, values: pa.ChunkedArray | np.ndarray) -> dict[str, Any]:
    """The bins of ``values`` and how many fell into each, as JSON can carry it.

    A ``number`` has the inner ``edges`` of its bins (``edge <= x`` falls to the right), its ``least`` and ``largest``
    value (None without any); a ``category`` its sorted ``levels``. Both have ``counts``, a bin each, how many are
    ``missing``, and ``once``: how many of the values would be unseen, had each been left out (Good, Biometrika 40,
    1953: so often the next value is a new one).
    """
    if kind == "number":
        present = np.sort(_numbers(values))
        present = present[:np.searchsorted(present, np.inf, side="right")]
        entry: dict[str, Any] = {"kind": kind, "edges": _edges(present).tolist(), "least": None, "largest": None,
                                 "once": 0}
        if len(present):
            least, largest = float(present[0]), float(present[-1])
            ends = [int(np.sum(present == end)) for end in (least, largest)]
            entry |= {"least": least, "largest": largest, "once": min(ends.count(1), len(present))}
    else:
        counted = pc.value_counts(_texts(values).drop_null())
        once = pc.sum(pc.equal(counted.field("counts"), 1)).as_py() or 0
        entry = {"kind": kind, "levels": sorted(counted.field("values").to_pylist()), "once": int(once)}
    found = counts(entry, values)
    return {**entry, "counts": found.bins.tolist(), "missing": found.missing}


def counts(entry: dict[str, Any], values: pa.ChunkedArray | np.ndarray) -> Counts:
    """How many of ``values`` fall into each bin of an entry of ``frozen``, and how many into none."""
    if entry["kind"] == "number":
        return _count_sorted(entry, np.sort(_numbers(values)))
    counted = pc.value_counts(_texts(values))
    of, rows = counted.field("values"), counted.field("counts").to_numpy()
    missing = int(rows[of.is_null().to_numpy(zero_copy_only=False)].sum())
    levels = entry["levels"]
    place = pc.fill_null(pc.index_in(of, value_set=pa.array(levels, pa.string()), skip_nulls=True), len(levels))
    bins = np.bincount(place.to_numpy(), weights=rows, minlength=len(levels) + 1).astype(np.int64)
    return Counts(bins[:-1], int(bins[-1]) - missing, missing)


def _count_sorted(entry: dict[str, Any], ascending: np.ndarray) -> Counts:
    """``ascending``: those that are missing (not a number) last."""
    known = int(np.searchsorted(ascending, np.inf, side="right"))
    present = ascending[:known]
    below = np.searchsorted(present, np.asarray(entry["edges"], dtype=np.float64), side="left")
    unseen = known
    if entry["least"] is not None:
        unseen = int(np.searchsorted(present, entry["least"], side="left")
                     + known - np.searchsorted(present, entry["largest"], side="right"))
    return Counts(np.diff(below, prepend=0, append=known), unseen, len(ascending) - known)


def psi(before: np.ndarray, now: np.ndarray) -> float | None:
    """Population stability index: the sum of (a - e) ln(a / e) over the bins (Siddiqi, Credit Risk Scorecards, 2006).

    Args:
        before, now: counts of the bins, of the reference and of the current values.

    A bin that the reference never filled says nothing; one that is empty now counts as half a value. None where either
    side has no value in a bin.
    """
    shares = _shares(before, now)
    if shares is None:
        return None
    e, a = shares[0], np.maximum(shares[1], 0.5 / now[before > 0].sum())
    return float(np.sum((a - e) * np.log(a / e)))


def kullback_leibler(before: np.ndarray, now: np.ndarray) -> float | None:
    """Relative entropy of ``now`` to ``before`` in nats, the sum of a ln(a / e); arguments and None as of ``psi``."""
    shares = _shares(before, now)
    return None if shares is None else _relative(shares[1], shares[0])


def jensen_shannon(before: np.ndarray, now: np.ndarray) -> float | None:
    """The Jensen-Shannon distance, base 2, from 0 to 1 (Endres and Schindelin, IEEE Transactions on Information Theory
    49, 2003); arguments and None as of ``psi``.
    """
    shares = _shares(before, now)
    if shares is None:
        return None
    middle = (shares[0] + shares[1]) / 2
    return float(np.sqrt(max(_relative(shares[0], middle) + _relative(shares[1], middle), 0.0) / 2 / np.log(2)))


def psi_null(bins: int, r: int, n: int, confidence: float) -> float:
    """What the PSI of an unchanged feature stays below with probability ``confidence``.

    (1/r + 1/n) times the quantile of a chi-square with ``bins - 1`` degrees of freedom (Yurdakul and Naranjo,
    "Statistical properties of the population stability index", Journal of Risk Model Validation 14(4), 2020).

    To the second order in a - e the relative entropy is half the PSI, and the square of the Jensen-Shannon distance an
    eighth of it over ln 2, so that their nulls follow.
    """
    from scipy.special import gammaincinv  # chi2.ppf, without the seconds that scipy.stats takes to load

    return float((1 / r + 1 / n) * 2 * gammaincinv((bins - 1) / 2, confidence)) if bins > 1 else 0.0


def psi_and_null(before: np.ndarray, now: np.ndarray, confidence: float) -> tuple[float, float] | None:
    """The PSI and its null, from the counts that ``psi`` takes; None where it cannot be told."""
    value, filled = psi(before, now), before > 0
    return None if value is None else (value, psi_null(
        int(filled.sum()), int(before.sum()), int(now[filled].sum()), confidence))


def psi_test(before: np.ndarray, now: np.ndarray, confidence: float) -> tuple[float, float, float] | None:
    """``psi_and_null``, and the probability that the PSI of an unchanged feature is as large, by the same law."""
    from scipy.special import gammaincc

    found, filled = psi_and_null(before, now, confidence), before > 0
    if found is None:
        return None
    scale, freedom = 1 / before.sum() + 1 / now[filled].sum(), int(filled.sum()) - 1
    return *found, float(gammaincc(freedom / 2, found[0] / scale / 2)) if freedom else 1.0


def _shares(before: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    filled = before > 0
    e, a = before[filled], now[filled]
    return (e / e.sum(), a / a.sum()) if e.sum() and a.sum() else None


def _relative(a: np.ndarray, e: np.ndarray) -> float:
    there = a > 0
    return float(np.sum(a[there] * np.log(a[there] / e[there])))


def _edges(ascending: np.ndarray) -> np.ndarray:
    """Inner edges of quantile bins, none of them empty among the values that made them.

    A number of at most ten distinct values gets one bin a value: quantiles would hide a rare 1 among zeros. Of any
    other, a value that fills more than a quantile is a bin of its own.
    """
    distinct, times = np.unique(ascending, return_counts=True)
    if len(distinct) <= BINS:
        return distinct[1:]
    cuts = np.quantile(ascending, np.arange(1, BINS) / BINS, method="inverted_cdf")
    heavy = distinct[times > len(ascending) / BINS]
    starts = np.unique(np.concatenate([distinct[:1], cuts, np.nextafter(heavy, np.inf)]))
    filled = np.diff(np.searchsorted(ascending, starts, side="left"), append=len(ascending)) > 0
    return starts[filled][1:]


def _numbers(values: pa.ChunkedArray | np.ndarray) -> np.ndarray:
    if isinstance(values, np.ndarray):
        return values.astype(np.float64)
    return values.cast(pa.float64()).to_numpy()


def _texts(values: pa.ChunkedArray | np.ndarray) -> pa.ChunkedArray:
    chunked = pa.chunked_array([pa.array(values, pa.string())]) if isinstance(values, np.ndarray) else values
    return chunked.cast(pa.string())
