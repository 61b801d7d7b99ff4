"""What is going on: an event begins, worsens, lasts and ends, and is told when it begins or worsens.

A night's events follow from those of the night before, as these were written down with the limits of their day, and
from the night's own signals. A limit that is edited changes what comes, not what was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tollgate import lake
from tollgate.config import SEVERITIES, check_book
from tollgate.errors import BadInput
from tollgate.incidents import BEGAN, ENDED, LASTS, WORSENED, lives
from tollgate.registry import signed_by

if TYPE_CHECKING:
    import pyarrow as pa

    from tollgate.monitoring.rules import Signal

MEASURED = ("event", "model_version", "status", "since", "rank", "reached", "severity", "value", "limit", "message")
MEMORY_DAYS = 400  # how long after the last night an event may still be the same event

Row = dict[str, Any]


def follow(before: Iterable[Row], now: Iterable[Signal], as_of: date, version: str) -> list[Row]:
    """The measured columns of the lake's ``events`` as of a night, in order of the event.

    An event begins when its signal's rank rises above 0, worsens when that rises above the highest it has reached
    since, and ends when it is 0 again. One of which nothing can be told tonight lasts, with what was last known of it.
    Those about a model end with its service; those about the feed of outcomes are about no model.

    Args:
        before: the rows of the night before. now: the signals of this one, on the model ``version`` and the feed.
    """
    from tollgate.monitoring.rules import FEED

    under_way = {row["event"]: row for row in before if row["status"] != ENDED}
    rows = {}
    for signal in now:
        about = "" if signal.event.startswith(FEED) else version
        old = under_way.get(signal.event)
        if old is not None and old["model_version"] != about:
            old = None
        if signal.rank == 0 and old is None:
            continue
        reached = 0 if old is None else old["reached"]
        status = ENDED if signal.rank == 0 else BEGAN if old is None else WORSENED if signal.rank > reached else LASTS
        rows[signal.event] = {
            "event": signal.event, "model_version": about, "status": status, "since": as_of if old is None else
            old["since"], "rank": signal.rank, "reached": max(reached, signal.rank), "severity": signal.severity,
            "value": signal.value, "limit": signal.limit, "message": signal.text}
    for event, old in under_way.items():
        if event not in rows:
            gone = old["model_version"] not in ("", version)
            rows[event] = {**{name: old[name] for name in MEASURED}, "status": ENDED if gone else LASTS,
                           "rank": 0 if gone else old["rank"]}
    return [rows[event] for event in sorted(rows)]


def before(book: str, as_of: date) -> list[Row]:
    """The events of the last night before ``as_of``, within ``MEMORY_DAYS``; none where there was none."""
    since = as_of - timedelta(days=MEMORY_DAYS)
    rows = lake.read(lake.events(book), filters=[
        ("day", ">=", since.isoformat()), ("day", "<", as_of.isoformat())]).to_pylist()
    last = max((row["as_of"] for row in rows), default=None)
    return [row for row in rows if row["as_of"] == last]


def fresh(rows: Sequence[Row], now: Iterable[Signal]) -> list[Signal]:
    """The signals of ``now`` whose event began or worsened, by the night's ``rows``."""
    told = {row["event"] for row in rows if row["status"] in (BEGAN, WORSENED)}
    return [signal for signal in now if signal.event in told]


def alerts(book: str, *, ended: bool = False) -> list[Row]:
    """What is under way in a book, the gravest first; with ``ended`` every event that there ever was.

    These are the events of the last night, and the incidents. Each is as it last stood, with ``as_of`` of that day and
    ``acknowledged``, who has seen it (None: nobody has).

    Raises:
        BadInput: there is no such book.
        PassingFault: the lake did not answer.
    """
    found = [*of_nights(check_book(book), ended=ended), *of_operation(book, ended=ended)]
    return seen(book, gravest_first(found))


def gravest_first(told: Iterable[Row]) -> list[Row]:
    """Alerts by severity and rank, those that have ended after all others. Pure."""
    return sorted(told, key=lambda row: (row["status"] == ENDED, -SEVERITIES.index(row["severity"]), -row["rank"],
                                         row["since"], row["event"]))


