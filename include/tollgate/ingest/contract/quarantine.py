"""Looking into the quarantine: what was refused, by file and rule, and the rows themselves. Nothing is written here."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow.compute

from tollgate import lake
from tollgate.books import LOAN
from tollgate.errors import BadInput
from tollgate.ingest.reading import holds

if TYPE_CHECKING:
    from tollgate.books import Book

pc: Any = pyarrow.compute

FILE = ("fingerprint", "file", "table")


def quarantined(book: str) -> list[dict[str, Any]]:
    """``{"fingerprint", "file", "table", "rule", "column", "rows"}``, a line a file, rule and column.

    The line of a rule that refused a whole file has no rows. Sorted by file, then the most rows first.
    """
    lines = lake.read(lake.quarantine(book), columns=[*FILE, "row", "rule", "column"]).to_pylist()
    counts: dict[tuple[str | None, ...], int] = defaultdict(int)
    for line in lines:
        counts[tuple(line[name] for name in (*FILE, "rule", "column"))] += line["row"] > 0
    found = [{**dict(zip((*FILE, "rule", "column"), key, strict=True)), "rows": rows} for key, rows in counts.items()]
    return sorted(found, key=lambda line: (line["file"], line["fingerprint"], -line["rows"], line["rule"],
                                           line["column"] or ""))


def quarantined_rows(book: str, fingerprint: str) -> dict[str, Any]:
    """The refused rows of one file, named by its fingerprint or the beginning of it.

    Returns ``{"book", "fingerprint", "file", "landed", "rows": [{"row", "rule", "column", "value", "record"}, ...]}``:
    a line a broken rule, by place in the file; row 0 stands for the file as a whole. The record is the row as it came,
    without personal columns; ``landed`` is the day on which the file was first seen.

    Raises:
        BadInput: no file in the quarantine, or more than one, begins so.
    """
    table = lake.quarantine(book)
    whole = begins_with(table, fingerprint)
    lines = lake.read(table, filters=[("fingerprint", "=", whole)]).to_pylist()
    rows = [{**{name: line[name] for name in ("row", "rule", "column", "value")}, "record": json.loads(line["record"])}
            for line in lines]
    return {"book": book, "fingerprint": whole, "file": lines[0]["file"], "landed": lines[0]["landed"],
            "rows": rows}


def quarantined_loan(book: Book, loan_id: str) -> list[dict[str, Any]]:
    """Where a loan stands in the quarantine.

    Returns ``{"fingerprint", "file", "table", "row", "rule", "column"}``, a line a broken rule, by file and place.
    Rows of which no record is kept, because they are malformed, name no loan.
    """
    lines = lake.read(lake.quarantine(book.name), columns=[*FILE, "row", "rule", "column", "record"])
    spelled = json.dumps(loan_id, ensure_ascii=False)[1:-1]
    few = lines.filter(pc.match_substring(lines["record"], spelled)).to_pylist()
    key = {table.name: c for table in book.tables for c in table.columns if c.name == LOAN}
    found = [line for line in few if line["table"] in key and holds(
        key[line["table"]], [json.loads(line["record"]).get(key[line["table"]].source)], [loan_id])[0].as_py()]
    return sorted(({name: line[name] for name in (*FILE, "row", "rule", "column")} for line in found),
                  key=lambda line: (line["file"], line["fingerprint"], line["row"], line["rule"], line["column"] or ""))


def begins_with(table: lake.Table, fingerprint: str) -> str:
    """The one whole fingerprint that begins so, of the files in ``quarantine`` or ``received``; else ``BadInput``."""
    known = [name for name in lake.partitions(table) if name.startswith(fingerprint)]
    if len(known) == 1:
        return known[0]
    where = "in the quarantine" if table.name == "quarantine" else "that was received"
    raise BadInput("More than one file begins so" if known else f"No file {where} has this fingerprint",
                   value=fingerprint, remedy=f"tollgate --json quarantine list {table.book} shows them whole.")
