"""Small books for tests of labels: one that sends booked loans alone, one with decisions, one with payments."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa

from tollgate.books import Book, BookTable, Column, Event, Target, decisions_table, outcomes_table
from tollgate.labels import label, needed

HORIZON = 24
AS_OF = date(2007, 1, 1)


def _column(name: str, kind: str, **more: Any) -> Column:
    return Column(name=name, source=name, kind=kind, doc=name, **more)


ID = _column("loan_id", "text", nullable=False)
APPLIED = _column("applied_on", "date", nullable=False)
APPLICATIONS = BookTable(name="applications", columns=(ID, APPLIED), key=("loan_id",), told=("applied_on",))
OUTCOMES = outcomes_table((ID, _column("reported_on", "date", nullable=False), _column("defaulted_on", "date"),
                           _column("event", "text")))
DECISIONS = decisions_table((ID, _column("decision", "text", nullable=False),
                             _column("decided_on", "date", nullable=False), _column("booked_on", "date")))
PAYMENTS = BookTable(name="payments", key=("loan_id", "due_on"), told=("due_on",), columns=(
    ID, _column("due_on", "date", nullable=False), _column("days_past_due", "integer")))


BOOKED = Book(name="booked", title="Booked", about="", use="", limits=(), tables=(APPLICATIONS, OUTCOMES),
              all_booked=True, features=(), critical=())
DECIDED = replace(BOOKED, name="decided", tables=(APPLICATIONS, DECISIONS, OUTCOMES), all_booked=False)


def event(*values: str) -> Event:
    return Event(table="outcomes", on="defaulted_on", column="event", isin=values)


EVENTFUL = replace(BOOKED, name="eventful", target=Target(
    bad=(event("default", "charge-off"),), indeterminate=(event("refinanced"),), cures=(event("cured"),),
    void=(event("fraud"),)))
PAID_BY_MONTH = replace(BOOKED, name="paid_by_month", tables=(APPLICATIONS, PAYMENTS), target=Target(
    bad=(Event(table="payments", on="due_on", column="days_past_due", ge=90),)))


def with_lag(book: Book, days: int) -> Book:
    return replace(book, target=replace(book.target, lag_days=days))


def day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def views(book: Book, **rows: list[tuple[Any, ...]]) -> dict[str, pa.Table]:
    """Views of a book's tables from tuples in the order of the columns; days as text."""
    found = {}
    for name, columns in needed(book).items():
        of = book.table(name)
        schema = pa.schema([of.schema().field(column) for column in of.schema().names])
        dated = [pa.types.is_date(field.type) for field in schema]
        made = [{field.name: day(value) if is_date else value
                 for field, value, is_date in zip(schema, row, dated, strict=False)} for row in rows.get(name, [])]
        found[name] = pa.Table.from_pylist(made, schema).sort_by([(key, "ascending") for key in of.key]).select(columns)
    return found


def labels(book: Book, as_of: date = AS_OF, horizon: int = HORIZON, **rows: list[tuple[Any, ...]]) -> dict[str, str]:
    """The label of each loan."""
    found = label(book, as_of, horizon, views(book, **rows))
    return dict(zip(found["loan_id"].to_pylist(), found["label"].to_pylist(), strict=True))
