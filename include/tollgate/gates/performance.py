"""Does the model separate defaults from paid loans, and how many defaults does its threshold let through?"""

from __future__ import annotations

import numpy as np

from tollgate.gates.base import Verdict, judged, percent
from tollgate.gates.evidence import Case
from tollgate.stats.intervals import wilson
from tollgate.stats.ranking import auc_interval, ks_interval


def auc(case: Case) -> Verdict:
    """Area under the ROC curve of the test rows, above the limit; the interval is DeLong's."""
    limits = case.params.gates
    area, (low, high) = auc_interval(case.label, case.score, limits.confidence)
    passed = area > limits.auc_min
    unsure = " The interval reaches below it." if passed and low <= limits.auc_min else ""
    return judged("auc", passed, measured=area, interval=(low, high), limit=limits.auc_min, sentence=(
        f"AUC is {area:.4f} on {len(case.label):,} test loans with {case.label.sum():,} defaults; "
        f"it must be above {limits.auc_min:g}.{unsure}"))


def ks(case: Case) -> Verdict:
    """Largest distance between the score distributions of defaults and paid loans, above the limit."""
    limits = case.params.gates
    distance, interval = ks_interval(case.label, case.score, limits.confidence)
    return judged("ks", distance > limits.ks_min, measured=distance, limit=limits.ks_min, interval=interval, sentence=(
        f"Defaults and paid loans lie {distance:.4f} apart at the best cut of the score; "
        f"it must be above {limits.ks_min:g}."))


def false_negatives(case: Case) -> Verdict:
    """Share of the test defaults that the operating threshold approves, below the limit."""
    limits = case.params.gates
    approved = case.score < case.threshold
    missed, defaults = int((approved & case.label).sum()), int(case.label.sum())
    rate = missed / defaults
    return judged("false_negatives", rate < limits.false_negative_max, measured=rate,
                  limit=limits.false_negative_max, interval=wilson(missed, defaults, limits.confidence), sentence=(
        f"At the threshold {case.threshold:.4f} the model approves {missed:,} of {defaults:,} defaults "
        f"({percent(rate)}); it must be below {percent(limits.false_negative_max)}. "
        f"It approves {percent(approved.mean())} of all applications, and declines "
        f"{percent(np.mean(~approved[~case.label]))} of the loans that were paid."))
