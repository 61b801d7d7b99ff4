"""From applications and their histories to raw features: stateless, the same for one loan and for a million."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from tollgate.books import Book, as_it_is
from tollgate.errors import BadInput
from tollgate.features.aggregates import Histories, aggregate


def make_features(book: Book, rows: pa.Table, histories: Histories | None = None) -> pa.Table:
    """The book's features of ``rows``, retired ones included, one column a feature, in the book's order.

    Args:
        rows: applications as the lake holds them, any subset, in any order, and ``known_on`` beside them where the book
            makes aggregates.
        histories: what aggregates are made of; see ``aggregate``.

    Returns:
        A table of the same length: ``number`` features as float64 with nulls where missing, ``category`` features as
        strings with nulls where missing. Infinite values become missing.
    """
    wanted = {name for feature in book.made for name in feature.uses}
    used = replace(book, aggregates=tuple(each for each in book.aggregates if each.name in wanted))
    made_of = aggregate(used, rows, histories or {}) if used.aggregates else pa.table({})
    columns = {name: made_of[name] if name in made_of.column_names else rows[name] for name in sorted(wanted)}
    inputs: dict[str, np.ndarray] = {}
    made = {}
    for feature in book.made:
        if feature.kind == "category" and feature.make is as_it_is:
            column = columns[feature.uses[0]]
            if pa.types.is_string(column.type):
                made[feature.name] = column  # no text becomes an object of Python's and text again
                continue
        inputs |= {name: _values(columns[name]) for name in feature.uses if name not in inputs}
        values = feature.make(*(inputs[name] for name in feature.uses))
        if feature.kind == "number":
            numbers = values.astype(np.float64, copy=False)
            made[feature.name] = pa.array(numbers, mask=~np.isfinite(numbers))
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
    """A column as float64 with NaN, as text objects with None, or as datetime64[D] with NaT."""
    if pa.types.is_string(column.type) or pa.types.is_date(column.type):
        return column.to_numpy(zero_copy_only=False)
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)  # beyond 2^53 a whole number is rounded
