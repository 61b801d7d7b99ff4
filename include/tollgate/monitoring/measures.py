"""How far a window of new rows lies from a model's frozen profile, and whether luck alone would explain it.

One pass over the window, in pieces: what is kept of it are counts, so that memory does not grow with its rows.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.config import Monitoring
from tollgate.features import check_made
from tollgate.monitoring.levels import LEVELS
from tollgate.stats.distributions import Counts, counts, jensen_shannon, kullback_leibler, psi_test
from tollgate.stats.page_hinkley import TOLERANCE, PageHinkley, page_hinkley_null
from tollgate.stats.positions import Positions
from tollgate.stats.two_samples import chi_square_test, ks_test, share_test

BANDS = (0.10, 0.20, 0.25)  # of a PSI, above which it is called so; what is done about it is a rule's
UNKNOWN = "unknown"
SCORE = "score"
FEATURE, PREDICTION = "feature", "prediction"
PSI, KL, JS, KS, CHI_SQUARE, MISSING, UNSEEN, PAGE_HINKLEY = (
    "psi", "kl", "js", "ks", "chi_square", "missing", "unseen", "page_hinkley")

Row = dict[str, Any]


def level_of(psi: float) -> str:
    """What the field calls a PSI that luck does not explain."""
    return LEVELS[bisect_left(BANDS, psi)]


def discovered(rows: Sequence[Row], rate: float) -> list[bool]:
    """Which rows of one metric in one window are a discovery, so that at most a share ``rate`` of these is luck.

    Benjamini and Yekutieli's procedure, which holds however the tests depend on each other (Annals of Statistics 29,
    2001); one row alone passes at a p-value of ``rate``. A row without a p-value is judged by its own null alone.
    """
    known = sorted(row["p_value"] for row in rows if row["p_value"] is not None)
    # As scipy.stats.false_discovery_control, without the half second of each task that loading scipy.stats takes.
    luck = len(known) * sum(1 / k for k in range(1, len(known) + 1))
    limit = max((p for k, p in enumerate(known, start=1) if p * luck <= k * rate), default=-1.0)
    return [row["p_value"] is None or row["p_value"] <= limit for row in rows]


def worst(levels: Iterable[str]) -> str:
    """The worst of some levels; unknown when none of them is known."""
    known = [LEVELS.index(level) for level in levels if level != UNKNOWN]
    return LEVELS[max(known)] if known else UNKNOWN


def watched(book: Book) -> tuple[str, ...]:
    """What decides the verdict: the critical features and the score itself."""
    return (*book.critical, SCORE)


def of_metric(rows: Iterable[Row], metric: str) -> list[Row]:
    """The rows of one metric that were measured."""
    return [row for row in rows if row["metric"] == metric and row["value"] is not None]


class Comparison:
    """Every test of a window against a model's profile; the window is fed to it in pieces."""

    def __init__(self, profile: Row, reference: pa.Table) -> None:
        """``profile``: as ``reference.read_profile`` answers. ``reference``: raw features and ``score`` of its rows."""
        self._entries = {**profile["features"], SCORE: profile["score"]}
        self._names = list(profile["features"])
        self._tests = {name: (_Number if entry["kind"] == "number" else _Category)(entry, reference[name])
                       for name, entry in self._entries.items()}
        deviation = np.std(reference[SCORE].drop_null().to_numpy())
        self._stream = PageHinkley(float(deviation)) if deviation > 0 else None
        self.rows = 0

    def add(self, features: pa.Table, scores: np.ndarray) -> None:
        """Some rows of the window, in any order: raw ``features``, and P(default) of the same rows, float64.

        Raises:
            BadInput: the book no longer makes a feature of the profile.
        """
        check_made(features, self._names)
        self.rows += len(scores)
        for name in self._names:
            self._tests[name].add(features[name])
        self._tests[SCORE].add(pa.chunked_array([pa.array(scores)]))

    def follow(self, scores: np.ndarray) -> None:
        """The next scores of the window in the order of the applications, float64."""
        if self._stream is not None:
            self._stream.add(scores)

    def measures(self, params: Monitoring) -> list[Row]:
        """The measured columns of the lake's ``measures``, every metric of every feature and of the score.

        What cannot be told, as without rows, has no value. ``level`` is that of a PSI alone: stable unless it exceeds
        its own null and is a discovery among all of the window, and unknown in one of fewer than ``params.min_sample``
        rows.
        """
        found = []
        for name in self._entries:
            kind = PREDICTION if name == SCORE else FEATURE
            found += [{"kind": kind, "subject": name, **row} for row in self._tests[name].measures(self.rows, params)
                      if (kind, row["metric"]) != (PREDICTION, MISSING)]  # a row without a score is no row of a window
        indices = [row for row in found if row["metric"] == PSI]
        told = [row for row in indices if row["value"] is not None and self.rows >= params.min_sample]
        levels = {row["subject"]: level_of(row["value"]) if sure and row["value"] > row["null_value"] else LEVELS[0]
                  for row, sure in zip(told, discovered(told, params.false_discovery_rate), strict=True)}
        for row in indices:
            row["level"] = levels.get(row["subject"], UNKNOWN)
        return [*found, {"kind": PREDICTION, "subject": SCORE, **self._change(params.confidence)}]

    def _change(self, confidence: float) -> Row:
        if self._stream is None or not self._stream.n:
            return _row(PAGE_HINKLEY, None, 0, None, {"confidence": confidence, "tolerance": TOLERANCE})
        n = self._stream.n
        return _row(PAGE_HINKLEY, self._stream.value, n, None, {"confidence": confidence, "tolerance": TOLERANCE},
                    null=page_hinkley_null(n, confidence))


