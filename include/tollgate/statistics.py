"""The statistics behind the intervals: DeLong for areas under the curve, the bootstrap and Wilson for the rest."""

from __future__ import annotations

import numpy as np

Interval = tuple[float, float]

CUTS = 2_000


def places(score: np.ndarray) -> np.ndarray:
    """The place of each score among the distinct ones, the lowest 0; int64 of the scores' shape (rows,)."""
    return np.unique(score, return_inverse=True)[1]


def placements(label: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many loans of the other kind each loan is ranked rightly against, as a share; ties count half.

    Args:
        label: bool of shape (rows,), True where the loan defaulted.
        place: whole numbers of shape (rows,) from 0 up, larger where a default is likelier, such as ``places``.

    Returns those of the defaults, of shape (defaults,), and of the paid loans, of shape (paid,), each in the order of
    the rows. The mean of either is the AUC.
    """
    bad, good = place[label], place[~label]

    def below(others: np.ndarray) -> np.ndarray:
        """The share of ``others`` below each place, with half of those at it."""
        at = np.bincount(others, minlength=int(place.max()) + 1)
        return (at.cumsum() - at / 2) / len(others)

    return below(good)[bad], 1 - below(bad)[good]


def delong(label: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUC of each row of ``scores`` against one ``label``, and their covariance.

    DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
    characteristic curves", Biometrics 44 (1988).

    Args:
        label: bool of shape (rows,), at least two loans of each kind.
        scores: float64 of shape (models, rows), larger where a default is likelier.

    Returns the areas, of shape (models,), and their covariance matrix, of shape (models, models).
    """
    bad, good = map(np.stack, zip(*(placements(label, places(score)) for score in scores), strict=True))
    covariance = np.cov(bad) / bad.shape[1] + np.cov(good) / good.shape[1]
    return bad.mean(axis=1), np.atleast_2d(covariance)


def area_under(label: np.ndarray, score: np.ndarray) -> float:
    """AUC alone: the Mann-Whitney statistic as a share, ties counted half (Hanley and McNeil, Radiology 143, 1982)."""
    return float(placements(label, places(score))[0].mean())


def auc_interval(label: np.ndarray, score: np.ndarray, confidence: float) -> tuple[float, Interval]:
    """AUC with its two-sided DeLong interval, clipped to [0, 1]."""
    areas, covariance = delong(label, score[None, :])
    area, reach = float(areas[0]), normal_quantile((1 + confidence) / 2) * float(np.sqrt(covariance[0, 0]))
    return area, (max(0.0, area - reach), min(1.0, area + reach))


def paired(label: np.ndarray, score: np.ndarray, other: np.ndarray, confidence: float,
           ) -> tuple[tuple[float, float], float, Interval]:
    """The AUCs of two scores of the same rows, their difference, and the one-sided DeLong ends of the difference.

    Each end alone holds with ``confidence``.
    """
    areas, covariance = delong(label, np.stack([score, other]))
    ahead = float(areas[0] - areas[1])
    error = float(np.sqrt(max(0.0, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])))
    reach = normal_quantile(confidence) * error
    return (float(areas[0]), float(areas[1])), ahead, (ahead - reach, ahead + reach)


def normal_quantile(probability: float) -> float:
    """The standard normal's quantile."""
    from scipy.special import ndtri  # without the seconds that scipy.stats takes to load

    return float(ndtri(probability))


def wilson(successes: int, trials: int, confidence: float) -> Interval:
    """Wilson's score interval of a rate (Wilson, JASA 22, 1927)."""
    from scipy.stats import binomtest

    found = binomtest(successes, trials).proportion_ci(confidence_level=confidence, method="wilson")
    return float(found.low), float(found.high)


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


def ks_interval(label: np.ndarray, score: np.ndarray, confidence: float) -> tuple[float, Interval]:
    """The two-sample KS distance between the scores of defaults and of paid loans, with its two-sided interval.

    Where one cut is the best, the distance is about normal like the difference of two shares at that cut
    (Raghavachari, "Limiting distributions of Kolmogorov-Smirnov type statistics under the alternative", Annals of
    Statistics 1, 1973); the interval is Newcombe's for such a difference, from Wilson's (method 10 of "Interval
    estimation for the difference between independent proportions", Statistics in Medicine 17, 1998). The best of many
    cuts is a little too good, so that on few loans it holds the truth less often than it says.
    """
    place = places(score)
    bad, good = (np.bincount(place[kind], minlength=int(place.max()) + 1).cumsum() for kind in (label, ~label))
    apart = good / good[-1] - bad / bad[-1]
    cut = int(np.abs(apart).argmax())
    if apart[cut] < 0:
        bad, good = good, bad
    distance, more, less = float(abs(apart[cut])), good[cut] / good[-1], bad[cut] / bad[-1]
    more_low, more_high = wilson(int(good[cut]), int(good[-1]), confidence)
    less_low, less_high = wilson(int(bad[cut]), int(bad[-1]), confidence)
    return distance, (max(0.0, distance - float(np.hypot(more - more_low, less_high - less))),
                      min(1.0, distance + float(np.hypot(more_high - more, less - less_low))))


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


def average_precision_draws(label: np.ndarray, score: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Bootstrap values of the average precision, as scikit-learn defines it; shape (draws,).

    Defaults and paid loans are drawn apart, so that their numbers stay. Every distinct score is a cut, but 2,000
    quantiles where there are more: a multinomial draw of that many counts then takes the place of drawing every loan.
    """
    cut = quantile_bins(score, CUTS)
    counts = (np.bincount(cut[kind], minlength=int(cut.max()) + 1) for kind in (label, ~label))
    bad, good = (rng.multinomial(count.sum(), count / count.sum(), draws)[:, ::-1] for count in counts)
    caught, declined = bad.cumsum(axis=1), (bad + good).cumsum(axis=1)
    return np.sum(bad * caught / np.maximum(declined, 1), axis=1) / caught[:, -1]


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
