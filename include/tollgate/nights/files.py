"""The rows of an attempt, shard by shard: what was pinned, and what scoring made of it."""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tollgate import lake
from tollgate.books import LOAN
from tollgate.config import settings
from tollgate.errors import BadInput
from tollgate.nights.attempts import Attempt
from tollgate.nights.pins import Pin, pinned_file

FEATURES, SCORES = "features", "scores"
OWN = (LOAN, "score")  # columns of which each row has its own value: a dictionary of these is work for nothing
# What a byte does to the sum of zlib.crc32: of one byte alone that is 255 - byte, and what is shifted out around it.
CRC = np.array([zlib.crc32(bytes([255 - byte])) ^ 0xFF000000 for byte in range(256)], np.uint32)


@dataclass(frozen=True)
class Shard:
    """A scored shard.

    Attributes:
        rows: how many. files: SHA-256 of its features and its scores, by the file's name.
    """

    rows: int
    files: dict[str, str]


def shard_of(loan_id: str, shards: int) -> int:
    """The shard that a loan belongs to, whatever else is scored with it."""
    return zlib.crc32(loan_id.encode()) % shards


def shards_of(loans: pa.ChunkedArray, shards: int) -> np.ndarray:
    """``shard_of`` each of these loans, of shape (rows,): their bytes go into all their sums place by place."""
    cells = pa.concat_arrays(loans.chunks) if loans.num_chunks else pa.array([], pa.string())
    _, places, texts = cells.buffers()
    if not len(cells) or texts is None:
        return np.zeros(len(cells), np.uint32) % shards
    starts = np.frombuffer(places, np.int32)[cells.offset:cells.offset + len(cells) + 1].astype(np.int64)
    content, sizes = np.frombuffer(texts, np.uint8), np.diff(starts)
    sums = np.full(len(cells), 2**32 - 1, np.uint32)
    for place in range(int(sizes.max())):
        longer = slice(None) if place < sizes.min() else np.flatnonzero(sizes > place)
        sums[longer] = CRC[(sums[longer] ^ content[starts[:-1][longer] + place]) & 255] ^ (sums[longer] >> 8)
    return ~sums % shards


def write_population(attempt: Attempt, shard: int, rows: pa.Table, histories: Mapping[str, pa.Table]) -> dict[str, str]:
    """Keep a shard's applications and the histories of their loans; the digests of the files, by name."""
    parts = {f"rows-{shard}.parquet": rows,
             **{f"history-{name}-{shard}.parquet": past for name, past in histories.items()}}
    return {name: _keep(attempt, name, _encoded(part)) for name, part in parts.items()}


def read_population(pin: Pin, shard: int, columns: Sequence[str] | None = None) -> pa.Table:
    """The applications of a shard, as they were pinned; all their columns, or these.

    Raises:
        BadInput: there is no such shard, or its file is gone. Refused: its file is another.
    """
    if not 0 <= shard < pin.shards:
        raise BadInput(f"The night {pin.attempt} has {pin.shards} shards, counted from 0", value=shard,
                       remedy="Take the shard numbers from the pin's answer.")
    return _pinned(pin, f"rows-{shard}.parquet", columns)


def read_histories(pin: Pin, shard: int, tables: list[str]) -> dict[str, pa.Table]:
    """The histories of a shard's loans, as they were pinned, by table. Raises as ``read_population``."""
    return {table: _pinned(pin, f"history-{table}-{shard}.parquet") for table in tables}


def write_scored(attempt: Attempt, shard: int, features: pa.Table, scores: pa.Table) -> None:
    """Keep what was made of a shard; its record is written last.

    Args:
        features: raw, row by row those of its applications. scores: of the same rows, in the columns that files of the
            lake's ``scores`` have, for the file becomes one of them.
    """
    parts = {f"{kind}-{shard}.parquet": part for kind, part in ((FEATURES, features), (SCORES, scores))}
    with ThreadPoolExecutor(len(parts)) as beside:  # written one after the other: a kill leaves no half of another
        files = {name: _keep(attempt, name, content)
                 for name, content in zip(parts, beside.map(_encoded, parts.values()), strict=True)}
    lake.Store(settings().store).write_json(attempt.path(f"shard-{shard}.json"),
                                            {"rows": scores.num_rows, "files": files})


