"""Was the sweep worth it: does the model rank better than the scorecard that anyone could have built?"""

from __future__ import annotations

from tollgate.features import BASELINE
from tollgate.gates.base import Verdict, judged, not_applicable
from tollgate.gates.evidence import Case
from tollgate.stats.ranking import paired


def baseline(case: Case) -> Verdict:
    """AUC of the model minus that of its logistic scorecard, paired on the same test rows.

    The model must be ahead, and the lower end of the one-sided DeLong interval must reach no further down than the
    margin. A model that is not ahead, or of which the test cannot tell, has not earned its complexity.
    """
    if case.spec.get("estimator") == BASELINE:
        return not_applicable("baseline", "The model is a scorecard itself.")
    limits, margin = case.params.gates, case.params.gates.baseline_margin
    (mine, other), ahead, (low, high) = paired(case.label, case.score, case.baseline, limits.confidence)
    told = (f"AUC is {mine:.4f} against {other:.4f} of the logistic scorecard on the same {len(case.label):,} loans, "
            f"{ahead:+.4f} and with {100 * limits.confidence:g} % confidence at least {low:+.4f}; the first must be "
            f"above 0 and the second at least {-margin:g}.")
    if ahead <= 0:
        told += " Use the scorecard, which is simpler, or sweep longer."
    elif low < -margin:
        told += " Cannot tell: the test window is too small, and the rule for that case is to refuse."
    elif low <= 0:
        told += " That it is ahead at all may be luck: the interval holds 0."
    return judged("baseline", ahead > 0 and low >= -margin, measured=ahead, interval=(low, high), limit=-margin,
                  sentence=told)
