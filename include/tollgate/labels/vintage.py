"""Vintages: of the loans booked in a month, how many are known to be bad by how many months on book."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from tollgate.labels.development import by_age, expected, hazards
from tollgate.labels.evidence import Feed, read_feed

if TYPE_CHECKING:
    import pyarrow as pa

OLDER = 24  # vintages before it by which a vintage is measured


def vintages(evidence: pa.Table, as_of: date) -> list[dict[str, Any]]:
    """One row a month of booking, oldest first, from the evidence of ``feed_evidence`` as of the same day.

    A loan is counted as bad in the month in which that was known, so that what is still to be reported shows as a gap.
    Only months that were over by the as-of are in it.

    Each row has ``booked`` (``YYYY-MM``), ``loans``, ``months_on_book``, ``known_bad``, ``share`` (of the loans),
    ``expected_bad`` (by now, had it gone bad like the ``OLDER`` vintages before it at the same age: a chain ladder;
    None where there is none before it) and ``by_month`` (the cumulative share by each month on book, from 0 on).
    """
    feed = read_feed(evidence, as_of)
    size = len(feed.months)
    grown_by_age = by_age(feed)
    rows = []
    for place in np.flatnonzero(feed.booked):
        loans, grown = feed.booked[place], np.cumsum(grown_by_age[place, :size - place])
        due = _expected(feed, grown_by_age, int(place))
        rows.append({"booked": str(feed.months[place]), "loans": int(loans), "months_on_book": int(size - 1 - place),
                     "known_bad": int(grown[-1]), "share": float(grown[-1] / loans), "expected_bad": due,
                     "by_month": [float(value) for value in grown / loans]})
    return rows


def _expected(feed: Feed, triangle: np.ndarray, place: int) -> float | None:
    """What a vintage would have by now, by the shares of the vintages before it at each age."""
    older = slice(max(0, place - OLDER), place)
    loans = feed.booked[older].sum()
    if not loans:
        return None
    ages = len(feed.months) - place  # every older vintage has been as old
    return float(triangle[older, :ages].sum() / loans * feed.booked[place])


def arrivals(evidence: pa.Table, as_of: date, reference_months: int) -> list[dict[str, Any]]:
    """One row a month that was over by the as-of: loans that became ``known`` as bad in it, and how many were
    ``expected`` by the ``reference_months`` before it (None in the first month).
    """
    feed = read_feed(evidence, as_of)
    rows = []
    for place, month in enumerate(feed.months):
        hazard = hazards(feed, place - reference_months, place)
        rows.append({"month": str(month), "known": int(feed.bad[:, place].sum()),
                     "expected": float(expected(feed, hazard, range(place, place + 1))[0]) if place else None})
    return rows
