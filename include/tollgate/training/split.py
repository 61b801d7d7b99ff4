"""Which rows train, which choose, and which judge: by time, the newest months last."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.config import Params
from tollgate.errors import BadInput
from tollgate.training.snapshot import months_before

TRAIN, VALIDATION, TEST = "train", "validation", "test"


def assign(book: Book, params: Params, rows: pa.Table) -> pa.Table:
    """One of train, validation or test a row: ``(loan_id, split)``, in the order of ``rows``.

    The newest ``test_months`` of matured applications are the test, the ``validation_months`` before them the
    validation. An undated book is split by a hash of the loan's id, a sixth each.

    Raises:
        BadInput: a part is empty or holds one class only.
    """
    if book.dated:
        end = months_before(params.as_of, params.snapshot.horizon_months)
        test = np.datetime64(months_before(end, params.split.test_months))
        validation = np.datetime64(months_before(end, params.split.test_months + params.split.validation_months))
        applied = rows["applied_on"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
        split = np.where(applied >= test, TEST, np.where(applied >= validation, VALIDATION, TRAIN))
    else:
        sixth = np.array([hashlib.sha256(loan.encode()).digest()[0] % 6 for loan in rows["loan_id"].to_pylist()])
        split = np.where(sixth == 0, TEST, np.where(sixth == 1, VALIDATION, TRAIN))
    label = rows["label"].to_numpy()
    for part in (TRAIN, VALIDATION, TEST):
        classes = np.unique(label[split == part])
        if len(classes) < 2:
            raise BadInput(f"The {part} part of the split has {int((split == part).sum())} rows and "
                           f"{len(classes)} class(es); both classes are needed", value=part,
                           remedy="Widen snapshot.window_months, or change split in params.yaml.")
    return pa.table({"loan_id": rows["loan_id"], "split": pa.array(split)})
