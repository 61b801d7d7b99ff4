"""From application columns to raw features: stateless, row by row, the same for one row and for a million."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.errors import BadInput


def make_features(book: Book, rows: pa.Table) -> pa.Table:
    """The book's features of ``rows``, retired ones included, one column a feature, in the book's order.

    Args:
        rows: applications as the lake holds them, any subset, in any order.

    Returns:
        A table of the same length: ``number`` features as float64 with nulls where missing, ``category`` features as
        strings with nulls where missing. Infinite values become missing.
    """
    inputs = {name: _values(rows[name]) for feature in book.made for name in feature.uses}
    made = {}
    for feature in book.made:
        values = feature.make(*(inputs[name] for name in feature.uses))
        if feature.kind == "number":
            made[feature.name] = pa.array(values.astype(np.float64), mask=~np.isfinite(values.astype(np.float64)))
        else:
            made[feature.name] = pa.array(values, type=pa.string())
    return pa.table(made)


def check_made(features: pa.Table, inputs: Iterable[str]) -> None:
    """Raise ``BadInput`` where raw ``features`` lack an input of a model: its book has changed since."""
    absent = [name for name in inputs if name not in features.column_names]
    if absent:
        raise BadInput("The model takes features that its book no longer makes", value=", ".join(absent),
                       remedy="Keep them among the book's `retired` features until no model in service takes them.")


def _values(column: pa.ChunkedArray) -> np.ndarray:
    """A column as float64 with NaN, or as text objects with None."""
    if pa.types.is_string(column.type):
        return column.to_numpy(zero_copy_only=False)
    if pa.types.is_date(column.type):
        raise TypeError("a date is no feature: derive a number from it")
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)  # beyond 2^53 a whole number is rounded
