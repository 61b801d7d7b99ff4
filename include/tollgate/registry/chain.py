"""Whether a ledger's lines are what was written: chained, signed by a known key, each legal where it stands. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tollgate.registry.entries import Entry, digest_of_entry, read_payload, signed_text
from tollgate.registry.standing import ADOPTED
from tollgate.registry.transitions import Transitions

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

START = "0" * 64  # what stands before the first line
Line = dict[str, Any]


def faults_of(book: str, lines: Sequence[Line], known: Mapping[str, Ed25519PublicKey],
              vouched: int = 0) -> list[str]:
    """What is wrong with the lines of a book's ledger, in their order; nothing when all are what was written.

    Args:
        lines: rows of the table, by ``seq``.
        known: the public keys whose signatures count, by fingerprint.
        vouched: how many of the first lines need no signature, as somebody vouches for them.
    """
    faults: list[str] = []
    expected, previous, course = 1, START, Transitions()
    vouched = max(vouched, _vouched_for(book, lines, known))
    for line in lines:
        seq = line["seq"] or 0
        if seq > expected:
            missing = f"line {expected} is" if seq == expected + 1 else f"lines {expected} to {seq - 1} are"
            faults.append(f"{missing} missing")
        elif seq < expected:
            faults.append(f"line {seq} stands more than once")
        elif line["previous"] != previous:
            faults.append(f"line {seq} does not follow the line before it: one was moved")
        if _digest(line) != line["digest"]:
            faults.append(f"line {seq} ({line['kind']}) was edited: its digest does not match")
        elif seq > vouched and (fault := _signature_fault(book, line, known)):
            faults.append(f"line {seq} ({line['kind']}) {fault}")
        payload = read_payload(line["payload"])
        model = payload.get("model")
        of = model.get("book", book) if isinstance(model, dict) else book
        if of != book:
            faults.append(f"line {seq} is of the book {of}")
        elif (fault := course.take(Entry(**{**line, "seq": seq, "payload": payload}))) and seq > vouched:
            faults.append(f"line {seq} ({line['kind']}) is out of order: {fault}")
        expected, previous = seq + 1, line["digest"]
    return faults


def _digest(line: Line) -> str:
    return digest_of_entry(line["seq"] or 0, line["at"], line["kind"], line["payload"], line["previous"])


def _vouched_for(book: str, lines: Sequence[Line], known: Mapping[str, Ed25519PublicKey]) -> int:
    """How many unsigned lines of an older Tollgate the first signed one vouches for; 0 unless it is such a line."""
    at = next((k for k, line in enumerate(lines) if line["signature"] is not None), 0)
    if at == 0 or lines[at]["kind"] != ADOPTED or _signature_fault(book, lines[at], known):
        return 0
    told = read_payload(lines[at]["payload"])
    return at if (told.get("entries"), told.get("head")) == (at, lines[at - 1]["digest"]) else 0


def _signature_fault(book: str, line: Line, known: Mapping[str, Ed25519PublicKey]) -> str | None:
    from cryptography.exceptions import InvalidSignature

    if line["signature"] is None or line["key"] is None:
        return "is not signed"
    if line["key"] not in known:
        return f"is signed by no known key: {line['key']}"
    try:
        known[line["key"]].verify(base64.b64decode(line["signature"]), signed_text(book, _digest(line)))
    except (InvalidSignature, ValueError):
        return "is forged: its signature does not match"
    return None
