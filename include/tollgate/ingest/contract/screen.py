"""Clearing the rows that no check of a Pandera schema can fail, a column at a time, so that Pandera sees only the rest.

The screen is sound and need not be complete: it clears a row only where every check is of a kind that it knows and
that Arrow finds kept. Whatever it does not know, it leaves to Pandera. It runs in any thread, Pandera in one only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.types as pt

from tollgate.ingest.contract.cells import HARMLESS, harmless

if TYPE_CHECKING:
    import pandera.pandas as pandera

pc: Any = pyarrow.compute
KEPT: dict[str, Callable[[pa.Array, dict[str, Any]], pa.Array]] = {
    "greater_than_or_equal_to": lambda cells, at: pc.greater_equal(cells, pa.scalar(at["min_value"]).cast(cells.type)),
    "less_than_or_equal_to": lambda cells, at: pc.less_equal(cells, pa.scalar(at["max_value"]).cast(cells.type)),
    HARMLESS: lambda cells, at: harmless(cells, **at),
    "isin": lambda cells, at: pc.is_in(cells, value_set=pa.array(at["allowed_values"], cells.type)),
}


def suspects(schema: pandera.DataFrameSchema, rows: pa.Table) -> np.ndarray:
    """Indices (int64, ascending) of the rows that may break a rule of the schema."""
    clear = np.ones(rows.num_rows, bool)
    for name, column in schema.columns.items():
        cleared = _cleared(column, rows[name].combine_chunks())
        if cleared is not None:
            clear &= cleared
    for check in schema.checks:
        used = rows.select(list(check.statistics["uses"])).to_pandas(types_mapper=_arrow_type)
        clear &= check._check_fn(used).to_numpy(bool)
    return np.flatnonzero(~clear)


def _cleared(column: pandera.Column, cells: pa.Array) -> np.ndarray | None:
    """Where a cell keeps every check; None when all of them do."""
    if any(check.name not in KEPT for check in column.checks):
        return np.zeros(len(cells), bool)
    values = cells.dictionary if pt.is_dictionary(cells.type) else cells
    # Two checks of one name and statistics are cleared by one look.
    asked = {(check.name, repr(check.statistics)): check for check in column.checks}
    kept = [KEPT[check.name](values, check.statistics) for check in asked.values()]
    whole = cells.null_count == 0 and values.null_count == 0
    if (column.nullable or whole) and all(pc.all(mask).as_py() for mask in kept):
        return None
    good = pa.array(np.ones(len(values), bool))
    for mask in kept:
        good = pc.and_(good, mask)
    good = good.take(cells.indices) if pt.is_dictionary(cells.type) else pc.if_else(pc.is_valid(cells), good, None)
    cleared: np.ndarray = pc.fill_null(good, column.nullable).to_numpy(zero_copy_only=False)
    return cleared


def _arrow_type(kind: pa.DataType) -> Any:
    import pandas as pd

    return pd.ArrowDtype(kind)
