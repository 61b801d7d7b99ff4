"""A batch of a file's rows as the lender spelled them, and where in the file each of them stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 2**18
NO_PLACES = np.empty(0, np.int64)
NO_SPANS = np.empty((0, 2), np.int64)


@dataclass(frozen=True)
class Raw:
    """A batch of a file's rows under the lender's column names, without the personal columns.

    Attributes:
        rows: text from CSV, fixed widths and JSON lines, typed from Parquet and workbooks; as dictionaries where values
            are likely to repeat.
        numbers: int64, the place of each row in its file, from 1. A place is counted in lines of a file of text, blank
            ones and all, in rows of a workbook's sheet likewise, and in rows of any other; what stands above the rows
            is not counted.
        malformed: int64, places of the rows that are therefore not in ``rows``: ``torn`` says what is wrong with them,
            unless they are lines of a record that runs over several.
        header: how many lines or rows stand above the first, so that a place with them is a line; the names of the
            columns are the last of them.
        spans: int64 of shape (n, 2): the first and last line of the records that run over several.
        unit: what ``line`` counts, for messages.
        torn: what is wrong with a malformed row, in words.
        unread: columns that the book does not know and that were left unread, as far as the file has told them.
    """

    rows: pa.Table
    numbers: np.ndarray
    malformed: np.ndarray = field(default_factory=lambda: NO_PLACES)
    header: int = 0
    spans: np.ndarray = field(default_factory=lambda: NO_SPANS)
    unit: Literal["line", "row"] = "row"
    torn: str = ""
    unread: tuple[str, ...] = ()

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

    def stands(self, place: int) -> str:
        """Where a row stands, in words."""
        return f"{self.unit} {place + self.header}"
