"""What monitoring concludes from a window: a level, whether drift has lasted, and perhaps one retrain request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from tollgate import lake
from tollgate.books import Book
from tollgate.config import Monitoring, Params
from tollgate.errors import BadInput
from tollgate.monitoring.asking import Ask, asks
from tollgate.monitoring.events import MEMORY_DAYS, before, follow, fresh
from tollgate.monitoring.guard import guard_signals
from tollgate.monitoring.kinds import conclusions
from tollgate.monitoring.levels import LEVELS
from tollgate.monitoring.measures import MISSING, PREDICTION, PSI, UNSEEN, of_metric, watched, worst
from tollgate.monitoring.rules import Signal, alert_rows, feed_signals, requesting, signals, unwatched
from tollgate.requests import DRIFT, Request, open_request

Row = dict[str, Any]


def has_tripped(asked: Sequence[bool], params: Monitoring) -> bool:
    """Hysteresis: a retrain was asked for in ``trips`` of the last ``windows`` windows, and in the last."""
    recent = asked[-params.windows:]
    return bool(recent) and recent[-1] and sum(recent) >= params.trips


def verdict_step(book: Book, as_of: date, params: Params) -> dict[str, Any]:
    """Conclude from the ``measures`` of ``as_of`` by the rules: alerts, a verdict, perhaps a retrain request.

    Running it again for the same as-of writes the same rows and opens nothing twice. ``kinds`` of the answer tells of
    each kind of drift whether it moved, in a sentence.

    Raises:
        BadInput: drift was not measured for that as-of.
    """
    tonight = _on(lake.measures(book.name), as_of)
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
    now = signals(book, params.monitoring, tonight)
    causes = requesting(now)
    asked = [*_earlier_asked(book, first, version, params.monitoring.windows - 1), bool(causes)]
    tripped = has_tripped(asked, params.monitoring)
    request, ask = _request(book, version, as_of, asks(book, as_of, params, version, causes if tripped else []),
                            params.monitoring)
    action = _action(asked, request, ask, params.monitoring)
    shares = _shares(tonight, now)
    decide, others = ([row for row in shares if (row["subject"] in watched(book)) is so] for so in (True, False))
    beside = [*(_name(row) for row in drifted if row not in moved), *map(_share, others)]
    sentence = f"{_finding(level, moved, decide, beside, version, count, params.monitoring)} {action}"
    earlier = before(book.name, as_of)
    feeds = _on(lake.feeds(book.name), as_of)
    now += [*unwatched(earlier, book, params.monitoring), *guard_signals(tonight), *feed_signals(feeds)]
    rows = follow(earlier, now, as_of, version)
    alerts = alert_rows(fresh(rows, now), version, action)
    key = request["key"] if request is not None and ask is not None else None
    if ask is not None:
        alerts.append({"key": f"request:{key}", "severity": "warning", "subject": "retrain", "message": sentence,
                       "value": ask.value, "limit": ask.limit})
    _write(book, as_of, rows, alerts, {"window_from": first, "model_version": version, "level": level,
                                 "features": [r["subject"] for r in moved], "rows": count, "asked": bool(causes),
                                 "tripped": tripped,
                                 "request": key, "sentence": sentence})
    return {"book": book.name, "as_of": as_of.isoformat(), "level": level, "tripped": tripped,
            "request": key, "alerts": alerts, "sentence": sentence,
            "kinds": [asdict(one) for one in conclusions(book, params.monitoring, tonight, feeds)]}


def verdicts(book: str) -> list[Row]:
    """Every verdict of a book, newest first."""
    rows = lake.read(lake.verdicts(book), columns=["as_of", "model_version", "level", "tripped", "request", "sentence"])
    return [{**row, "as_of": row["as_of"].isoformat()} for row in reversed(rows.to_pylist())]


def _on(table: lake.Table, day: date) -> list[Row]:
    return lake.read(table, filters=[("day", "=", day.isoformat())]).to_pylist()


def _earlier_asked(book: Book, first: date, version: str, count: int) -> list[bool]:
    """Whether the last ``count`` windows on this model version before ``first`` asked for a retrain, oldest first.

    No two of them share a night, nor does one with the window that begins with ``first``.
    """
    asked: list[bool] = []
    since = first - timedelta(days=MEMORY_DAYS)
    recent = lake.read(lake.verdicts(book.name), filters=[
        ("day", ">=", since.isoformat()), ("day", "<", first.isoformat())]).to_pylist()
    for row in reversed(recent):
        if len(asked) < count and row["model_version"] == version and row["as_of"] < first:
            asked.append(row["level"] == LEVELS[-1] if row["asked"] is None else row["asked"])
            first = row["window_from"] or row["as_of"]
    return asked[::-1]


def _name(row: Row) -> str:
    return f"{row['subject']} (PSI {row['value']:.2f})"


def _share(row: Row) -> str:
    return f"{row['subject']} ({row['metric']} {row['value']:.0%})"


def _shares(tonight: list[Row], now: list[Signal]) -> list[Row]:
    """The features that are missing, or unseen, in another share of the rows than luck and the limit explain."""
    loud = {signal.event for signal in now if signal.rank}
    return [row for metric in (MISSING, UNSEEN) for row in of_metric(tonight, metric)
            if f"{metric}:{row['subject']}" in loud]


def _finding(level: str, moved: list[Row], shares: list[Row], beside: list[str], version: str, count: int,
             params: Monitoring) -> str:
    """What moved of what decides, by its PSI and by the ``shares`` that are missing or unseen; and what ``beside``."""
    if level not in LEVELS:
        return (f"{count:,} rows are too few to judge drift from model v{version}; "
                f"{params.min_sample:,} are needed.")
    if not moved and not shares and not beside:
        return f"{count:,} rows look like those that model v{version} was trained on."
    if moved:
        told = f"{level.capitalize()} drift from model v{version} on {count:,} rows: {', '.join(map(_name, moved))}."
    elif shares:
        told = f"On {count:,} rows no PSI of a critical feature or of the score drifted from model v{version}."
    else:
        told = f"On {count:,} rows neither a critical feature nor the score drifted from model v{version}."
    if shares:
        told += f" In another share of them than in the training: {', '.join(map(_share, shares))}."
    return f"{told} Of what does not decide there moved: {', '.join(beside)}." if beside else told


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


def _action(asked: Sequence[bool], request: Request | None, ask: Ask | None, params: Monitoring) -> str:
    """What was done, or why nothing was."""
    if request is not None and ask is not None:
        return f"A retrain was requested{'' if ask.cause == DRIFT else f', for {ask.reason}'}: {request['key']}."
    if request is not None:
        return (f"No retrain was requested: {request['key']} is still open, or its cool-down of "
                f"{params.cooldown_days} days holds.")
    if asked[-1]:
        return (f"No retrain was requested: a rule asked for one in {sum(asked)} of the last {params.windows} windows, "
                f"and {params.trips} are needed.")
    return "Nothing was done."


def _write(book: Book, as_of: date, events: list[Row], alerts: list[Row], verdict: Row) -> None:
    stamp, day = {"day": as_of.isoformat(), "as_of": as_of}, [as_of.isoformat()]
    for table, rows in ((lake.events(book.name), events), (lake.alerts(book.name), alerts),
                        (lake.verdicts(book.name), [verdict])):
        lake.replace_partitions(table, pa.Table.from_pylist([{**stamp, **row} for row in rows], table.schema), day)
