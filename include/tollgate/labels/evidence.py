"""What the feed of outcomes looks like as of a day, counted once into a small table that everything else judges by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from tollgate import lake
from tollgate.books import LOAN, Book
from tollgate.clock import months_before
from tollgate.labels.places import ABSENT, places
from tollgate.labels.targets import NEVER, booked_days, column, days, needed, standing

if TYPE_CHECKING:
    import pyarrow as pa

LAG_MONTHS = 24        # of events whose lags are measured
LAG_DAYS_MIN = 180     # an event this young may still be unreported
MONTH = "datetime64[M]"


def feed_evidence(book: Book, as_of: date, at: Mapping[str, int | None] | None = None) -> pa.Table:
    """Counts of what was booked, went bad and arrived, as known before ``as_of``; a few thousand rows of any book.

    Args:
        at: the Delta version of each table to read; the newest where none is told.

    Returns ``what``, ``booked`` and ``known`` (the first day of a month; of ``arrived`` the day itself), ``days``,
    ``count``:

    - ``booked``: loans by month of booking.
    - ``bad``: loans by month of booking and by the month in which it was known that they went bad.
    - ``arrived``: rows of the tables that tell what is bad, by the day on which they were known.
    - ``reported`` and ``delivered``: bad events by the month in which they happened and by the days until the lender
      reported them, and until Tollgate knew; of ``LAG_MONTHS`` months, none too young to have been reported.
    - one row each of ``applications``, ``with_outcome`` (loans), and of those ``orphans`` (in no application),
      ``orphans_alike`` (which would be in one but for zeros in front, blanks or case), ``early`` (bad before they were
      booked), ``unbooked`` (bad and never booked); and ``decisions``, ``decision_orphans``.

    Raises:
        BadInput: an older Tollgate wrote a table, or a version is gone. PassingFault: the lake did not answer.
    """
    pinned = at or {}
    events = {event.table for event in book.target.bad}
    views, known = {}, {}
    for name, columns in needed(book).items():
        if name in {"applications", "decisions"} | events:
            more = ["known_on", "version"] if name in events else []
            table = lake.published(book, name)
            rows = lake.view(table, as_of=as_of, at=pinned.get(name), columns=list(dict.fromkeys([*columns, *more])))
            if more:
                known[name] = _first_known(table, rows, as_of, pinned.get(name))
            views[name] = rows
    return count(book, as_of, views, known)


def _first_known(table: lake.Table, rows: pa.Table, as_of: date, at: int | None) -> np.ndarray:
    """The day on which each row of a view was first known, whatever was restated of it since; int32 (rows,)."""
    import pyarrow.compute as pc

    if (pc.max(rows["version"]).as_py() or 1) > 1:
        rows = lake.read(table, as_of=as_of, at=at, columns=["known_on"], filters=[("version", "=", 1)])
    return days(column(rows, "known_on"))


def count(book: Book, as_of: date, views: Mapping[str, pa.Table], known: Mapping[str, np.ndarray]) -> pa.Table:
    """``feed_evidence`` once the views are at hand.

    Args:
        known: for each table that tells what is bad, the day on which each row of its view was first known.
    """
    loans = column(views["applications"], LOAN)
    booked = booked_days(book, as_of, views, loans)
    found = _Counts()
    found.add("booked", booked=_months(booked[booked != NEVER]))
    bad = _bad(book, views, known, loans)
    from_booking = (booked[bad.place] <= bad.happened) & (booked[bad.place] != NEVER)
    place, first = _first(bad.place[from_booking], bad.known[from_booking])
    found.add("bad", booked=_months(booked[place]), known=_months(first))
    for table in known:
        found.add("arrived", known=known[table].astype("datetime64[D]"))
    until = np.datetime64(as_of) - max(2 * book.target.lag_days, LAG_DAYS_MIN)
    happened = bad.happened.astype("datetime64[D]")
    old = (happened < until) & (happened >= np.datetime64(months_before(until.item(), LAG_MONTHS)))
    for what, when in (("reported", bad.reported), ("delivered", bad.known)):
        found.add(what, known=_months(bad.happened[old]), days=(when - bad.happened)[old])
    _scalars(book, views, loans, booked, bad, found)
    return found.table()


@dataclass(frozen=True)
class _Bad:
    """The bad events that stand: the place of the loan, and three days since 1970, each of shape (events,)."""

    place: np.ndarray
    happened: np.ndarray
    reported: np.ndarray
    known: np.ndarray


def _bad(book: Book, views: Mapping[str, pa.Table], known: Mapping[str, np.ndarray], loans: pa.Array) -> _Bad:
    parts = []
    for event in book.target.bad:
        rows = views[event.table]
        place, happened, number = standing(book, event, rows, loans)
        told = days(column(rows, book.table(event.table).told[0]))
        parts.append((place, happened, told[number], known[event.table][number]))
    return _Bad(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _first(place: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each place once, with the first day known."""
    order = np.lexsort((known, place))
    distinct, at = np.unique(place[order], return_index=True)
    return distinct, known[order][at]


