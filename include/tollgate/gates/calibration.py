"""Does a score of 10 % mean that one loan in ten defaults, and do as many default as the scores add up to?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tollgate.gates.base import Verdict, judged
from tollgate.gates.evidence import Case
from tollgate.stats.calibration import (
    calibration_error,
    calibration_line,
    calibration_noise,
    observed_over_expected,
    quantile_bins,
)
from tollgate.stats.intervals import Interval, around, normal_quantile, wilson
from tollgate.training import EVENTS_MIN

WHOLE = "all"


def calibration(case: Case) -> Verdict:
    """Expected calibration error over ten quantile bins of the test scores, below the limit, and Cox's slope near 1.

    On few loans even a perfectly calibrated model misses its bins: a gap is refused when it is above the limit and
    above what that model would show in ``confidence`` of such tests. A slope is refused when its interval lies past
    the limit, or below one over it.
    """
    limits, rng = case.params.gates, case.rng("calibration")
    gap, draws = calibration_error(case.label, case.score, limits.bootstrap_draws, rng)
    noise = float(np.quantile(calibration_noise(case.score, limits.bootstrap_draws, rng), limits.confidence))
    (intercept, slope), errors = calibration_line(case.label, case.score)
    reach = normal_quantile((1 + limits.confidence) / 2) * errors
    brier = float(np.mean((case.score - case.label) ** 2))
    told = (f"Scores miss the default rate of their bin by {gap:.4f} on average; it must be below "
            f"{limits.calibration_gap_max:g}. The mean score is {case.score.mean():.4f} where {case.label.mean():.4f} "
            f"defaulted; Brier score {brier:.4f}; calibration slope {slope:.2f} ({slope - reach[1]:.2f} to "
            f"{slope + reach[1]:.2f}) and intercept {intercept:+.2f} ({intercept - reach[0]:+.2f} to "
            f"{intercept + reach[0]:+.2f}), where 1 and 0 are perfect.")
    steepest = limits.calibration_slope_max
    straight = slope - reach[1] <= steepest and slope + reach[1] >= 1 / steepest
    if not straight:
        told += (f" The slope is surely outside {1 / steepest:.2f} to {steepest:g}: the scores lie too "
                 f"{'far apart, as after an overfit' if slope < 1 else 'close together'}.")
    if limits.calibration_gap_max <= gap <= noise:
        told += (f" The test window is too small to tell: on {len(case.label):,} loans a perfectly calibrated model "
                 f"misses by up to {noise:.4f}. More test months would tell.")
    return judged("calibration", (gap < limits.calibration_gap_max or gap <= noise) and straight, measured=gap,
                  limit=limits.calibration_gap_max, interval=around(gap, draws, limits.confidence), sentence=told,
                  table=tuple(_bins(case)))


@dataclass(frozen=True)
class Band:
    """Loans of one band of the score: how many defaulted, how many the scores expected, and the ratio of the two."""

    name: str
    defaults: int
    expected: float
    ratio: float
    interval: Interval

    def past(self, most: float) -> float:
        """By which factor even the favourable end lies outside 1 / ``most`` to ``most``; at most 1 where it is not."""
        low, high = self.interval
        return max(low / most, 1 / (most * high))


def expected_defaults(case: Case) -> Verdict:
    """Defaults that came over those that the test scores add up to, in the whole and in each tenth of the scores.

    Refuses where even the favourable end of an interval lies outside 1 / ``defaults_ratio_max`` to that limit. The
    intervals are exact, and as wide as Bonferroni's correction for the whole and its bands asks: a model that is off by
    just the limit everywhere is refused with at most 1 - confidence. Bands with fewer than 30 defaults, both come and
    expected, are shown and not judged.
    """
    limits, most = case.params.gates, case.params.gates.defaults_ratio_max
    bins = quantile_bins(case.score)
    codes = np.unique(bins)
    sure = 1 - 2 * (1 - limits.confidence) / (len(codes) + 1)
    whole = _band(case, WHOLE, np.ones_like(case.label), sure)
    bands = [_band(case, str(code + 1), bins == code, sure) for code in codes]
    large = [band for band in bands if max(band.defaults, band.expected) >= EVENTS_MIN]
    worst = max([whole, *large], key=lambda band: band.past(most))
    passed = worst.past(most) <= 1
    told = (f"{whole.defaults:,} loans defaulted where the scores add up to {whole.expected:,.1f}: {whole.ratio:.2f} "
            f"times, {_ends(whole)}. Neither the whole nor one of the {len(large)} tenths of the scores with "
            f"{EVENTS_MIN} defaults may surely lie outside {1 / most:.2f} to {most:g}.")
    if not passed and worst is not whole:
        told += (f" Tenth {worst.name} does: {worst.defaults:,} defaulted where {worst.expected:,.1f} were expected, "
                 f"{worst.ratio:.2f} times, {_ends(worst)}.")
    if not passed:
        told += (" Train on newer months; where the default rate itself moved, say in params.yaml how far, and why "
                 "that is borne.")
    shown = whole if passed else worst
    return judged("expected_defaults", passed, measured=shown.ratio, interval=shown.interval, limit=1 / most,
                  limit_high=most, sentence=told, table=tuple(
        {"tenth of the scores": band.name, "defaults": f"{band.defaults:,}", "expected": f"{band.expected:,.1f}",
         "times": f"{band.ratio:.2f}", "interval": _ends(band), "judged": "yes" if band in large else "too few"}
        for band in bands))


def _band(case: Case, name: str, within: np.ndarray, sure: float) -> Band:
    label, score = case.label[within], case.score[within]
    ratio, interval = observed_over_expected(label, score, sure)
    return Band(name, int(label.sum()), float(score.sum()), ratio, interval)


def _ends(band: Band) -> str:
    return "{:.2f} to {:.2f}".format(*band.interval)


def _bins(case: Case) -> Iterator[dict[str, str]]:
    bins = quantile_bins(case.score)
    for code in np.unique(bins):
        within = bins == code
        rows, defaults = int(within.sum()), int(case.label[within].sum())
        low, high = wilson(defaults, rows, case.params.gates.confidence)
        yield {"tenth of the scores": str(code + 1), "loans": f"{rows:,}", "defaults": f"{defaults:,}",
               "mean score": f"{case.score[within].mean():.4f}", "default rate": f"{defaults / rows:.4f}",
               "interval": f"{low:.4f} to {high:.4f}"}
