"""Taking loans out of the files in landing, and out of what the quarantine keeps of their rows.

A file that was rewritten has another digest, by which it is known as taken in before it is written: else it would be a
new delivery.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

from tollgate import lake
from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault
from tollgate.ingest.landing import is_complete
from tollgate.ingest.reading import (
    MANIFEST,
    Gone,
    Landed,
    Unfit,
    batches,
    blanked,
    can_blank,
    fingerprint_of,
    holds,
    parse,
    sha256_of,
    source_of,
    spelled,
    spool,
)

if TYPE_CHECKING:
    from tollgate.books import Book, Source

pc: Any = pyarrow.compute
Values = Mapping[str, Set[str]]  # by the lake's name of a column, those by which a row is told
Replacing = Callable[[str, str, str], None]


def theirs_by(values: Values) -> Callable[[pa.Table], pa.Array]:
    """Of rows under the lake's names, those that hold one of the values in its column."""
    def theirs(rows: pa.Table) -> pa.Array:
        found = pa.array([False] * rows.num_rows, pa.bool_())
        for name, wanted in values.items():
            if name in rows.column_names and wanted:
                cells = rows[name].combine_chunks()
                cells = cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells
                found = pc.or_(found, pc.is_in(cells, value_set=pa.array(sorted(wanted), cells.type)))
        return found

    return theirs


def quarantined_theirs(book: Book, values: Values) -> Callable[[pa.Table], pa.Array]:
    """Of rows of the quarantine (``record``), those whose record holds one of the values under its lender's name."""
    keys = [column for table in book.tables for column in table.columns if values.get(column.name)]

    def theirs(rows: pa.Table) -> pa.Array:
        records = [json.loads(record or "{}") for record in rows["record"].to_pylist()]
        found = pa.array([False] * len(records), pa.bool_())
        for column in keys:
            cells = [record.get(column.source) for record in records]
            found = pc.or_(found, holds(column, cells, values[column.name], book.nulls))
        return found

    return theirs


def emptied(theirs: Callable[[pa.Table], pa.Array]) -> Callable[[pa.Table], pa.Table]:
    """Rows of the quarantine without record and value where they are theirs: that a row was refused stays counted."""
    def change(rows: pa.Table) -> pa.Table:
        gone = theirs(rows)
        for name, instead in (("record", "{}"), ("value", None)):
            cells = pc.if_else(gone, pa.scalar(instead, pa.string()), rows[name])
            rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), cells)
        return rows

    return change


def erase_from_landing(book: Book, values: Values, *, replacing: Replacing,
                       dry_run: bool = False) -> tuple[dict[str, int], list[str]]:
    """Blank the rows that hold one of the values in every file of the book's landing.

    A line that cannot be read as a row is blanked where it holds one as a word.

    Args:
        replacing: is told of a file, its SHA-256 and its next one, before it is written.

    Returns how many rows went, or would, by the file's name; and a sentence for every file that was left as it is.

    Raises:
        PassingFault: landing or the lake did not answer.
    """
    landing, words = lake.Store(settings().landing), _words(values)
    gone: dict[str, int] = {}
    left: list[str] = []
    for entry in landing.list(book.name):
        name = entry.path.removeprefix(f"{book.name}/")
        shown = spelled(name)
        source = _source(book, name)
        if source is None:
            if words.search(landing.read(entry.path)):
                left.append(f"{shown} in landing, which no source reads, names one of them: delete it")
            continue
        with spool(landing, entry.path) as file:
            found = _rows_of(book, file, source, values, words)
            if isinstance(found, str):
                left.append(f"{shown} in landing {found}")
                continue
            content, count = found
            if not count:
                continue
            gone[shown] = count
            if landing.exists(entry.path + MANIFEST):
                left.append(f"{shown}{MANIFEST} in landing tells of its file as it was: delete it")
            if not dry_run:
                new = sha256_of(io.BytesIO(content))
                _make_known(book, file.fingerprint, fingerprint_of(name, new))
                replacing(entry.path, file.sha256, new)
                landing.write(entry.path, content)
    return gone, left


def _source(book: Book, name: str) -> Source | None:
    if not is_complete(name):
        return None
    try:
        return source_of(book, name)
    except BadInput:
        return None


def _rows_of(book: Book, file: Landed, source: Source, values: Values,
             words: re.Pattern[bytes]) -> tuple[bytes, int] | str:
    """The file without their rows, and how many there were; or why it is left, in words."""
    keys = {column.source: column for table in (book.table(name) for name in source.tables) for column in table.columns
            if values.get(column.name) and not column.personal}
    theirs = theirs_by(values)
    places: set[int] = set()
    malformed: set[int] = set()
    spans: list[list[int]] = []
    whole = True
    try:
        for raw in batches(book, file):
            rows, _ = parse(list(keys.values()), raw.rows, book.nulls, source.reader)
            places |= set((raw.numbers[theirs(rows).to_numpy(zero_copy_only=False)] + raw.header).tolist())
            malformed |= set((raw.malformed + raw.header).tolist())
            spans += raw.spans.tolist()
    except (Unfit, PassingFault):
        whole = False  # what cannot be read row by row is looked through line by line
    if whole and not places and not malformed:
        return b"", 0

    def doubtful(place: int, line: bytes) -> bool:
        return (not whole or place in malformed) and bool(words.search(line))

    found = None
    with suppress(OSError, EOFError, zlib.error, zipfile.BadZipFile, pa.ArrowException):
        found = blanked(file, Gone(places, doubtful, spans)) if can_blank(file.name, source.reader) else None
    if found is None and (places or not whole):
        return ("holds one of them, and no row of such a file can be blanked: delete it, or put one without the loan "
                "in its place, which will be a new delivery" if places else
                "cannot be read, so that it may hold one of them: delete it")
    if not whole and found is not None and not found[1] and file.name.endswith((".parquet", ".zip")):
        return "cannot be read row by row, so that it may hold one of them: delete it"
    return found or (b"", 0)


def _words(values: Values) -> re.Pattern[bytes]:
    """The values as words of a text, none of them as a part of a longer one."""
    every = sorted({value for wanted in values.values() for value in wanted})
    return re.compile(rf"(?<![\w-])(?:{'|'.join(re.escape(value) for value in every)})(?![\w-])".encode())


def _make_known(book: Book, old: str, new: str) -> None:
    """Let the rewritten file be known as the delivery that it was: of the same number, and taken in if that was."""
    seen, taken = lake.deliveries(book.name), lake.received(book.name)

    def beside(rows: pa.Table) -> pa.Table | None:
        mine = [row for row in rows.to_pylist() if row["fingerprint"] == old]
        known = new in rows["fingerprint"].to_pylist()
        return pa.Table.from_pylist([{**row, "fingerprint": new} for row in mine[:0 if known else 1]],
                                    schema=seen.schema)

    lake.append_next(seen, beside)
    counts = dict.fromkeys(("received", "published", "quarantined", "added", "restated", "superseded"), 0)
    for row in lake.read(taken, filters=[("fingerprint", "=", old)]).to_pylist():
        # The counts of what came stand in the line of the file as it came.
        lake.replace_partitions(taken, pa.Table.from_pylist(
            [{**row, **counts, "fingerprint": new, "partitions": []}], schema=taken.schema), [new])
