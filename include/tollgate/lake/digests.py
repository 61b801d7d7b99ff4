"""What rows are known by: equal rows, equal digest, whoever read them from wherever."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 2**16


def digest(rows: pa.Table | Iterable[pa.Table]) -> str:
    """SHA-256 over the rows' Arrow stream, in batches of one size: equal rows in equal order, equal digest.

    What Arrow leaves open does not count: how the rows are chunked, whether a column is a dictionary or has a bitmap
    without a null, and what stands in memory where a value is null.

    Args:
        rows: a table, or the pieces of one that need not be in memory together: at least one, however long each is.
    """
    import pyarrow as pa

    sink = _Hash()
    pieces = iter([rows] if isinstance(rows, pa.Table) else rows)
    first = next(pieces)
    sink.sha256.update(repr([(field.name, _kind(field.type)) for field in first.schema]).encode())
    with pa.PythonFile(sink, mode="w") as out:
        for rows_of in _evenly(chain([first], pieces)):
            batch = _plain(rows_of)
            with pa.ipc.new_stream(out, batch.schema) as stream:
                stream.write_table(batch)
    return sink.sha256.hexdigest()


def _evenly(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, ``ROWS`` at a time wherever a piece ends."""
    import pyarrow as pa

    left: pa.Table | None = None
    for piece in pieces:
        left = piece if left is None else pa.concat_tables([left, piece])
        whole = left.num_rows - left.num_rows % ROWS
        for begin in range(0, whole, ROWS):
            yield left.slice(begin, ROWS)
        left = left.slice(whole)
    if left is not None and left.num_rows:
        yield left


def _kind(of: pa.DataType) -> str:
    import pyarrow.types as pt

    return _kind(of.value_type) if pt.is_dictionary(of) else "list" if pt.is_list(of) else str(of)


def _plain(rows: pa.Table) -> pa.Table:
    """The rows' values without nulls, and beside each column 1 for every null; bytes rather than bits."""
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.types as pt

    pc: Any = pyarrow.compute
    columns = []
    for column in rows.columns:
        cells = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        cells = cells.dictionary_decode() if pt.is_dictionary(cells.type) else cells
        null = pc.is_null(cells).cast(pa.uint8())
        if pt.is_boolean(cells.type):
            cells = cells.cast(pa.uint8())
        elif pt.is_nested(cells.type):
            cells = pa.array([repr(value) for value in cells.to_pylist()], pa.string())
        nothing = pa.scalar("" if pt.is_string(cells.type) or pt.is_large_string(cells.type) else 0).cast(
            pa.int32() if pt.is_date32(cells.type) else cells.type).cast(cells.type)
        columns += [pc.coalesce(cells, nothing), null]
    return pa.table(columns, [str(place) for place in range(len(columns))])


class _Hash(io.RawIOBase):
    """A file that keeps the hash of what is written to it, and nothing else."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, chunk: Any) -> int:
        self.sha256.update(chunk)
        return len(chunk)
