"""Reading a landed file batch by batch: its rows as the lender spelled them, or why the whole file is unfit."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from tollgate.errors import BadInput
from tollgate.ingest.reading.formats import (
    ENDINGS,
    LINE_MAX,
    Row,
    Unfit,
    Unreadable,
    check_text,
    check_unpacked,
    open_text,
    read_json_lines,
)
from tollgate.ingest.reading.header import check_names
from tollgate.ingest.reading.landed import Landed
from tollgate.ingest.reading.lines import NO_SPANS, Lines, first_line, read_lines

if TYPE_CHECKING:
    import pyarrow as pa

    from tollgate.books import Book, Column

BATCH_ROWS = 2**18
BLOCK_BYTES = LINE_MAX  # of CSV: a batch, and the longest row
CELL_BYTES = 8  # the least that a cell takes in memory


@dataclass(frozen=True)
class Raw:
    """A batch of a file's rows under the lender's column names, without the personal columns.

    Attributes:
        rows: text from CSV and JSON lines, typed from Parquet; as dictionaries where values are likely to repeat.
        numbers: int64, the place of each row in its file, from 1. A place is counted in lines of a CSV file, blank ones
            and all, and in rows of any other; the header is not counted.
        malformed: int64, places of the rows that have too many or too few cells, are a line of a record that runs over
            several, or are no flat JSON object, and are therefore not in ``rows``.
        header: the line that the column names of a CSV file stand in, so that a place is a line; 0 for any other file.
        spans: int64 of shape (n, 2): the first and last line of the records that run over several.
    """

    rows: pa.Table
    numbers: np.ndarray
    malformed: np.ndarray
    header: int = 0
    spans: np.ndarray = field(default_factory=lambda: NO_SPANS)

    @property
    def received(self) -> int:
        """How many rows the batch holds."""
        return len(self.numbers) + len(self.malformed)

    def span(self, place: int) -> tuple[int, int] | None:
        """The first and last line of the record that a malformed row is a part of, when it runs over several."""
        line = place + self.header
        at = int(np.searchsorted(self.spans[:, 0], line, side="right")) - 1
        return (int(self.spans[at, 0]), int(self.spans[at, 1])) if at >= 0 and line <= self.spans[at, 1] else None

    def told(self, place: int) -> str | None:
        """What the quarantine says in the place of a malformed row's value."""
        span = self.span(place)
        return span and (f"lines {span[0]} to {span[1]}" if span[0] < span[1] else f"line {span[0]}")


def table_of(book: Book, name: str) -> str:
    """The table that a file carries, by the beginning of its name; ``BadInput`` for any other name."""
    tables = [table.name for table in book.tables]
    for table in tables:
        if name.startswith(table) and name.endswith(ENDINGS):
            return table
    raise BadInput(f"A landed file of {book.name} is called {', '.join(f'{table}...' for table in tables)}, and ends "
                   f"with {', '.join(ENDINGS)}", value=name, remedy="Rename it.")


def batches(book: Book, file: Landed) -> Iterator[Raw]:
    """Take a file's rows in from the first, every cell as it stands.

    Personal columns must be there like any other, and are left unread.

    Raises:
        Unfit: it cannot be read, or lacks a column of the contract, or brings one that the contract does not know. It
            may come as late as after the last batch.
    """
    import pyarrow as pa

    table, name = table_of(book, file.name), file.name
    columns, show = book.columns(table), f"`tollgate contract show {book.name}`"
    key = [c.source for c in columns if c.name in book.table(table).key]
    try:
        if name.endswith(".parquet"):
            yield from _read_parquet(file, columns, key, show)
            return
        check_text(open_text(file))
        read = _read_json_lines if name.removesuffix(".gz").endswith(".jsonl") else _read_csv
        yield from read(file, columns, key, show)
    except (Unreadable, pa.ArrowException, csv.Error, UnicodeDecodeError, OSError) as err:
        said = str(err).splitlines()[0]
        raise Unfit("unreadable", f"{name} cannot be read: {said}", value=f"{file.size} bytes",
                    remedy="Ask the lender to send it again, whole and in UTF-8.") from err


def _wanted(columns: Sequence[Column]) -> list[str]:
    return [c.source for c in columns if not c.personal]


def _read_parquet(file: Landed, columns: Sequence[Column], key: Sequence[str], show: str) -> Iterator[Raw]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = _wanted(columns)
    check_names(file.name, pq.read_schema(file.open()).names, columns, show)
    content = pq.ParquetFile(file.open(), read_dictionary=[name for name in wanted if name not in key])
    meta = content.metadata
    groups = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    # A column of one repeated value takes no room in the file.
    check_unpacked(max(groups, meta.num_rows * len(columns) * CELL_BYTES), file.size)
    place = 1
    for batch in content.iter_batches(BATCH_ROWS, columns=wanted):
        yield Raw(pa.Table.from_batches([batch]), np.arange(place, place + batch.num_rows), np.empty(0, np.int64))
        place += batch.num_rows


