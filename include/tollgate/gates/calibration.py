"""Does a score of 10 % mean that one loan in ten defaults?"""

from __future__ import annotations

import numpy as np

from tollgate.gates.base import Verdict, judged
from tollgate.gates.evidence import Case
from tollgate.statistics import around, calibration_error


def calibration(case: Case) -> Verdict:
    """Expected calibration error over ten quantile bins of the test scores, below the limit."""
    limits = case.params.gates
    gap, draws = calibration_error(case.label, case.score, limits.bootstrap_draws, case.rng("calibration"))
    brier = float(np.mean((case.score - case.label) ** 2))
    return judged("calibration", gap < limits.calibration_gap_max, measured=gap, limit=limits.calibration_gap_max,
                  interval=around(gap, draws, limits.confidence), sentence=(
        f"Scores miss the default rate of their bin by {gap:.4f} on average; it must be below "
        f"{limits.calibration_gap_max:g}. The mean score is {case.score.mean():.4f} where {case.label.mean():.4f} "
        f"defaulted; Brier score {brier:.4f}."))