def of_nights(book: str, *, ended: bool = False) -> list[Row]:
    """The events of the last night that are under way; with ``ended`` every one there ever was.

    One that went on under the next model has no line of its end: that of the night says that it began anew.
    """
    rows = _nights(book)
    last = max((row["as_of"] for row in rows), default=None)
    newest = [row if row["as_of"] == last else {**row, "status": ENDED, "rank": 0}
              for row in {_identity(row): row for row in rows}.values()]
    return [_told(row) for row in newest if ended or row["status"] != ENDED]


def of_operation(book: str, *, ended: bool = False) -> list[Row]:
    """The incidents that are under way; with ``ended`` every one there ever was."""
    newest = {_identity(row): row for row in _incidents(book)}
    return [_told(row) for row in newest.values() if ended or row["status"] != ENDED]


def seen(book: str, told: Iterable[Row]) -> list[Row]:
    """These alerts with ``acknowledged``, who has seen each by now. Raises ``PassingFault``: the lake is away."""
    by = _acknowledged(book)
    return [{**row, "acknowledged": by.get((row["of"], row["model_version"], date.fromisoformat(row["since"])))}
            for row in told]


def life(book: str, event: str) -> dict[str, Any]:
    """An event's newest life: ``{"event", "book", "since", "acknowledged", "nights": [its row of each night]}``.

    Of an incident there is a row whenever it was heard of.

    Raises:
        BadInput: no such event was ever under way.
        PassingFault: the lake did not answer.
    """
    rows = [row for row in [*_nights(check_book(book)), *_incidents(book)] if row["event"] == event]
    if not rows:
        raise BadInput(f"{book} has never had such an alert", value=event,
                       remedy=f"See those under way: tollgate alerts list {book}; all: with --ended.")
    mine = [row for row in rows if _identity(row) == _identity(rows[-1])]
    return {"book": book, "event": event, "since": mine[-1]["since"].isoformat(),
            "acknowledged": _acknowledged(book).get(_identity(mine[-1])), "nights": [_told(row) for row in mine]}


def acknowledge(book: str, event: str, comment: str, by: str | None = None) -> dict[str, Any]:
    """Note that a person has seen an event that is under way; doing it again says so and changes nothing.

    Raises:
        BadInput: no such event is under way, or the name of who has seen it is empty.
        PassingFault: the lake did not answer.
    """
    standing = [row for row in alerts(book) if row["event"] == event]
    if not standing:
        raise BadInput(f"{book} has no such alert under way", value=event,
                       remedy=f"See those that are: tollgate alerts list {book}.")
    (row,) = standing
    since = date.fromisoformat(row["since"])
    if row["acknowledged"] is None:
        who = signed_by(by)
        note = {"event": row["of"], "model_version": row["model_version"], "since": since, "by": who["by"],
                "login": who.get("login", who["by"]), "comment": comment}
        import pyarrow as pa

        table = lake.acknowledgements(book)

        def make(there: pa.Table) -> pa.Table | None:
            known = any(_identity(one) == _identity(note) for one in there.to_pylist())
            return None if known else pa.Table.from_pylist([{**note, "seq": there.num_rows}], table.schema)

        lake.append_next(table, make)
    return {"book": book, "event": event, "since": row["since"],
            "acknowledged": _acknowledged(book)[row["of"], row["model_version"], since]}


def _nights(book: str) -> list[Row]:
    return sorted(lake.records(lake.events(book)), key=itemgetter("as_of"))


def _incidents(book: str) -> list[Row]:
    return [{**line, "model_version": "", "value": None, "limit": None} for life in lives(book) for line in life]


def _acknowledged(book: str) -> dict[tuple[str, str, date], Row]:
    return {_identity(note): {name: note[name] for name in ("by", "login", "comment")}
            for note in lake.records(lake.acknowledgements(book))}


def _identity(row: Row) -> tuple[str, str, date]:
    """What is one life of an event."""
    return _of(row), row["model_version"], row["since"]


def _of(row: Row) -> str:
    """What is acknowledged: of an incident, which may begin twice on a day, this life of it."""
    return f"{row['event']}#{row['began']}" if "began" in row else str(row["event"])


def _told(row: Row) -> Row:
    shown = {name: row[name].isoformat() if isinstance(row[name], date) else row[name]
             for name in ("event", "model_version", "status", "since", "as_of", "rank", "severity", "value", "limit",
                          "message")}
    return {**shown, "of": _of(row)}
