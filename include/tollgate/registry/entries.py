"""One line of the ledger, and the texts that its digest and its signature are over. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One decision.

    Attributes:
        at: wall-clock time, UTC: the one place where a stored record carries it.
        previous, digest: SHA-256 of the line before and of this one, in hexadecimal.
        key, signature: who signed, as ``keys.fingerprint`` tells, and the signature in Base64; None in lines of an
            older Tollgate.
    """

    seq: int
    at: str
    kind: str
    payload: dict[str, Any]
    previous: str
    digest: str
    key: str | None = None
    signature: str | None = None


def canonical(record: dict[str, Any]) -> str:
    """A record as the one JSON text that its digest is over."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of_entry(seq: int, at: str, kind: str, payload: str, previous: str) -> str:
    """SHA-256 of the line's canonical JSON, its own digest left out."""
    whole = {"seq": seq, "at": at, "kind": kind, "payload": payload, "previous": previous}
    return hashlib.sha256(canonical(whole).encode()).hexdigest()


def signed_text(book: str, digest: str) -> bytes:
    """What a line's signature is over: its digest, and the book, so that it holds in no other book's ledger."""
    return canonical({"tollgate": "ledger", "book": book, "digest": digest}).encode()


def read_payload(text: str) -> dict[str, Any]:
    """The payload of a line; ``{"unreadable": text}`` where it was edited into something else than a JSON object."""
    try:
        loaded = json.loads(text)
    except (TypeError, ValueError):
        loaded = None
    return loaded if isinstance(loaded, dict) else {"unreadable": text}
