"""Reading a landed file batch by batch: its rows as the lender spelled them, or why the whole file is unfit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from tollgate.books import KEYS
from tollgate.errors import BadInput, Refused
from tollgate.ingest.formats import (
    ENDINGS,
    LINE_MAX,
    Row,
    Unreadable,
    check_text,
    check_unpacked,
    open_text,
    read_json_lines,
)
from tollgate.ingest.spool import CHUNK, Landed

if TYPE_CHECKING:
    import pyarrow as pa

    from tollgate.books import Book, Column

BATCH_ROWS = 2**18
BLOCK_BYTES = LINE_MAX  # of CSV: a batch, and the longest row
CELL_BYTES = 8  # the least that a cell takes in memory


class Unfit(Refused):
    """A file that cannot be judged row by row; ``rule`` and ``column`` stand for it in the quarantine.

    ``received`` is how many rows it holds; 0 when that cannot be told.
    """

    def __init__(self, rule: str, cause: str, *, column: str | None = None, value: object = None, received: int = 0,
                 remedy: str = "Ask the lender for a file that fits the contract.") -> None:
        self.rule = rule
        self.column = column
        self.received = received
        super().__init__(cause, value=value, remedy=remedy)


@dataclass(frozen=True)
class Raw:
    """A batch of a file's rows under the lender's column names, without the personal columns.

    Attributes:
        rows: text from CSV and JSON lines, typed from Parquet; as dictionaries where values are likely to repeat.
        numbers: int64, the place of each row in its file, from 1, the header not counted.
        malformed: int64, places of the rows that have too many or too few cells, or are no flat JSON object, and are
            therefore not in ``rows``.
    """

    rows: pa.Table
    numbers: np.ndarray
    malformed: np.ndarray

    @property
    def received(self) -> int:
        """How many rows the batch holds."""
        return len(self.numbers) + len(self.malformed)


def table_of(name: str) -> str:
    """``applications`` or ``outcomes``, by the beginning of the file's name; ``BadInput`` for any other."""
    for table in ("applications", "outcomes"):
        if name.startswith(table):
            if not name.endswith(ENDINGS):
                break
            return table
    raise BadInput(f"A landed file is called applications... or outcomes..., and ends with {', '.join(ENDINGS)}",
                   value=name, remedy="Rename it.")


def batches(book: Book, file: Landed) -> Iterator[Raw]:
    """Take a file's rows in from the first, every cell as it stands.

    Personal columns must be there like any other, and are left unread.

    Raises:
        Unfit: it cannot be read, or lacks a column of the contract, or brings one that the contract does not know. It
            may come as late as after the last batch.
    """
    import pyarrow as pa

    table, name = table_of(file.name), file.name
    columns = book.columns(table)
    key = [c.source for c in columns if c.name in KEYS[table]]
    try:
        if name.endswith(".parquet"):
            yield from _read_parquet(file, columns, key)
            return
        check_text(open_text(file))
        read = _read_json_lines if name.removesuffix(".gz").endswith(".jsonl") else _read_csv
        yield from read(file, columns, key)
    except (Unreadable, pa.ArrowException, csv.Error, UnicodeDecodeError, OSError) as err:
        said = str(err).splitlines()[0]
        if "straddling object" in said:  # Arrow's words for a row that fills more than a block
            said = f"a row of it is longer than {BLOCK_BYTES:,} bytes, as when a quote is left open"
        raise Unfit("unreadable", f"{name} cannot be read: {said}", value=f"{file.size} bytes",
                    remedy="Ask the lender to send it again, whole and in UTF-8.") from err


def _wanted(columns: Sequence[Column]) -> list[str]:
    return [c.source for c in columns if not c.personal]


def _read_parquet(file: Landed, columns: Sequence[Column], key: Sequence[str]) -> Iterator[Raw]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = _wanted(columns)
    content = pq.ParquetFile(file.open(), read_dictionary=[name for name in wanted if name not in key])
    _check_names(file.name, content.schema_arrow.names, columns)
    meta = content.metadata
    groups = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    # A column of one repeated value takes no room in the file.
    check_unpacked(max(groups, meta.num_rows * len(columns) * CELL_BYTES), file.size)
    place = 1
    for batch in content.iter_batches(BATCH_ROWS, columns=wanted):
        yield Raw(pa.Table.from_batches([batch]), np.arange(place, place + batch.num_rows), np.empty(0, np.int64))
        place += batch.num_rows


def _read_json_lines(file: Landed, columns: Sequence[Column], key: Sequence[str]) -> Iterator[Raw]:
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
    _check_names(file.name, list(names), columns)


def _check_names(name: str, found: Sequence[str], columns: Sequence[Column]) -> None:
    expected = [c.source for c in columns]
    twice = sorted({column for column in found if found.count(column) > 1})
    # Missing columns first: a file without a header shows data where names should be, and those are not repeated.
    for rule, cause, names in (("missing_column", "lacks a column of the contract",
                                [c for c in expected if c not in found]),
                               ("duplicate_column", "has a column twice", twice),
                               ("unknown_column", "has a column that the contract does not know",
                                [c for c in found if c not in expected])):
        if names:
            listed = ", ".join(names)
            raise Unfit(rule, f"{name} {cause}", column=listed[:200], value=listed[:200],
                        remedy=f"Its columns must be {', '.join(expected)}; CSV cells are separated by commas.")


def _read_csv(file: Landed, columns: Sequence[Column], key: Sequence[str]) -> Iterator[Raw]:
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    # A byte that is no UTF-8 may stand in a personal column further down, which is not read.
    head = open_text(file).read(CHUNK)
    header = csv.reader(io.StringIO(head.decode("utf-8-sig", errors="replace"), newline=""))
    _check_names(file.name, next(header), columns)
    # Arrow takes a header without an end of line for nothing.
    bare = len(head) < CHUNK and b"\n" not in head and b"\r" not in head
    malformed: list[int] = []

    def skip(row: pa_csv.InvalidRow) -> str:
        malformed.append(row.number - 1)
        return "skip"

    repeating, wanted = pa.dictionary(pa.int32(), pa.string()), _wanted(columns)
    with pa_csv.open_csv(
            io.BytesIO(head + b"\n") if bare else open_text(file),
            read_options=pa_csv.ReadOptions(use_threads=False,  # rows are numbered only when read in turn
                                            block_size=BLOCK_BYTES),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            convert_options=pa_csv.ConvertOptions(
                include_columns=wanted, strings_can_be_null=False,
                column_types={name: pa.string() if name in key else repeating for name in wanted})) as reader:
        place = 1
        for batch in reader:
            if not batch.num_rows:
                continue
            torn = np.array(malformed, np.int64)  # the reader may be ahead: some come after this batch
            numbers = np.setdiff1d(np.arange(place, place + batch.num_rows + len(torn)), torn)[:batch.num_rows]
            place = numbers[-1] + 1
            torn = torn[torn < place]
            del malformed[:len(torn)]
            yield Raw(pa.Table.from_batches([batch]), numbers, torn)
        yield Raw(reader.schema.empty_table(), np.empty(0, np.int64), np.array(malformed, np.int64))
