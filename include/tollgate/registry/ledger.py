"""The append-only, hash-chained, signed record of every decision.

Each line carries the digest of the line before it, so that an edited, dropped or moved line breaks the chain, and the
signature of whoever holds the key, so that nobody else can add one. The last digest is also kept outside the table, so
that lines cut off the end are missed too.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tollgate import lake
from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault, Refused
from tollgate.registry import keys
from tollgate.registry.chain import START, faults_of
from tollgate.registry.entries import Entry, canonical, digest_of_entry, read_payload, signed_text
from tollgate.registry.people import signed_by
from tollgate.registry.standing import ADOPTED

if TYPE_CHECKING:
    import pyarrow as pa

Line = dict[str, Any]  # a row of the table
log = logging.getLogger(__name__)


def entries(book: str) -> list[dict[str, Any]]:
    """Every decision of a book in sequence, whether or not the chain holds, for people to read."""
    return [asdict(entry) for entry in _entries(lake.records(lake.ledger(book)))]


def decisions(book: str) -> list[dict[str, Any]]:
    """Every decision, newest first: its line, with who decided on which version, why and when, before the rest.

    A ledger that was tampered with is shown as it is, with a warning in the log.
    """
    try:
        lines = [asdict(entry) for entry in trusted(book)]
    except Refused as broken:
        log.warning("%s", broken)
        lines = entries(book)
    said = [(line, line["payload"]) for line in reversed(lines)]
    return [{"seq": line["seq"], "at": line["at"], "kind": line["kind"],
             "version": _model(payload).get("version"), "by": payload.get("by"),
             "comment": payload.get("comment", payload.get("why")), "answered_at": payload.get("answered_at"), **line}
            for line, payload in said]


def _entries(lines: Sequence[Line]) -> list[Entry]:
    return [Entry(**{**line, "payload": read_payload(line["payload"])}) for line in lines]


def _model(payload: dict[str, Any]) -> dict[str, Any]:
    """The version that a line is about; nothing where it is about none, or was edited."""
    model = payload.get("model")
    return model if isinstance(model, dict) else {}


def head(chain: Sequence[Entry]) -> str:
    """Digest of the last line; zeros before the first."""
    return chain[-1].digest if chain else START


def timestamp(told: datetime | None = None) -> str:
    """``told``, or this moment when None, as the ledger writes time: ISO 8601, UTC, to the millisecond.

    Raises:
        PassingFault: ``told`` is still to come, as where the clocks of two machines differ by seconds.
    """
    now = datetime.now(UTC)
    if told is not None and told > now:
        raise PassingFault("An answer cannot be recorded before it is given", value=told.isoformat(),
                           remedy=f"It is {now.isoformat(timespec='seconds')} here: give the time of the answer, or "
                                  "set the clocks alike if another machine told it.")
    return (told or now).astimezone(UTC).isoformat(timespec="milliseconds")


def record(book: str, kind: str, payload: dict[str, Any], *,
           given: Callable[[list[Entry]], bool] | None = None) -> Entry | None:
    """Sign and append one line; None when ``given`` (asked of all lines so far, atomically) does not hold.

    Raises:
        BadInput: a name or a comment in it is no text, or this process does not hold the key.
        Refused: the lines so far are not to be trusted; nothing is added to them.
        PassingFault: the lake did not answer.
    """
    anchors = _anchors(book)

    def trusting(lines: list[Line]) -> bool:
        _check(book, lines, _anchor_faults(lines, anchors))
        return given is None or given(_entries(lines))

    return _append(book, kind, payload, trusting)


def adopt(book: str, last: str, by: str | None, why: str) -> dict[str, Any]:
    """Vouch for the lines of an older Tollgate, which did not sign: a person has compared them with a backup.

    Args:
        last: digest of the last line that the person has seen.
        by: who vouches; the login when None.

    Returns what ``verify`` does.

    Raises:
        BadInput: nobody signs, or this process does not hold the key.
        Refused: the ledger holds no unsigned line, a signed one already, or not that last line; or its chain is broken.
        PassingFault: the lake did not answer.
    """
    if not why.strip():
        raise BadInput("Adopting a ledger needs a reason", value=repr(why), remedy="Pass --why.")
    signed = signed_by(by)
    anchors = _anchors(book)
    rows = _read(book, anchors)
    lines = _entries(rows)
    if not lines or any(line.signature for line in lines):
        raise Refused(f"The ledger of {book} has nothing to adopt",
                      value=f"{sum(line.signature is None for line in lines)} of {len(lines)} lines are unsigned",
                      remedy="Only a ledger of an older Tollgate, all of whose lines are unsigned, is adopted.")
    if head(lines) != last:
        raise Refused(f"The last line of the ledger of {book} is another than you vouch for", value=head(lines),
                      remedy="Compare the ledger with a backup before you name this digest.")

    _check(book, rows, _anchor_faults(rows, anchors), vouched=len(lines))

    def as_seen(then: list[Line]) -> bool:
        return head(_entries(then)) == last

    if _append(book, ADOPTED, {"entries": len(lines), "head": last, **signed, "why": why}, as_seen) is None:
        raise PassingFault(f"Another line was added to the ledger of {book} meanwhile", value=last,
                           remedy="Look at it, then run this again.")
    return verify(book)


def _append(book: str, kind: str, payload: dict[str, Any], given: Callable[[list[Line]], bool]) -> Entry | None:
    import pyarrow as pa

    table, signer = lake.ledger(book), keys.signer()
    text, at, key = canonical(payload), timestamp(), keys.fingerprint(signer.public_key())
    try:
        text.encode()
    except UnicodeEncodeError as err:
        raise BadInput("The ledger keeps text alone", value=ascii(text[err.start:err.end]),
                       remedy="Write names and comments in UTF-8.") from err

    def line(rows: pa.Table) -> pa.Table | None:
        lines = rows.to_pylist()
        if not given(lines):
            return None
        so_far = _entries(lines)
        seq, previous = (so_far[-1].seq + 1 if so_far else 1), head(so_far)
        digest = digest_of_entry(seq, at, kind, text, previous)
        signature = base64.b64encode(signer.sign(signed_text(book, digest))).decode()
        return pa.Table.from_pylist([{"kind": kind, "seq": seq, "at": at, "payload": text, "previous": previous,
                                      "digest": digest, "key": key, "signature": signature}], schema=table.schema)

    appended = lake.append_next(table, line)
    if appended is None:
        return None
    entry = _entries(appended.to_pylist())[0]
    for place in _places():
        _keep(book, place, entry)
    return entry


def keep_last(book: str, chain: Sequence[Entry]) -> None:
    """Keep the last line's digest outside the table, if whoever wrote the line was cut off before doing so."""
    for place in _places() if chain else []:
        if _kept(book, place) != _told(chain[-1]):
            _keep(book, place, chain[-1])


