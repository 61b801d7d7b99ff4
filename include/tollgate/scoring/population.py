"""Who is scored on a night."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake
from tollgate.books import LOAN, Book
from tollgate.clock import months_before
from tollgate.labels import open_loans
from tollgate.nights import NEW
from tollgate.scoring.shards import REFUSED


@dataclass(frozen=True)
class Population:
    """Applications as they were known on a day; each time they are asked for, they are read.

    Attributes:
        version: the Delta version of the applications that is read.
        filters: which of them are candidates.
        loans: those of the candidates whose loan stands here belong to it if ``among`` holds, else the others do.
    """

    book: Book
    day: date
    version: int
    filters: Sequence[tuple[str, str, Any]]
    loans: pa.Array
    among: bool

    def candidates(self) -> Iterator[pa.Table]:
        """All candidates, some at a time, in no order.

        Raises:
            PassingFault: the lake did not answer.
        """
        return lake.view_batches(lake.applications(self.book), as_of=self.day, filters=self.filters, at=self.version)

    def about(self) -> int:
        """How many they are, but for what was corrected or erased since it was scored or booked."""
        if self.among:
            return len(self.loans)
        return lake.count_keys(lake.applications(self.book), as_of=self.day, filters=self.filters,
                               at=self.version) - len(self.loans)


def new_applications(book: Book, day: date, version: int, window_months: int) -> Population:
    """The applications of the ``window_months`` before ``day``, as known then, that no other night of the book has.

    Raises:
        PassingFault: the lake did not answer.
    """
    since = months_before(day, window_months)
    taken = taken_elsewhere(book, day, since)
    return Population(book, day, version, [("applied_on", ">=", since)], taken, among=False)


def open_portfolio(book: Book, day: date, version: int, months: int) -> Population:
    """The applications, as known on ``day``, of the loans that are open then; see ``labels.open_loans``.

    Raises:
        PassingFault: the lake did not answer.
    """
    return Population(book, day, version, [], open_loans(book, day, months), among=True)


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


def taken_elsewhere(book: Book, day: date, since: date, at: int | None = None) -> pa.Array:
    """Loans applied for from ``since`` to ``day`` that another published night than that of ``day`` has.

    A correction may move the day on which a loan was applied for: the night that has the loan may know another one. And
    it may mend a loan that all others refused: that one none of them has, for nobody has scored it.

    Args:
        at: the Delta version of ``scores`` to look at; the newest when None.
    """
    applications, scores = lake.applications(book), lake.scores(book.name)
    elsewhere = [("population", "=", NEW), ("as_of", "!=", day)]
    window = [("applied_on", ">=", since), ("applied_on", "<", day)]
    taken = lake.read(scores, columns=[LOAN], at=at, filters=[*elsewhere, *window])[LOAN].combine_chunks()
    corrected = lake.read(applications, columns=[LOAN, "known_on"], filters=[("version", ">", 1)])
    if not corrected.num_rows:
        return taken
    moved = _which(applications, _which(scores, pc.unique(corrected[LOAN]), elsewhere, at), window)
    if len(moved):
        taken = pc.unique(pa.concat_arrays([taken, moved]))
    refused = lake.read(scores, columns=[LOAN, "as_of"], at=at, filters=[*elsewhere, ("status", "=", REFUSED)])
    mended = _mended(refused, corrected.filter(pc.less(corrected["known_on"], day)))
    scored = _which(scores, mended, [*elsewhere, ("status", "!=", REFUSED)], at)
    mended = mended.filter(pc.invert(pc.is_in(mended, value_set=scored)))
    return taken.filter(pc.invert(pc.is_in(taken, value_set=mended))) if len(mended) else taken


def _mended(refused: pa.Table, corrected: pa.Table) -> pa.Array:
    """The loans whose application was corrected since the last night that refused it."""
    last = refused.group_by(LOAN).aggregate([("as_of", "max")])
    known = corrected.group_by(LOAN).aggregate([("known_on", "max")])
    both = last.join(known, LOAN, join_type="inner")
    return both.filter(pc.greater_equal(both["known_on_max"], both["as_of_max"]))[LOAN].combine_chunks()


def _which(table: lake.Table, loans: pa.Array, filters: Sequence[tuple[str, str, Any]],
           at: int | None = None) -> pa.Array:
    """Those of the loans that stand in a row of the table which keeps the filters, each once."""
    if not len(loans):
        return loans
    return pc.unique(lake.read(table, columns=[LOAN], at=at, filters=[*filters, (LOAN, "in", loans.to_pylist())])[LOAN])


def rises(loans: pa.ChunkedArray) -> bool:
    """Whether each of these loans, none of them null, is above the one before it: so that none stands twice."""
    return len(loans) < 2 or bool(pc.all(pc.less(loans[:-1], loans[1:])).as_py())


def all_differ(loans: pa.ChunkedArray) -> bool:
    """Whether no loan stands twice among these, none of them null; at a glance where they rise."""
    return rises(loans) or pc.count_distinct(loans).as_py() == len(loans)
