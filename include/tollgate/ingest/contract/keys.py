"""Finding the rows of a file that share a key, exactly, with eight bytes a row in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tollgate.books.description.tables import DUPLICATE
from tollgate.ingest.reading import REASONS, reasons

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def hashes(keys: pa.Table) -> np.ndarray:
    """One hash (uint64) a row; rows of equal keys have equal hashes. Any thread may ask."""
    every = ", ".join(f'"{name}"' for name in keys.column_names)
    with _duckdb().cursor() as mine:
        found: np.ndarray = mine.from_arrow(keys).project(f"hash({every}) AS hash").fetchnumpy()["hash"]
        return found


@cache
def _duckdb() -> DuckDBPyConnection:
    import duckdb

    return duckdb.connect()


def repeated(hashed: Sequence[np.ndarray]) -> np.ndarray:
    """The hashes that more than one row has, sorted: all keys that repeat, and perhaps a few that do not."""
    every = np.concatenate([np.empty(0, np.uint64), *hashed])
    every.sort()
    return np.unique(every[1:][every[1:] == every[:-1]])


def duplicates(batches: Iterable[tuple[pa.Table, np.ndarray]], among: np.ndarray, column: str) -> pa.Table:
    """``REASONS`` of every row whose key an earlier row has, by its place in the file.

    Args:
        batches: the keys of the file, and the place of each row; a key with a part missing is no key.
        among: the hashes that ``repeated`` found.
    """
    keys, places = [], []
    for batch, numbers in batches:
        again = np.isin(hashes(batch), among)
        keys.append(batch.filter(again))
        places.append(numbers[again])
    if not keys:
        return REASONS.empty_table()
    held = pa.concat_tables(keys).to_pandas()
    later = (held.duplicated() & held.notna().all(axis="columns")).to_numpy()
    return reasons(np.concatenate(places)[later], DUPLICATE, column)
