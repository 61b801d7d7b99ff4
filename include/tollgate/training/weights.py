"""How much each training row counts in a fit: by whether the loan defaulted, and by its age."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.config import Train
from tollgate.errors import BadInput


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
            raise BadInput(f"The loans of {book.name} carry no dates, so that none is older than another",
                           value=f"train.half_life_months: {train.half_life_months}",
                           remedy="Set train.half_life_months to 0 for this book.")
        month = rows["applied_on"].to_numpy(zero_copy_only=False).astype("datetime64[M]").astype(np.int64)
        factors.append(0.5 ** ((month.max() - month) / train.half_life_months))
    return np.prod(factors, axis=0) if factors else None
