"""The rules of params.yaml over one window's measures: each event's signal, and what people are told.

A rule holds where its measure moves by more than the rule's limit, by more than its own null, and, of many features, is
a discovery that is not one of many tries. Of each feature, or measure, all rules together give one signal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tollgate.books import Book
from tollgate.config import MEASURES, SEVERITIES, Monitoring, Rule
from tollgate.monitoring.business import APPROVAL_RATE, LOSS, LOSS_AMOUNT, PROFIT, VOLUME
from tollgate.monitoring.concept import CALIBRATION, RESIDUAL
from tollgate.monitoring.label_drift import DEFAULT_RATE_AT_AGE, MATURED_DEFAULT_RATE
from tollgate.monitoring.measures import KS, MISSING, PSI, SCORE, UNSEEN, discovered, level_of, watched
from tollgate.monitoring.paired import GUARD
from tollgate.monitoring.performance import (
    AUC,
    DECLINE_RATE,
    DECLINE_RATE_GAP,
    DEFAULT_RATE,
    ESTIMATED_AUC,
    MATURED_AUC,
    MISS_RATE,
    REFUSED_SHARE,
)

Row = dict[str, Any]

REVIEW, REQUEST = "review", "request"
FEED = "feed:"  # events about the feed of outcomes, and no model
FEED_RANKS = {"ok": 0, "warn": 1, "refuse": 2}
FEED_SEVERITY = {"warn": "info", "refuse": "warning"}
EVENTS = {DECLINE_RATE_GAP: "parity", REFUSED_SHARE: "refused", MATURED_AUC: "auc", AUC: "auc_expected"}
BY_SUBJECT = (DECLINE_RATE_GAP, RESIDUAL)  # of which each subject is an event of its own, as each feature is
FIRST = (PSI, MISSING, UNSEEN)  # in which order a message about features tells them
JOINTLY = {KS: "{} features fail the KS test together"}

LUCK = "luck explains {null:.1%}"
LUCK_OF_RATE = "luck explains {null:.2%}"  # of a default rate, which may itself be a fraction of a percent
OF_COHORT = "of the loans scored as of {window_to} by v{model_version}"
OF_NEWEST = "of the loans scored until {window_to} by v{model_version}"
SAID = {
    PSI: "{subject} moved: PSI {value:.2f}, over {limit:.2f} ({level}; luck explains {null:.3f})",
    MISSING: "{value:.1%} of the rows have no {subject}, where {reference:.1%} were to be expected "
             f"(a move of more than {{allowed:.1%}}; {LUCK})",
    UNSEEN: "{value:.1%} of the values of {subject} were never seen before, where {reference:.1%} were to be expected "
            f"(a move of more than {{allowed:.1%}}; {LUCK})",
    REFUSED_SHARE: "{hits:,} of {n:,} applications could not be scored ({value:.1%}; luck explains {null:.1%} of it), "
                     "over {limit:.1%}",
    DECLINE_RATE: "{value:.1%} of the applications are declined where v{model_version} was approved for "
                    f"{{reference:.1%}} (a move of more than {{allowed:.1%}}; {LUCK})",
    DECLINE_RATE_GAP: "Decline rates by {subject}: {segment} lie {value:.1%} apart "
                        f"({LUCK}; the limit is {{limit:.1%}})",
    MATURED_AUC: f"AUC {{value:.3f}} {OF_COHORT}, where its test months promised {{reference:.3f}} "
                   "(the limit is {limit:.3f}; luck explains {null:.3f})",
    ESTIMATED_AUC: "The scores until {window_to} promise an AUC of {value:.3f}, where the test months of "
                     "v{model_version} had {reference:.3f} (the limit is {limit:.3f}; luck explains {null:.3f})",
    AUC: f"AUC {{value:.3f}} {OF_COHORT}, where their scores promised {{reference:.3f}} "
           "(the limit is {limit:.3f}; luck explains {null:.3f})",
    DEFAULT_RATE: f"{{value:.2%}} {OF_COHORT} defaulted, where their scores promised {{reference:.2%}} "
                    f"(the limit is {{limit:.2%}}; {LUCK_OF_RATE})",
    MISS_RATE: f"{{value:.1%}} of the defaults {OF_COHORT} had been approved, where their scores promised "
                 f"{{reference:.1%}} (the limit is {{limit:.1%}}; {LUCK})",
    CALIBRATION: f"{{value:.2%}} {OF_NEWEST}, {{segment}}, defaulted, {{times:.2f}} times the {{reference:.2%}} that "
                   f"was promised (a move of more than {{allowed:.2%}}; {LUCK_OF_RATE})",
    RESIDUAL: f"{{value:.2%}} {OF_NEWEST} with {{subject}} {{segment}} defaulted, {{times:.2f}} times the "
                f"{{reference:.2%}} that was promised (a move of more than {{allowed:.2%}}; {LUCK_OF_RATE})",
    MATURED_DEFAULT_RATE: f"{{value:.2%}} {OF_NEWEST} defaulted, where {{reference:.2%}} of its test months did at the "
                            f"same age (a move of more than {{allowed:.2%}}; {LUCK_OF_RATE})",
    DEFAULT_RATE_AT_AGE: "{value:.2%} of the {n:,} loans {segment}, are known to be bad, where {reference:.2%} of "
                           "those booked in the year before were at that age (a move of more than "
                           f"{{allowed:.2%}}; {LUCK_OF_RATE})",
    VOLUME: "{value:,.0f} applied, where {reference:,.0f} did in a night before (a move of more than {allowed:,.0f}; "
              "luck explains {null:,.0f})",
    APPROVAL_RATE: "{value:.1%} of all applications are approved where v{model_version} was approved for "
                     f"{{reference:.1%}} (a move of more than {{allowed:.1%}}; {LUCK})",
    LOSS: "Defaults of the loans scored as of {window_to} by v{model_version} cost {value:.3f} paid loans an "
            "application, where their scores promised {reference:.3f} (a move of more than {allowed:.3f}; luck "
            "explains {null:.3f})",
    LOSS_AMOUNT: "Defaults of the loans scored as of {window_to} by v{model_version} cost {value:,.0f} in money, were "
                   "nothing recovered, where their scores promised {reference:,.0f} (a move of more than "
                   "{allowed:,.0f}; luck explains {null:,.0f})",
    PROFIT: "The loans scored as of {window_to} by v{model_version} leave the worth of {value:.3f} paid loans an "
              "application, where their scores promised {reference:.3f} (a move of more than {allowed:.3f}; luck "
              "explains {null:.3f})",
}
OF_ANY = "{subject} moved: {metric} {value:.3f}, over {limit:.3f} (luck explains {null:.3f})"


@dataclass(frozen=True)
class Signal:
    """What the rules say of one thing in one window.

    Attributes:
        event: names what may be going on, ``measure:subject``. rank: how many rules hold; 0 is quiet.
        severity: of the gravest of these rules. value, limit: the measured number and what it passed of that rule.
        text: in words. actions: what the rules that hold ask for, all of them.
        parts: the text of each segment that moves, the one that moves most first; of the only one otherwise.
    """

    event: str
    rank: int
    severity: str
    value: float
    limit: float
    text: str
    actions: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


def signals(book: Book, params: Monitoring, measures: Iterable[Row]) -> list[Signal]:
    """The signals on a model in one window; of what cannot be told (too few rows, no labels) there is none.

    Args:
        measures: the window's rows of that table. Of a measure that is told of several cohorts the newest counts.
    """
    rows = [row for row in measures if None not in (row["value"], row["reference"]) and row["n"] >= params.min_sample]
    found = []
    for measure in dict.fromkeys(rule.measure for rule in params.rules):
        mine = [row for row in rows if row["metric"] == measure]
        newest = max((row["window_to"] for row in mine), default=None)
        mine = [row for row in mine if row["window_to"] == newest]
        sure = discovered(mine, params.false_discovery_rate)
        for jointly, read in ((False, _each), (True, _joint)):
            rules = [rule for rule in params.rules if rule.measure == measure and (rule.together > 1) is jointly]
            found += read([(row, [rule for rule in rules if _looks_at(rule, row["subject"], book)], known)
                           for row, known in zip(mine, sure, strict=True)])
    return found


def requesting(now: Iterable[Signal]) -> list[Signal]:
    """The signals that ask for a retrain, the largest first."""
    return sorted((one for one in now if REQUEST in one.actions), key=lambda one: (-one.value, one.event))


def unwatched(before: Iterable[Row], book: Book, params: Monitoring) -> list[Signal]:
    """Quiet signals on the events that are under way and that no rule looks at any more, or no guard."""
    return [Signal(row["event"], 0, row["severity"], row["value"], row["limit"],
                   f"{row['message']}; no rule is about it any more")
            for row in before if not _is_looked_at(row["event"], book, params)]


def _is_looked_at(event: str, book: Book, params: Monitoring) -> bool:
    name, _, subject = event.partition(":")
    measure = next((one for one in MEASURES if _event(one) == name), None)
    if measure is None:
        return name != GUARD or params.guard != "never"
    rules = [rule for rule in params.rules if rule.measure == measure]
    if not MEASURES[measure].features:
        return bool(rules)
    if not subject:
        return any(rule.together > 1 for rule in rules)
    return any(rule.together == 1 and _looks_at(rule, subject, book) for rule in rules)


def feed_signals(feeds: Iterable[Row]) -> list[Signal]:
    """The signals on the feed of outcomes, which is nobody's model, from one day's rows of ``feeds``.

    A check that cannot tell gives none, nor does a feed that is thin because it stopped.
    """
    known = {row["check"]: row for row in feeds if row["level"] in FEED_RANKS}
    if known.get("stopped", {}).get("level") == "refuse":
        known.pop("thinned", None)
    return [Signal(f"{FEED}{row['check']}", FEED_RANKS[row["level"]], FEED_SEVERITY.get(row["level"], "info"),
                   row["value"], row["limit"], row["sentence"]) for row in known.values()]


def alert_rows(new: Sequence[Signal], version: str, done: str) -> list[Row]:
    """The measured columns of the ``alerts`` table: one row for all features that moved, one for each other event.

    ``done`` says what was done about a retrain.
    """
    moved = [s for s in new if is_of_feature(s)]
    rows = [{"key": s.event if s.event.startswith(FEED) else f"{s.event}:v{version}", "severity": s.severity,
             "subject": _measure(s), "value": s.value, "limit": s.limit,
             "message": f"{s.text}. {_what_follows([s], done, '')}".rstrip()} for s in new if not is_of_feature(s)]
    if moved:
        moved.sort(key=lambda s: (FIRST.index(_measure(s)) if _measure(s) in FIRST else len(FIRST), -s.value, s.event))
        names = "+".join(dict.fromkeys(s.event.split(":", 1)[1] for s in moved))
        levels = [level_of(max(s.value for s in moved if _measure(s) == PSI))] if _measure(moved[0]) == PSI else []
        rows.append({"key": ":".join([_measure(moved[0]), names, *levels, f"v{version}"]),
                     "severity": max((s.severity for s in moved), key=SEVERITIES.index), "subject": names,
                     "value": moved[0].value, "limit": moved[0].limit,
                     "message": f"{'; '.join(s.text for s in moved)}. {_what_follows(moved, done, done)}"})
    return rows


def _what_follows(of: Sequence[Signal], done: str, otherwise: str) -> str:
    actions = {action for signal in of for action in signal.actions}
    return done if REQUEST in actions else "Somebody is asked to look into it." if REVIEW in actions else otherwise


def _measure(signal: Signal) -> str:
    return signal.event.split(":")[0]


def is_of_feature(signal: Signal) -> bool:
    """Whether it is about what goes into the model or comes out of it, and not about what became of that."""
    measure = MEASURES.get(_measure(signal))
    return measure is not None and measure.features and ":" in signal.event


def _event(measure: str, subject: str | None = None) -> str:
    name = EVENTS.get(measure, measure)
    return name if subject is None else f"{name}:{subject}"


Judged = list[tuple[Row, list[Rule], bool]]  # a measure's rows, the rules about each, whether it is a discovery


def _looks_at(rule: Rule, subject: str, book: Book) -> bool:
    return {None: True, "critical": subject in watched(book), "features": subject != SCORE}[rule.of]


def _each(judged: Judged) -> list[Signal]:
    """One signal a subject; of one that is told in several segments, from those that move."""
    found: dict[str, list[tuple[int, float, Signal]]] = {}
    for row, rules, known in judged:
        if rules:
            holding = [rule for rule in rules if known and _holds(rule, row)]
            named = MEASURES[row["metric"]].features or row["metric"] in BY_SUBJECT
            signal = _signal(_event(row["metric"], row["subject"] if named else None), row, holding, rules)
            found.setdefault(signal.event, []).append((signal.rank, _effect(rules[0], row), signal))
    return [_joined(readings) for readings in found.values()]


def _signal(event: str, row: Row, holding: list[Rule], rules: list[Rule]) -> Signal:
    gravest = max(holding or rules[:1], key=lambda rule: (SEVERITIES.index(rule.severity), _allowed(rule, row)))
    limit = _limit(gravest, row)
    words = {**row, "segment": row.get("segment") or "all of them", "limit": limit, "allowed": _allowed(gravest, row),
             "null": row["null_value"] or 0.0, "hits": round(row["value"] * row["n"]), "level": level_of(row["value"]),
             "times": row["value"] / row["reference"] if row["reference"] else 0.0}
    return Signal(event, len(holding), gravest.severity, row["value"], limit,
                  SAID.get(row["metric"], OF_ANY).format(**words), tuple(rule.action for rule in holding))


def _joined(readings: list[tuple[int, float, Signal]]) -> Signal:
    """The signal of the segment that moved most, which tells of all that moved."""
    readings = sorted(readings, key=lambda one: one[:2], reverse=True)
    texts = tuple(signal.text for rank, _, signal in readings if rank) or (readings[0][2].text,)
    return replace(readings[0][2], text="; ".join(texts), parts=texts)


def _joint(judged: Judged) -> list[Signal]:
    """The signal on the features that pass a rule together; none where no feature is judged."""
    rules = list(dict.fromkeys(rule for _, about, _ in judged for rule in about))
    passing = {rule: [row for row, about, known in judged if known and rule in about and _holds(rule, row)]
               for rule in rules}
    holding = [rule for rule in rules if len(passing[rule]) >= rule.together]
    if not rules:
        return []
    gravest = max(holding or rules[:1], key=lambda rule: (SEVERITIES.index(rule.severity), rule.together, rule.limit))
    rows = sorted(passing[gravest], key=lambda row: -_effect(gravest, row))
    luck = max((row["null_value"] or 0.0 for row in rows), default=0.0)
    measure = gravest.measure
    names = ", ".join(f"{row['subject']} ({row['value']:.2f})" for row in rows)
    what = JOINTLY.get(measure, f"{{}} features move together by {measure}").format(len(rows))
    told = f"{what}, by more than {gravest.limit:g} (luck explains {luck:.3f}): {names}"
    return [Signal(_event(measure), len(holding), gravest.severity, len(rows), gravest.together, told,
                   tuple(rule.action for rule in holding))]


def _effect(rule: Rule, row: Row) -> float:
    moved = float(row["value"] - row["reference"])
    luck = row["null_value"] or 0.0
    return {"above": row["value"], "surely_above": row["value"] - luck, "rises": moved, "falls": -moved,
            "moves": abs(moved)}[rule.condition]


def _allowed(rule: Rule, row: Row) -> float:
    return rule.limit * abs(row["reference"]) if rule.relative else rule.limit


def _limit(rule: Rule, row: Row) -> float:
    """The value at which the rule begins to hold, on the side on which the row lies."""
    if rule.condition in ("above", "surely_above"):
        return rule.limit
    down = rule.condition == "falls" or (rule.condition == "moves" and row["value"] < row["reference"])
    return float(row["reference"] + (-1 if down else 1) * _allowed(rule, row))


def _holds(rule: Rule, row: Row) -> bool:
    effect = _effect(rule, row)
    return effect > _allowed(rule, row) and (rule.condition == "surely_above" or effect > (row["null_value"] or 0.0))
