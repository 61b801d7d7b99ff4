"""What monitoring concludes from a window: a level, whether drift has lasted, and perhaps one retrain request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from tollgate import lake, registry
from tollgate.books import Book
from tollgate.config import Monitoring, Params
from tollgate.errors import BadInput
from tollgate.monitoring.asking import Ask, asks
from tollgate.monitoring.events import MEMORY_DAYS, before, follow, fresh
from tollgate.monitoring.measures import LEVELS, MISSING, PREDICTION, PSI, UNSEEN, of_metric, watched, worst
from tollgate.monitoring.rules import Baseline, Signal, alert_rows, feed_signals, signals
from tollgate.requests import DRIFT, Request, open_request
from tollgate.stats.intervals import normal_quantile

Row = dict[str, Any]


def has_tripped(levels: Sequence[str], params: Monitoring) -> bool:
    """Hysteresis: major in at least ``trips`` of the last ``windows`` levels, and in the latest (the last one)."""
    major = [level == LEVELS[-1] for level in levels[-params.windows:]]
    return bool(major) and major[-1] and sum(major) >= params.trips


def verdict_step(book: Book, as_of: date, params: Params) -> dict[str, Any]:
    """Conclude from the ``measures`` and ``performance`` of ``as_of``: alerts, a verdict, perhaps a retrain request.

    Running it again for the same as-of writes the same rows and opens nothing twice.

    Raises:
        BadInput: drift was not measured for that as-of.
    """
    models = registry.models(book.name)
    trained = {model["version"]: date.fromisoformat(model["as_of"]) for model in models}
    return conclude(book, as_of, params, promised(models), trained)


def promised(registered: Iterable[Row]) -> dict[str, Baseline]:
    """What each version of a book's ledger (``registry.models``) promised, by its number.

    Of a version whose line does not tell the decline rate of its operating point it is that of its test months; nothing
    is known of one that an older Tollgate registered without the intervals of its metrics.
    """
    found, width = {}, 2 * normal_quantile(0.975)
    for model in registered:
        metrics, told = model["metrics"], model["decline_rate"]
        if {"auc_low", "auc_high", "rows", "approval_rate"} <= metrics.keys():
            found[model["version"]] = Baseline(
                1 - metrics["approval_rate"] if told is None else told, metrics["auc"],
                (metrics["auc_high"] - metrics["auc_low"]) / width, int(metrics["rows"]))
    return found


def conclude(book: Book, as_of: date, params: Params, baselines: dict[str, Baseline],
             trained: Mapping[str, date] | None = None) -> dict[str, Any]:
    """``verdict_step`` once it is known what the model versions have promised, and as of when they were trained."""
    tonight, cohorts = _on(lake.measures(book.name), as_of), _on(lake.performance(book.name), as_of)
    scores = [row for row in tonight if row["kind"] == PREDICTION]
    if not scores:
        raise BadInput(f"Drift of {book.name} was not measured as of {as_of}", value=as_of,
                       remedy=f"Measure it first: tollgate monitor drift {book.name} --as-of {as_of}.")
    version, first = scores[0]["model_version"], scores[0]["window_from"]
    count = next(row["n"] for row in scores if row["metric"] == PSI)  # no row lacks it
    level = worst(row["level"] for row in tonight if row["metric"] == PSI and row["subject"] in watched(book))
    drifted = sorted((row for row in of_metric(tonight, PSI) if row["level"] in LEVELS[1:]),
                     key=lambda row: (-row["value"], row["subject"]))
    moved = [row for row in drifted if row["subject"] in watched(book)]
    levels = [*_earlier_levels(book, first, version, params.monitoring.windows - 1), level]
    tripped = has_tripped(levels, params.monitoring)
    now = signals(book, params, tonight, cohorts, baselines)
    wanted = [Ask(DRIFT, f"drift from model v{version}: {_names(moved)}", moved[0]["value"],
                  params.monitoring.psi_major)] if tripped else []
    wanted += asks(book, as_of, params, now, (trained or {}).get(version))
    request, ask = _request(book, version, as_of, wanted, params.monitoring)
    action = _action(levels, request, ask, params.monitoring)
    beside = [*(_name(row) for row in drifted if row not in moved), *_shares(tonight, now)]
    sentence = f"{_finding(level, moved, beside, version, count, params.monitoring)} {action}"
    now += feed_signals(_on(lake.feeds(book.name), as_of))
    rows = follow(before(book.name, as_of), now, as_of, version)
    alerts = alert_rows(fresh(rows, now), version, action)
    key = request["key"] if request is not None and ask is not None else None
    if ask is not None:
        alerts.append({"key": f"request:{key}", "severity": "warning", "subject": "retrain", "message": sentence,
                       "value": ask.value, "limit": ask.limit})
    _write(book, as_of, rows, alerts, {"window_from": first, "model_version": version, "level": level,
                                 "features": [r["subject"] for r in moved], "rows": count, "tripped": tripped,
                                 "request": key, "sentence": sentence})
    return {"book": book.name, "as_of": as_of.isoformat(), "level": level, "tripped": tripped,
            "request": key, "alerts": alerts, "sentence": sentence}


def verdicts(book: str) -> list[Row]:
    """Every verdict of a book, newest first."""
    rows = lake.read(lake.verdicts(book), columns=["as_of", "model_version", "level", "tripped", "request", "sentence"])
    return [{**row, "as_of": row["as_of"].isoformat()} for row in reversed(rows.to_pylist())]


def _on(table: lake.Table, day: date) -> list[Row]:
    return lake.read(table, filters=[("day", "=", day.isoformat())]).to_pylist()


def _earlier_levels(book: Book, first: date, version: str, count: int) -> list[str]:
    """The levels of the last ``count`` windows on this model version before ``first``, oldest first.

    No two of them share a night, nor does one with the window that begins with ``first``.
    """
    levels: list[str] = []
    since = first - timedelta(days=MEMORY_DAYS)
    recent = lake.read(lake.verdicts(book.name), filters=[
        ("day", ">=", since.isoformat()), ("day", "<", first.isoformat())]).to_pylist()
    for row in reversed(recent):
        if len(levels) < count and row["model_version"] == version and row["as_of"] < first:
            levels.append(row["level"])
            first = row["window_from"] or row["as_of"]
    return levels[::-1]


def _name(row: Row) -> str:
    return f"{row['subject']} (PSI {row['value']:.2f})"


def _names(moved: list[Row]) -> str:
    return ", ".join(_name(row) for row in moved)


def _shares(tonight: list[Row], now: list[Signal]) -> list[str]:
    """The features that are missing, or unseen, in another share of the rows than luck and the limit explain."""
    loud = {signal.event for signal in now if signal.rank}
    return [f"{row['subject']} ({metric} {row['value']:.0%})" for metric in (MISSING, UNSEEN)
            for row in of_metric(tonight, metric) if f"{metric}:{row['subject']}" in loud]


def _finding(level: str, moved: list[Row], beside: list[str], version: str, count: int, params: Monitoring) -> str:
    if level not in LEVELS:
        return (f"{count} rows are too few to judge drift from model v{version}; "
                f"{params.min_sample} are needed.")
    if not moved and not beside:
        return f"{count} rows look like those that model v{version} was trained on."
    others = f"Of what does not decide there moved: {', '.join(beside)}."
    if not moved:
        return f"On {count} rows neither a critical feature nor the score drifted from model v{version}. {others}"
    found = f"{level.capitalize()} drift from model v{version} on {count} rows: {_names(moved)}."
    return f"{found} {others}" if beside else found


def _request(book: Book, version: str, as_of: date, wanted: Sequence[Ask],
             params: Monitoring) -> tuple[Request | None, Ask | None]:
    """The request that stands, and which of the ``wanted`` it was opened for tonight: None where it stood before."""
    request = None
    for ask in wanted:
        cause = "" if ask.cause == DRIFT else f"{ask.cause}-"
        key = f"{book.name}-{cause}v{version}-{as_of.isoformat()}"
        request = open_request(book.name, key, as_of, ask.reason, cause=ask.cause, expiry_days=params.request_days,
                               cooldown_days=ask.cooldown_days or params.cooldown_days)
        if request["key"] == key:
            return request, ask
    return request, None


def _action(levels: Sequence[str], request: Request | None, ask: Ask | None, params: Monitoring) -> str:
    """What was done, or why nothing was."""
    if request is not None and ask is not None:
        return f"A retrain was requested{'' if ask.cause == DRIFT else f', for {ask.reason}'}: {request['key']}."
    if request is not None:
        return (f"No retrain was requested: {request['key']} is still open, or its cool-down of "
                f"{params.cooldown_days} days holds.")
    if levels[-1] == LEVELS[-1]:
        return (f"No retrain was requested: drift was major in {levels.count(LEVELS[-1])} of the last "
                f"{params.windows} windows, and {params.trips} are needed.")
    return "Nothing was done."


def _write(book: Book, as_of: date, events: list[Row], alerts: list[Row], verdict: Row) -> None:
    stamp, day = {"day": as_of.isoformat(), "as_of": as_of}, [as_of.isoformat()]
    for table, rows in ((lake.events(book.name), events), (lake.alerts(book.name), alerts),
                        (lake.verdicts(book.name), [verdict])):
        lake.replace_partitions(table, pa.Table.from_pylist([{**stamp, **row} for row in rows], table.schema), day)
