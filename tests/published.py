"""Rows in the lake as an ingested file would leave them, without a file."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute

from tollgate import lake
from tollgate.books import Book

pc: Any = pyarrow.compute
NEVER = date(9000, 1, 1)


def publish_sent(book: Book, sent: pa.Table) -> None:
    """Put rows of a simulated lender, under its own names, into every table of the book that they fill."""
    for table in book.tables:
        kept = [column for column in table.columns if not column.personal]
        rows = sent.select([column.source for column in kept]).rename_columns([column.name for column in kept])
        there = pc.is_valid(rows[table.told[0]])
        if table.name == "outcomes" and "booking_date" in sent.column_names:
            there = pc.and_(there, pc.is_valid(sent["booking_date"]))
        publish(book, table.name, rows.filter(there))


def publish(book: Book, name: str, rows: pa.Table | list[dict[str, Any]], *, number: int = 1,
            day: date = NEVER, live_on: date = NEVER) -> lake.Changes:
    """Add rows under the lake's column names to a table of the book; columns that they lack are null.

    Args:
        number: of the delivery. day: on which it is taken in. live_on: the day of the book's first delivery; by default
            the future, so that every row was known on the day that it carries itself.
    """
    table, of = lake.published(book, name), book.table(name)
    if isinstance(rows, list):
        rows = pa.Table.from_pylist(rows, of.schema())
    schema = of.schema()
    made = pa.table([rows[field.name].cast(field.type) if field.name in rows.column_names
                     else pa.nulls(rows.num_rows, field.type) for field in schema], schema=schema)
    made = made.add_column(0, pa.field("month", pa.string()), pc.strftime(made[of.told[0]], format="%Y-%m"))
    made = made.append_column(pa.field("line", pa.int64()), pa.nulls(made.num_rows, pa.int64()))
    with lake.scratch() as disk:
        by_month = lake.PartitionedRows(disk, made.schema, "month")
        by_month.add(made)
        return lake.append_versions(table, of, by_month, lake.Delivery(number, day, live_on))