def read_shard(attempt: Attempt, shard: int) -> Shard | None:
    """The record of a scored shard; None while it is not scored."""
    store, path = lake.Store(settings().store), attempt.path(f"shard-{shard}.json")
    return Shard(**store.read_json(path)) if store.exists(path) else None


def read_features(pin: Pin, shard: int) -> pa.Table:
    """The raw features that a shard was scored by, row by row those of its applications. Raises as ``read_scored``."""
    return _made(pin, FEATURES, shard)


def read_scored(pin: Pin, shard: int, columns: Sequence[str] | None = None) -> pa.Table:
    """The champion's scores of a shard, row by row those of its applications; all their columns, or these.

    Raises:
        BadInput: the shard is not scored, or a file of it is gone. Refused: it is another than was written.
    """
    return _made(pin, SCORES, shard, columns)


def scored_file(pin: Pin, shard: int) -> bytes:
    """The file of a shard's scores as it is, a file of the lake's ``scores``.

    Raises as ``read_scored``; ``BadInput`` also where an older Tollgate wrote it, in fewer columns.
    """
    content = _made_file(pin, SCORES, shard)
    if pq.read_schema(pa.BufferReader(content)).names != lake.scores(pin.attempt.book).in_files.names:
        raise BadInput(f"Shard {shard} of the night {pin.attempt} was scored by an older Tollgate", value=shard,
                       remedy=f"Run tollgate score shard {pin.attempt} {shard} again.")
    return content


def write_fault(attempt: Attempt, version: str, fault: str | None) -> None:
    """Keep why a shadow could not score the night; None where it has."""
    lake.Store(settings().store).write_json(attempt.path(f"shadow-{version}.json"), {"fault": fault})


def read_fault(attempt: Attempt, version: str) -> tuple[bool, str | None]:
    """Whether a shadow has come to its end, and why it could not score; None where it has."""
    store, path = lake.Store(settings().store), attempt.path(f"shadow-{version}.json")
    return (True, store.read_json(path)["fault"]) if store.exists(path) else (False, None)


def _pinned(pin: Pin, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    return _read(pinned_file(pin.attempt, name, pin.files[name]), columns)


def _made(pin: Pin, kind: str, shard: int, columns: Sequence[str] | None = None) -> pa.Table:
    return _read(_made_file(pin, kind, shard), columns)


def _made_file(pin: Pin, kind: str, shard: int) -> bytes:
    record, name = read_shard(pin.attempt, shard), f"{kind}-{shard}.parquet"
    if record is None:
        raise BadInput(f"Shard {shard} of the night {pin.attempt} is not scored", value=shard,
                       remedy=f"Run tollgate score shard {pin.attempt} {shard} first.")
    return pinned_file(pin.attempt, name, record.files[name])


def _read(content: bytes, columns: Sequence[str] | None) -> pa.Table:
    return pq.read_table(pa.BufferReader(content), columns=None if columns is None else list(columns))


def _encoded(rows: pa.Table) -> bytes:
    """A file of rows, packed as every reader of Parquet can."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="snappy",
                   use_dictionary=[name for name in _leaves(rows.schema) if name not in OWN])
    return buffer.getvalue()


def _keep(attempt: Attempt, name: str, content: bytes) -> str:
    """Write a file; its digest."""
    lake.Store(settings().store).write(attempt.path(name), content)
    return hashlib.sha256(content).hexdigest()


def _leaves(schema: pa.Schema) -> list[str]:
    """What Parquet calls the columns."""
    return [f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name for field in schema]
