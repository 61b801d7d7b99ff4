"""The order of a book's deliveries: every file gets a number, and a day, when Tollgate first sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tollgate import lake
from tollgate.clock import today

if TYPE_CHECKING:
    import pyarrow as pa

    from tollgate.books import Book

SEEN = "seen"


@dataclass(frozen=True)
class Seen:
    """One delivery.

    Attributes:
        number: its place among the book's deliveries, from 1.
        day: on which it was first seen, in the book's time zone. live_on: that of the book's first delivery.
    """

    number: int
    day: date
    live_on: date

    def taken(self, day: date) -> lake.Delivery:
        """What stamps its rows when they are published on ``day``."""
        return lake.Delivery(self.number, day, self.live_on)


def register(book: Book, files: list[tuple[str, str]], seen: Mapping[str, Seen] | None = None) -> Mapping[str, Seen]:
    """Number the files that were never seen, in this order.

    Args:
        files: the fingerprint and the name of each.
        seen: ``deliveries`` as read before; they are read again only when a file is not among them.

    Returns at least these files, by their fingerprints.

    Raises:
        PassingFault: the lake did not answer.
    """
    table, day = lake.deliveries(book.name), today(book.time_zone)

    def unseen(rows: pa.Table) -> pa.Table:
        import pyarrow as pa

        known, last = set(rows["fingerprint"].to_pylist()), max(rows["delivery"].to_pylist(), default=0)
        fresh = [(fingerprint, name) for fingerprint, name in dict(files).items() if fingerprint not in known]
        return pa.Table.from_pylist([
            {"kind": SEEN, "delivery": number, "fingerprint": fingerprint, "file": name, "seen_on": day}
            for number, (fingerprint, name) in enumerate(fresh, start=last + 1)], schema=table.schema)

    wanted = dict(files).keys()
    seen = deliveries(book.name) if seen is None else seen
    if not wanted <= seen.keys():
        lake.append_next(table, unseen)
        seen = deliveries(book.name)
    return seen


def deliveries(book: str) -> dict[str, Seen]:
    """Every delivery that was seen, by its fingerprint, in order."""
    rows = lake.records(lake.deliveries(book))
    return {row["fingerprint"]: Seen(row["delivery"], row["seen_on"], rows[0]["seen_on"]) for row in rows}
