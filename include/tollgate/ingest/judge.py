"""Judging a file: which of its rows are good, which rule each of the others breaks, and whether it is fit as a whole.

Nothing is written here, so that the same judgement serves ingesting and a check beforehand. The file is read batch by
batch; what is kept of a batch is its broken rules, its counts, and a hash of each key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tollgate.books import KEYS
from tollgate.config import Ingest
from tollgate.errors import Refused
from tollgate.ingest.contract import check, row_contract
from tollgate.ingest.files import Raw, Unfit, batches, table_of
from tollgate.ingest.keys import duplicates, hashes, repeated
from tollgate.ingest.manifest import MANIFEST, Manifest, read_manifest
from tollgate.ingest.parse import REASONS, parse, reasons
from tollgate.ingest.spool import Landed, opened

if TYPE_CHECKING:
    from tollgate.books import Book

PUBLISHED, REFUSED = "published", "refused"
MALFORMED = "malformed_row"


@dataclass(frozen=True)
class Judgement:
    """What the contract says of a file.

    Attributes:
        received: how many rows it has.
        broken: ``REASONS`` of the rows that are not good, each by its place in the file; a malformed row has no column.
        refused: why the file is refused whole all the same, or None.
    """

    received: int
    broken: pa.Table
    refused: Refused | None

    @property
    def bad_rows(self) -> np.ndarray:
        """Places of the rows that are not good, ascending."""
        places: np.ndarray = np.unique(self.broken["row"].to_numpy())
        return places

    @property
    def bad(self) -> int:
        """How many rows are not good."""
        return len(self.bad_rows)


def judge(book: Book, file: Landed, params: Ingest, manifest: bytes | None = None) -> Judgement:
    """Read a file to its end and hold it against the contract, and against its sender's manifest if there is one.

    Raises:
        Unfit: it is not what the manifest says, or it cannot be read, or its columns are not those of the contract.
    """
    said: Manifest | None = None
    if manifest is not None:
        said = read_manifest(file.name, manifest)
        said.check_content(file)
    table = table_of(file.name)
    columns, schema, key = book.columns(table), row_contract(book, table, file.at.date()), list(KEYS[table])
    received, broken, hashed = 0, [REASONS.empty_table()], []
    for raw in batches(book, file):
        rows, unread = parse(columns, raw.rows)
        found = check(schema, rows, unread)
        received += raw.received
        broken += [placed(found, raw.numbers), reasons(raw.malformed, MALFORMED, None)]
        hashed.append(hashes(rows.select(key)))
    if said is not None:
        said.check_rows(file.name, received)
    broken.append(_duplicates(book, file, repeated(hashed)))
    whole = pa.concat_tables(broken)
    return Judgement(received, whole, _too_many(file.name, received, whole, params))


def judge_records(book: Book, table: str, records: pa.Table, landed: date) -> tuple[pa.Table, pa.Table]:
    """Hold rows under the lender's column names against the contract, as those of one file that came on ``landed``.

    Returns the parsed rows, and ``REASONS`` by index into them.
    """
    key = list(KEYS[table])
    rows, unread = parse(book.columns(table), records)
    found = check(row_contract(book, table, landed), rows, unread)
    keys = rows.select(key)
    return rows, pa.concat_tables([found, duplicates([(keys, np.arange(rows.num_rows))], repeated([hashes(keys)]),
                                                     ", ".join(key))])


def placed(broken: pa.Table, numbers: np.ndarray) -> pa.Table:
    """``REASONS`` by place in the file instead of by index into a batch."""
    return broken.set_column(0, REASONS.field("row"), pa.array(numbers[broken["row"].to_numpy()], pa.int64()))


def _duplicates(book: Book, file: Landed, among: np.ndarray) -> pa.Table:
    """The rows whose key an earlier row has; the file is read again only when a hash came twice."""
    if not len(among):
        return REASONS.empty_table()
    key = KEYS[table_of(file.name)]
    columns = [column for column in book.columns(table_of(file.name)) if column.name in key]

    def keys(raw: Raw) -> pa.Table:
        return parse(columns, raw.rows)[0].select(list(key))

    return duplicates(((keys(raw), raw.numbers) for raw in batches(book, file)), among, ", ".join(key))


def _too_many(name: str, received: int, broken: pa.Table, params: Ingest) -> Refused | None:
    bad = len(broken["row"].unique())
    if bad <= params.bad_share_max * received:
        return None
    tally = ", ".join(f"{rows:,} {rule} in {column}" if column else f"{rows:,} {rule}"
                      for (rule, column), rows in _tally(broken))
    return Refused(f"{name} is refused whole: {bad:,} of its {received:,} rows are bad, "
                   f"more than {params.bad_share_max:.1%}: {tally}", value=f"{bad / received:.1%}",
                   remedy="None of it is published. Mend these rows and land the file anew.")


@dataclass(frozen=True)
class Check:
    """What ingesting a file would answer."""

    book: str
    file: str
    received: int
    good: int
    reasons: list[dict[str, Any]]
    refused: Refused | None

    def answer(self) -> dict[str, Any]:
        """``{"book", "file", "table", "received", "good", "bad", "reasons", "verdict"}``."""
        return {"book": self.book, "file": self.file, "table": table_of(self.file), "received": self.received,
                "good": self.good, "bad": self.received - self.good, "reasons": self.reasons,
                "verdict": PUBLISHED if self.refused is None else REFUSED}


def check_file(book: Book, path: Path, params: Ingest) -> Check:
    """Judge a file on this machine's disk, with the manifest beside it if there is one, touching nothing.

    What the lake holds is not looked at: content that was published before is judged like any other. The reasons are
    ``{"rule", "column", "rows"}``, the most frequent first; a file that cannot be judged row by row has one, of no
    rows.

    Raises:
        BadInput: a name that says no table.
    """
    table_of(path.name)
    beside = path.with_name(path.name + MANIFEST)
    try:
        with opened(path) as file:
            found = judge(book, file, params, beside.read_bytes() if beside.is_file() else None)
    except Unfit as err:
        return Check(book.name, path.name, err.received, 0, [{"rule": err.rule, "column": err.column, "rows": 0}], err)
    tally = [{"rule": rule, "column": column, "rows": rows} for (rule, column), rows in _tally(found.broken)]
    return Check(book.name, path.name, found.received, found.received - found.bad, tally, found.refused)


def _tally(broken: pa.Table) -> list[tuple[tuple[str, str | None], int]]:
    """How many rows break each rule of each column, the most frequent first, then in order of their coming."""
    counts = broken.group_by(["rule", "column"]).aggregate([("row", "count"), ("row", "min")]).sort_by(
        [("row_count", "descending"), ("row_min", "ascending"), ("column", "ascending"), ("rule", "ascending")])
    return [((line["rule"], line["column"]), line["row_count"]) for line in counts.to_pylist()]
