"""The guard after a promotion: a new champion that is surely worse than the one before it goes by itself."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow.compute as pc

from tollgate import lake, nights, registry
from tollgate.books import LOAN, Book
from tollgate.config import Params
from tollgate.errors import BadInput, Refused
from tollgate.labels import BAD, GOOD, label_of, read_labels
from tollgate.monitoring.levels import LEVELS
from tollgate.monitoring.measures import FEATURE, MISSING, PSI, UNSEEN
from tollgate.monitoring.paired import (
    ALIKE,
    ANOTHER_REGIME,
    BEYOND,
    GUARD,
    JUDGEMENT,
    PAGED,
    REFUSED,
    REGIME,
    ROLLED_BACK,
    SUPERSEDED,
    UNKNOWN,
    WITHIN,
    Approved,
    Pair,
    compare,
    in_words,
)
from tollgate.monitoring.rules import Signal
from tollgate.monitoring.steps import record_measures
from tollgate.monitoring.window import is_declined, scored_only

CHAMPION = "champion"
RANKS = {WITHIN: 0, ANOTHER_REGIME: 1, PAGED: 1, REFUSED: 2, ROLLED_BACK: 2}

Row = dict[str, Any]


def guard_step(book: Book, as_of: date, params: Params) -> Row:
    """Hold the champion that scored ``as_of`` against the one that it replaced, and roll back where it is surely worse.

    Into the lake's ``measures``, kind ``guard``. Again it answers the same and rolls back nothing twice.

    Returns ``{"book", "as_of", "model_version", "former", "judgement", "evidence", "measures"}``; ``judgement`` is
    within, unknown, rolled back, refused, another regime, paged or superseded; None where nothing is guarded.

    Raises:
        BadInput: nothing is published for that as-of; the ledger's key is not held here, where it takes a rollback.
        Refused: the ledger is broken.
        PassingFault: the lake or MLflow did not answer, or another decision came first.
    """
    night = nights.publication(book.name, as_of)
    if night is None:
        raise BadInput(f"No night of {book.name} is published as of {as_of}", value="no scores",
                       remedy=f"Score first: run score_nightly for {book.name} as of {as_of}.")
    answer: Row = {"book": book.name, "as_of": as_of.isoformat(), "model_version": night.version, "former": None,
                   "judgement": None, "evidence": "", "measures": []}
    reign = registry.reign(book.name, night.version) if params.monitoring.guard != "never" else None
    if reign is None:
        record_measures(book, as_of, as_of, night.version, [], (GUARD,))
        return answer
    months = min(params.monitoring.guard_months, params.snapshot.horizon_months)
    pair = _both_scored(book, reign, as_of, months, params.monitoring.guard_days)
    rows = [{**row, "subject": CHAMPION} for row in compare(pair, params, all_booked=book.all_booked,
                                                            approved=_approved(reign))]
    evidence = in_words(rows, reign.former, months)
    told: Row = {"former": reign.former, "evidence": evidence}
    if not evidence:
        judgement = WITHIN if any(row["level"] == WITHIN for row in rows) else UNKNOWN
    elif moved := another_regime(_psi(book, reign, as_of), as_of, _gone(book, reign, as_of)):
        rows += moved
        judgement = ANOTHER_REGIME
    elif params.monitoring.guard == "page":
        judgement = PAGED
    else:
        judgement, told["refusal"] = _roll_back(book, reign, evidence)
    rows.append({"kind": GUARD, "subject": CHAMPION, "metric": JUDGEMENT, "n": len(pair.champion), "level": judgement,
                 "parameters": json.dumps(told, sort_keys=True)})
    record_measures(book, as_of, reign.since, night.version, rows, (GUARD,))
    return {**answer, "former": reign.former, "judgement": judgement, "evidence": evidence, "measures": rows}


def guard_signals(measures: Iterable[Row]) -> list[Signal]:
    """The signal on what the guard concluded in one window, from its rows of ``measures``.

    There is none where it cannot tell, nor where somebody else decided meanwhile.
    """
    rows = [row for row in measures if row["kind"] == GUARD]
    judgement = next((row for row in rows if row["metric"] == JUDGEMENT), None)
    if judgement is None or judgement["level"] not in RANKS:
        return []
    told, version, level = json.loads(judgement["parameters"]), judgement["model_version"], judgement["level"]
    back, event = f"version {told['former']}", f"{GUARD}:{CHAMPION}"
    if level == WITHIN:
        return [Signal(event, 0, "page", 0.0, 0.0, f"Version {version} is not surely worse than {back}")]
    moved = ", ".join(f"{row['subject']} (PSI {row['reference']:.2f} then, "
                      f"{'unknown' if row['value'] is None else format(row['value'], '.2f')} now)"
                      for row in rows if row["metric"] == REGIME and row["subject"] != CHAMPION)
    done = {
        ROLLED_BACK: f"It was rolled back to {back}",
        REFUSED: f"It could not be rolled back to {back}, and a person has to decide: {told.get('refusal')}",
        PAGED: f"By monitoring.guard a person decides whether to go back to {back}",
        ANOTHER_REGIME: f"Whether to go back to {back} a person decides, for the evidence is of another regime: "
                        + (f"features drift otherwise than when it began: {moved}" if moved else
                           "which features drift tonight is not known"),
    }
    worst = next(row for row in rows if row["level"] == BEYOND)
    return [Signal(event, RANKS[level], "page", worst["value"], json.loads(worst["parameters"])["limit"],
                   f"Version {version} is worse than {back}, which it replaced: {told['evidence']}. {done[level]}")]


def another_regime(psi: Iterable[Row], as_of: date, gone: Container[str] = ()) -> list[Row]:
    """Which features drift otherwise now than when the champion began: rows of ``measures``; none in the same regime.

    A feature does whose PSI was major, from the champion's own profile, and is minor or less now, or the other way
    round; one in between tells nothing. So does one that had values then and is ``gone``. ``value`` is the PSI now,
    ``reference`` the first that was known. Where of none it is known now, one row of the subject ``champion`` says so.

    Args:
        psi: rows of ``measures`` from the champion's first day to ``as_of``, in order of time.
        gone: features that no row of ``as_of`` has a known value of, beyond luck: they have no PSI.
    """
    then: dict[str, Row] = {}
    now = {}
    for row in (row for row in psi if row["level"] in LEVELS):
        then.setdefault(row["subject"], row)
        if row["as_of"] == as_of:
            now[row["subject"]] = row
    if not now:
        return [_regime(CHAMPION, None, None, 0)]
    moved = {name: row for name, row in now.items() if {_drifts(row), _drifts(then[name])} == {True, False}}
    return [_regime(name, moved[name]["value"], first["value"], moved[name]["n"]) if name in moved else
            _regime(name, None, first["value"], 0) for name, first in sorted(then.items())
            if name in moved or name in gone]


def _approved(reign: registry.Reign) -> Approved:
    if reign.expected is None:
        return ALIKE
    told = reign.expected
    return Approved(float(np.log(told["model"] / told["champion"])), told["error"])


def _drifts(row: Row) -> bool | None:
    rank = LEVELS.index(row["level"])
    return True if rank == len(LEVELS) - 1 else False if rank < LEVELS.index("moderate") else None


def _regime(subject: str, now: float | None, then: float | None, n: int) -> Row:
    return {"kind": GUARD, "subject": subject, "metric": REGIME, "value": now, "reference": then, "n": n,
            "level": ANOTHER_REGIME, "parameters": "{}"}


def _psi(book: Book, reign: registry.Reign, as_of: date) -> list[Row]:
    rows = lake.read(lake.measures(book.name), columns=["as_of", "subject", "value", "n", "level"], filters=[
        ("day", ">=", reign.since.isoformat()), ("day", "<=", as_of.isoformat()), ("kind", "=", FEATURE),
        ("metric", "=", PSI), ("model_version", "=", reign.version)])
    return rows.sort_by([("as_of", "ascending"), ("subject", "ascending")]).to_pylist()


def _gone(book: Book, reign: registry.Reign, as_of: date) -> set[str]:
    """The features that are missing, or were never seen before, in every row of that night, by more than luck."""
    rows = lake.read(lake.measures(book.name), columns=["metric", "subject", "value", "reference", "null_value"],
                     filters=[("day", "=", as_of.isoformat()), ("kind", "=", FEATURE),
                              ("model_version", "=", reign.version)]).to_pylist()
    return {row["subject"] for row in rows if row["metric"] in (MISSING, UNSEEN) and row["value"] == 1
            and row["value"] - row["reference"] > row["null_value"]}


def _both_scored(book: Book, reign: registry.Reign, as_of: date, months: int, days: int) -> Pair:
    """The loans that count and that the former champion scored beside, with what is known of them before ``as_of``."""
    last = min(as_of, reign.since + timedelta(days=days))
    within = [("day", ">=", reign.since.isoformat()), ("day", "<=", last.isoformat()), ("population", "=", nights.NEW)]
    of = ["day", "attempt", LOAN, "applied_on", "score", "decision"]
    mine, theirs = (scored_only(lake.read(table, columns=of, filters=[*within, ("model_version", "=", version)]))
                    for table, version in ((lake.scores(book.name), reign.version),
                                           (lake.shadow_scores(book.name), reign.former)))
    both = mine.join(theirs.drop_columns(["applied_on"]), ["day", "attempt", LOAN], join_type="inner",
                     right_suffix="_former").sort_by(LOAN)
    label = np.full(both.num_rows, UNKNOWN, object)
    if both.num_rows:
        ends = pc.min_max(both["applied_on"]).as_py()
        label = label_of(both[LOAN], read_labels(book, as_of, months, since=ends["min"],
                                                 until=ends["max"] + timedelta(days=1)))
    former = both.select(["score_former", "decision_former"]).rename_columns(["score", "decision"])
    return Pair(both["score"].to_numpy(), former["score"].to_numpy(), is_declined(both), is_declined(former),
                label == BAD, (label == BAD) | (label == GOOD))


def _roll_back(book: Book, reign: registry.Reign, evidence: str) -> tuple[str, str | None]:
    """What came of it, and why not where it was refused. It is done once, and nobody else's decision is undone."""
    if reign.ended_by is not None:
        return (ROLLED_BACK if reign.ended_by == GUARD else SUPERSEDED), None
    try:
        registry.rollback(book.name, reign.former, GUARD, f"Version {reign.version} is worse than version "
                          f"{reign.former}, which it replaced: {evidence}.", leaving=reign.version)
    except Refused as refusal:
        return REFUSED, str(refusal)
    return ROLLED_BACK, None
