"""A table that stays in its Parquet file, for files that are larger than memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

# Large enough that a piece costs its rows and not its calls, small enough that a hundred columns of it are 200 MB.
PIECE_ROWS = 2**18
BUFFER_BYTES = 2**20  # of each column that is being read


@dataclass(frozen=True)
class TableFile:
    """Columns and rows of a Parquet file: what is asked for is read each time it is asked for.

    Under the same names it gives what a ``pyarrow.Table`` gives, so that whoever goes by columns or by pieces takes
    either.

    Attributes:
        path: of the file.
        column_names: of the columns that were selected, in their order.
        kept: which of the file's rows were, bool of shape (rows of the file,).
    """

    path: Path
    column_names: list[str]
    kept: np.ndarray

    @classmethod
    def open(cls, path: Path) -> TableFile:
        """The whole of a file. Raises ``FileNotFoundError``."""
        import pyarrow.parquet as pq

        about = pq.read_metadata(path)
        return cls(path, about.schema.to_arrow_schema().names, np.ones(about.num_rows, dtype=bool))

    @property
    def num_rows(self) -> int:
        """How many rows were selected."""
        return int(np.count_nonzero(self.kept))

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return self.select([name]).read()[name]

    def select(self, names: Sequence[str]) -> TableFile:
        """These columns of the same rows."""
        return replace(self, column_names=list(names))

    def filter(self, mask: pa.ChunkedArray | pa.Array | np.ndarray) -> TableFile:
        """Those rows for which ``mask``, without nulls and of shape (rows,), holds."""
        kept = self.kept.copy()
        kept[kept] = np.asarray(mask)
        return replace(self, kept=kept)

    def take(self, places: pa.ChunkedArray | pa.Array) -> pa.Table:
        """The rows at these places, in the order of the places."""
        wanted, back = np.unique(np.asarray(places), return_inverse=True)
        mask = np.zeros(self.num_rows, dtype=bool)
        mask[wanted] = True
        return self.filter(mask).read().take(pa.array(back))

    def read(self) -> pa.Table:
        """All of it, in memory."""
        return pa.concat_tables(self.pieces())

    def pieces(self) -> Iterator[pa.Table]:
        """All of it in the order of the file: at least one piece, each of at most ``PIECE_ROWS`` rows."""
        import pyarrow.parquet as pq

        start = 0
        # A reader that reads ahead keeps all that it read until it is closed: the whole file in the end.
        with pq.ParquetFile(self.path, pre_buffer=False, buffer_size=BUFFER_BYTES) as file:
            if not file.metadata.num_rows:
                yield file.schema_arrow.empty_table().select(self.column_names)
            for batch in file.iter_batches(PIECE_ROWS, columns=self.column_names):
                kept = self.kept[start:start + batch.num_rows]
                start += batch.num_rows
                yield pa.table(batch).select(self.column_names).filter(pa.array(kept))


def pieces(table: pa.Table | TableFile) -> Iterator[pa.Table]:
    """A table as slices, a file as what is read of it: at least one piece, each of at most ``PIECE_ROWS`` rows."""
    if isinstance(table, TableFile):
        yield from table.pieces()
    else:
        for start in range(0, max(table.num_rows, 1), PIECE_ROWS):
            yield table.slice(start, PIECE_ROWS)