def _read_json_lines(file: Landed, columns: Sequence[Column], key: Sequence[str], show: str) -> Iterator[Raw]:
    import pyarrow as pa

    names: dict[str, None] = {}
    wanted = _wanted(columns)
    lines: Iterator[tuple[int, Row | None]] = enumerate(read_json_lines(open_text(file)), start=1)
    while chunk := list(islice(lines, BATCH_ROWS)):
        rows = [row for _, row in chunk if row is not None]
        names.update(dict.fromkeys(name for row in rows for name in row))
        yield Raw(pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in wanted}),
                  np.array([place for place, row in chunk if row is not None], np.int64),
                  np.array([place for place, row in chunk if row is None], np.int64))
    if not names:
        raise Unreadable("no line of it is a JSON object")
    # Many a tool leaves out what is null: a column that may be empty and is in no line is empty in all of them.
    left_out = [c.source for c in columns if c.nullable and c.source not in names]
    check_names(file.name, [*names, *left_out], columns, show)


def _read_csv(file: Landed, columns: Sequence[Column], key: Sequence[str], show: str) -> Iterator[Raw]:
    names: list[str] = []
    header = 0
    for lines in read_lines(open_text(file), BLOCK_BYTES):
        if not names:
            if len(lines.spans):
                first, last = lines.spans[0]
                if not len(lines.numbers) or first < lines.numbers[0]:
                    raise Unreadable(f"a quote in line {first}, among the names of the columns, is open until line "
                                     f"{last}")
            if not len(lines.numbers):
                continue
            line, rest = first_line(lines.text)
            # A byte that is no UTF-8 may stand in a personal column further down, which is not read.
            names = next(csv.reader([line.decode("utf-8", errors="replace")]))
            header = int(lines.numbers[0])
            check_names(file.name, names, columns, show, rest, lines.numbers.tolist())
            lines = Lines(rest, lines.numbers[1:], lines.spans)
        rows, torn = _parsed(lines, names, _wanted(columns), key)
        malformed = np.concatenate([lines.numbers[torn], _lines_of(lines.spans)]) - header
        yield Raw(rows, np.delete(lines.numbers, torn) - header, malformed[:BATCH_ROWS], header, lines.spans)
        for at in range(BATCH_ROWS, len(malformed), BATCH_ROWS):
            yield Raw(rows.slice(0, 0), np.empty(0, np.int64), malformed[at:at + BATCH_ROWS], header, lines.spans)
    if not names:
        raise Unreadable("it is empty")


def _lines_of(spans: np.ndarray) -> np.ndarray:
    """Every line from the first to the last of each span."""
    counts = spans[:, 1] - spans[:, 0] + 1
    before = np.cumsum(counts) - counts
    return np.arange(counts.sum()) + np.repeat(spans[:, 0] - before, counts)


def _parsed(lines: Lines, names: Sequence[str], wanted: Sequence[str],
            key: Sequence[str]) -> tuple[pa.Table, np.ndarray]:
    """The rows of whole records, and the indices of those that have too many or too few cells."""
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    repeating = pa.dictionary(pa.int32(), pa.string())
    types = {name: pa.string() if name in key else repeating for name in wanted}
    if not lines.text:
        return pa.schema(list(types.items())).empty_table(), np.empty(0, np.int64)
    torn: list[int] = []

    def skip(row: pa_csv.InvalidRow) -> str:
        torn.append(row.number - 1)
        return "skip"

    try:
        rows = pa_csv.read_csv(
            io.BytesIO(lines.text),
            read_options=pa_csv.ReadOptions(use_threads=False,  # rows are numbered only when read in turn
                                            column_names=names, block_size=len(lines.text) + 1),
            parse_options=pa_csv.ParseOptions(invalid_row_handler=skip),
            convert_options=pa_csv.ConvertOptions(include_columns=wanted, strings_can_be_null=False,
                                                  column_types=types))
    except pa.ArrowInvalid as err:
        if met := re.search(r"column #(\d+): Row #(\d+): .*invalid UTF8", str(err)):
            raise Unreadable(f"line {lines.numbers[int(met[2]) - 1]} is not UTF-8 in the column "
                             f"{names[int(met[1])]}") from err
        raise
    if rows.num_rows + len(torn) != len(lines.numbers):
        raise RuntimeError(f"{len(lines.numbers)} lines were read as {rows.num_rows} rows, {len(torn)} malformed")
    return rows, np.array(torn, np.int64)
