"""Slices: how well the model ranks within each part of the book, beside how well it ranks the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.stats.calibration import quantile_bins
from tollgate.stats.ranking import placements, places

EVENTS_MIN = 30     # of defaults and of paid loans alike: with fewer the normal interval is none
BANDS = 4
Members = list[tuple[str, np.ndarray]]  # the name of each slice, and the places of its rows, ascending


@dataclass(frozen=True)
class Slice:
    """One part of the test rows.

    Attributes:
        name: such as ``state = OH``. rows, defaults: its size.
        area: its AUC. area_error: the standard error of that.
        behind: by how much ``area`` is below the AUC of the whole. error: the standard error of that.
    """

    name: str
    rows: int
    defaults: int
    area: float
    area_error: float
    behind: float
    error: float


def slice_columns(book: Book) -> tuple[str, ...]:
    """The columns that slices are cut from: protected attributes, category features and critical numbers."""
    return (*book.protected(), *(f.name for f in book.features if f.name not in book.protected()
                                 and (f.kind == "category" or f.name in book.critical)))


def cut_slices(book: Book, rows: pa.Table) -> tuple[Members, int]:
    """Every slice of ``rows`` that is large enough to judge, and how many are not.

    A category and a protected attribute give one slice a value, a number its quarters; missing is a value, and what
    all rows share is no slice.

    Args:
        rows: ``label`` (both kinds) and the ``slice_columns``.
    """
    label, found, small = rows["label"].to_numpy() == 1, [], 0
    for column, part, member in parts(book, rows):
        if len(member) == len(label):
            continue
        defaults = int(label[member].sum())
        if min(defaults, len(member) - defaults) < EVENTS_MIN:
            small += 1
        else:
            found.append((f"{column} {part}", member))
    return found, small


def parts(book: Book, rows: pa.Table) -> Iterator[tuple[str, str, np.ndarray]]:
    """Every part that the ``slice_columns`` of ``rows`` cut them into: its column, which values of that one it has, and
    the places of its rows, ascending.
    """
    numbers = {f.name for f in book.features if f.kind == "number"} - set(book.protected())
    for column in slice_columns(book):
        if column in numbers:
            values = rows[column].to_numpy()
            known = np.isfinite(values)
            band = np.full(len(values), -1)
            band[known] = quantile_bins(values[known], BANDS) if known.any() else 0
            for code in np.unique(band):
                member = np.flatnonzero(band == code)
                yield column, _range(values[member]), member
        else:
            codes = rows[column].combine_chunks().dictionary_encode(null_encoding="encode")
            place = codes.indices.to_numpy()
            for code, value in enumerate(codes.dictionary.to_pylist()):
                yield column, "missing" if value is None else f"= {value}", np.flatnonzero(place == code)


def rank_slices(members: Members, label: np.ndarray, score: np.ndarray) -> list[Slice]:
    """How well ``score`` ranks each slice, the furthest behind first.

    The standard error of ``behind`` takes into account that a slice is a part of the whole: each loan adds to both
    areas what DeLong's placement values say it adds (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988).

    Args:
        label: bool of shape (rows,), True where the loan defaulted. score: float64, row by row.
    """
    place = places(score)
    whole, area = _added(label, place)
    found = []
    for name, member in members:
        own, mine = _added(label[member], place[member])
        difference = whole.copy()
        difference[member] -= own
        found.append(Slice(name, len(member), int(label[member].sum()), mine, _norm(own), area - mine,
                           _norm(difference)))
    return sorted(found, key=lambda s: s.behind, reverse=True)


def _norm(added: np.ndarray) -> float:
    """The standard error that the loans' shares of a deviation make up."""
    return float(np.sqrt(np.sum(added**2)))


def _added(label: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, float]:
    """What each loan adds to the AUC's deviation from its truth, and the AUC."""
    bad, good = placements(label, place)
    area = float(bad.mean())
    added = np.empty(len(label))
    added[label], added[~label] = (bad - area) / len(bad), (good - area) / len(good)
    return added, area


def _range(values: np.ndarray) -> str:
    low, high = values.min(), values.max()
    if np.isnan(low):
        return "missing"
    return f"= {low:,.6g}" if low == high else f"{low:,.6g} to {high:,.6g}"
