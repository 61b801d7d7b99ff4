"""Page and Hinkley's test: whether, and how surely, the mean of a stream changed within it."""

from __future__ import annotations

import numpy as np

TOLERANCE = 0.1      # standard deviations by which a mean may move without notice
OVERSHOOT = 1.166    # of a sum of normal steps beyond a boundary, on both sides (Siegmund, 1985, chapter 10)


class PageHinkley:
    """The largest rise or fall of a stream, in standard deviations, fed in pieces and in order.

    With U(t) the sum of x(i) - mean(x(1) ... x(i)) - TOLERANCE up to t, a rise is the most that U lay above its own
    minimum before; a fall is the same of -x (Page, Biometrika 41, 1954; Hinkley, Biometrika 58, 1971).
    """

    def __init__(self, deviation: float) -> None:
        """``deviation``: the standard deviation of what the stream is held against, above 0."""
        self.deviation, self.n, self.value = deviation, 0, 0.0
        self._total = 0.0
        self._sums, self._floors = [0.0, 0.0], [0.0, 0.0]

    def add(self, values: np.ndarray) -> None:
        """The next values of the stream, float64 and none missing."""
        if not len(values):
            return
        scaled = values / self.deviation
        means = (self._total + np.cumsum(scaled)) / np.arange(self.n + 1, self.n + len(scaled) + 1)
        for side, sign in enumerate((1, -1)):
            sums = self._sums[side] + np.cumsum(sign * (scaled - means) - TOLERANCE)
            floors = np.minimum(np.minimum.accumulate(sums), self._floors[side])
            self.value = max(self.value, float(np.max(sums - floors)))
            self._sums[side], self._floors[side] = float(sums[-1]), float(floors[-1])
        self._total += float(scaled.sum())
        self.n += len(scaled)


def page_hinkley_null(n: int, confidence: float) -> float:
    """What the test stays below over ``n`` values of an unchanged mean with probability ``confidence``.

    Steps of mean -d and variance 1 first pass h after (exp(2dh') - 2dh' - 1) / 2d^2 of them on average, where h' is h
    and the overshoot, and that time is nearly exponential (Siegmund, Sequential Analysis, 1985, equation 2.17 and
    chapter 10). It is the quantile of the two sides.
    """
    from scipy.optimize import brentq

    lasts = -2 * n / np.log(confidence) * 2 * TOLERANCE**2
    passed = brentq(lambda x: np.expm1(x) - x - lasts, 0, 1 + np.log1p(lasts) * 2)
    return float(max(0.0, passed / (2 * TOLERANCE) - OVERSHOOT))
