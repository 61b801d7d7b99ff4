"""Everything that is wrong in a book: its tables, target, features and sender, and what the others here find."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import numpy as np

from tollgate.books.checking.fault import NAME, RUN, Fault, duplicates
from tollgate.books.checking.histories import faults_of_histories
from tollgate.books.checking.reasons import faults_of_reason
from tollgate.books.checking.shapes import faults_of_shapes
from tollgate.books.checking.sources import faults_of_dates, faults_of_sources
from tollgate.books.description.features import Aggregate
from tollgate.books.description.tables import ARROW, LOAN, Column
from tollgate.clock import MONTH

if TYPE_CHECKING:
    from tollgate.books.description.book import Book
    from tollgate.books.description.features import Feature
    from tollgate.books.description.tables import BookTable
    from tollgate.books.description.targets import Event

LAKE = {"month", "known_on", "delivery", "version", "line"}  # columns that the lake gives every table


def faults_of(book: Book) -> list[Fault]:
    """Everything that is wrong in a book, in the order of its description.

    Where a text or a list stands in the place of a tuple, only that: the letters of a text say nothing else of use.
    """
    return list(faults_of_shapes(book)) or [
        *_of_itself(book), *(fault for table in book.tables for fault in _of_table(table)), *_of_tables(book),
        *faults_of_sources(book), *faults_of_histories(book), *_of_target(book), *_of_features(book),
        *_of_sender(book)]


def _of_itself(book: Book) -> Iterator[Fault]:
    if not NAME.fullmatch(book.name):
        yield Fault(f"name: {book.name!r} is not of small letters, digits and _, a letter first", book.name)
    if book.time_zone not in available_timezones():
        yield Fault(f"time_zone: the IANA database has no {book.time_zone!r}", book.time_zone)


def _of_tables(book: Book) -> Iterator[Fault]:
    names = [table.name for table in book.tables]
    yield from (Fault(f"tables: there are {n} called {name}", name) for name, n in duplicates(names))
    if "applications" not in names:
        yield Fault("tables: there is none called applications, of which every loan has a row", "tables")
        return
    columns = {column.name: column for column in book.applications}
    for name, kind in (("loan_id", "text"), ("applied_on", "date")):
        if name not in columns:
            yield Fault(f"applications: there is no column {name}", "applications")
        elif columns[name].kind != kind or columns[name].nullable:
            yield Fault(f"applications.{name}: must be of the kind {kind} and never empty (nullable=False)", name)
    if book.all_booked == ("decisions" in names):
        yield Fault("all_booked: the book has a table of decisions, which say who was booked" if book.all_booked else
                    "all_booked: there is no table of decisions to say who was booked; add one, or say that all are",
                    "all_booked")


def _of_table(table: BookTable) -> Iterator[Fault]:
    columns = {column.name: column for column in table.columns}
    if not NAME.fullmatch(table.name):
        yield Fault(f"tables: {table.name!r} is not of small letters, digits and _, a letter first", table.name)
    for what, names in (("columns are called", [c.name for c in table.columns]),
                        ("columns are read from the lender's", [c.source for c in table.columns])):
        yield from (Fault(f"{table.name}: {n} {what} {name}", name) for name, n in duplicates(names))
    yield from (fault for column in table.columns for fault in _of_column(table.name, column))
    for part in ("key", "told", "filled"):
        yield from (Fault(f"{table.name}.{part}: there is no column {name}", name) for name in getattr(table, part)
                    if name not in columns)
    yield from (Fault(f"{table.name}.told: {name} is no date", name) for name in table.told
                if name in columns and columns[name].kind != "date")
    yield from (Fault(f"{table.name}.{part}: {name} is personal and dropped, so that it cannot be a part of it", name)
                for part in ("key", "told") for name in getattr(table, part)
                if name in columns and columns[name].personal)
    if not table.key or not table.told:
        yield Fault(f"{table.name}: it needs a key, and a date on which a row is told", table.name)
    elif table.told[0] in columns and columns[table.told[0]].nullable:
        yield Fault(f"{table.name}.told: {table.told[0]}, the first, may be empty; say nullable=False", table.told[0])
    if LOAN not in columns and table.entity is None and table.name != "applications":
        yield Fault(f"{table.name}: it has no column {LOAN}, and no entity that says whose its rows are", table.name)
    for rule in table.rules:
        yield from (Fault(f"{table.name}: the rule {rule.name} uses {name}, which is no column of it", name)
                    for name in rule.uses if name not in columns)


def _of_column(table: str, column: Column) -> Iterator[Fault]:
    where = f"{table}.{column.name}"
    if column.source.startswith("TODO"):
        yield Fault(f"{where}: the draft found no column for it; give the lender's name of one as its source",
                    column.source)
    if column.name in LAKE:
        yield Fault(f"{where}: the lake has a column of that name itself", column.name)
    if column.kind not in ARROW:
        yield Fault(f"{where}: there is no kind {column.kind}; say one of {', '.join(ARROW)}", column.kind)
    bounds: list[Any] = [bound for bound in (column.ge, column.le) if bound is not None]
    if bounds and column.kind == "text":
        yield Fault(f"{where}: a {column.kind} has no bounds", column.name)
    elif not all(_is_bound(bound, column.kind) for bound in bounds):
        yield Fault(f"{where}: its bounds are not of its kind, {column.kind}", column.name)
    elif len(bounds) > 1 and bounds[0] > bounds[1]:
        yield Fault(f"{where}: no value is at least {bounds[0]} and at most {bounds[1]}", column.name)
    if not all(isinstance(text, str) for pair in (column.recode or {}).items() for text in pair):
        yield Fault(f'{where}: recode is from text to text, "" for nothing, and holds something else', column.name)
    elif column.isin and column.kind != "text":
        yield Fault(f"{where}: only text has a vocabulary (isin), and it is {column.kind}", column.name)
    elif column.isin and (wrong := sorted(set((column.recode or {}).values()) - {*column.isin, ""})):
        yield Fault(f"{where}: recode gives {', '.join(wrong)}, not in isin", column.name)
    yield from faults_of_dates(table, column)
    if column.actionable and (column.personal or column.protected or column.known == "later"):
        yield Fault(f"{where}: nobody asks for what is personal, protected or known later (actionable)", column.name)
    elif column.actionable and (column.kind == "date" or (column.kind == "text" and column.actionable != "either")):
        yield Fault(f"{where}: a {column.kind} is not asked for {column.actionable} (actionable)", column.name)
    if column.protected and column.personal:
        yield Fault(f"{where}: a personal column is dropped, so that it cannot be kept as protected", column.name)


def _is_bound(bound: object, kind: str) -> bool:
    """Whether values of a kind can be held against it."""
    if kind == "date" or isinstance(bound, date):
        return kind == "date" and isinstance(bound, date)
    if not isinstance(bound, int | float) or (isinstance(bound, float) and not np.isfinite(bound)):
        return False
    return kind != "integer" or (bound == int(bound) and abs(bound) < 2**63)


def _of_target(book: Book) -> Iterator[Fault]:
    tables = {table.name: {column.name: column for column in table.columns} for table in book.tables}
    for kind in ("bad", "indeterminate", "cures", "void"):
        for event in getattr(book.target, kind):
            yield from _of_event(kind, event, tables)
    if not book.target.bad:
        yield Fault("bad: no event makes a loan bad", "bad")
    if book.target.lag_days < 0:
        yield Fault(f"lag_days: {book.target.lag_days} is less than 0", "lag_days")


def _of_event(kind: str, event: Event, tables: dict[str, dict[str, Column]]) -> Iterator[Fault]:
    columns = tables.get(event.table)
    if columns is None:
        yield Fault(f"{kind}: there is no table {event.table}", event.table)
        return
    yield from (Fault(f"{kind}: the table {event.table} has no column {name}", name)
                for name in (*event.dates, event.column) if name is not None and name not in columns)
    yield from (Fault(f"{kind}: {event.table}.{name} is no date", name) for name in event.dates
                if name in columns and columns[name].kind != "date")
    if not event.dates:
        yield Fault(f"{kind}: an event of {event.table} names no date on which it happened (on)", "on")
    if event.column is None and (event.isin or event.ge is not None):
        yield Fault(f"{kind}: an event of {event.table} has values and names no column for them",
                    event.dates[0] if event.dates else "on")
    if event.column is not None and not event.isin and event.ge is None:
        yield Fault(f"{kind}: {event.table}.{event.column} needs values, isin or ge", event.column)


def _of_features(book: Book) -> Iterator[Fault]:
    if "applications" not in {table.name for table in book.tables}:
        return
    columns: dict[str, Column | Aggregate] = {column.name: column for column in book.applications}
    columns |= {aggregate.name: aggregate for aggregate in book.aggregates}
    names = [feature.name for feature in book.made]
    yield from (Fault(f"features: there are {n} called {name}", name) for name, n in duplicates(names))
    for feature in book.made:
        if feature.name in RUN:
            yield Fault(f"the feature {feature.name}: a run has a column of that name itself", feature.name)
        if feature.monotone and feature.kind == "category":
            yield Fault(f"the feature {feature.name}: a category has no direction (monotone)", feature.name)
        yield from faults_of_reason(feature)
        wrong = list(_of_inputs(feature, columns))
        yield from wrong or _of_kind(feature, columns)
    for part in ("critical", "required"):
        yield from (Fault(f"{part}: there is no feature {name}", name) for name in getattr(book, part)
                    if name not in names)
    amount = columns.get(book.amount)
    if book.amount and (not isinstance(amount, Column) or amount.kind not in ("money", "number", "integer")):
        yield Fault(f"amount: the applications have no column {book.amount} of money", book.amount)


def _of_inputs(feature: Feature, columns: dict[str, Column | Aggregate]) -> Iterator[Fault]:
    """Inputs that a feature cannot be made of. What it may not be made of is the leakage gate's to refuse."""
    for name in feature.uses:
        column = columns.get(name)
        if column is None:
            yield Fault(f"the feature {feature.name}: it uses {name}, applications have no such column, nor is it an "
                        "aggregate", name)
        elif isinstance(column, Column) and column.personal:
            yield Fault(f"the feature {feature.name}: it uses {name}, which is personal and dropped before the lake",
                        name)


