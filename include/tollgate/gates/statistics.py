"""The statistics behind the intervals: DeLong for areas under the curve, the bootstrap and Wilson for the rest."""

from __future__ import annotations

import numpy as np

from tollgate.gates.base import Interval


def delong(label: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUC of each row of ``scores`` against one ``label``, and their covariance.

    DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
    characteristic curves", Biometrics 44 (1988), with the placement values taken from midranks as in Sun and Xu,
    "Fast implementation of DeLong's algorithm", IEEE Signal Processing Letters 21 (2014).

    Args:
        label: bool of shape (rows,), True where the loan defaulted; at least two of each.
        scores: float64 of shape (models, rows), larger where a default is likelier.

    Returns the areas, of shape (models,), and their covariance matrix, of shape (models, models).
    """
    from scipy.stats import rankdata

    bad, good = scores[:, label], scores[:, ~label]
    m, n = bad.shape[1], good.shape[1]
    among_all = rankdata(np.concatenate([bad, good], axis=1), axis=1)
    goods_below = (among_all[:, :m] - rankdata(bad, axis=1)) / n
    bads_above = 1 - (among_all[:, m:] - rankdata(good, axis=1)) / m
    covariance = np.cov(goods_below) / m + np.cov(bads_above) / n
    return goods_below.mean(axis=1), np.atleast_2d(covariance)


def area_under(label: np.ndarray, score: np.ndarray) -> float:
    """AUC alone: the Mann-Whitney statistic as a share, ties counted half (Hanley and McNeil, Radiology 143, 1982)."""
    from scipy.stats import rankdata

    m, n = int(label.sum()), int((~label).sum())
    return float((rankdata(score)[label].sum() - m * (m + 1) / 2) / (m * n))


def auc_interval(label: np.ndarray, score: np.ndarray, confidence: float) -> tuple[float, Interval]:
    """AUC with its two-sided DeLong interval, clipped to [0, 1]."""
    areas, covariance = delong(label, score[None, :])
    area, reach = float(areas[0]), normal_quantile((1 + confidence) / 2) * float(np.sqrt(covariance[0, 0]))
    return area, (max(0.0, area - reach), min(1.0, area + reach))


def normal_quantile(probability: float) -> float:
    """The standard normal's quantile."""
    from scipy.stats import norm

    return float(norm.ppf(probability))


def wilson(successes: int, trials: int, confidence: float) -> Interval:
    """Wilson's score interval of a rate (Wilson, JASA 22, 1927)."""
    from scipy.stats import binomtest

    found = binomtest(successes, trials).proportion_ci(confidence_level=confidence, method="wilson")
    return float(found.low), float(found.high)


def around(estimate: float, draws: np.ndarray, confidence: float) -> Interval:
    """The percentile interval of bootstrap ``draws``, moved by the bias they show, within [0, 1].

    A largest distance and a mean absolute gap only grow with noise, and a resample is noisier than the sample:
    the plain percentiles may both lie above the estimate. The draws' mean tells by how much (Efron and Tibshirani,
    "An Introduction to the Bootstrap", 1993, section 10.2).
    """
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2]) - (draws.mean() - estimate)
    return float(np.clip(low, 0, estimate)), float(np.clip(high, estimate, 1))


def ks_draws(label: np.ndarray, score: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Bootstrap values of the two-sample KS distance, defaults and paid loans resampled apart; shape (draws,)."""
    levels, place = np.unique(score, return_inverse=True)
    bad, good = place[label], place[~label]

    def resampled(places: np.ndarray) -> np.ndarray:
        drawn = places[rng.integers(0, len(places), len(places))]
        return np.bincount(drawn, minlength=len(levels)).cumsum() / len(places)

    return np.array([np.abs(resampled(bad) - resampled(good)).max() for _ in range(draws)])


def quantile_bins(score: np.ndarray, bins: int = 10) -> np.ndarray:
    """The quantile bin of each score, int64; equal scores share a bin."""
    edges = np.unique(np.quantile(score, np.arange(1, bins) / bins))
    return np.searchsorted(edges, score, side="right")


def calibration_error(label: np.ndarray, score: np.ndarray, draws: int, rng: np.random.Generator,
                      ) -> tuple[float, np.ndarray]:
    """Expected calibration error over ten quantile bins, and its bootstrap values of shape (draws,).

    The mean over the bins, weighted by rows, of |default rate - mean score| (Naeini, Cooper and Hauskrecht,
    "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015).
    """
    bins, rows = quantile_bins(score), len(score)
    miss = label - score

    def error(weights: np.ndarray) -> float:
        return float(np.abs(np.bincount(bins, weights)).sum() / rows)

    resampled = [error(miss * np.bincount(rng.integers(0, rows, rows), minlength=rows)) for _ in range(draws)]
    return error(miss), np.array(resampled)
