"""Which rows train, which choose, and which judge: by time, the newest months last; and the folds of the sweep."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from tollgate.books import APPLICANT, LOAN, Book
from tollgate.clock import months_before
from tollgate.config import Params
from tollgate.errors import BadInput
from tollgate.features import TableFile
from tollgate.labels import mature_before

pc: Any = pyarrow.compute
PARTS = TRAIN, VALIDATION, CALIBRATION, TEST, UNSEEN = "train", "validation", "calibration", "test", "unseen"
CODE = {part: np.int8(code) for code, part in enumerate(PARTS)}  # a part in memory: a byte a row
FOLD = "fold_"


def assign(book: Book, params: Params, rows: pa.Table | TableFile) -> pa.Table:
    """The part that each row plays, and its part in every fold: ``(loan_id, split, fold_1 ... fold_n)``, in order.

    The newest ``test_months`` of matured applications are the test, before them ``calibration_months`` calibrate and
    before those ``validation_months`` validate; what came before that trains; ``gap_months`` before validation and
    before the test are unseen. The folds roll the origin back: the newest is the split itself without what came after
    its validation, each one before it validates ``validation_months`` earlier and trains on what came before that; what
    came later is unseen by a fold. A fold with too short a past to learn from, one class at the most, is left out. An
    undated book is cut by a hash of the loan's id into sixths: one tests, and each fold validates on another and trains
    on the four that are left, a sixth of which calibrate where anything does. Where the book tells who asks, no person
    stands on both sides: of somebody with loans in two parts only those of the later part are seen; an undated book is
    cut by a hash of the person.

    Raises:
        BadInput: a part of the split is empty or holds one class only.
    """
    test, calibration, folds = (_by_time if book.dated else _by_hash)(book, params, rows)
    split = np.select([test, calibration], [CODE[TEST], CODE[CALIBRATION]], folds[-1])
    label = rows["label"].to_numpy()
    if book.grouped:
        who = rows[APPLICANT].combine_chunks().dictionary_encode().indices
        group = pc.fill_null(who, -1).to_numpy()
        split, folds = _apart(split, group), [_apart(fold, group) for fold in folds]
    for part in (TRAIN, VALIDATION, *((CALIBRATION,) if params.split.calibration_months else ()), TEST):
        rows_in, defaults = int((split == CODE[part]).sum()), int(label[split == CODE[part]].sum())
        if not 0 < defaults < rows_in:
            raise BadInput(f"The {part} part of the split has {rows_in:,} loans, of which {defaults:,} defaulted; it "
                           "needs loans that were paid and loans that defaulted",
                           remedy="Look at the outcomes of these months, widen snapshot.window_months, or change "
                                  "split in params.yaml.")
    taught = [fold for fold in folds
              if all(len(np.unique(label[fold == CODE[part]])) == 2 for part in (TRAIN, VALIDATION))]
    names = pa.array(PARTS)
    return pa.table({"loan_id": rows["loan_id"], "split": names.take(pa.array(split)),
                     **{f"{FOLD}{k}": names.take(pa.array(fold)) for k, fold in enumerate(taught, start=1)}})


def _apart(part: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The parts, by their codes, without the rows whose group has rows in a later part; group -1 is nobody's."""
    apart = part.copy()
    for later in (CODE[TEST], CODE[CALIBRATION], CODE[VALIDATION]):
        shared = np.isin(group, group[(apart == later) & (group >= 0)])
        apart[shared & (apart < later)] = CODE[UNSEEN]
    return apart


def beside_training(book: Book, declined: pa.Table, snapshot: pa.Table | TableFile, split: pa.Table | TableFile,
                    ) -> pa.Table:
    """Those of the declined applications that may stand beside the training rows.

    They were applied for within the months of these, and by nobody who has a loan in another part.

    Args:
        declined, snapshot: applications as the lake holds them; split: of the snapshot's rows, loan by loan.
    """
    place = pc.index_in(split[LOAN], value_set=snapshot[LOAN].combine_chunks())
    rows, trains = snapshot.take(place), pc.equal(split["split"], TRAIN)
    ends = pc.min_max(rows.filter(trains)["applied_on"])
    kept = pc.and_(pc.greater_equal(declined["applied_on"], ends["min"]),
                   pc.less_equal(declined["applied_on"], ends["max"]))
    if book.grouped:
        others = rows.filter(pc.invert(trains))[APPLICANT].drop_null().combine_chunks()
        kept = pc.and_(kept, pc.invert(pc.is_in(declined[APPLICANT], value_set=others)))
    return declined.filter(kept)


def folds(split: pa.Table | TableFile) -> list[pa.ChunkedArray]:
    """The folds of ``run/split.parquet``, the oldest first: of each row ``train``, ``validation`` or ``unseen``."""
    return [split[name].dictionary_encode() for name in split.column_names if name.startswith(FOLD)]


def _by_time(book: Book, params: Params, rows: pa.Table | TableFile,
             ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Which rows test, which calibrate, and the folds by the codes of their parts, the oldest first."""
    applied = rows["applied_on"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
    end, cut = mature_before(book, params.as_of, params.snapshot.horizon_months), params.split

    def last(months: int) -> np.ndarray:
        """Rows of the last ``months`` before ``end``."""
        return np.asarray(applied >= np.datetime64(months_before(end, months)))

    def fold(origin: int) -> np.ndarray:
        """Validation begins ``origin`` months before ``end``."""
        return np.select([last(origin - cut.validation_months), last(origin), last(origin + cut.gap_months)],
                         [CODE[UNSEEN], CODE[VALIDATION], CODE[UNSEEN]], CODE[TRAIN])

    later = cut.test_months + cut.gap_months
    before = later + cut.calibration_months
    folds = [fold(before + (k + 1) * cut.validation_months) for k in reversed(range(cut.folds))]
    return last(cut.test_months), last(before) & ~last(later), folds


def _by_hash(book: Book, params: Params, rows: pa.Table | TableFile,
             ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Which rows test, which of the training rows calibrate, and the folds by codes, that of the split the last."""
    loans = rows[LOAN].combine_chunks()
    who = pc.coalesce(rows[APPLICANT].combine_chunks(), loans) if book.grouped else loans
    drawn = np.array([list(hashlib.sha256(name.encode()).digest()[:2]) for name in who.to_pylist()]).reshape(-1, 2) % 6
    sixth, other = drawn.T
    calibration = (sixth > 1) & (other == 0) & (params.split.calibration_months > 0)
    return sixth == 0, calibration, [
        np.select([sixth == 0, sixth == k], [CODE[UNSEEN], CODE[VALIDATION]], CODE[TRAIN])
        for k in reversed(range(1, params.split.folds + 1))]