def _of_kind(feature: Feature, columns: dict[str, Column | Aggregate]) -> Iterator[Fault]:
    """A feature that does not give what it says, tried on two rows: ``number`` over a text or a date."""
    try:
        made = np.asarray(feature.make(*(_sample(columns[name]) for name in feature.uses)))
    except Exception:  # on a text that only this book knows how to read: its first run will tell
        return
    given = "dates" if made.dtype.kind in "mM" else "numbers" if made.dtype.kind in "fiub" else "texts"
    if given != {"number": "numbers", "category": "texts"}[feature.kind]:
        remedy = "; days_between makes a number of it" if given == "dates" else ""
        yield Fault(f"the feature {feature.name}: it is a {feature.kind} and is made of {given} "
                    f"({', '.join(feature.uses)}){remedy}", feature.name)


def _sample(column: Column | Aggregate) -> np.ndarray:
    if column.kind == "text":
        vocabulary = column.isin if isinstance(column, Column) else ()
        return np.array([vocabulary[0] if vocabulary else "", None], dtype=object)
    if column.kind == "date":
        return np.array(["2001-02-03", "NaT"], dtype="datetime64[D]")
    return np.array([1.0, np.nan])


def _of_sender(book: Book) -> Iterator[Fault]:
    if book.sender is None:
        return
    first, last = book.sender.first_month, book.sender.last_month
    yield from (Fault(f"sender: {month!r} is no month, YYYY-MM", month) for month in (first, last)
                if not MONTH.fullmatch(month))
    if first > last:
        yield Fault(f"sender: its first month {first} lies after its last {last}", first)
