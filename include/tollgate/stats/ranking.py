"""How well scores rank: areas under the curve with DeLong's intervals, Kolmogorov-Smirnov, average precision."""

from __future__ import annotations

import numpy as np

from tollgate.stats.calibration import CUTS, quantile_bins
from tollgate.stats.intervals import Interval, normal_quantile, wilson


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


def auc_influence(bad: np.ndarray, score: np.ndarray) -> tuple[float, np.ndarray]:
    """The AUC of scores where loans are bad with a probability, and what each loan moves it by.

    Bad as 0 or 1 gives the AUC and, but for n - 1 in the place of n, DeLong's variance: that of the influences over n.
    Loans are independent, so that the difference of two models' influences on the same loans tells that of their
    AUCs (Hampel, "The influence curve and its role in robust estimation", JASA 69, 1974). A loan is a pair with itself,
    which is half right whatever its score.

    Args:
        bad: P(bad) of each loan, or whether it is, float64 of shape (rows,); neither all 0 nor all 1.
        score: larger where a default is likelier, of that shape.

    Returns the area, and the influences of shape (rows,), whose mean is 0.
    """
    place, good = places(score), 1 - bad
    below, above = (np.bincount(place, weights=weight) for weight in (good, bad))
    below, above = (below.cumsum() - below / 2) / below.sum(), 1 - (above.cumsum() - above / 2) / above.sum()
    area = float(np.sum(bad * below[place]) / bad.sum())
    return area, bad * (below[place] - area) / bad.mean() + good * (above[place] - area) / good.mean()


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
