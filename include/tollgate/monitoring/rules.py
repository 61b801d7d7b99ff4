"""The rules: each reads one window and gives a signal, a rank that is 0 while all is well; and what people are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tollgate.books import Book
from tollgate.config import Params
from tollgate.incidents import SEVERITIES
from tollgate.monitoring.measures import (
    FEATURE,
    KS,
    LEVELS,
    MISSING,
    PSI,
    UNKNOWN,
    UNSEEN,
    of_metric,
    watched,
)
from tollgate.monitoring.performance import DECLINE_RATE_GAP, auc_error
from tollgate.stats.intervals import normal_quantile, wilson

Row = dict[str, Any]

FEED = "feed:"  # events about the feed of outcomes, and no model
FEED_RANKS = {"ok": 0, "warn": 1, "refuse": 2}
FEED_SEVERITY = {"warn": "info", "refuse": "warning"}
MOVES = (PSI, MISSING, UNSEEN)  # rules of which a feature's signals are one message
PSI_SEVERITY = {"minor": "info", "moderate": "warning", "major": "warning"}


@dataclass(frozen=True)
class Signal:
    """One rule's reading of one window.

    Attributes:
        event: names what may be going on, ``rule:subject``. rank: how bad; 0 is quiet.
        severity: info, warning or page. value, limit: the measured number and what it passed. text: in words.
    """

    event: str
    rank: int
    severity: str
    value: float
    limit: float
    text: str


@dataclass(frozen=True)
class Baseline:
    """What a model version promised when it was registered, by the ledger: no artefact is needed for it.

    Attributes:
        decline_rate: of its operating point. auc, auc_error: on its test months, which it had never seen, and the
            standard error. rows: of the test months.
    """

    decline_rate: float
    auc: float
    auc_error: float
    rows: int


def signals(book: Book, params: Params, measures: Iterable[Row], performance: Iterable[Row],
            baselines: dict[str, Baseline]) -> list[Signal]:
    """Every rule's signal on a model in one window; a rule that cannot tell (too few rows, no labels) gives none.

    Args:
        measures, performance: the window's rows of those tables. baselines: by model version.
    """
    rows, cohorts = list(measures), list(performance)
    return [*_psi(book, params, rows), *_ks(params, rows), *_shares(params, rows), *_auc(params, cohorts, baselines),
            *_decline_rate(params, cohorts, baselines), *_parity(params, rows), *_refused(params, cohorts)]


def feed_signals(feeds: Iterable[Row]) -> list[Signal]:
    """The signals on the feed of outcomes, which is nobody's model, from one day's rows of ``feeds``.

    A check that cannot tell gives none, nor does a feed that is thin because it stopped.
    """
    known = {row["check"]: row for row in feeds if row["level"] in FEED_RANKS}
    if known.get("stopped", {}).get("level") == "refuse":
        known.pop("thinned", None)
    return [Signal(f"{FEED}{row['check']}", FEED_RANKS[row["level"]], FEED_SEVERITY.get(row["level"], "info"),
                   row["value"], row["limit"], row["sentence"]) for row in known.values()]


def alert_rows(new: Sequence[Signal], version: str, action: str) -> list[Row]:
    """The measured columns of the ``alerts`` table: one row for all that moved, one for each other event.

    A feature moves by its PSI, or by being missing or unseen in another share of the rows. ``action`` says what was
    done about drift.
    """
    moved = [s for s in new if _rule(s) in MOVES]
    others = [s for s in new if _rule(s) not in MOVES]
    rows = [{"key": s.event if s.event.startswith(FEED) else f"{s.event}:v{version}", "severity": s.severity,
             "subject": _rule(s), "value": s.value, "limit": s.limit,
             "message": f"{s.text}."} for s in others]
    if moved:
        moved.sort(key=lambda s: (MOVES.index(_rule(s)), -s.value, s.event))
        names = "+".join(dict.fromkeys(s.event.split(":", 1)[1] for s in moved))
        levels = [LEVELS[max(s.rank for s in moved if _rule(s) == PSI)]] if _rule(moved[0]) == PSI else []
        rows.append({"key": ":".join([_rule(moved[0]), names, *levels, f"v{version}"]),
                     "severity": max((s.severity for s in moved), key=SEVERITIES.index), "subject": names,
                     "value": moved[0].value, "limit": moved[0].limit,
                     "message": f"{'; '.join(s.text for s in moved)}. {action}"})
    return rows


def _rule(signal: Signal) -> str:
    return signal.event.split(":")[0]


def _psi(book: Book, params: Params, measures: list[Row]) -> list[Signal]:
    limits = (params.monitoring.psi_minor, params.monitoring.psi_minor, params.monitoring.psi_moderate,
              params.monitoring.psi_major)
    found = []
    for row in of_metric(measures, PSI):
        if row["subject"] in watched(book) and row["level"] != UNKNOWN:
            rank = LEVELS.index(row["level"])
            found.append(Signal(f"{PSI}:{row['subject']}", rank, PSI_SEVERITY.get(row["level"], "info"), row["value"],
                                limits[rank], f"{row['subject']} moved: PSI {row['value']:.2f}, over "
                                f"{limits[rank]:.2f} ({row['level']}; luck explains {row['null_value']:.3f})"))
    return found


def _ks(params: Params, measures: list[Row]) -> list[Signal]:
    limits = params.monitoring
    judged = [row for row in of_metric(measures, KS) if row["kind"] == FEATURE and row["n"] >= limits.min_sample]
    if not judged:
        return []
    failed = [row for row in judged if row["p_value"] < limits.ks_p and row["value"] > limits.ks_effect]
    names = ", ".join(f"{row['subject']} ({row['value']:.2f})" for row in failed)
    return [Signal("ks", int(len(failed) >= limits.ks_features), "page", len(failed), limits.ks_features,
                   f"{len(failed)} features fail the KS test together: {names}")]


def _shares(params: Params, measures: list[Row]) -> list[Signal]:
    """Whether a feature is missing more or less often than it was, or has values that were never seen."""
    found = []
    for metric, limit, of in ((MISSING, params.monitoring.missing_shift, "the rows have no {}"),
                              (UNSEEN, params.monitoring.unseen_shift, "the values of {} were never seen before")):
        for row in of_metric(measures, metric):
            if row["kind"] == FEATURE and row["n"] >= params.monitoring.min_sample:
                moved = row["value"] - row["reference"]
                moved = abs(moved) if metric == MISSING else moved
                text = of.format(row["subject"])
                found.append(Signal(
                    f"{metric}:{row['subject']}", int(moved > max(limit, row["null_value"])), "warning", row["value"],
                    limit, f"{row['value']:.1%} of {text}, where {row['reference']:.1%} were to be expected "
                    f"(a move of more than {limit:.1%}; luck explains {row['null_value']:.1%})"))
    return found


def _auc(params: Params, cohorts: list[Row], baselines: dict[str, Baseline]) -> list[Signal]:
    measured = [row for row in cohorts if row["auc"] is not None and row["model_version"] in baselines]
    if not measured:
        return []
    row = max(measured, key=lambda r: r["scored_as_of"])
    baseline = baselines[row["model_version"]]
    promised, limit = baseline.auc, baseline.auc * (1 - params.monitoring.auc_drop)
    error = auc_error(row["auc"], row["defaults"], row["labelled"] - row["defaults"])
    luck = normal_quantile(params.monitoring.confidence) * float(np.hypot(error, baseline.auc_error))
    low = row["auc"] < limit and row["auc"] < promised - luck
    return [Signal("auc", int(low), "warning", row["auc"], limit,
                   f"AUC {row['auc']:.3f} on the loans scored as of {row['scored_as_of']} by v{row['model_version']}, "
                   f"under {limit:.3f} (promised {promised:.3f}, luck explains {luck:.3f})")]


def _decline_rate(params: Params, cohorts: list[Row], baselines: dict[str, Baseline]) -> list[Signal]:
    row = _tonight(params, cohorts)
    if row is None or row["model_version"] not in baselines:
        return []
    baseline = baselines[row["model_version"]]
    promised, limit = baseline.decline_rate, baseline.decline_rate * params.monitoring.decline_rate_shift
    either_way = normal_quantile((1 + params.monitoring.confidence) / 2)
    luck = either_way * float(np.sqrt(promised * (1 - promised) * (1 / row["rows"] + 1 / baseline.rows)))
    moved = abs(row["decline_rate"] - promised)
    return [Signal("decline_rate", int(moved > limit and moved > luck), "warning", row["decline_rate"], promised,
                   f"{row['decline_rate']:.1%} of the applications are declined where v{row['model_version']} was "
                   f"approved for {promised:.1%} (a move of more than {limit:.1%}; luck explains {luck:.1%})")]


def _parity(params: Params, measures: list[Row]) -> list[Signal]:
    """One signal a protected attribute, which names every pair of groups that lies too far apart."""
    limit, gaps = params.gates.parity_gap_max, of_metric(measures, DECLINE_RATE_GAP)
    found = []
    for attribute in sorted({row["subject"] for row in gaps}):
        pairs = sorted((row for row in gaps if row["subject"] == attribute), key=lambda row: -row["value"])
        wide = [row for row in pairs if row["value"] > max(limit, row["null_value"])]
        told = "; ".join(f"{row['segment']} lie {row['value']:.1%} apart (luck explains {row['null_value']:.1%})"
                         for row in wide or pairs[:1])
        found.append(Signal(f"parity:{attribute}", int(bool(wide)), "warning", (wide or pairs)[0]["value"], limit,
                            f"Decline rates by {attribute}: {told}, over {limit:.1%}"))
    return found


def _refused(params: Params, cohorts: list[Row]) -> list[Signal]:
    row = next((row for row in cohorts if row["scored_as_of"] == row["as_of"] and row["refused"] is not None), None)
    total = 0 if row is None else row["rows"] + row["refused"]
    if row is None or total < params.monitoring.min_sample:
        return []
    share, limit = row["refused"] / total, params.monitoring.refused_share_max
    surely = wilson(row["refused"], total, params.monitoring.confidence)[0]
    return [Signal("refused", int(surely > limit), "warning", share, limit,
                   f"{row['refused']} of {total} applications could not be scored ({share:.1%}, at least {surely:.1%} "
                   f"beyond luck), over {limit:.1%}")]


def _tonight(params: Params, cohorts: list[Row]) -> Row | None:
    """The row of the window's own scores, if they are enough to judge."""
    return next((row for row in cohorts if row["scored_as_of"] == row["as_of"]
                 and row["rows"] >= params.monitoring.min_sample), None)
