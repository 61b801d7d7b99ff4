"""Bringing what aggregates are made of: the histories of some loans, and the day on which each loan arrived."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake
from tollgate.books import LOAN, Book, BookTable
from tollgate.features.aggregates import Histories

APPLIED, KNOWN = "applied_on", "known_on"


def with_histories(book: Book, rows: pa.Table, as_of: date | None = None) -> tuple[pa.Table, dict[str, pa.Table]]:
    """The rows with ``known_on`` beside them, and the histories of their loans; both as they are in other books.

    Args:
        rows: applications. as_of: nothing that became known later is among the histories.

    Raises:
        PassingFault: the lake did not answer.
    """
    if not book.aggregates:
        return rows, {}
    return (arrived(rows, arrivals(book, rows[LOAN])),
            {table.name: history(book, table, rows, as_of) for table in book.histories})


def standing_at(rows: pa.Table, day: date) -> pa.Table:
    """The rows as if each had been asked for, and had arrived, on ``day``: what features are made of as of that day."""
    then = pa.repeat(pa.scalar(day, pa.date32()), rows.num_rows)
    for name in (APPLIED, KNOWN):
        if name in rows.column_names:
            rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), then)
    return rows


def histories_of(book: Book, rows: pa.Table, histories: Histories) -> dict[str, pa.Table]:
    """Of each history the rows whose entity is one of these applications'."""
    return {table.name: histories[table.name].filter(pc.is_in(
        histories[table.name][str(table.entity)], value_set=rows[str(table.entity)].combine_chunks()))
        for table in book.histories}


def arrivals(book: Book, loans: pa.ChunkedArray, at: int | None = None) -> pa.Table:
    """``loan_id`` and ``known_on``: the day on which each application first arrived.

    A loan was decided on by what was known then, also where its application was corrected since.
    """
    found = lake.versions_of(lake.applications(book), LOAN, loans.unique(), at=at, columns=[LOAN, KNOWN, "version"])
    return found.filter(pc.equal(found["version"], 1)).drop_columns("version")


def arrived(rows: pa.Table, found: pa.Table) -> pa.Table:
    """The rows with their loans' ``known_on``, as ``arrivals`` found it."""
    place = pc.index_in(rows[LOAN], value_set=found[LOAN].combine_chunks())
    return rows.append_column(KNOWN, found[KNOWN].combine_chunks().take(place.combine_chunks()))


def history(book: Book, table: BookTable, rows: pa.Table, as_of: date | None = None,
            at: Mapping[str, int] | None = None) -> pa.Table:
    """Every version of the rows of a history whose entity is one of these applications'.

    Args:
        at: the Delta version to read of each table; the newest of one that is not named.
    """
    whose = str(table.entity)
    return lake.versions_of(lake.published(book, table.name), whose, rows[whose].drop_null().unique(), as_of=as_of,
                            at=(at or {}).get(table.name))
