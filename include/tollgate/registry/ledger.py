"""The append-only, hash-chained record of every decision.

Each line carries the digest of the line before it, so that an edited, dropped or moved line breaks the chain. The
last digest is also kept outside the table, so that lines cut off the end are missed too.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tollgate import lake
from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault, Refused

if TYPE_CHECKING:
    import pyarrow as pa

START = "0" * 64
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One decision. ``at`` is wall-clock time, UTC: the one place where a stored record carries it."""

    seq: int
    at: str
    kind: str
    payload: dict[str, Any]
    previous: str
    digest: str


def digest_of_entry(seq: int, at: str, kind: str, payload: str, previous: str) -> str:
    """SHA-256 of the line's canonical JSON, its own digest left out."""
    whole = {"seq": seq, "at": at, "kind": kind, "payload": payload, "previous": previous}
    return hashlib.sha256(_canonical(whole).encode()).hexdigest()


def _canonical(record: dict[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def entries(book: str) -> list[dict[str, Any]]:
    """Every decision of a book in sequence, whether or not the chain holds, for people to read."""
    return [asdict(entry) for entry in _entries(lake.read(lake.ledger(book)))]


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


def _entries(rows: pa.Table) -> list[Entry]:
    return [Entry(r["seq"], r["at"], r["kind"], _payload(r["payload"]), r["previous"], r["digest"])
            for r in rows.to_pylist()]


def _payload(text: str) -> dict[str, Any]:
    try:
        loaded = json.loads(text)
    except (TypeError, ValueError):
        loaded = None
    return loaded if isinstance(loaded, dict) else {"unreadable": text}


def _model(payload: dict[str, Any]) -> dict[str, Any]:
    """The version that a line is about; nothing where it is about none, or was edited."""
    model = payload.get("model")
    return model if isinstance(model, dict) else {}


def head(chain: Sequence[Entry]) -> str:
    """Digest of the last line; zeros before the first."""
    return chain[-1].digest if chain else START


def moment(told: datetime | None = None) -> str:
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
    """Append one line; None when ``given`` (asked of all lines so far, atomically) does not hold.

    Raises:
        BadInput: a name or a comment in it is no text.
        PassingFault: the lake did not answer.
    """
    import pyarrow as pa

    table = lake.ledger(book)
    text, at = _canonical(payload), moment()
    try:
        text.encode()
    except UnicodeEncodeError as err:
        raise BadInput("The ledger keeps text alone", value=ascii(text[err.start:err.end]),
                       remedy="Write names and comments in UTF-8.") from err

    def line(rows: pa.Table) -> pa.Table | None:
        so_far = _entries(rows)
        if given is not None and not given(so_far):
            return None
        seq, previous = (so_far[-1].seq + 1 if so_far else 1), head(so_far)
        return pa.Table.from_pylist([{"kind": kind, "seq": seq, "at": at, "payload": text, "previous": previous,
                                      "digest": digest_of_entry(seq, at, kind, text, previous)}], schema=table.schema)

    appended = lake.append_next(table, line)
    if appended is None:
        return None
    entry = _entries(appended)[0]
    _keep(book, entry)
    return entry


def keep_last(book: str, chain: Sequence[Entry]) -> None:
    """Keep the last line's digest outside the table, if whoever wrote the line was cut off before doing so."""
    if chain and _kept(book) != {"seq": chain[-1].seq, "digest": chain[-1].digest}:
        _keep(book, chain[-1])


def _keep(book: str, last: Entry) -> None:
    lake.Store(settings().store).write_json(_anchor(book), {"seq": last.seq, "digest": last.digest})


def _kept(book: str) -> dict[str, Any] | None:
    store = lake.Store(settings().store)
    if not store.exists(_anchor(book)):
        return None
    try:
        match store.read_json(_anchor(book)):
            case {"seq": int(seq), "digest": str(digest)}:
                return {"seq": seq, "digest": digest}
    except ValueError:
        pass
    raise Refused(f"The last digest of the ledger of {book}, kept outside its table, cannot be read",
                  value=f"{settings().store}/{_anchor(book)}", remedy="Restore the file from a backup.")


def _anchor(book: str) -> str:
    return f"ledger/{book}.json"


def verify(book: str) -> dict[str, Any]:
    """Walk the chain: ``{"book", "entries", "head", "intact": True}``.

    Raises ``Refused`` when it is broken, naming every line that was edited, dropped, doubled or moved.
    """
    chain = trusted(book)
    return {"book": book, "entries": len(chain), "head": head(chain), "intact": True}


def trusted(book: str) -> list[Entry]:
    """Every decision of a book. Raises ``Refused`` when the chain is broken: no decision may rest on it."""
    # The anchor is read first: lines written in between are then beyond it, never missing.
    anchor = _kept(book)
    rows = _read(book, anchor)
    if anchor is None and rows.num_rows > 1:
        # Whoever wrote the first line may have been about to keep its digest.
        anchor = _kept(book)
        rows = _read(book, anchor)
    faults = _faults(book, rows.to_pylist(), anchor)
    if faults:
        raise Refused(f"The ledger of {book} was tampered with: {'; '.join(faults)}", value=f"{len(faults)} fault(s)",
                      remedy="Restore its last good Delta version, and the digest kept outside, from a backup.")
    return _entries(rows)


def _read(book: str, anchor: dict[str, Any] | None) -> pa.Table:
    try:
        return lake.read(lake.ledger(book))
    except BadInput as torn:
        last = f"its last line was number {anchor['seq']}" if anchor else "nothing was kept of its last line"
        raise Refused(f"The ledger of {book} cannot be read ({last}): {torn.cause}", value=torn.value,
                      remedy="Restore that file from a backup; until then no decision is taken.") from torn


def _faults(book: str, lines: list[dict[str, Any]], anchor: dict[str, Any] | None) -> list[str]:
    faults: list[str] = []
    expected, previous = 1, START
    for line in lines:
        seq = line["seq"] or 0
        if seq > expected:
            missing = f"line {expected} is" if seq == expected + 1 else f"lines {expected} to {seq - 1} are"
            faults.append(f"{missing} missing")
        elif seq < expected:
            faults.append(f"line {seq} stands more than once")
        elif line["previous"] != previous:
            faults.append(f"line {seq} does not follow the line before it: one was moved")
        whole = digest_of_entry(seq, line["at"], line["kind"], line["payload"], line["previous"])
        if whole != line["digest"]:
            faults.append(f"line {seq} ({line['kind']}) was edited: its digest does not match")
        of = _model(_payload(line["payload"])).get("book", book)
        if of != book:
            faults.append(f"line {seq} is of the book {of}")
        expected, previous = seq + 1, line["digest"]
    if anchor is not None and anchor["seq"] >= expected:
        faults.append(f"line {anchor['seq']} was written and is missing at the end")
    elif anchor is not None and anchor["digest"] not in {line["digest"] for line in lines}:
        faults.append(f"line {anchor['seq']} is not the one that was written")
    elif anchor is None and len(lines) > 1:
        faults.append(f"the digest of its last line, kept in {settings().store}/{_anchor(book)}, is missing")
    return faults
