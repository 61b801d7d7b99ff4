"""Which kinds of drift there are: of features, scores, labels, the concept, performance; a sentence of each. Pure.

A kind has moved where a rule on one of its measures holds: by more than the limit and by more than luck explains. The
rules are the book's; on what no rule of it is about it is one of ``YARDSTICKS``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tollgate.books import Book
from tollgate.config import Monitoring, Rule
from tollgate.monitoring.concept import CALIBRATION, CONCEPT, RESIDUAL
from tollgate.monitoring.label_drift import DEFAULT_RATE_AT_AGE, LABEL, MATURED_DEFAULT_RATE
from tollgate.monitoring.levels import LEVELS
from tollgate.monitoring.measures import FEATURE, MISSING, PREDICTION, PSI, UNKNOWN, UNSEEN, of_metric
from tollgate.monitoring.performance import ESTIMATED_AUC, PERFORMANCE
from tollgate.monitoring.rules import FEED_RANKS, Signal, signals

MOVED, STEADY, CANNOT_TELL = "moved", "steady", "cannot tell"
NAMED = 4  # features that a sentence names
YARDSTICKS = tuple(Rule.model_validate({"measure": measure, "condition": condition, "limit": limit, "relative": True,
                                        "severity": "info", "action": "tell"}) for measure, condition, limit in (
    (MATURED_DEFAULT_RATE, "moves", 0.25), (DEFAULT_RATE_AT_AGE, "moves", 0.25), (CALIBRATION, "moves", 0.25),
    (RESIDUAL, "moves", 0.25), (ESTIMATED_AUC, "falls", 0.02)))  # as default rules ask of a default rate and an AUC
BLIND = "which is blind to a change in what the features mean"

Row = dict[str, Any]


@dataclass(frozen=True)
class Conclusion:
    """What is known of one kind of drift.

    Attributes:
        kind: as ``measures`` has it. state: one of ``MOVED``, ``STEADY`` and ``CANNOT_TELL``. sentence: the evidence.
    """

    kind: str
    state: str
    sentence: str


def conclusions(book: Book, params: Monitoring, measures: Iterable[Row], feeds: Iterable[Row]) -> list[Conclusion]:
    """One of features, prediction, label, concept and performance each, in this order.

    Args:
        measures, feeds: a night's rows of these tables. Where the feed of outcomes is refused nothing is concluded from
            labels: those that have not come look like loans that pay.
    """
    rules = [*params.rules, *(one for one in YARDSTICKS if one.measure not in {rule.measure for rule in params.rules})]
    params = params.model_copy(update={"rules": rules})
    rows: dict[str, list[Row]] = {}
    for row in measures:
        rows.setdefault(row["kind"], []).append(row)
    found = {kind: signals(book, params, rows.get(kind, [])) for kind in (FEATURE, LABEL, CONCEPT, PERFORMANCE)}
    broken = [row["sentence"] for row in feeds if FEED_RANKS.get(row["level"]) == FEED_RANKS["refuse"]]
    return [_feature(rows.get(FEATURE, []), found[FEATURE], params), _prediction(rows.get(PREDICTION, []), params),
            _label(found[LABEL], broken), _concept(rows.get(CONCEPT, []), found[CONCEPT], broken, params),
            _performance(rows.get(PERFORMANCE, []), found[PERFORMANCE], broken, params)]


def _feature(rows: Sequence[Row], now: Sequence[Signal], params: Monitoring) -> Conclusion:
    indices = sorted(of_metric(rows, PSI), key=lambda row: (-row["value"], row["subject"]))
    if all(row["level"] == UNKNOWN for row in indices):
        return Conclusion(FEATURE, CANNOT_TELL, _too_few(indices, params))
    loud = {signal.event for signal in now if signal.rank}
    told = {row["subject"]: f"PSI {row['value']:.2f}, {row['level']}" for row in indices if row["level"] in LEVELS[1:]}
    for metric in (MISSING, UNSEEN):
        for row in of_metric(rows, metric):
            if f"{metric}:{row['subject']}" in loud:
                told.setdefault(row["subject"], f"{metric} {row['value']:.1%} where {row['reference']:.1%} was")
    most = indices[0]
    if not told:
        return Conclusion(FEATURE, STEADY, f"None of {len(indices)} features moved beyond luck and the limits: the "
                                           f"largest PSI on {most['n']:,} loans is {most['value']:.3f} of "
                                           f"{most['subject']}, where luck explains {most['null_value']:.3f}.")
    names = [f"{subject} ({what})" for subject, what in told.items()]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return Conclusion(FEATURE, MOVED, f"{len(names)} of {len(indices)} features moved beyond luck and the limits: "
                                      f"{', '.join(names[:NAMED])}{more}.")


def _prediction(rows: Sequence[Row], params: Monitoring) -> Conclusion:
    indices = of_metric(rows, PSI)
    if all(row["level"] == UNKNOWN for row in indices):
        return Conclusion(PREDICTION, CANNOT_TELL, _too_few(indices, params))
    (row,) = indices
    beside = f"on {row['n']:,} loans, where luck explains {row['null_value']:.3f}."
    if row["level"] in LEVELS[1:]:
        return Conclusion(PREDICTION, MOVED, f"The scores moved: PSI {row['value']:.2f} ({row['level']}) {beside}")
    return Conclusion(PREDICTION, STEADY, f"The scores did not move beyond luck and the limits: PSI "
                                          f"{row['value']:.3f} {beside}")


def _too_few(indices: Sequence[Row], params: Monitoring) -> str:
    rows = max((row["n"] for row in indices), default=0)
    return f"{rows:,} loans are too few to tell; {params.min_sample:,} are needed."


def _label(now: Sequence[Signal], broken: Sequence[str]) -> Conclusion:
    if broken:
        return _untrusted(LABEL, broken)
    if not now:
        return Conclusion(LABEL, CANNOT_TELL, "No loans are old enough to hold their defaults against those of loans "
                                              "before them, at equal age.")
    return _by_signals(LABEL, now)


def _concept(rows: Sequence[Row], now: Sequence[Signal], broken: Sequence[str], params: Monitoring) -> Conclusion:
    if broken:
        return _untrusted(CONCEPT, broken)
    if not now:
        return Conclusion(CONCEPT, CANNOT_TELL, f"{_immature(rows, params)}: a change in what the features mean moves "
                                                "no feature and no score, and is not seen before.")
    return _by_signals(CONCEPT, now)


def _performance(rows: Sequence[Row], now: Sequence[Signal], broken: Sequence[str], params: Monitoring) -> Conclusion:
    """By what came true; beside it what is estimated until then."""
    estimates = [signal for signal in now if signal.event == ESTIMATED_AUC]
    true = [] if broken else [signal for signal in now if signal.event != ESTIMATED_AUC]
    if true:
        known = _by_signals(PERFORMANCE, true).sentence.removesuffix(".")
    else:
        known = f"Labels are not to be trusted ({broken[0]})" if broken else _immature(rows, params)
    loud = any(signal.rank for signal in (*true, *estimates))
    state = MOVED if loud else STEADY if true else CANNOT_TELL
    beside = "".join(f"; {one.parts[0][0].lower()}{one.parts[0][1:]}, {BLIND}" for one in estimates)
    return Conclusion(PERFORMANCE, state, f"{known}{beside}.")


def _immature(rows: Sequence[Row], params: Monitoring) -> str:
    """Why nothing is known of matured loans: there are none, or too few."""
    few = max((row["n"] for row in rows if row["value"] is not None and row["metric"] != ESTIMATED_AUC), default=0)
    return (f"{few:,} loans with mature labels are too few to tell, {params.min_sample:,} are needed" if few else
            "No label of a scored loan is mature yet")


def _untrusted(kind: str, broken: Sequence[str]) -> Conclusion:
    return Conclusion(kind, CANNOT_TELL, f"Labels are not to be trusted: {broken[0]}.")


def _by_signals(kind: str, now: Sequence[Signal]) -> Conclusion:
    """The part that lies furthest past its limit, and how many others do; where none does, the first measure."""
    loud = sorted((signal for signal in now if signal.rank), key=lambda signal: -abs(signal.value - signal.limit))
    if not loud:
        return Conclusion(kind, STEADY, f"Nothing moved beyond luck and the limit: {now[0].parts[0]}.")
    others = sum(len(signal.parts) for signal in loud) - 1
    more = f"; so did {others} {'other' if others == 1 else 'others'}" if others else ""
    return Conclusion(kind, MOVED, f"{loud[0].parts[0]}{more}.")

