"""Where each key of one table stands among the sorted keys of another: a join without hashing text."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

ABSENT = -1


def places(loans: pa.Array, wanted: pa.Array) -> np.ndarray:
    """The place of each of ``wanted`` in ``loans``, or ``ABSENT``; int64 of shape (wanted,).

    Args:
        loans: distinct texts without a null; fastest where they ascend. wanted: texts without a null.

    Where all are equally long and ``loans`` ascend, as a lender's loan numbers do, eight bytes at a time are compared
    as one number: five times as fast as hashing them.
    """
    ours, theirs = _bytes(loans), _bytes(wanted)
    if ours is None or theirs is None or ours.shape[1] != theirs.shape[1]:
        return _hashed(loans, wanted)
    found = _searched(ours, theirs)
    return _hashed(loans, wanted) if found is None else found


def _bytes(texts: pa.Array) -> np.ndarray | None:
    """The texts as uint8 of shape (texts, width); None where they are not all equally long."""
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset:texts.offset + len(texts) + 1] if len(
        texts) else np.zeros(1, np.int32)
    widths = np.diff(offsets)
    if not len(widths) or widths[0] == 0 or np.any(widths != widths[0]):
        return None
    data = np.frombuffer(texts.buffers()[2], dtype=np.uint8)
    return data[offsets[0]:offsets[-1]].reshape(len(texts), int(widths[0]))


def _searched(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray | None:
    """``places`` by binary search; None where ``ours`` do not ascend."""
    width = ours.shape[1]
    # What the first and the last of ascending texts begin with, all of them begin with.
    same = min(len(list(takewhile(bool, ours[0] == ours[-1]))), max(0, width - 8))
    present = np.ones(len(theirs), bool)
    for place in range(same):  # a column at a time: over rows of a few bytes numpy is slow
        if np.any(ours[:, place] != ours[0, place]):
            return None
        present &= theirs[:, place] == ours[0, place]
    code, code_wanted = _word(ours, same, 8), _word(theirs, same, 8)
    for start in range(same + 8, width, 4):  # the rank of what came before, and the next four bytes
        step = np.diff(code, prepend=code[:1]) != 0
        if np.any(code[1:] < code[:-1]):
            return None
        distinct = code[np.flatnonzero(step | (np.arange(len(code)) == 0))]
        rank = np.searchsorted(distinct, code_wanted)
        present &= distinct[np.minimum(rank, len(distinct) - 1)] == code_wanted
        code = np.cumsum(step, dtype=np.uint64) << np.uint64(32) | _word(ours, start, 4)
        code_wanted = rank.astype(np.uint64) << np.uint64(32) | _word(theirs, start, 4)
    if np.any(code[1:] <= code[:-1]):
        return None
    at = np.searchsorted(code, code_wanted)
    at[at == len(code)] = 0
    at[~(present & (code[at] == code_wanted))] = ABSENT
    return at


def _word(texts: np.ndarray, start: int, size: int) -> np.ndarray:
    """The ``size`` bytes from ``start`` on as one number that orders as they do; uint64 of shape (texts,)."""
    rows, width = texts.shape
    if start + size > width:
        texts, start = np.pad(texts[:, start:], ((0, 0), (0, size - (width - start)))), 0
    return np.ndarray((rows,), f">u{size}", texts, start, (texts.shape[1],)).astype(np.uint64)


def _hashed(loans: pa.Array, wanted: pa.Array) -> np.ndarray:
    import pyarrow.compute as pc

    encoded = wanted.dictionary_encode()
    number = pc.index_in(loans, value_set=encoded.dictionary).fill_null(ABSENT).to_numpy(zero_copy_only=False)
    there = np.flatnonzero(number != ABSENT)
    where = np.full(len(encoded.dictionary), ABSENT, np.int64)
    where[number[there]] = there
    return where[encoded.indices.to_numpy(zero_copy_only=False)] if len(wanted) else np.empty(0, np.int64)
