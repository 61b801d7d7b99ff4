"""Who is scored on a night."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake
from tollgate.books import LOAN, Book
from tollgate.clock import months_before
from tollgate.errors import Refused
from tollgate.labels import open_loans
from tollgate.nights import NEW


def new_applications(book: Book, day: date, window_months: int) -> pa.Table:
    """The applications of the ``window_months`` before ``day``, as known then, that no other night of the book has.

    Raises:
        Refused: a loan stands twice among them.
        PassingFault: the lake did not answer.
    """
    since = months_before(day, window_months)
    rows = lake.view(lake.applications(book), as_of=day, filters=[("applied_on", ">=", since)])
    taken = taken_elsewhere(book.name, day, since)
    if len(taken):
        rows = rows.filter(pc.invert(pc.is_in(rows[LOAN], value_set=taken.combine_chunks())))
    if not all_differ(rows[LOAN]):
        counts = rows[LOAN].value_counts().to_pylist()
        doubled = sorted(count["values"] for count in counts if count["counts"] > 1)
        raise Refused(f"{len(doubled)} loan(s) of {book.name} stand twice among the applications to score",
                      value=", ".join(doubled[:5]), remedy="Correct the applications in the lake first.")
    return rows


def all_differ(loans: pa.ChunkedArray) -> bool:
    """Whether no loan stands twice among these, none of them null; at a glance where each is above the one before."""
    rising = pc.all(pc.less(loans[:-1], loans[1:])).as_py() if len(loans) > 1 else True
    return bool(rising) or pc.count_distinct(loans).as_py() == len(loans)


def too_late(book: Book, day: date, window_months: int) -> int:
    """How many applications arrived within the window that were asked for before it, and that no night has: none will.

    Raises:
        PassingFault: the lake did not answer.
    """
    since = months_before(day, window_months)
    arrived = lake.read(lake.applications(book), columns=[LOAN], filters=[
        ("version", "=", 1), ("known_on", ">=", since), ("known_on", "<", day), ("applied_on", "<", since)])[LOAN]
    if not len(arrived):
        return 0
    scored = lake.read(lake.scores(book.name), columns=[LOAN], filters=[
        ("population", "=", NEW), ("applied_on", "<", since)])[LOAN]
    return len(arrived) - int(pc.sum(pc.is_in(arrived, value_set=scored.combine_chunks())).as_py() or 0)


def open_portfolio(book: Book, day: date, months: int) -> pa.Table:
    """The applications, as known on ``day``, of the loans that are open then; see ``labels.open_loans``.

    Raises:
        PassingFault: the lake did not answer.
    """
    rows = lake.view(lake.applications(book), as_of=day)
    return rows.filter(pc.is_in(rows[LOAN], value_set=open_loans(book, day, months)))


def taken_elsewhere(book: str, day: date, since: date, at: int | None = None) -> pa.ChunkedArray:
    """Loans applied for from ``since`` to ``day`` that another published night than that of ``day`` has.

    Args:
        at: the Delta version of ``scores`` to look at; the newest when None.
    """
    return lake.read(lake.scores(book), columns=[LOAN], at=at, filters=[
        ("population", "=", NEW), ("as_of", "!=", day), ("applied_on", ">=", since), ("applied_on", "<", day)])[LOAN]
