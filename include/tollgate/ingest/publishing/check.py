"""What ingesting a file would answer, found out without touching anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollgate import lake
from tollgate.clock import today
from tollgate.config import Ingest
from tollgate.errors import Refused
from tollgate.ingest.contract import PUBLISHED, REFUSED, Judgement, judge, rows_by_rule
from tollgate.ingest.expectations import raise_restated
from tollgate.ingest.publishing.publish import add_good, change_findings, good_rows
from tollgate.ingest.reading import MANIFEST, Landed, Unfit, batches, opened, source_of, spelled, together

if TYPE_CHECKING:
    from tollgate.books import Book

NEWEST = 2**62  # a delivery after all others


@dataclass(frozen=True)
class Check:
    """What ingesting a file would answer."""

    book: str
    table: str
    file: str
    received: int
    good: int
    reasons: list[dict[str, Any]]
    warnings: list[str]
    refused: Refused | None

    def answer(self) -> dict[str, Any]:
        """``{"book", "file", "table", "received", "good", "bad", "reasons", "warnings", "verdict"}``."""
        return {"book": self.book, "file": self.file, "table": self.table, "received": self.received,
                "good": self.good, "bad": self.received - self.good, "reasons": self.reasons,
                "warnings": self.warnings,
                "verdict": PUBLISHED if self.refused is None else REFUSED}


def check_file(book: Book, path: Path, params: Ingest) -> Check:
    """Judge a file on this machine's disk, with the manifest beside it if there is one, touching nothing.

    Content that was published before is judged like any other. The reasons are ``{"rule", "column", "rows"}``, the
    most frequent first; a file that is refused whole has one of no rows. Of a file that feeds several tables, a column
    is named with its table, ``outcomes.reported_on``. The warnings are sentences.

    Raises:
        BadInput: a name that tells no source.
    """
    name = spelled(path.name)
    tables = source_of(book, name).tables
    table = together(tables)
    beside = path.with_name(path.name + MANIFEST)
    try:
        with opened(path) as file:
            found = judge(book, file, params, today(book.time_zone), beside.read_bytes() if beside.is_file() else None)
            changes = {of: _changes(book, of, file, found) for of in tables}
            for its in changes.values():
                raise_restated(name, its, found.received, params)
    except Unfit as err:
        whole = {"rule": err.rule, "column": err.column, "rows": 0}
        return Check(book.name, table, name, err.received, 0, [whole], [], err)
    broken = [{"rule": rule, "column": column if len(tables) == 1 or column is None else f"{of}.{column}", "rows": rows}
              for (of, rule, column), rows in rows_by_rule(found.broken)]
    broken += [{"rule": f.check, "column": f.column, "rows": 0} for f in found.surprises if f.level == "refused"]
    findings = [*found.surprises, *change_findings(changes, params)]
    told = [finding.sentence for finding in findings if finding.level == "warning"]
    return Check(book.name, table, name, found.received, found.received - found.bad, broken, told, found.refused)


def _changes(book: Book, table: str, file: Landed, found: Judgement) -> lake.Changes:
    if found.refused is not None or not lake.partitions(lake.published(book, table)):
        return lake.Changes()
    day = today(book.time_zone)
    with lake.scratch() as disk:
        good = good_rows(book, table, disk)
        for raw in batches(book, file):
            add_good(good, book, table, raw, found.bad_rows, source_of(book, file.name))
        return lake.compare(lake.published(book, table), book.table(table), good, lake.Delivery(NEWEST, day, day))