def _places() -> list[str]:
    """Where the last digest is kept: first in the store or beside a ledger that lies apart, then outside."""
    here = settings()
    own = here.ledger if here.ledger_apart else here.store
    return [own, *([here.ledger_anchor] if here.ledger_anchor else [])]


def _told(last: Entry) -> dict[str, Any]:
    return {"seq": last.seq, "digest": last.digest}


def _keep(book: str, place: str, last: Entry) -> None:
    lake.Store(place).write_json(_anchor(book), _told(last))


def _anchors(book: str) -> dict[str, dict[str, Any]]:
    """The last digests that are kept outside the table, by the file that holds each."""
    kept = {f"{place}/{_anchor(book)}": _kept(book, place) for place in _places()}
    return {path: anchor for path, anchor in kept.items() if anchor is not None}


def _kept(book: str, place: str) -> dict[str, Any] | None:
    store = lake.Store(place)
    if not store.exists(_anchor(book)):
        return None
    try:
        match json.loads(store.read(_anchor(book))):
            case {"seq": int(seq), "digest": str(digest)}:
                return {"seq": seq, "digest": digest}
    except ValueError:
        pass
    raise Refused(f"The last digest of the ledger of {book}, kept outside its table, cannot be read",
                  value=f"{place}/{_anchor(book)}", remedy="Restore the file from a backup.")


