"""The operating point: which scores are declined, by a named rule, and what the decisions cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from tollgate.config import Train


def operating_point(label: np.ndarray, score: np.ndarray, train: Train) -> dict[str, Any]:
    """The threshold that ``train.operating_rule`` chooses on these rows, and what it does to them.

    Scores at or above the threshold are declined; a default below it is a false negative. The rules:

    - ``false_negative_target``: the highest threshold whose false-negative rate is at most ``false_negative_target``.
    - ``approval_rate``: the highest threshold that approves at most ``approval_rate_target``.
    - ``cost_ratio``: the threshold of the lowest cost where an approved default costs ``cost_of_default`` and a
      declined good loan 1. Of a perfectly calibrated score it is 1 / (1 + ``cost_of_default``) (Elkan, "The foundations
      of cost-sensitive learning", IJCAI 2001); it is searched among the scores, so that it needs no calibration.

    Args:
        label: 1 or True where the loan defaulted, of shape (rows,), at least one of them.
        score: float64 of shape (rows,), each between 0 and 1.

    Returns ``threshold``, ``rule``, the ``target`` that the rule was given, ``false_negative_rate``, ``decline_rate``
    and ``approval_rate``.
    """
    bad = label == 1
    match train.operating_rule:
        case "false_negative_target":
            target = train.false_negative_target
            threshold = _highest(score[bad], target)
        case "approval_rate":
            target = train.approval_rate_target
            threshold = _highest(score, target)
        case "cost_ratio":
            target = train.cost_of_default
            threshold = _cheapest(bad, score, target)
    declined = score >= threshold
    return {"threshold": threshold, "rule": train.operating_rule, "target": target,
            "false_negative_rate": float(np.mean(~declined[bad])), "decline_rate": float(declined.mean()),
            "approval_rate": float(1 - declined.mean())}


def decision_costs(label: np.ndarray, approved: np.ndarray, of_default: float) -> np.ndarray:
    """The cost of each decision: ``of_default`` for an approved default, 1 for a declined good loan, else nothing.

    Args:
        label, approved: bool of shape (rows,).

    Returns float64 of shape (rows,), in units of one good loan declined.
    """
    costs: np.ndarray = of_default * (approved & label) + (~approved & ~label)
    return costs


def _highest(score: np.ndarray, share: float) -> float:
    """The highest of these scores that at most ``share`` of them lie below."""
    return float(np.sort(score)[int(share * len(score))])


def _cheapest(bad: np.ndarray, score: np.ndarray, of_default: float) -> float:
    """The threshold of the lowest cost, one of the scores or 1, which approves everybody; of equal ones the highest."""
    cuts, place = np.unique(np.append(score, 1.0), return_inverse=True)
    at = [np.bincount(place[:-1][kind], minlength=len(cuts)) for kind in (bad, ~bad)]
    lost, spared = (count.cumsum() - count for count in at)  # below the cut, so approved
    cost = of_default * lost - spared
    return float(cuts[::-1][np.argmin(cost[::-1])])
