"""What the good rows of a file look like, or those of some months of the lake: added up batch by batch."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.types as pt

from tollgate.books import BookTable

pc: Any = pyarrow.compute
SAMPLE = 10_000
LATE = 0.05  # of a file's rows: the months of its oldest rows are not its own when no more than this lie in them


class Observation:
    """Counts of all rows, and an even sample of them.

    The sample is every ``step``-th row; ``step`` doubles whenever more than ``2 * SAMPLE`` were kept, so that the
    same rows give the same sample, whatever the batches.

    Attributes:
        rows: how many there were.
        months: rows by ``YYYY-MM`` of the day on which they were told.
        newest: the latest of these days; None without rows.
        nulls: rows without a value, by column.
    """

    def __init__(self, table: BookTable) -> None:
        self.schema = table.schema()
        self.known = table.told[0]
        self.rows, self.step = 0, 1
        self.months: Counter[str] = Counter()
        self.nulls: Counter[str] = Counter()
        self.newest: date | None = None
        self._kept: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        """Take the next batch in: good rows under the lake's names and types, or as dictionaries of these."""
        if not rows.num_rows:
            return
        for day in pc.value_counts(rows[self.known].cast(pa.date32())).to_pylist():
            self.months[f"{day['values']:%Y-%m}"] += day["counts"]
            self.newest = max(self.newest or day["values"], day["values"])
        self.nulls.update({name: _nulls(rows[name]) for name in self.schema.names})
        while self.rows + rows.num_rows > 2 * SAMPLE * self.step:
            whole = self.sample()
            self._kept = [whole.take(pa.array(np.arange(0, whole.num_rows, 2)))]
            self.step *= 2
        places = np.arange(-self.rows % self.step, rows.num_rows, self.step)
        self._kept.append(rows.select(self.schema.names).take(pa.array(places)).cast(self.schema))
        self.rows += rows.num_rows

    def sample(self) -> pa.Table:
        """Every ``step``-th row, in the order of their coming."""
        if len(self._kept) != 1:
            self._kept = [pa.concat_tables([self.schema.empty_table(), *self._kept]).combine_chunks()]
        return self._kept[0]

    def first_month(self) -> str:
        """The first month of the file's own, a few late rows of earlier months left aside. There must be rows."""
        seen = 0
        for month in sorted(self.months):
            seen += self.months[month]
            if seen > LATE * self.rows:
                break
        return month


def _nulls(column: pa.ChunkedArray) -> int:
    """How many cells are missing, also those that point at a missing entry of their dictionary."""
    return sum(cells.dictionary_decode().null_count if pt.is_dictionary(cells.type) and cells.dictionary.null_count
               else cells.null_count for cells in column.chunks)
