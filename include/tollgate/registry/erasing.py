"""The ledger's lines of an erasure: that it was begun, by whom and why, and what it did; never whom it was about.

An id is guessed as quickly as its hash, so neither stands here. Whoever is cut off after the intent runs it again for
the same loans: what is there by then goes, and the commit names every intent that was still open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tollgate.registry import ledger
from tollgate.registry.entries import Entry
from tollgate.registry.people import signed_by

ERASING, ERASED = "erasure-intent", "erasure-committed"


def begin_erasure(book: str, found: dict[str, Any], reason: str, by: str | None) -> int:
    """Sign that an erasure begins, and what it found; the number of its line.

    Args:
        found: counts alone. by: who decided; the login when None.

    Raises:
        BadInput: nobody signs, or the ledger's key is not held here.
        Refused: the ledger is not to be trusted. PassingFault: the lake did not answer.
    """
    entry = ledger.record(book, ERASING, {**found, "comment": reason, **signed_by(by)})
    assert entry is not None
    return entry.seq


def end_erasure(book: str, intents: Sequence[int], done: dict[str, Any], reason: str, by: str | None) -> int:
    """Sign what was done, for these intents; the number of its line. Raises as ``begin_erasure``."""
    entry = ledger.record(book, ERASED, {"intents": list(intents), **done, "comment": reason, **signed_by(by)})
    assert entry is not None
    return entry.seq


def open_erasures(book: str) -> list[int]:
    """The lines of intents that no commit has named. Raises ``Refused`` and ``PassingFault`` as ``begin_erasure``."""
    chain = ledger.trusted(book)
    ended = {seq for entry in chain if entry.kind == ERASED for seq in entry.payload["intents"]}
    return [entry.seq for entry in chain if entry.kind == ERASING and entry.seq not in ended]


def erasures_since(chain: Sequence[Entry], seq: int) -> list[Entry]:
    """The erasures that were begun after a line."""
    return [entry for entry in chain if entry.kind == ERASING and entry.seq > seq]


def comments(book: str) -> dict[int, str]:
    """What people wrote into the ledger, by the number of its line: a signed line cannot be changed."""
    return {entry.seq: str(text) for entry in ledger.trusted(book)
            if (text := entry.payload.get("comment") or entry.payload.get("why"))}
