"""From applications and their histories to raw features: stateless, the same for one loan and for a million."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
            # NaN is missing, also where it is all that a function of pandas made of these rows.
            made[feature.name] = pa.array(np.asarray(values, object), type=pa.string(), from_pandas=True)
    return pa.table(made)


def check_made(features: pa.Table, inputs: Iterable[str]) -> None:
    """Raise ``BadInput`` where raw ``features`` lack an input of a model: its book has changed since."""
    absent = [name for name in inputs if name not in features.column_names]
    if absent:
        raise BadInput("The model takes features that its book no longer makes", value=", ".join(absent),
                       remedy="Keep them among the book's `retired` features until no model in service takes them.")


def fits_32_bits(column: pa.ChunkedArray) -> bool:
    """Whether each number of a feature surely is a finite one of 32 bits, as estimators read it."""
    if pa.types.is_string(column.type) or column.null_count == len(column):
        return True
    ends = pc.min_max(column)
    return bool(np.abs([ends["min"].as_py(), ends["max"].as_py()]).max() <= np.finfo(np.float32).max)


def check_sizes(loans: pa.ChunkedArray, features: pa.Table) -> None:
    """Raise ``BadInput`` where a raw feature is too large for a model; ``loans`` are the rows' numbers, in order."""
    for name, column in zip(features.column_names, features.columns, strict=True):
        if not fits_32_bits(column):
            at = pc.index(pc.is_inf(column.cast(pa.float32())), True).as_py()
            if at >= 0:
                raise BadInput(f"The feature {name} of a loan is too large for a 32-bit float, and no model learns "
                               "from it", value=f"{column[at].as_py():g}, loan {loans[at].as_py()}",
                               remedy="Have the loan sent again with its right value, and give the columns of "
                                      f"{name} bounds (`ge`, `le`) in the book, so that ingestion refuses the like.")


def _values(column: pa.ChunkedArray) -> np.ndarray:
    """A column as float64 with NaN, as text objects with None, or as datetime64[D] with NaT."""
    if pa.types.is_string(column.type) or pa.types.is_date(column.type):
        return column.to_numpy(zero_copy_only=False)
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)  # beyond 2^53 a whole number is rounded
