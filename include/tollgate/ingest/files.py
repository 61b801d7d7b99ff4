"""Reading a landed file: its rows as the lender spelled them, or the reason why the whole file is unfit."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tollgate.errors import BadInput, Refused

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
        rows: text from CSV, typed from Parquet.
        numbers: int64, the place of each row in its file, from 1, the header not counted.
        malformed: places of the rows that have too many or too few cells, and are therefore not in ``rows``.
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
            if not name.endswith((".csv", ".parquet")):
                break
            return table
    raise BadInput("A landed file is called applications... or outcomes..., and ends with .csv or .parquet", value=name,
                   remedy="Rename it in landing.")


def read_file(book: Book, name: str, content: bytes) -> Raw:
    """Take a file's rows in, every cell as it stands.

    Personal columns must be there like any other, and are left unread.

    Raises:
        Unfit: it cannot be read, or lacks a column of the contract, or brings one that the contract does not know.
    """
    import pyarrow as pa

    columns = book.columns(table_of(name))
    wanted = [c.source for c in columns if not c.personal]
    try:
        if name.endswith(".csv"):
            _check_names(name, _header(content), columns)
            return _read_csv(content, wanted)
        import pyarrow.parquet as pq

        file = pq.ParquetFile(io.BytesIO(content))
        _check_names(name, file.schema_arrow.names, columns)
        rows = file.read(columns=wanted)
    except (pa.ArrowException, csv.Error, UnicodeDecodeError, OSError) as err:
        raise Unfit("unreadable", f"{name} cannot be read: {str(err).splitlines()[0]}", value=f"{len(content)} bytes",
                    remedy="Ask the lender to send it again, whole and in UTF-8.") from err
    return Raw(rows, np.arange(1, rows.num_rows + 1))


def _header(content: bytes) -> list[str]:
    if not content.strip():
        raise csv.Error("it is empty")
    return next(csv.reader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")))


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


def _read_csv(content: bytes, wanted: list[str]) -> Raw:
    import pyarrow as pa
    from pyarrow import csv as pa_csv

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
