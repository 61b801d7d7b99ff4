"""A champion and the one that it replaced, on the same loans: how far apart they are, and whether luck explains it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tollgate.config import Params
from tollgate.stats.ranking import auc_influence
from tollgate.stats.sequential import always_valid_reach

GUARD = "guard"
DECLINES, DEFAULTS, EXPECTED_AUC, LABELLED_AUC = PAIRED = (
    "decline_rate_shift", "log_defaults_ratio", "expected_auc_difference", "auc_difference")
BEYOND, WITHIN, UNKNOWN = "beyond", "within", "unknown"
JUDGEMENT, REGIME = "judgement", "regime"   # what came of it, and the features that drift otherwise than before
ROLLED_BACK, REFUSED, ANOTHER_REGIME, PAGED, SUPERSEDED = (
    "rolled back", "refused", "another regime", "paged", "superseded")
NEARLY_NEVER = 1e-9                     # a model may say never of everybody: of that there is no logarithm
FEWEST_BAD = 20                         # below, an AUC is not about normal
TIGHTEST_LOANS, TIGHTEST_BAD = 2_000, 100  # where the interval that holds at every look is tightest
SIDES = 2                               # of a limit that may be passed upwards and downwards

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Pair:
    """Loans that both models scored, in any order, each array of shape (loans,).

    Attributes:
        champion, former: P(default), float64. champion_declines, former_declines: their decisions, bool.
        bad: whether the loan turned out bad, bool. known: whether that is known yet, and mature, bool.
    """

    champion: np.ndarray
    former: np.ndarray
    champion_declines: np.ndarray
    former_declines: np.ndarray
    bad: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class Approved:
    """How far apart the two models' scores were on the rows that the gates judged, as the ledger has it.

    Attributes:
        log_ratio: the logarithm of how many times as many defaults the champion expected. error: its standard error.
    """

    log_ratio: float
    error: float


ALIKE = Approved(0.0, 0.0)


def compare(pair: Pair, params: Params, *, all_booked: bool, approved: Approved = ALIKE) -> list[Row]:
    """Each of ``PAIRED``: measured columns of ``measures``, without the subject. That of the expected defaults is the
    natural logarithm of how many times as many the champion expects; the others are the champion's less the former's.

    ``value`` is beyond its limit where its distance from ``reference`` is by more than ``null_value``, its reach at all
    looks together: each of the four errs with a quarter of what ``monitoring.confidence`` leaves. ``level`` is beyond,
    within, or unknown, of too few loans.

    Args:
        all_booked: whether the outcomes of declined loans are seen too.
        approved: what the defaults' ratio is held against: a model that expects more of them than an older one rightly
            does, was let through because it does.
    """
    limits, n = params.monitoring, len(pair.champion)
    confidence = 1 - (1 - limits.confidence) / len(PAIRED)
    either_way = 1 - (1 - confidence) / SIDES
    if n < limits.min_sample:
        return [_row(metric, None, n, None, {}, UNKNOWN) for metric in PAIRED]
    shift = pair.champion_declines.astype(float) - pair.former_declines
    champion, former = (np.clip(score, NEARLY_NEVER, 1 - NEARLY_NEVER) for score in (pair.champion, pair.former))
    mine, theirs = champion.mean(), former.mean()
    ratio = champion / mine - former / theirs
    return [
        _judged(DECLINES, float(shift.mean()), shift, n, TIGHTEST_LOANS, either_way, limits.guard_decline_shift, {
            "only_champion": int(np.sum(shift > 0)), "only_former": int(np.sum(shift < 0))}),
        _judged(DEFAULTS, float(np.log(mine / theirs)), ratio, n, TIGHTEST_LOANS, either_way,
                float(np.log(limits.guard_defaults_ratio)), {"champion": float(mine), "former": float(theirs)},
                reference=approved.log_ratio, error=approved.error),
        _ranked(EXPECTED_AUC, former, champion, former, n, TIGHTEST_LOANS, confidence,
                limits.guard_auc_drop),
        _labelled(pair, params, confidence, all_booked)]


def _labelled(pair: Pair, params: Params, confidence: float, all_booked: bool) -> Row:
    judged = pair.known if all_booked else pair.known & either_approves(pair)
    bad = pair.bad[judged]
    fewest = int(min(bad.sum(), (~bad).sum()))
    if fewest < FEWEST_BAD:
        return _row(LABELLED_AUC, None, len(bad), None, {"bad": int(bad.sum())}, UNKNOWN)
    return _ranked(LABELLED_AUC, bad.astype(float), pair.champion[judged], pair.former[judged], fewest, TIGHTEST_BAD,
                   confidence, params.gates.champion_margin)


def either_approves(pair: Pair) -> np.ndarray:
    """The loans that both models would approve at the stricter of their approval rates, bool of shape (loans,).

    Only what the champion approves is booked, so that the worst by its own score are missing and the worst by the
    other's are not: the other would rank the rest better for that alone. Cut at the same rate, neither is favoured.
    """
    rate = 1 - max(pair.champion_declines.mean(), pair.former_declines.mean())
    keep = np.ones(len(pair.champion), bool)
    for score in (pair.champion, pair.former):
        keep &= score <= np.quantile(score, rate, method="lower")
    return keep


def _ranked(metric: str, bad: np.ndarray, champion: np.ndarray, former: np.ndarray, n: int, tightest: int,
            confidence: float, limit: float) -> Row:
    """The AUC of the champion less that of the former one; below -limit is beyond."""
    (mine, moved), (theirs, by_former) = auc_influence(bad, champion), auc_influence(bad, former)
    return _judged(metric, mine - theirs, moved - by_former, n, tightest, confidence, limit,
                   {"champion": mine, "former": theirs, "bad": float(bad.sum())}, falls=True)


def _judged(metric: str, value: float, influence: np.ndarray, n: int, tightest: int, confidence: float, limit: float,
            told: Row, *, falls: bool = False, reference: float = 0.0, error: float = 0.0) -> Row:
    own = float(influence.std() / np.sqrt(len(influence)))
    reach = always_valid_reach(float(np.hypot(own, error)), n, confidence, tightest)
    surely = (-value if falls else abs(value - reference)) - reach
    return _row(metric, value, len(influence), reach, {**told, "confidence": confidence, "limit": limit},
                BEYOND if surely > limit else WITHIN, reference)


def _row(metric: str, value: float | None, n: int, reach: float | None, told: Row, level: str,
         reference: float = 0.0) -> Row:
    return {"kind": GUARD, "metric": metric, "value": value, "reference": reference, "null_value": reach, "n": n,
            "level": level, "parameters": json.dumps(told, sort_keys=True)}


def in_words(rows: list[Row], former: str, months: int) -> str:
    """What is beyond its limit, in a sentence for the ledger and for people."""
    return "; ".join(_in_words(rows, former, months))


def _in_words(rows: list[Row], former: str, months: int) -> Iterator[str]:
    for row in (row for row in rows if row["level"] == BEYOND and row["metric"] in PAIRED):
        told, n = json.loads(row["parameters"]), f"the same {row['n']:,} loans"
        sure = f"luck explains {row['null_value']:.3f} at all looks together"
        if row["metric"] == DECLINES:
            yield (f"on {n} it declines {told['only_champion']:,} that version {former} approves and approves "
                   f"{told['only_former']:,} that it declines: {row['value']:+.1%} of them, over {told['limit']:.0%} "
                   f"({sure})")
        elif row["metric"] == DEFAULTS:
            yield (f"it expects {told['champion']:.1%} of {n} to default, version {former} {told['former']:.1%}: "
                   f"{np.exp(row['value']):.3g} times as many, where it was {np.exp(row['reference']):.3g} times on "
                   f"the rows of its gates, apart by more than {np.exp(told['limit']):.3g} times (luck explains "
                   f"{np.exp(row['null_value']):.2f})")
        elif row["metric"] == EXPECTED_AUC:
            yield (f"were the scores of version {former} right, its AUC on {n} would be {told['champion']:.3f} against "
                   f"{told['former']:.3f}, lower by more than {told['limit']:g} ({sure})")
        else:
            yield (f"its AUC on {n}, {told['bad']:,.0f} of them bad within {months} months, is {told['champion']:.3f} "
                   f"against {told['former']:.3f} of version {former}, lower by more than {told['limit']:g} ({sure})")
