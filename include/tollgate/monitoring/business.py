"""What the decisions are worth: how many applied, how many are approved, what the approved are due to lose and earn.

Rows are measured columns of the lake's ``measures``. Worth is told in units of what one paid loan earns, and a default
costs ``train.cost_of_default`` of these, as the gate on cost has it; loans are alike, whatever their amount. What may
be lost in money is told besides, where the book names the amount of a loan.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tollgate.monitoring.baselines import Baseline
from tollgate.stats.intervals import normal_quantile

BUSINESS, VOLUME, APPROVAL_RATE, LOSS, PROFIT = "business", "volume", "approval_rate", "loss", "profit"
LOSS_AMOUNT = "loss_amount"
NIGHTS = 28  # that a night's volume is held against: four of each weekday
FEWEST_NIGHTS = 3

Row = dict[str, Any]


def volume(applications: Sequence[int], confidence: float) -> Row:
    """The applications of the newest night beside the mean of the nights before it.

    What luck explains is Student's prediction interval of one more night like these, weekends and all; nothing is held
    against fewer than three of them. ``n`` is how many applications all of these are.

    Args:
        applications: of each night, the newest first.
    """
    from scipy.special import stdtrit

    now, past = applications[0], np.asarray(applications[1:NIGHTS + 1], dtype=np.float64)
    reference = null = None
    if len(past) >= FEWEST_NIGHTS:
        reference = float(past.mean())
        null = float(stdtrit(len(past) - 1, (1 + confidence) / 2) * past.std(ddof=1) * np.sqrt(1 + 1 / len(past)))
    return _row(VOLUME, float(now), reference, null, int(now + past.sum()), confidence,
                reference_n=None if reference is None else int(past.sum()), nights=len(past))


def approvals(declined: np.ndarray, refused: int, baseline: Baseline | None, confidence: float) -> Row:
    """The share of all applications that is approved, beside that with which the model was approved.

    What could not be scored is not approved: where it is much, the share falls while the decline rate stands still.

    Args:
        declined: the decisions on what was scored, bool. refused: how many more could not be.
    """
    n = len(declined) + refused
    value = reference = null = rows = None
    if n:
        value = float(np.sum(~declined) / n)
    if n and baseline is not None:
        reference, rows = 1 - baseline.decline_rate, baseline.rows
        null = normal_quantile((1 + confidence) / 2) * float(np.sqrt(reference * (1 - reference) * (1 / n + 1 / rows)))
    return _row(APPROVAL_RATE, value, reference, null, n, confidence, reference_n=rows)


def loss_and_profit(score: np.ndarray, declined: np.ndarray, cost_of_default: float, confidence: float,
          bad: np.ndarray | None = None) -> list[Row]:
    """What the approved loans lose by defaults, and what is left of what they earn, per application.

    ``reference`` is in expectation, were the scores the probabilities of default; ``null_value`` how far the truth then
    lies from it by luck alone. ``value`` is what came true, once it has.

    Args:
        score: P(default), float64 of shape (loans,). declined: the decisions, bool. bad: what became of them, bool.
    """
    n, reach = len(score), normal_quantile((1 + confidence) / 2)
    found = []
    for metric, of_paid, of_bad in ((LOSS, 0.0, cost_of_default), (PROFIT, 1.0, -cost_of_default)):
        reference = value = null = None
        if n:
            p = score[~declined]
            reference = float(np.sum((1 - p) * of_paid + p * of_bad) / n)
            null = reach * abs(of_bad - of_paid) * float(np.sqrt(np.sum(p * (1 - p)))) / n
        if n and bad is not None:
            value = float(np.sum(np.where(bad[~declined], of_bad, of_paid)) / n)
        found.append(_row(metric, value, reference, null, n, confidence, cost_of_default=cost_of_default))
    return found


def loss_amount(score: np.ndarray, declined: np.ndarray, amount: np.ndarray, confidence: float,
                bad: np.ndarray | None = None) -> Row:
    """What the approved loans lose in money, were nothing of a default recovered.

    ``reference`` is in expectation, were the scores the probabilities of default, and ``null_value`` how far the truth
    then lies from it by luck alone; ``value`` is what came true, once it has. ``lent`` among the parameters is the sum
    of their amounts, of ``n`` loans.

    Args:
        score: P(default), float64 of shape (loans,). declined: the decisions, bool.
        amount: of each loan, float64; a loan whose amount is not a number is left out.
        bad: what became of them, bool.
    """
    counted = ~declined & np.isfinite(amount)
    p, lent = score[counted], amount[counted]
    error = float(np.sqrt(np.sum(p * (1 - p) * lent**2)))
    value = None if bad is None else float(lent[bad[counted]].sum())
    return _row(LOSS_AMOUNT, value, float(p @ lent), normal_quantile((1 + confidence) / 2) * error, len(p), confidence,
                lent=float(lent.sum()))


def _row(metric: str, value: float | None, reference: float | None, null: float | None, n: int, confidence: float, *,
         reference_n: int | None = None, **told: float) -> Row:
    return {"kind": BUSINESS, "subject": BUSINESS, "segment": None, "metric": metric, "value": value,
            "reference": reference, "null_value": null, "p_value": None, "n": n, "reference_n": reference_n,
            "level": None, "parameters": json.dumps({"confidence": confidence, **told}, sort_keys=True)}