def _anchor(book: str) -> str:
    return f"ledger/{book}.json"


def verify(book: str, noted: str | None = None) -> dict[str, Any]:
    """Walk the chain: ``{"book", "entries", "head", "outside", "intact": True}``.

    Args:
        noted: a head that was noted somewhere else, of which some line must have the digest.

    ``outside`` is the number of the last line whose digest is kept in ``TOLLGATE_LEDGER_ANCHOR``, null where none is.

    Raises ``Refused`` when it is broken, naming the first line that was forged, signed by no known key, edited,
    dropped, doubled, moved or out of order, and then the others; or when no line has the digest that was noted.
    """
    chain = trusted(book)
    if noted is not None and noted not in {line.digest for line in chain}:
        raise Refused(f"No line of the ledger of {book} has the digest that was noted: it was cut short, or written "
                      "anew", value=noted, remedy="Restore its last good Delta version from a backup.")
    outside = _kept(book, settings().ledger_anchor) if settings().ledger_anchor else None
    return {"book": book, "entries": len(chain), "head": head(chain), "outside": outside and outside["seq"],
            "intact": True}


def trusted(book: str) -> list[Entry]:
    """Every decision of a book. Raises ``Refused`` when a line is forged or illegal: no decision may rest on it."""
    # The anchors are read first: lines written in between are then beyond them, never missing.
    anchors = _anchors(book)
    lines, own = _read(book, anchors), f"{_places()[0]}/{_anchor(book)}"
    if own not in anchors and len(lines) > 1:
        # Whoever wrote the first line may have been about to keep its digest.
        anchors = _anchors(book)
        lines = _read(book, anchors)
    missing = [f"the digest of its last line, kept in {own}, is missing"
               ] if own not in anchors and len(lines) > 1 else []
    _check(book, lines, [*_anchor_faults(lines, anchors), *missing])
    return _entries(lines)


def _check(book: str, lines: list[Line], beside: list[str], vouched: int = 0) -> None:
    """Raise ``Refused`` for the faults of the lines, the first one first, and those that were found ``beside`` them."""
    faults = [*faults_of(book, lines, keys.known(), vouched), *beside]
    if not faults:
        return
    remedy = "Restore its last good Delta version, and the digest kept outside, from a backup."
    if not any(line["signature"] for line in lines):
        remedy += (f" If an older Tollgate wrote it, which did not sign, compare it with a backup, then: "
                   f"tollgate ledger adopt {book}.")
    raise Refused(f"The ledger of {book} was tampered with: {'; '.join(faults)}", value=f"{len(faults)} fault(s)",
                  remedy=remedy)


def _read(book: str, anchors: dict[str, dict[str, Any]]) -> list[Line]:
    try:
        return lake.records(lake.ledger(book))
    except BadInput as torn:
        seq = max((anchor["seq"] for anchor in anchors.values()), default=None)
        last = f"its last line was number {seq}" if seq else "nothing was kept of its last line"
        raise Refused(f"The ledger of {book} cannot be read ({last}): {torn.cause}", value=torn.value,
                      remedy=f"{torn.remedy} Until then no decision is taken.") from torn


def _anchor_faults(lines: list[Line], anchors: dict[str, dict[str, Any]]) -> list[str]:
    """What the digests that are kept outside the table say against its rows."""
    last, digests = max((line["seq"] or 0 for line in lines), default=0), {line["digest"] for line in lines}
    return [f"line {anchor['seq']} " + ("was written and is missing at the end" if anchor["seq"] > last else
                                        "is not the one that was written") + f", as {path} tells"
            for path, anchor in anchors.items() if anchor["seq"] > last or anchor["digest"] not in digests]
