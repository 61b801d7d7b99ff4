"""Where values stand among sorted points, in nearly the same time however many points there are."""

from __future__ import annotations

import numpy as np

CELLS = 2**17        # of the lookup table at the most, 1 MB: it stays in a core's cache
AT_ONCE = 2**15      # values whose intermediate results stay there too


class Positions:
    """Counts of values strictly between, and exactly at, sorted points.

    Binary search through many points costs ten times a histogram of equal bins. So a table says of every cell of a grid
    how many points lie before it, and a comparison with the next two points settles the rest; the few values that have
    more points before them in their cell are searched for. The grid is that of the floating-point numbers themselves,
    which is fine near 0 and wide in a tail, moved so that 0 is a spread of the points below the least of them. Only
    the cells depend on roundings, never a count.
    """

    def __init__(self, points: np.ndarray) -> None:
        """``points``: float64, finite, in any order, also none."""
        self.points = np.unique(points + 0.0)  # -0.0 is 0.0
        self._counts = np.zeros(2 * len(self.points) + 1, dtype=np.int64)
        self._next = np.append(self.points, [np.nan, np.nan])
        if len(self.points):
            quarter, three = self.points[[len(self.points) // 4, len(self.points) * 3 // 4]]
            with np.errstate(over="ignore"):
                self._move = min((three - quarter) or 1.0, np.finfo(float).max) - self.points[0]
            keys = self._keys(self.points)
            # At least 1: the key of a negative number, less that of the first point, would overflow.
            self._shift = max(1, int(keys[-1] - keys[0]).bit_length() - CELLS.bit_length() + 1)
            self._first = keys[0] >> self._shift
            cells = (keys >> self._shift) - self._first
            self._before = np.searchsorted(cells, np.arange(cells[-1] + 2), side="left")

    def add(self, values: np.ndarray) -> None:
        """Count ``values``: float64, none of them missing."""
        if not len(self.points):
            self._counts += len(values)
            return
        found = np.empty(len(values), dtype=np.int64)
        for start in range(0, len(values), AT_ONCE):
            self._locate(values[start:start + AT_ONCE], found[start:start + AT_ONCE])
        self._counts += np.bincount(found, minlength=len(self._counts))

    def below(self) -> np.ndarray:
        """How many values counted so far are less than each point, int64."""
        return np.asarray(np.cumsum(self._counts)[:-1:2])

    def at_most(self) -> np.ndarray:
        """How many are less than or equal to each point, int64."""
        return np.asarray(np.cumsum(self._counts)[1::2])

    def _locate(self, values: np.ndarray, found: np.ndarray) -> None:
        """Twice the number of points below each value, and one more where it is at a point itself."""
        cell = self._keys(values)
        cell >>= self._shift
        cell -= self._first
        j = np.take(self._before, cell, mode="clip")
        point = np.take(self._next, j)
        np.multiply(j, 2, out=found)
        found += values >= point
        found += values > point
        more = np.flatnonzero(values >= np.take(self._next[1:], j))
        if len(more):
            found[more] = sum(np.searchsorted(self.points, values[more], side=side) for side in ("left", "right"))

    def _keys(self, values: np.ndarray) -> np.ndarray:
        """Whole numbers in the order of the values, from the least point on; below it in none, but less."""
        return (values + self._move).view(np.int64)
