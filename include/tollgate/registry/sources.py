"""The lines of the lender's files that a loan's features are made of."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tollgate import lake
from tollgate.books import LOAN, Book, BookTable
from tollgate.features import arrivals, arrived, seen

LINEAGE = ("delivery", "line")


def sources_of(book: Book, loan_id: str) -> list[dict[str, Any]]:
    """Every row of the lake that a loan's features are made of, and where it came from.

    Returns ``{"table", "key": {column: value}, "told": the day, "known_on", "version", "file", "line"}`` a row: the
    versions of its application, then what any of these saw of each history, by table and key: a correction may name
    another applicant, and what was scored before it was made of the former's. The line is unknown (None) of rows that
    an older Tollgate took in.

    Raises:
        PassingFault: the lake did not answer.
    """
    files = {row["delivery"]: row["file"] for row in lake.read(lake.deliveries(book.name)).to_pylist()}
    table = book.table("applications")
    own = _versions(book, table, LOAN, pa.array([loan_id]))
    found = _told(table, own, files)
    if book.histories:
        columns = list(dict.fromkeys([LOAN, "applied_on", *(str(history.entity) for history in book.histories)]))
        asked = lake.versions_of(lake.applications(book), LOAN, pa.array([loan_id]), columns=columns)
        asked = arrived(asked, arrivals(book, asked[LOAN]))
    for history in book.histories:
        whose = str(history.entity)
        rows = seen(history, asked, _versions(book, history, whose, asked[whose].drop_null().unique()))
        lines = _told(history, rows.drop_columns("row").group_by(rows.column_names[1:]).aggregate([]), files)
        found += sorted(lines, key=lambda line: (*line["key"].values(), line["version"]))
    return found


def _versions(book: Book, table: BookTable, column: str, values: pa.Array) -> pa.Table:
    days = [*table.key, *table.told, *([table.entity] if table.entity else [])]
    return lake.versions_of(lake.published(book, table.name), column, values,
                            columns=list(dict.fromkeys([*days, "known_on", "version", *LINEAGE])))


def _told(table: BookTable, rows: pa.Table, files: dict[int, str]) -> list[dict[str, Any]]:
    return [{"table": table.name, "key": {name: _plain(row[name]) for name in table.key},
             "told": max(row[name] for name in table.told if row[name] is not None).isoformat(),
             "known_on": row["known_on"].isoformat(), "version": row["version"],
             "file": files.get(row["delivery"]), "line": row["line"]} for row in rows.to_pylist()]


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
