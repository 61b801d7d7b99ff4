"""Intervals: Wilson's for a rate, Garwood's for a count, the bootstrap's for the rest."""

from __future__ import annotations

import numpy as np

Interval = tuple[float, float]


def normal_quantile(probability: float) -> float:
    """The standard normal's quantile."""
    from scipy.special import ndtri  # without the seconds that scipy.stats takes to load

    return float(ndtri(probability))


def wilson(successes: int, trials: int, confidence: float) -> Interval:
    """Wilson's score interval of a rate (Wilson, JASA 22, 1927)."""
    from scipy.stats import binomtest

    found = binomtest(successes, trials).proportion_ci(confidence_level=confidence, method="wilson")
    return float(found.low), float(found.high)


def garwood(count: int, confidence: float) -> Interval:
    """The exact two-sided interval of a Poisson count's mean (Garwood, Biometrika 28, 1936)."""
    from scipy.special import gammaincinv  # half of chi2.ppf, without the seconds that scipy.stats takes to load

    tail = (1 - confidence) / 2
    return float(gammaincinv(count, tail)) if count else 0.0, float(gammaincinv(count + 1, 1 - tail))


def around(estimate: float, draws: np.ndarray, confidence: float) -> Interval:
    """The percentile interval of bootstrap ``draws``, moved by the bias they show, within [0, 1].

    A mean absolute gap only grows with noise, and a resample is noisier than the sample: the plain percentiles may both
    lie above the estimate. The draws' mean tells by how much (Efron and Tibshirani,
    "An Introduction to the Bootstrap", 1993, section 10.2).
    """
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2]) - (draws.mean() - estimate)
    return float(np.clip(low, 0, estimate)), float(np.clip(high, estimate, 1))


def widest(shares: np.ndarray, drawn: np.ndarray, confidence: float) -> Interval:
    """Ends of the largest distance between two groups' shares, from bootstrap draws of all shares.

    The widest gap of several groups is never 0 by measure, and a resample's is wider still. So every signed difference
    gets its interval, all of them wide enough to hold together with ``confidence`` (Beran, "Balanced simultaneous
    confidence sets", JASA 83, 1988), and the widest gap lies where they let it.

    Args:
        shares: of shape (..., groups), or their logarithms. drawn: the same with the draws in front.
    """
    one, other = np.triu_indices(shares.shape[-1], 1)
    gaps = (shares[..., one] - shares[..., other]).ravel()
    moved = (drawn[..., one] - drawn[..., other]).reshape(len(drawn), -1)
    error = moved.std(axis=0)
    off = np.abs(moved - gaps) / np.maximum(error, np.finfo(float).tiny)
    reach = np.quantile(off.max(axis=1), confidence) * error
    return max(0.0, float(np.max(np.abs(gaps) - reach))), float(np.max(np.abs(gaps) + reach))
