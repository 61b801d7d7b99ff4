"""Does a score of 10 % mean that one loan in ten defaults?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tollgate.gates.base import Verdict, judged
from tollgate.gates.evidence import Case
from tollgate.stats.calibration import calibration_error, calibration_line, calibration_noise, quantile_bins
from tollgate.stats.intervals import around, normal_quantile, wilson


def calibration(case: Case) -> Verdict:
    """Expected calibration error over ten quantile bins of the test scores, below the limit.

    On few loans even a perfectly calibrated model misses its bins: a gap is refused when it is above the limit and
    above what that model would show in ``confidence`` of such tests.
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
    if limits.calibration_gap_max <= gap <= noise:
        told += (f" The test window is too small to tell: on {len(case.label):,} loans a perfectly calibrated model "
                 f"misses by up to {noise:.4f}. More test months would tell.")
    return judged("calibration", gap < limits.calibration_gap_max or gap <= noise, measured=gap,
                  limit=limits.calibration_gap_max, interval=around(gap, draws, limits.confidence), sentence=told,
                  table=tuple(_bins(case)))


def _bins(case: Case) -> Iterator[dict[str, str]]:
    bins = quantile_bins(case.score)
    for code in np.unique(bins):
        within = bins == code
        rows, defaults = int(within.sum()), int(case.label[within].sum())
        low, high = wilson(defaults, rows, case.params.gates.confidence)
        yield {"tenth of the scores": str(code + 1), "loans": f"{rows:,}", "defaults": f"{defaults:,}",
               "mean score": f"{case.score[within].mean():.4f}", "default rate": f"{defaults / rows:.4f}",
               "interval": f"{low:.4f} to {high:.4f}"}
