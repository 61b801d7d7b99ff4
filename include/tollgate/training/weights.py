"""How much each training row counts in a fit, if at all: by whether the loan defaulted, and by its age."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.config import Train
from tollgate.errors import BadInput
from tollgate.features import TableFile


def newest(book: Book, rows: pa.Table | TableFile, months: int) -> pa.Table | TableFile:
    """The training rows of the newest months, counted back from the newest of them.

    Args:
        rows: ``label`` and ``applied_on``.

    Raises:
        BadInput: the book has no dates, or the rows of these months do not hold both classes.
    """
    if not book.dated:
        raise _undated(book, f"sweep.lookback_months: {months}", "Empty sweep.lookback_months for this book.")
    month = _months(rows)
    recent = rows.filter(pa.array(month > month.max() - months))
    defaults = int(recent["label"].to_numpy().sum())
    if not 0 < defaults < recent.num_rows:
        raise BadInput(f"The newest {months} months of the training rows must hold paid and defaulted loans; of "
                       f"{recent.num_rows} rows {defaults} defaulted", value=f"sweep.lookback_months: {months}",
                       remedy="Take it out of sweep.lookback_months, or take a longer one.")
    return recent


def row_weights(book: Book, rows: pa.Table, train: Train) -> np.ndarray | None:
    """The weight of each training row, float64 of shape (rows,); None where every row counts as one.

    The product of the row's own ``weight``, where reject inference gave it one; of ``default_weight`` for a default;
    and of 2 ^ (-age / ``half_life_months``), the age in calendar months before the newest of these rows.

    Args:
        rows: ``label``; for a half-life ``applied_on``; perhaps ``weight``. Training rows only.

    Raises:
        BadInput: a half-life is asked for of a book without dates.
    """
    factors = []
    if "weight" in rows.column_names:
        factors.append(rows["weight"].to_numpy())
    if train.default_weight != 1:
        factors.append(np.where(rows["label"].to_numpy() == 1, train.default_weight, 1.0))
    if train.half_life_months:
        if not book.dated:
            raise _undated(book, f"train.half_life_months: {train.half_life_months}",
                           "Set train.half_life_months to 0 for this book.")
        month = _months(rows)
        factors.append(0.5 ** ((month.max() - month) / train.half_life_months))
    return np.prod(factors, axis=0) if factors else None


def _months(rows: pa.Table | TableFile) -> np.ndarray:
    """The month of each row's application, counted from 1970, int64 of shape (rows,)."""
    return rows["applied_on"].to_numpy(zero_copy_only=False).astype("datetime64[M]").astype(np.int64)


def _undated(book: Book, value: str, remedy: str) -> BadInput:
    return BadInput(f"The loans of {book.name} carry no dates, so that none is older than another", value=value,
                    remedy=remedy)
