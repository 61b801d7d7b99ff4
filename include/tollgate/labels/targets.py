"""What became of each loan, by the book's own definition: computed in one place from as-of views, wherever it is asked.

A loan is good, bad, indeterminate, unbooked or immature; only good and bad train, are gated on and are monitored on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from tollgate import lake
from tollgate.books import APPROVED, LOAN, Book, Event
from tollgate.clock import add_months, months_before
from tollgate.labels.places import ABSENT, places

if TYPE_CHECKING:
    import pyarrow as pa

GOOD, BAD, INDETERMINATE, UNBOOKED, IMMATURE = LABELS = ("good", "bad", "indeterminate", "unbooked", "immature")
KINDS = ("bad", "indeterminate", "cures", "void")
NEVER, LONG_AGO = np.iinfo(np.int32).max, np.iinfo(np.int32).min  # as days since 1970, in which all is computed here


def mature_before(book: Book, as_of: date, horizon_months: int) -> date:
    """Loans booked before this day have had their horizon and the book's reporting lag by ``as_of``."""
    return months_before(as_of - timedelta(days=book.target.lag_days), horizon_months)


def read_labels(book: Book, as_of: date, horizon_months: int, *, since: date | None = None, until: date | None = None,
                at: Mapping[str, int | None] | None = None) -> pa.Table:
    """The label of every application of a window, as it is known before ``as_of``; see ``label``.

    Args:
        since, until: of applications from this day on, and before that one.
        at: the Delta version of each table to read; the newest where none is told.

    Raises:
        BadInput: an older Tollgate wrote a table, or a version is gone. PassingFault: the lake did not answer.
    """
    within = [("applied_on", op, day) for op, day in ((">=", since), ("<", until)) if day is not None]
    views = {table.name: lake.view(lake.published(book, table.name), as_of=as_of, at=(at or {}).get(table.name),
                                   columns=needed(book)[table.name],
                                   filters=within if table.name == "applications" else [])
             for table in book.tables if table.name in needed(book)}
    return label(book, as_of, horizon_months, views)


def open_loans(book: Book, as_of: date, months: int) -> pa.Array:
    """The ids of the loans that are open on a day, as it is known before ``as_of``, in order.

    Open is a loan that was booked at most ``months`` before, to which no event happened since by which the book's
    target ends it: bad and not cured, closed otherwise, or void. When a loan was paid back no target tells.

    Raises:
        BadInput: an older Tollgate wrote a table. PassingFault: the lake did not answer.
    """
    import pyarrow as pa

    views = {table.name: lake.view(lake.published(book, table.name), as_of=as_of, columns=needed(book)[table.name])
             for table in book.tables if table.name in needed(book)}
    loans = column(views["applications"], LOAN)
    booked = booked_days(book, as_of, views, loans)
    found = _what_happened(book, views, loans, booked, months)
    ended = found["void"] | (found["bad_on"] < NEVER) | (found["closed_on"] < NEVER)
    return loans.filter(pa.array((booked >= _number(months_before(as_of, months))) & (booked < NEVER) & ~ended))


def needed(book: Book) -> dict[str, list[str]]:
    """The columns of each table that labels are made of."""
    columns: dict[str, dict[str, None]] = {"applications": dict.fromkeys([LOAN, "applied_on"])}
    if not book.all_booked:
        columns["decisions"] = dict.fromkeys([LOAN, "decision", "booked_on"])
    for event in (event for kind in KINDS for event in getattr(book.target, kind)):
        own = columns.setdefault(event.table, {})
        own.update(dict.fromkeys([LOAN, book.table(event.table).told[0], *event.dates]))
        own.update(dict.fromkeys([event.column] if event.column else []))
    return {table: list(names) for table, names in columns.items()}


def label(book: Book, as_of: date, horizon_months: int, views: Mapping[str, pa.Table]) -> pa.Table:
    """The label of each application, in the order of ``views["applications"]``: that of ``loan_id``, as a view has it.

    Args:
        views: the tables that ``needed`` names, as known before ``as_of``; of applications and decisions, each loan
            once.

    Returns ``loan_id``, ``applied_on``, ``booked_on`` (null: not booked yet), ``label`` (one of ``LABELS``, as a
    dictionary of them), ``bad_on`` (the day on which it first went bad within the horizon, mature or not) and ``early``
    (an event is dated before the loan was booked, so that it is not believed).
    """
    import pyarrow as pa

    applications = views["applications"]
    loans = column(applications, LOAN)
    booked = booked_days(book, as_of, views, loans)
    found = _what_happened(book, views, loans, booked, horizon_months)
    codes = np.zeros(len(loans), np.int8)

    def call(where: np.ndarray, name: str) -> None:
        codes[where] = LABELS.index(name)

    call(found["was_bad"] | (found["closed_on"] < NEVER), INDETERMINATE)
    call((found["bad_on"] < NEVER) & (found["closed_on"] >= found["bad_on"]), BAD)
    call(found["void"] | found["early"], INDETERMINATE)
    call(booked >= _number(mature_before(book, as_of, horizon_months)), IMMATURE)
    call(booked == NEVER, UNBOOKED)
    return pa.table({
        LOAN: loans, "applied_on": column(applications, "applied_on"), "booked_on": _dates(booked),
        "label": pa.DictionaryArray.from_arrays(pa.array(codes), _texts(LABELS)),
        "bad_on": _dates(found["bad_on"]), "early": pa.array(found["early"])})


