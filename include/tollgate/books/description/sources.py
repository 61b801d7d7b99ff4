"""Where a book's rows come from: how its files are written, what they feed, and who may play the lender."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

Progress = Callable[[int, int], None]  # (done, of), in bytes or steps



@dataclass(frozen=True, kw_only=True)
class Reader:
    """How a lender writes files. The format itself is told by a file's ending.

    Attributes:
        delimiter, quote: of CSV, a letter each; a quote of none is never taken for one.
        encoding: of text, as Python names it.
        decimal, thousands: letters within numbers, in text; no thousands by default, but for the comma of ``money``.
        skip_top, skip_bottom: lines before the names of the columns, and after the last row; blank ones count at the
            top only. In a workbook they are rows.
        names: of the columns, in turn, where the file does not tell them itself.
        widths: of fixed-width columns, in letters, in turn, one for each of ``names``; such a file ends with ``.txt``.
        sheet: of a workbook; its first when empty.
    """

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    decimal: str = "."
    thousands: str = ""
    skip_top: int = 0
    skip_bottom: int = 0
    names: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    sheet: str = ""

    def cells(self, lines: Iterable[str]) -> CsvReader:
        """The cells of each record of CSV."""
        if not self.quote:
            return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)
        return csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Files of one kind.

    Attributes:
        begins: how the name of such a file begins.
        tables: what each of its rows feeds. A row that one of them refuses is published in none.
        reader: how it is written.
        ignored: the lender's names of columns that nobody reads.
        ignore_unknown: whether a column that the book does not know is left unread, with a warning, instead of refusing
            the file.
    """

    begins: str
    tables: tuple[str, ...]
    reader: Reader = Reader()
    ignored: tuple[str, ...] = ()
    ignore_unknown: bool = False


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Who plays the lender's core system, for a book whose past can be brought and sent month by month.

    Attributes:
        first_month, last_month: ``YYYY-MM``, the months that the source covers.
        file_format: what the lender's core system sends.
        scenarios: the worlds a simulated book can be fetched in; empty for a real one.
        follows: whether the simulated lender decides by the champion's published scores from the first night on.
        fetch: ``(folder, progress, seed, scenario)`` brings the source data into ``folder``; running it again
            resumes. A real book has no use for the last two.
        extract: ``(folder, table, first_month, last_month, scored)`` gives the rows that the lender would send of a
            table for those months, every column as the lender spells it; ``scored`` are the champion's published
            decisions (``loan_id``, ``as_of``, ``decision``, ``score``, ``model_version``), for a sender that
            ``follows``.
    """

    first_month: str
    last_month: str
    file_format: Literal["csv", "parquet"]
    scenarios: tuple[str, ...] = ()
    follows: bool = False
    fetch: Callable[[Path, Progress, int, str], None]
    extract: Callable[[Path, str, str, str, pa.Table | None], pa.Table]