class _Number:
    """What is counted of a number: how many values lie below, and how many at, every reference value and bin's edge."""

    def __init__(self, entry: Row, reference: pa.ChunkedArray) -> None:
        self.entry = entry
        self._reference = np.sort(reference.drop_null().to_numpy())
        ends = [] if entry["least"] is None else [entry["least"], entry["largest"]]
        self._positions = Positions(np.concatenate([self._reference, entry["edges"], ends]))
        self._known = self._missing = 0

    def add(self, values: pa.ChunkedArray) -> None:
        numbers = values.to_numpy()
        missing = np.isnan(numbers)
        if missing.any():
            numbers = numbers[~missing]
        self._missing += len(missing) - len(numbers)
        self._known += len(numbers)
        self._positions.add(numbers)

    def measures(self, rows: int, params: Monitoring) -> Iterator[Row]:
        yield from _shares_of_bins(self.entry, self._counts(), rows, params)
        yield self._ks(params.confidence)

    def _counts(self) -> Counts:
        points, below, at_most = self._positions.points, self._positions.below(), self._positions.at_most()
        before = below[np.searchsorted(points, np.asarray(self.entry["edges"], dtype=np.float64))]
        unseen = self._known
        if self.entry["least"] is not None:
            least, largest = np.searchsorted(points, [self.entry["least"], self.entry["largest"]])
            unseen = int(below[least] + self._known - at_most[largest])
        return Counts(np.diff(before, prepend=0, append=self._known), unseen, self._missing)

    def _ks(self, confidence: float) -> Row:
        """Between two reference values that distribution stands still and the other rises: the largest distance lies
        at one of them, or just before it.
        """
        r, n, told = len(self._reference), self._known, {"confidence": confidence}
        if not r or not n:
            return _row(KS, None, n, r, told)
        points, below, at_most = self._positions.points, self._positions.below(), self._positions.at_most()
        before = np.searchsorted(self._reference, points, side="left") / r - below / n
        until = np.searchsorted(self._reference, points, side="right") / r - at_most / n
        distance = float(max(np.abs(before).max(), np.abs(until).max()))
        p_value, null = ks_test(distance, r, n, confidence)
        return _row(KS, distance, n, r, told, null=null, p_value=p_value)


class _Category:
    """What is counted of a category: how many values are of each of the reference's levels."""

    def __init__(self, entry: Row, reference: pa.ChunkedArray) -> None:
        self.entry = entry
        self._counts = Counts(np.zeros(len(entry["levels"]), dtype=np.int64), 0, 0)

    def add(self, values: pa.ChunkedArray) -> None:
        now = counts(self.entry, values)
        self._counts = Counts(self._counts.bins + now.bins, self._counts.unseen + now.unseen,
                              self._counts.missing + now.missing)

    def measures(self, rows: int, params: Monitoring) -> Iterator[Row]:
        yield from _shares_of_bins(self.entry, self._counts, rows, params)
        before, now, told = np.asarray(self.entry["counts"]), self._counts.bins, {"confidence": params.confidence}
        found = chi_square_test(before, now, params.confidence)
        value, p_value, null = found or (None, None, None)
        yield _row(CHI_SQUARE, value, int(now.sum()), int(before.sum()), told, null=null, p_value=p_value)


def _shares_of_bins(entry: Row, now: Counts, rows: int, params: Monitoring) -> Iterator[Row]:
    """What follows from the counts of a feature's bins."""
    before = np.asarray(entry["counts"], dtype=np.int64)
    r, n, told = int(before.sum()), now.known, {"confidence": params.confidence}
    found = psi_test(before, now.bins, params.confidence)
    value, null, p_value = found or (None, None, None)
    limits = {name: getattr(params, name) for name in ("min_sample", "false_discovery_rate")}
    yield _row(PSI, value, n, r, {**told, **limits}, null=null, p_value=p_value)
    yield _row(KL, kullback_leibler(before, now.bins), n, r, told, null=None if null is None else null / 2)
    yield _row(JS, jensen_shannon(before, now.bins), n, r, told,
               null=None if null is None else float(np.sqrt(null / (8 * np.log(2)))))
    yield _share(MISSING, now.missing, rows, entry["missing"], r + entry["missing"], params.confidence)
    present = rows - now.missing
    yield _share(UNSEEN, now.unseen, present, entry["once"], r, params.confidence)


def _share(metric: str, k: int, n: int, past_k: int, r: int, confidence: float) -> Row:
    if not n or not r:
        return _row(metric, None, n, r, {"confidence": confidence})
    p_value, null = share_test(k, n, past_k, r, confidence)
    return _row(metric, k / n, n, r, {"confidence": confidence}, reference=past_k / r, null=null, p_value=p_value)


def _row(metric: str, value: float | None, n: int, r: int | None, parameters: Row, *, reference: float = 0.0,
         null: float | None = None, p_value: float | None = None) -> Row:
    return {"metric": metric, "value": value, "reference": reference, "null_value": null, "p_value": p_value, "n": n,
            "reference_n": r, "level": None, "parameters": json.dumps(parameters, sort_keys=True)}
