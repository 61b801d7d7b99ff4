"""How published decisions fared: power and error of matured cohorts, decline rates of tonight's.

Rows are measured columns of the lake's ``measures``. What of a matured cohort has no ``reference`` is told, and no rule
is about it.
"""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.monitoring.baselines import Baseline
from tollgate.stats.expected import expected_auc, expected_miss_rate
from tollgate.stats.intervals import normal_quantile, wilson
from tollgate.stats.ranking import placements, places

Row = dict[str, Any]

FAIRNESS, DECLINE_RATE_GAP = "fairness", "decline_rate_gap"
PERFORMANCE, AUC, DEFAULT_RATE, MISS_RATE = "performance", "auc", "default_rate", "miss_rate"
ESTIMATED = (AUC, DEFAULT_RATE, MISS_RATE)  # from scores alone, before labels are mature
MATURED_AUC, MATURED_KS, ESTIMATED_AUC = "matured_auc", "matured_ks", "estimated_auc"
DECISION, DECLINE_RATE, REFUSED_SHARE = "decision", "decline_rate", "refused_share"
UNBOOKED_SHARE, INDETERMINATE_SHARE = "unbooked_share", "indeterminate_share"
NOT_STATED = "not stated"


def matured(label: np.ndarray, score: np.ndarray, declined: np.ndarray) -> Row:
    """``defaults``, ``auc``, ``ks`` and ``false_negative_rate`` (defaults approved / defaults) of a matured cohort.

    Args:
        label: 1 = defaulted within the horizon. score: P(default). declined: the decision, bool.

    What one class alone cannot tell is None.
    """
    defaults = int(label.sum())
    row: Row = {"defaults": defaults, "auc": None, "ks": None,
                "false_negative_rate": float(np.mean(~declined[label == 1])) if defaults else None}
    if 0 < defaults < len(label):
        bad, place = label == 1, places(score)
        from_above = [np.bincount(place[kind], minlength=int(place.max()) + 1)[::-1].cumsum() / kind.sum()
                      for kind in (bad, ~bad)]
        row["auc"] = float(placements(bad, place)[0].mean())
        row["ks"] = float(np.max(from_above[0] - from_above[1]))
    return row


def auc_error(auc: float, defaults: float, paid: float) -> float:
    """Standard error of an AUC (Hanley and McNeil, Radiology 143, 1982, equation 1).

    Args:
        defaults, paid: how many, or how many are expected.
    """
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (defaults - 1) * (q1 - auc**2) + (paid - 1) * (q2 - auc**2)
    return float(np.sqrt(max(variance, 0.0) / (defaults * paid)))


def expected(score: np.ndarray, declined: np.ndarray, confidence: float) -> list[Row]:
    """What the scores of loans without labels promise: measured columns of ``measures``, no value told.

    ``reference`` is the AUC, the default rate and the share of defaults that is approved, each in expectation, were the
    scores the probabilities of default; ``null_value`` is how far the truth then lies from it by luck alone.

    Args:
        score: P(default). declined: the decisions, bool.
    """
    auc, missed = expected_auc(score), expected_miss_rate(score, declined)
    bad = float(score.sum())
    reach = normal_quantile((1 + confidence) / 2)
    errors = {
        AUC: (auc, auc_error(auc, bad, len(score) - bad) if auc is not None else None),
        DEFAULT_RATE: (bad / len(score) if len(score) else None,
                       float(np.sqrt(np.sum(score * (1 - score)))) / max(len(score), 1)),
        MISS_RATE: (missed, float(np.sqrt(missed * (1 - missed) / bad)) if missed is not None else None)}
    told = json.dumps({"confidence": confidence})
    return [{"kind": PERFORMANCE, "subject": "score", "segment": None, "metric": metric, "value": None,
             "reference": value, "n": len(score), "null_value": None if error is None else reach * error,
             "p_value": None, "parameters": told} for metric, (value, error) in errors.items()]


def estimated(score: np.ndarray, baseline: Baseline | None, confidence: float) -> Row:
    """The AUC that the scores of loans without labels promise, beside that of the model's test months.

    It falls where loans become harder to tell apart. It is blind to a change in how likely they default.

    Args:
        score: P(default).
    """
    auc, bad = expected_auc(score), float(score.sum())
    reference = null = rows = None
    if baseline is not None and auc is not None:
        reference, rows = baseline.auc, baseline.rows
        null = normal_quantile(confidence) * float(np.hypot(auc_error(auc, bad, len(score) - bad), baseline.auc_error))
    return {"kind": PERFORMANCE, "subject": "score", "segment": None, "metric": ESTIMATED_AUC, "value": auc,
            "reference": reference, "n": len(score), "reference_n": rows, "null_value": null, "p_value": None,
            "parameters": json.dumps({"confidence": confidence})}


def of_cohort(score: np.ndarray, declined: np.ndarray, cohort: Row, baseline: Baseline | None,
              confidence: float) -> list[Row]:
    """What is measured of a cohort that has matured: what its scores had promised beside what came true.

    Args:
        score, declined: as of ``expected``, of its good and bad loans. cohort: as of ``came_true``.
    """
    known = {AUC: cohort["auc"], MISS_RATE: cohort["false_negative_rate"],
             DEFAULT_RATE: cohort["defaults"] / len(score) if len(score) else None}
    return [*({**row, "value": known[row["metric"]]} for row in expected(score, declined, confidence)),
            *came_true(cohort, baseline, confidence)]


