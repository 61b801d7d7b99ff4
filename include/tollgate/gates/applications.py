"""Does the model, from the application to the score, treat alike what is alike and follow the book's directions?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.books import Book, Column
from tollgate.features import Histories, Model, make_features

ROUNDING = 1e-6         # float32 scores: a smaller step is no direction
NUMBERS = ("integer", "number", "money", "percent")
FACTOR = 10


def alike(book: Book, model: Model, sent: pa.Table, histories: Histories, score: np.ndarray) -> Iterator[str]:
    """Whether what must not matter does not: protected attributes, and how a number or a missing value is written.

    Args:
        sent: applications as the lake holds them; histories: of their loans; score: P(default) of the same rows.
    """
    if not np.array_equal(model.predict(sent, histories), score):
        yield "the applications of the snapshot do not give the features that were scored"
        return
    for name in book.protected():
        if not np.array_equal(model.predict(replaced(sent, name, _exchanged(sent[name])), histories), score):
            yield f"another {name} changes the score"
    rewritten = sent
    for column in _numbers(book):
        values = pc.cast(sent[column.name], pa.float64())  # an integer as a decimal, and missing as NaN
        rewritten = replaced(rewritten, column.name, pa.array(pc.fill_null(values, np.nan).to_numpy()))
    if not np.array_equal(model.predict(rewritten, histories), score):
        yield "numbers written as decimals, and missing ones as NaN, change the scores"


def multiplied(book: Book, model: Model, sent: pa.Table, histories: Histories,
               score: np.ndarray) -> tuple[list[str], list[str]]:
    """Whether ten times a number moves the score the way its features say, such as ten times the amount asked for.

    A row is judged where every feature that moved has a direction and all of them point the same way: the score may
    then move no other way.

    Returns the findings, and the columns for which any row could be judged.
    """
    findings, judged, before = [], [], make_features(book, sent, histories)
    for column in _numbers(book):
        moved = replaced(sent, column.name, pc.multiply(sent[column.name], FACTOR))
        after, gained = make_features(book, moved, histories), model.predict(moved, histories) - score
        upwards, downwards, still = (np.ones(len(score), dtype=bool) for _ in range(3))
        for feature in book.features:
            if feature.kind == "category":
                same = pc.fill_null(pc.equal(after[feature.name], before[feature.name]), True)
                step = 1.0 - same.to_numpy()
            else:
                step = np.nan_to_num(after[feature.name].to_numpy() - before[feature.name].to_numpy())
            risk = step * feature.monotone
            upwards &= (risk > 0) | (step == 0)
            downwards &= (risk < 0) | (step == 0)
            still &= step == 0
        upwards, downwards = upwards & ~still, downwards & ~still
        wrong = float(np.mean((upwards & (gained < -ROUNDING)) | (downwards & (gained > ROUNDING))))
        if upwards.any() or downwards.any():
            judged.append(column.name)
        if wrong:
            findings.append(f"{FACTOR} times {column.name} moves {100 * wrong:.1f} % of the scores the wrong way")
    return findings, judged


def _numbers(book: Book) -> list[Column]:
    """The numeric application columns that features are made of."""
    used = {name for feature in book.features for name in feature.uses}
    return [column for column in book.applications if column.kind in NUMBERS and column.name in used]


def _exchanged(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Every value replaced by another one of the column's, or by none where all are the same."""
    values = column.combine_chunks()
    known = values.unique().drop_null()
    if len(known) < 2:
        return pa.chunked_array([pa.nulls(len(values), values.type)])
    place = pc.fill_null(pc.index_in(values, value_set=known), 0).to_numpy()
    return pa.chunked_array([known.take(pa.array((place + 1) % len(known)))])


def replaced(rows: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The rows with other values of one column."""
    return rows.set_column(rows.column_names.index(name), name, values)
