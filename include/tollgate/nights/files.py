"""The rows of an attempt, shard by shard: what was pinned, and what scoring made of it."""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from tollgate import lake
from tollgate.config import settings
from tollgate.errors import BadInput
from tollgate.nights.attempts import Attempt
from tollgate.nights.pins import Pin, pinned_file

FEATURES, SCORES = "features", "scores"


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


def write_population(attempt: Attempt, shard: int, rows: pa.Table, histories: Mapping[str, pa.Table]) -> dict[str, str]:
    """Keep a shard's applications and the histories of their loans; the digests of the files, by name."""
    parts = {f"rows-{shard}.parquet": rows,
             **{f"history-{name}-{shard}.parquet": past for name, past in histories.items()}}
    return {name: _write(attempt, name, part) for name, part in parts.items()}


def read_population(pin: Pin, shard: int) -> pa.Table:
    """The applications of a shard, as they were pinned.

    Raises:
        BadInput: there is no such shard, or its file is gone. Refused: its file is another.
    """
    if not 0 <= shard < pin.shards:
        raise BadInput(f"The night {pin.attempt} has {pin.shards} shards, counted from 0", value=shard,
                       remedy="Take the shard numbers from the pin's answer.")
    return _pinned(pin, f"rows-{shard}.parquet")


def read_histories(pin: Pin, shard: int, tables: list[str]) -> dict[str, pa.Table]:
    """The histories of a shard's loans, as they were pinned, by table. Raises as ``read_population``."""
    return {table: _pinned(pin, f"history-{table}-{shard}.parquet") for table in tables}


def write_scored(attempt: Attempt, shard: int, features: pa.Table, scores: pa.Table) -> None:
    """Keep what was made of a shard; its record is written last."""
    files = {f"{kind}-{shard}.parquet": _write(attempt, f"{kind}-{shard}.parquet", part)
             for kind, part in ((FEATURES, features), (SCORES, scores))}
    lake.Store(settings().store).write_json(attempt.path(f"shard-{shard}.json"),
                                            {"rows": scores.num_rows, "files": files})


def read_shard(attempt: Attempt, shard: int) -> Shard | None:
    """The record of a scored shard; None while it is not scored."""
    store, path = lake.Store(settings().store), attempt.path(f"shard-{shard}.json")
    return Shard(**store.read_json(path)) if store.exists(path) else None


def read_features(pin: Pin, shard: int) -> pa.Table:
    """The raw features that a shard was scored by, row by row those of its applications. Raises as ``read_scored``."""
    return _made(pin, FEATURES, shard)


def read_scored(pin: Pin, shard: int) -> pa.Table:
    """The champion's scores of a shard, row by row those of its applications.

    Raises:
        BadInput: the shard is not scored, or a file of it is gone. Refused: it is another than was written.
    """
    return _made(pin, SCORES, shard)


def write_fault(attempt: Attempt, version: str, fault: str | None) -> None:
    """Keep why a shadow could not score the night; None where it has."""
    lake.Store(settings().store).write_json(attempt.path(f"shadow-{version}.json"), {"fault": fault})


def read_fault(attempt: Attempt, version: str) -> tuple[bool, str | None]:
    """Whether a shadow has come to its end, and why it could not score; None where it has."""
    store, path = lake.Store(settings().store), attempt.path(f"shadow-{version}.json")
    return (True, store.read_json(path)["fault"]) if store.exists(path) else (False, None)


def _pinned(pin: Pin, name: str) -> pa.Table:
    return pq.read_table(io.BytesIO(pinned_file(pin.attempt, name, pin.files[name])))


def _made(pin: Pin, kind: str, shard: int) -> pa.Table:
    record, name = read_shard(pin.attempt, shard), f"{kind}-{shard}.parquet"
    if record is None:
        raise BadInput(f"Shard {shard} of the night {pin.attempt} is not scored", value=shard,
                       remedy=f"Run tollgate score shard {pin.attempt} {shard} first.")
    return pq.read_table(io.BytesIO(pinned_file(pin.attempt, name, record.files[name])))


def _write(attempt: Attempt, name: str, rows: pa.Table) -> str:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    lake.Store(settings().store).write(attempt.path(name), buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()
