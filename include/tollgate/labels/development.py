"""How loans go bad as they age: a chain ladder over months on book."""

from __future__ import annotations

import numpy as np

from tollgate.labels.evidence import Feed


def by_age(feed: Feed) -> np.ndarray:
    """Loans by month of booking (row) and months on book when they were known to be bad; float64 (months, months).

    Beyond the last month that was over, 0.
    """
    size = len(feed.months)
    return np.array([np.append(feed.bad[place, place:], np.zeros(place)) for place in range(size)]).reshape(size, size)


def hazards(feed: Feed, first: int, last: int) -> np.ndarray:
    """The share of booked loans that is known to be bad in each month on book, from arrivals of ``[first, last)``.

    The development factors of a chain ladder, by calendar months of arrival; float64 of shape (months,), 0 at ages that
    no loan had in these months.
    """
    size = len(feed.months)
    bads, loans = np.zeros(size), np.zeros(size)
    for month in range(max(first, 0), last):
        bads[:month + 1] += feed.bad[month::-1, month]
        loans[:month + 1] += feed.booked[month::-1]
    return np.divide(bads, loans, out=np.zeros(size), where=loans > 0)


def expected(feed: Feed, hazard: np.ndarray, months: range) -> np.ndarray:
    """Loans that ought to become known as bad in each of ``months``, which may lie beyond the feed's; float64."""
    size = len(feed.months)
    found = []
    for month in months:
        age = month - np.arange(size)
        lived = (age >= 0) & (age < len(hazard))
        found.append(float(np.sum(feed.booked[lived] * hazard[age[lived]])))
    return np.array(found)