def booked_days(book: Book, as_of: date, views: Mapping[str, pa.Table], loans: pa.Array) -> np.ndarray:
    """The day on which each application was booked, as days since 1970, ``NEVER`` where it is not; int32 (loans,)."""
    import pyarrow.compute as pc

    if book.all_booked:
        return days(column(views["applications"], "applied_on"))
    decisions = views["decisions"]
    on = days(column(decisions, "booked_on"))
    at = places(loans, column(decisions, LOAN))
    paid_out = (at != ABSENT) & (on < _number(as_of)) & pc.equal(
        column(decisions, "decision"), APPROVED).fill_null(False).to_numpy(zero_copy_only=False)
    booked = np.full(len(loans), NEVER, np.int32)
    booked[at[paid_out]] = on[paid_out]
    return booked


def standing(book: Book, event: Event, rows: pa.Table, loans: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a table tells of an event and did not take back, of loans that are there.

    Returns the place of the loan among ``loans`` (int64), the day on which it happened (int32) and the number of the
    row (int64), each of shape (events,).
    """
    import pyarrow.compute as pc

    number: Any = np.arange(rows.num_rows)
    if event.column is not None:
        values = column(rows, event.column)
        told = (pc.is_in(values, value_set=_texts(event.isin)) if event.isin
                else pc.greater_equal(values, event.ge)).fill_null(False)
        number = np.flatnonzero(told.to_numpy(zero_copy_only=False))
    happened = days(_first_filled(rows, event.dates))[number]
    place = places(loans, column(rows, LOAN))[number]
    known = place != ABSENT
    without_day = known & (happened == NEVER)
    if without_day.any():
        reported = days(column(rows, book.table(event.table).told[0]))[number]
        taken_back = np.full(len(loans), LONG_AGO, np.int32)
        np.maximum.at(taken_back, place[without_day], reported[without_day])
        known &= reported > taken_back[place]
    known &= happened != NEVER
    return place[known], happened[known], number[known]


def label_of(loans: pa.ChunkedArray, labels: pa.Table) -> np.ndarray:
    """The label of each of ``loans`` in what ``label`` made, ``UNBOOKED`` of one that is not there; object (loans,)."""
    import pyarrow as pa

    names = np.array([*LABELS, UNBOOKED], dtype=object)
    at = places(column(labels, LOAN), column(pa.table({LOAN: loans}), LOAN))
    codes = np.append(column(labels, "label").indices.to_numpy(), len(LABELS))
    return names[codes[at]]  # ABSENT is -1: the last


def _what_happened(book: Book, views: Mapping[str, pa.Table], loans: pa.Array, booked: np.ndarray,
                   horizon_months: int) -> dict[str, np.ndarray]:
    """``bad_on``, ``closed_on`` (days, int32), ``was_bad``, ``void``, ``early`` (bool) of each loan, shape (loans,)."""
    told: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for kind in KINDS:
        each = [standing(book, event, views[event.table], loans)[:2] for event in getattr(book.target, kind)]
        told[kind] = (np.concatenate([np.empty(0, np.int64), *(place for place, _ in each)]),
                      np.concatenate([np.empty(0, np.int32), *(happened for _, happened in each)]))
    found = {name: np.zeros(len(loans), bool) for name in ("was_bad", "void", "early")}
    found["void"][told.pop("void")[0]] = True
    for place, happened in told.values():
        found["early"][place[(happened < booked[place]) & (booked[place] != NEVER)]] = True

    def within(kind: str) -> tuple[np.ndarray, np.ndarray]:
        place, happened = told[kind]
        from_booking = happened >= booked[place]
        place, happened = place[from_booking], happened[from_booking]
        in_time = happened <= _later(booked[place], horizon_months)
        return place[in_time], happened[in_time]

    cured_on, found["bad_on"], found["closed_on"] = (np.full(len(loans), day, np.int32)
                                                    for day in (LONG_AGO, NEVER, NEVER))
    np.maximum.at(cured_on, *within("cures"))
    np.minimum.at(found["closed_on"], *within("indeterminate"))
    place, happened = within("bad")
    cured = happened <= cured_on[place]
    found["was_bad"][place[cured]] = True
    np.minimum.at(found["bad_on"], place[~cured], happened[~cured])
    return found


def _later(day: np.ndarray, months: int) -> np.ndarray:
    """``add_months`` of days since 1970, each distinct day computed once; int32 of the days' shape."""
    if not len(day):
        return day
    first, last = int(day.min()), int(day.max())
    table = add_months(np.arange(first, last + 1).astype("datetime64[D]"), months)
    return table.astype(np.int32)[day - first]


def column(rows: pa.Table, name: str) -> pa.Array:
    """A column in one piece."""
    import pyarrow as pa

    found = rows[name]
    return found.chunk(0) if found.num_chunks == 1 else pa.concat_arrays([pa.array([], found.type), *found.chunks])


def days(dates: pa.Array) -> np.ndarray:
    """Dates as days since 1970, ``NEVER`` where there is none; int32 of shape (dates,)."""
    import pyarrow as pa

    numbers = dates.view(pa.int32())
    return np.asarray((numbers.fill_null(int(NEVER)) if dates.null_count else numbers).to_numpy(zero_copy_only=False))


def _first_filled(rows: pa.Table, names: tuple[str, ...]) -> pa.Array:
    """Of several columns, row by row, the first value that there is."""
    import pyarrow.compute as pc

    first, *others = (column(rows, name) for name in names)
    return pc.coalesce(first, *others) if others else first


def _dates(day: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return pa.array(day, pa.int32(), mask=day == NEVER).view(pa.date32())


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _texts(values: tuple[str, ...]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, pa.string())
