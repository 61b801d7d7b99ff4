"""Local disk for what is too much to hold in memory: files without a name, of which nothing is ever left."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any

from tollgate.config import settings
from tollgate.errors import PassingFault

if TYPE_CHECKING:
    import pyarrow as pa


class Scratch:
    """A file that only this process can reach, and that is gone with it, however it ends."""

    def __init__(self, content: IO[bytes]) -> None:
        self.content = content

    def append(self, chunk: Any) -> tuple[int, int]:
        """Write at the end; where the bytes begin, and how many they are. Raises ``PassingFault`` on a full disk."""
        with _faults_named():
            begin = self.content.seek(0, os.SEEK_END)
            left = memoryview(chunk)
            while left:
                left = left[self.content.write(left):]
            return begin, self.content.tell() - begin

    def read(self, begin: int, size: int) -> bytes:
        """Bytes that were written."""
        return os.pread(self.content.fileno(), size, begin)


@contextmanager
def scratch() -> Iterator[Scratch]:
    """A scratch file under TOLLGATE_DATA, for as long as the context lasts."""
    with ExitStack() as stack:
        with _faults_named():
            settings().data.mkdir(parents=True, exist_ok=True)
            content = stack.enter_context(tempfile.TemporaryFile(dir=settings().data, buffering=0))
        yield Scratch(content)


@contextmanager
def _faults_named() -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise PassingFault(f"Local disk cannot be written: {err.strerror or err}", value=settings().data,
                           remedy="Check the disk space and the permissions of TOLLGATE_DATA.") from err


class PartitionedRows(Mapping[str, "pa.Table"]):
    """Rows by the value of one text column, on scratch; a partition is read each time it is asked for.

    Attributes:
        held: how many bytes stay in memory before the disk is used.
    """

    def __init__(self, disk: Scratch, schema: pa.Schema, partition: str, held: int = 0) -> None:
        self.schema = schema
        self._disk, self._partition, self._left = disk, partition, held
        self._places: dict[str, list[pa.RecordBatch | tuple[int, int]]] = {}

    def add(self, rows: pa.Table) -> None:
        """Lay down more rows, of any partitions."""
        import pyarrow.compute

        equal: Any = pyarrow.compute.equal
        for name in rows[self._partition].unique().to_pylist():
            for batch in rows.filter(equal(rows[self._partition], name)).combine_chunks().to_batches():
                self._left -= batch.nbytes
                self._places.setdefault(name, []).append(
                    batch if self._left >= 0 else self._disk.append(batch.serialize()))

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """The rows of one partition, as they were laid down."""
        import pyarrow as pa

        for place in self._places[name]:
            yield pa.ipc.read_record_batch(pa.py_buffer(self._disk.read(*place)), self.schema) if isinstance(
                place, tuple) else place

    def __getitem__(self, name: str) -> pa.Table:
        import pyarrow as pa

        return pa.Table.from_batches(self.batches(name), self.schema)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._places))

    def __len__(self) -> int:
        return len(self._places)