def _scalars(book: Book, views: Mapping[str, pa.Table], loans: pa.Array, booked: np.ndarray, bad: _Bad,
             found: _Counts) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    told = pc.unique(pa.concat_arrays([column(views[name], LOAN) for name in
                                       sorted({event.table for event in book.target.bad})]))
    orphans = told.filter(pa.array(places(loans, told) == ABSENT))
    early = (bad.happened < booked[bad.place]) & (booked[bad.place] != NEVER)
    found.one("applications", len(loans))
    found.one("with_outcome", len(told))
    found.one("orphans", len(orphans))
    found.one("orphans_alike", _alike(orphans, loans) if len(orphans) else 0)
    found.one("early", len(np.unique(bad.place[early])))
    found.one("unbooked", len(np.unique(bad.place[booked[bad.place] == NEVER])))
    if not book.all_booked:
        decided = column(views["decisions"], LOAN)
        found.one("decisions", len(decided))
        found.one("decision_orphans", int(np.sum(places(loans, decided) == ABSENT)))


def _alike(orphans: pa.Array, loans: pa.Array) -> int:
    """How many orphans are among the loans once zeros in front, blanks and case are left aside."""
    import pyarrow.compute as pc

    def plain(ids: pa.Array) -> pa.Array:
        bare: Any = pc
        return bare.utf8_ltrim(bare.utf8_lower(bare.replace_substring_regex(ids, r"\s+", "")), characters="0")

    return int(pc.sum(pc.is_in(plain(orphans), value_set=plain(loans))).as_py() or 0)


def _months(day: np.ndarray) -> np.ndarray:
    return day.astype("datetime64[D]").astype(MONTH)


class _Counts:
    """Rows of the evidence as they are found."""

    def __init__(self) -> None:
        self.parts: list[pa.Table] = []

    def one(self, what: str, count: int) -> None:
        self._keep(what, {}, np.array([count]))

    def add(self, what: str, **by: np.ndarray) -> None:
        """Count the rows by their distinct combinations, of at most two columns."""
        keys = [values.astype(np.int64) for values in by.values()]
        half = 2**31  # a second key may be negative: it is added to half of what a first key is worth
        packed, counts = np.unique(keys[0] * 2 * half + half + (keys[1] if len(keys) > 1 else 0), return_counts=True)
        distinct = [packed // (2 * half), packed % (2 * half) - half]
        self._keep(what, {name: value.astype(values.dtype) for (name, values), value in zip(
            by.items(), distinct, strict=False)}, counts)

    def _keep(self, what: str, by: Mapping[str, np.ndarray], counts: np.ndarray) -> None:
        import pyarrow as pa

        size = len(counts)
        self.parts.append(pa.table({
            "what": pa.array([what] * size, pa.string()),
            **{name: pa.array(by[name].astype("datetime64[D]")) if name in by else pa.nulls(size, pa.date32())
               for name in ("booked", "known")},
            "days": pa.array(by["days"].astype(np.int64)) if "days" in by else pa.nulls(size, pa.int64()),
            "count": pa.array(counts.astype(np.int64))}))

    def table(self) -> pa.Table:
        import pyarrow as pa

        return pa.concat_tables(self.parts).combine_chunks()


@dataclass(frozen=True)
class Feed:
    """The evidence as numbers, by calendar month from the first booking to the last month that was over by the as-of.

    Attributes:
        months: datetime64[M] of shape (months,).
        booked: loans booked in each, float64 (months,).
        bad: loans by month of booking (row) and by the month in which they were known to be bad, float64
            (months, months).
        arrived: distinct days on which outcomes were known, ascending, datetime64[D].
        reported, delivered: lags in days (ascending, int64) and how many events have each (int64).
        counts: the numbers of one row each, by name.
    """

    months: np.ndarray
    booked: np.ndarray
    bad: np.ndarray
    arrived: np.ndarray
    reported: tuple[np.ndarray, np.ndarray]
    delivered: tuple[np.ndarray, np.ndarray]
    counts: Mapping[str, int]


def read_feed(evidence: pa.Table, as_of: date) -> Feed:
    """The evidence of ``feed_evidence`` as numbers."""
    import pyarrow.compute as pc

    def rows(what: str) -> dict[str, np.ndarray]:
        kept = evidence.filter(pc.equal(evidence["what"], what))
        return {name: kept[name].to_numpy() for name in ("booked", "known", "days", "count")}

    booked, bad = rows("booked"), rows("bad")
    end = np.datetime64(as_of, "M")
    begin = booked["booked"].min().astype(MONTH) if len(booked["count"]) else end
    months = np.arange(begin, max(begin, end))
    size = len(months)
    taken, triangle = np.zeros(size), np.zeros((size, size))
    place = (booked["booked"].astype(MONTH) - begin).astype(int)
    np.add.at(taken, place[place < size], booked["count"][place < size])
    row, of = ((bad[name].astype(MONTH) - begin).astype(int) for name in ("booked", "known"))
    over = (row < size) & (of < size)
    np.add.at(triangle, (row[over], of[over]), bad["count"][over])
    scalars = evidence.filter(pc.and_(pc.is_null(evidence["booked"]), pc.and_(pc.is_null(evidence["known"]),
                                                                              pc.is_null(evidence["days"]))))
    return Feed(months, taken, triangle, np.unique(rows("arrived")["known"].astype("datetime64[D]")),
                _lags(rows("reported")), _lags(rows("delivered")),
                dict(zip(scalars["what"].to_pylist(), scalars["count"].to_pylist(), strict=True)))


def _lags(rows: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    lag, at = np.unique(rows["days"].astype(np.int64), return_inverse=True)
    return lag, np.bincount(at, rows["count"], len(lag)).astype(np.int64)

