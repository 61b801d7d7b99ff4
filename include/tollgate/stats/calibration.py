"""Whether scores are the shares that turn out bad: defaults over those expected, calibration error, Cox's line."""

from __future__ import annotations

import numpy as np

from tollgate.stats.intervals import Interval, garwood

CUTS = 2_000


def quantile_bins(score: np.ndarray, bins: int = 10) -> np.ndarray:
    """The quantile bin of each score, int64; equal scores share a bin, and fewer distinct scores have one each."""
    edges = np.unique(score)[1:]
    if len(edges) >= bins:
        edges = np.unique(np.quantile(score, np.arange(1, bins) / bins))
    return np.searchsorted(edges, score, side="right")


def calibration_error(label: np.ndarray, score: np.ndarray, draws: int, rng: np.random.Generator,
                      ) -> tuple[float, np.ndarray]:
    """Expected calibration error over ten quantile bins, and its bootstrap values of shape (draws,).

    The mean over the bins, weighted by rows, of |default rate - mean score| (Naeini, Cooper and Hauskrecht,
    "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015). Loans of the same outcome within
    one of 2,000 quantiles are drawn as if they had their mean score.
    """
    bins, rows, miss = quantile_bins(score), len(score), label - score
    cell = 2 * quantile_bins(score, CUTS) + label
    counts = np.bincount(cell)
    mean = np.bincount(cell, miss) / np.maximum(counts, 1)
    bin_of = np.zeros(len(counts), dtype=np.int64)
    bin_of[cell] = bins
    sums = (rng.multinomial(rows, counts / rows, draws) * mean) @ np.eye(int(bins.max()) + 1)[bin_of]
    return float(np.abs(np.bincount(bins, miss)).sum() / rows), np.abs(sums).sum(axis=1) / rows


def calibration_noise(score: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Values of ``calibration_error`` that a perfectly calibrated model would show on these rows; shape (draws,).

    Each bin's defaults are then a sum of independent draws with the scores as probabilities, taken as normal.
    """
    variance = np.bincount(quantile_bins(score), score * (1 - score))
    return np.abs(rng.normal(0, np.sqrt(variance), (draws, len(variance)))).sum(axis=1) / len(score)


def observed_over_expected(label: np.ndarray, score: np.ndarray, confidence: float) -> tuple[float, Interval]:
    """How many times as many loans default as the scores add up to, and its two-sided interval.

    The interval is that of a standardised mortality ratio (Breslow and Day, "Statistical Methods in Cancer Research",
    volume II, 1987, section 2.3): Garwood's of the defaults, over what was expected. The defaults are a sum of
    independent draws of unlike probabilities, whose tails are no heavier than a binomial's (Hoeffding, Annals of
    Mathematical Statistics 27, 1956) nor that one's than a Poisson's (Anderson and Samuels, "Some inequalities among
    binomial and Poisson probabilities", Fifth Berkeley Symposium, 1967): it holds the truth with at least
    ``confidence``, and more often where scores are large.

    Args:
        label, score: of shape (rows,).
    """
    expected = max(float(np.sum(score)), np.finfo(float).eps)
    defaults = int(np.sum(label))
    low, high = garwood(defaults, confidence)
    return defaults / expected, (low / expected, high / expected)


def count_test(defaults: int, expected: float, confidence: float) -> tuple[float, float]:
    """Whether as many loans default as the scores add up to: the p-value, and by how many luck alone lets them differ.

    Two-sided, twice the smaller tail of a Poisson count, which errs on the side of luck as ``observed_over_expected``
    does: a difference is beyond what luck explains just where the p-value is below 1 - ``confidence``.
    """
    from scipy.stats import poisson

    of = poisson(max(expected, np.finfo(float).eps))
    p_value = min(1.0, 2 * min(float(of.cdf(defaults)), float(of.sf(defaults - 1))))
    most = float(of.ppf((1 + confidence) / 2 if defaults >= expected else (1 - confidence) / 2))
    return p_value, abs(most - expected)


def calibration_line(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intercept and slope of the logistic regression of the outcomes on the log-odds of the scores.

    (0, 1) is perfect; a slope below 1 tells of scores that are too far apart (Cox, "Two further applications of a
    model for binary regression", Biometrika 45, 1958). Fitted by Newton's method.

    Returns both, of shape (2,), and their standard errors from the Fisher information, of shape (2,).
    """
    from scipy.special import expit

    tiny = 1e-7  # a score of 0 or 1 has no log-odds
    known = np.clip(score, tiny, 1 - tiny)
    design = np.stack([np.ones_like(known), np.log(known / (1 - known))])
    line = np.zeros(2)
    for _ in range(25):
        fitted = expit(line @ design)
        information = (design * (fitted * (1 - fitted))) @ design.T
        step = np.linalg.pinv(information) @ (design @ (label - fitted))
        line = line + step
        if np.abs(step).max() < 1e-9:
            break
    return line, np.sqrt(np.maximum(np.diag(np.linalg.pinv(information)), 0))
