"""Which alerts people were told of, and by which channel: what could not be told is told the next time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from operator import itemgetter
from typing import Any

import pyarrow as pa

from tollgate import incidents, lake
from tollgate.config import check_book
from tollgate.errors import BadInput

BEGAN_WITH = ""  # the key of the line that says with which night a channel began

Row = dict[str, Any]


def untold(book: str, channel: str) -> list[Row]:
    """The alerts that nobody was told of by this channel, in their order: ``{"id", "book", "as_of", "severity",
    "subject", "message"}``.

    These are the alerts of nights, and the incidents that began or worsened. A channel that is new to the book begins
    with the newest night, and with the incidents under way: nobody wants last year's alerts at once.

    Raises:
        BadInput: there is no such book.
        PassingFault: the lake did not answer.
    """
    done = _told(check_book(book), channel)
    # What is told first may be an incident that has been under way for long. An older Tollgate noted no beginning.
    first = next((day for day, key in done if key == BEGAN_WITH), min((day for day, _ in done), default=None))
    since = first or _newest_night(book)
    rows = lake.read(lake.alerts(book), filters=[("day", ">=", since)]).to_pylist()
    rows += [_of(line) for life in incidents.lives(book) for line in life
             if line["status"] in (incidents.BEGAN, incidents.WORSENED)
             and (life[-1]["status"] != incidents.ENDED or (first and line["as_of"] >= date.fromisoformat(first)))]
    return [{"id": f"{row['day']} {row['key']}", "book": book, "as_of": row["day"],
             **{name: row[name] for name in ("severity", "subject", "message")}}
            for row in sorted(rows, key=itemgetter("day")) if (row["day"], row["key"]) not in done]


def note_told(book: str, channel: str, ids: Sequence[str]) -> dict[str, Any]:
    """Note that people were told of these alerts by this channel; again changes nothing.

    Args:
        ids: as ``untold`` gives them.

    Returns ``{"book", "channel", "told": how many were new}``.

    Raises:
        BadInput: there is no such book, or the book has no such alert.
        PassingFault: the lake did not answer.
    """
    rows = lake.read(lake.alerts(check_book(book)), columns=["day", "key"]).to_pylist()
    rows += [_of(line) for life in incidents.lives(book) for line in life]
    known = {f"{row['day']} {row['key']}": {"day": row["day"], "key": row["key"]} for row in rows}
    if strangers := [name for name in ids if name not in known]:
        raise BadInput(f"{book} has no such alert", value=strangers[0],
                       remedy=f"Take it from tollgate alerts untold {book} {channel}.")
    table, newest = lake.told(book), _newest_night(book)

    def make(there: pa.Table) -> pa.Table | None:
        done = {(row["day"], row["key"]) for row in there.to_pylist() if row["channel"] == channel}
        new = [known[name] for name in ids if (known[name]["day"], known[name]["key"]) not in done]
        if new and not done:
            new.insert(0, {"day": newest or max(row["day"] for row in new), "key": BEGAN_WITH})
        return pa.Table.from_pylist([{"channel": channel, "seq": there.num_rows + k, **row}
                                     for k, row in enumerate(new)], table.schema)

    added = lake.append_next(table, make)
    told = [] if added is None else [key for key in added["key"].to_pylist() if key != BEGAN_WITH]
    return {"book": book, "channel": channel, "told": len(told)}


def _newest_night(book: str) -> str:
    """The day of the newest verdict; empty where there is none."""
    return max(lake.partitions(lake.verdicts(book)), default="")


def _told(book: str, channel: str) -> set[tuple[str, str]]:
    rows = lake.read(lake.told(book), filters=[("channel", "=", channel)]).to_pylist()
    return {(row["day"], row["key"]) for row in rows}


def _of(line: incidents.Line) -> Row:
    """A line of an incident as a row of ``alerts``."""
    return {"day": line["as_of"].isoformat(), "key": incidents.key_of(line), "severity": line["severity"],
            "subject": line["event"], "message": line["message"]}
