"""Reading a landed file: its rows as the lender spelled them, or the reason why the whole file is unfit."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tollgate.errors import BadInput, Refused
from tollgate.ingest.formats import CELL_BYTES, ENDINGS, UNPACKED_MAX, Unreadable, check_text, read_json_lines, unpack

if TYPE_CHECKING:
    import pyarrow as pa

    from tollgate.books import Book, Column


class Unfit(Refused):
    """A file that cannot be judged row by row; ``rule`` and ``column`` stand for it in the quarantine."""

    def __init__(self, rule: str, cause: str, *, column: str | None = None, value: object = None,
                 remedy: str = "Ask the lender for a file that fits the contract.") -> None:
        self.rule = rule
        self.column = column
        super().__init__(cause, value=value, remedy=remedy)


@dataclass(frozen=True)
class Raw:
    """The rows of a file under the lender's column names, without the personal columns.

    Attributes:
        rows: text from CSV and JSON lines, typed from Parquet.
        numbers: int64, the place of each row in its file, from 1, the header not counted.
        malformed: places of the rows that have too many or too few cells, or are no flat JSON object, and are therefore
            not in ``rows``.
    """

    rows: pa.Table
    numbers: np.ndarray
    malformed: tuple[int, ...] = ()

    @property
    def received(self) -> int:
        """How many rows the file holds."""
        return int(self.rows.num_rows) + len(self.malformed)


def table_of(name: str) -> str:
    """``applications`` or ``outcomes``, by the beginning of the file's name; ``BadInput`` for any other."""
    for table in ("applications", "outcomes"):
        if name.startswith(table):
            if not name.endswith(ENDINGS):
                break
            return table
    raise BadInput(f"A landed file is called applications... or outcomes..., and ends with {', '.join(ENDINGS)}",
                   value=name, remedy="Rename it.")


def read_file(book: Book, name: str, content: bytes) -> Raw:
    """Take a file's rows in, every cell as it stands.

    Personal columns must be there like any other, and are left unread.

    Raises:
        Unfit: it cannot be read, or lacks a column of the contract, or brings one that the contract does not know.
    """
    import pyarrow as pa

    columns = book.columns(table_of(name))
    try:
        if name.endswith(".parquet"):
            return _read_parquet(name, content, columns)
        text = unpack(content) if name.endswith(".gz") else content
        check_text(text)
        read = _read_json_lines if name.removesuffix(".gz").endswith(".jsonl") else _read_csv
        return read(name, text, columns)
    except (Unreadable, pa.ArrowException, csv.Error, UnicodeDecodeError, OSError) as err:
        raise Unfit("unreadable", f"{name} cannot be read: {str(err).splitlines()[0]}", value=f"{len(content)} bytes",
                    remedy="Ask the lender to send it again, whole and in UTF-8.") from err


def _wanted(columns: Sequence[Column]) -> list[str]:
    return [c.source for c in columns if not c.personal]


def _read_parquet(name: str, content: bytes, columns: Sequence[Column]) -> Raw:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(content))
    _check_names(name, file.schema_arrow.names, columns)
    # A column of one repeated value takes no room in the file, and all of it in memory.
    if file.metadata.num_rows * len(columns) * CELL_BYTES > UNPACKED_MAX:
        raise Unreadable(f"it unpacks to more than {UNPACKED_MAX // 2**20:,} MiB")
    rows = file.read(columns=_wanted(columns))
    return Raw(rows, np.arange(1, rows.num_rows + 1))


def _read_json_lines(name: str, content: bytes, columns: Sequence[Column]) -> Raw:
    lines = read_json_lines(content, _wanted(columns))
    _check_names(name, lines.names, columns)
    return Raw(lines.rows, np.array(lines.places, dtype=np.int64), tuple(lines.malformed))


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


def _read_csv(name: str, content: bytes, columns: Sequence[Column]) -> Raw:
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    # A byte that is no UTF-8 may stand in a personal column further down, which is not read.
    header = csv.reader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", errors="replace", newline=""))
    _check_names(name, next(header), columns)
    if b"\n" not in content and b"\r" not in content:
        content += b"\n"  # Arrow takes a header without an end of line for nothing
    wanted = _wanted(columns)
    malformed: list[int] = []

    def skip(row: pa_csv.InvalidRow) -> str:
        malformed.append(row.number - 1)
        return "skip"

    rows = pa_csv.read_csv(
        io.BytesIO(content),
        read_options=pa_csv.ReadOptions(use_threads=False),  # rows are numbered only when read in turn
        parse_options=pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        convert_options=pa_csv.ConvertOptions(include_columns=wanted, strings_can_be_null=False,
                                              column_types={source: pa.string() for source in wanted}))
    places = np.arange(1, rows.num_rows + len(malformed) + 1)
    return Raw(rows, np.setdiff1d(places, np.array(malformed, dtype=np.int64)), tuple(malformed))