def decided(declined: np.ndarray, refused: int, baseline: Baseline | None, confidence: float) -> list[Row]:
    """What was decided on the applications of a window: the share that is declined, and that could not be scored.

    The decline rate is held against that for which the model was approved, the other against nothing: what luck
    explains of it is how far Wilson's bound at ``confidence``, one-sided, lies below.

    Args:
        declined: the decisions on what was scored, bool. refused: how many more could not be.
    """
    n, told = len(declined), json.dumps({"confidence": confidence})
    rate, null = float(declined.mean()) if n else None, None
    if baseline is not None and n:
        p = baseline.decline_rate
        null = normal_quantile((1 + confidence) / 2) * float(np.sqrt(p * (1 - p) * (1 / n + 1 / baseline.rows)))
    row = {"kind": DECISION, "subject": DECISION, "segment": None, "p_value": None, "parameters": told}
    share, luck = (None, None) if not n + refused else _surely(refused, n + refused, confidence)
    return [{**row, "metric": DECLINE_RATE, "value": rate, "n": n, "null_value": null,
             "reference": None if baseline is None else baseline.decline_rate,
             "reference_n": None if baseline is None else baseline.rows},
            {**row, "metric": REFUSED_SHARE, "value": share, "reference": 0.0, "n": n + refused, "null_value": luck,
             "reference_n": None}]


def _surely(k: int, n: int, confidence: float) -> tuple[float, float]:
    return k / n, k / n - wilson(k, n, confidence)[0]


def came_true(cohort: Row, baseline: Baseline | None, confidence: float) -> list[Row]:
    """What is known of a matured cohort: its AUC beside that of the test months, and how much of it was judged.

    Args:
        cohort: ``rows``, ``labelled``, ``unbooked``, ``indeterminate``, ``decline_rate``, and as ``matured`` answers.
    """
    of, told = cohort["labelled"], json.dumps({"confidence": confidence})
    reference = null = rows = None
    if baseline is not None and cohort["auc"] is not None:
        error = auc_error(cohort["auc"], cohort["defaults"], of - cohort["defaults"])
        reference, rows = baseline.auc, baseline.rows
        null = normal_quantile(confidence) * float(np.hypot(error, baseline.auc_error))
    row = {"subject": "score", "p_value": None, "reference": None, "null_value": None, "reference_n": None,
           "parameters": told}
    return [{**row, "kind": PERFORMANCE, "metric": MATURED_AUC, "value": cohort["auc"], "n": of,
             "reference": reference, "null_value": null, "reference_n": rows},
            {**row, "kind": PERFORMANCE, "metric": MATURED_KS, "value": cohort["ks"], "n": of},
            *({**row, "kind": DECISION, "subject": DECISION, "metric": metric, "value": value, "n": cohort["rows"]}
              for metric, value in ((DECLINE_RATE, cohort["decline_rate"]),
                                    (UNBOOKED_SHARE, cohort["unbooked"] / cohort["rows"]),
                                    (INDETERMINATE_SHARE, cohort["indeterminate"] / cohort["rows"])))]


def decline_rates(declined: np.ndarray, groups: pa.Table) -> list[Row]:
    """Rows and decline rate of every protected group: ``attribute``, ``group``, ``rows``, ``decline_rate``.

    Args:
        declined: the decisions, bool. groups: one text column a protected attribute; no value is a group too.
    """
    rates = []
    for attribute in groups.column_names:
        stated = pc.fill_null(groups[attribute], NOT_STATED)
        for group in sorted(stated.unique().to_pylist()):
            of_group = pc.equal(stated, group).to_numpy()
            rates.append({"attribute": attribute, "group": group, "rows": int(of_group.sum()),
                          "decline_rate": float(declined[of_group].mean())})
    return rates


def parity_gaps(rates: list[Row], group_min: int, confidence: float) -> list[Row]:
    """How far apart the decline rates of any two groups of one attribute lie: measured columns of ``measures``.

    Groups of fewer than ``group_min`` rows are left out. Each pair has its own null: the normal quantile at
    ``confidence``, Bonferroni over all pairs, times the gap's pooled standard error. ``p_value`` is of the pair alone.
    """
    from scipy.special import ndtr

    large = [rate for rate in rates if rate["rows"] >= group_min]
    pairs = [(a, b) for a, b in combinations(large, 2) if a["attribute"] == b["attribute"]]
    found = []
    for a, b in pairs:
        n = a["rows"] + b["rows"]
        pooled = (a["rows"] * a["decline_rate"] + b["rows"] * b["decline_rate"]) / n
        error = float(np.sqrt(pooled * (1 - pooled) * (1 / a["rows"] + 1 / b["rows"])))
        gap = abs(a["decline_rate"] - b["decline_rate"])
        found.append({
            "kind": FAIRNESS, "subject": a["attribute"], "segment": f"{a['group']} and {b['group']}",
            "metric": DECLINE_RATE_GAP, "value": gap, "reference": 0.0, "n": n,
            "null_value": normal_quantile(1 - (1 - confidence) / (2 * len(pairs))) * error,
            "p_value": 2 * float(ndtr(-gap / error)) if error else 1.0,
            "parameters": json.dumps({"confidence": confidence, "group_min": group_min, "pairs": len(pairs)})})
    return found


def widest(gaps: list[Row]) -> tuple[float | None, float | None]:
    """The gap that lies furthest beyond its own null, and that null; both None without a pair of groups."""
    if not gaps:
        return None, None
    worst = max(gaps, key=lambda row: row["value"] - row["null_value"])
    return worst["value"], worst["null_value"]
