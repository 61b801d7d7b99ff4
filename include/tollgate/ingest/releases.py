"""Releasing quarantined rows: judged anew from their records once the contract was mended, published where they pass.

The intent goes into the ledger, then the rows into the lake, then the file's ``received`` line and its quarantine are
written, then the commit goes into the ledger. Whoever is killed between them runs it again: the intent names the rows,
so that one which lies in the lake already is known to have been put there by the release.
"""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

from tollgate import lake
from tollgate.books import KEYS
from tollgate.errors import BadInput
from tollgate.ingest.contract import DUPLICATE
from tollgate.ingest.judge import PUBLISHED, judge_records
from tollgate.ingest.publish import spelled_in
from tollgate.ingest.quarantine import begins_with

if TYPE_CHECKING:
    from tollgate.books import Book

pc: Any = pyarrow.compute
INTENT, COMMITTED = "release-intent", "release-committed"
SUPERSEDED = "superseded"
Lines = list[dict[str, Any]]


def release(book: Book, fingerprint: str, by: str, why: str) -> dict[str, Any]:
    """Judge the quarantined rows of a published file anew, and publish those that pass now, in one atomic commit.

    Args:
        fingerprint: of the file, or the beginning of it.
        by, why: stand in the ledger, when anything changes.

    The others stay, with the reasons of today: malformed rows, of which no record is kept, and as ``superseded`` those
    whose key the lake holds from another row by now, which is never overwritten. Doing it again changes nothing.

    Returns ``{"book", "file", "table", "fingerprint", "released", "left", "partitions", "version"}``: rows, the months
    of the file's published rows, and the Delta version of its table.

    Raises:
        BadInput: no such file, one that was refused whole, or nobody who signs.
        Refused: the ledger was tampered with.
        PassingFault: the lake did not answer.
    """
    from tollgate import registry

    if not by.strip() or not why.strip():
        raise BadInput("A release needs who decides and a reason", value=f"{by!r}, {why!r}",
                       remedy="Pass --by and --why.")
    taken, quarantine = lake.received(book.name), lake.quarantine(book.name)
    whole = begins_with(taken, fingerprint)
    (received,) = lake.read(taken, filters=[("fingerprint", "=", whole)]).to_pylist()
    if received["verdict"] != PUBLISHED:
        raise BadInput(f"{received['file']} was refused whole, and is not released row by row", value=whole[:12],
                       remedy=f"Mend the contract, then judge it anew: tollgate ingest file {book.name} "
                              f"{received['file']}.")
    target = (lake.applications if received["table"] == "applications" else lake.outcomes)(book)
    lines = lake.read(quarantine, filters=[("fingerprint", "=", whole)]).to_pylist()
    registry.verify(book.name)
    open_intent = _open_intent(registry.entries(book.name), whole)
    promised = set(open_intent or ())
    passed, left = _judged(book, target, lines, promised)
    answer = {"book": book.name, "file": received["file"], "table": received["table"], "fingerprint": whole}
    released = sorted((promised | set(passed)) - {line["row"] for line in left})
    if left != lines or open_intent is not None:
        signed = {"fingerprint": whole, "file": received["file"], "by": by, "why": why, "rows": released}
        if open_intent is None or not set(released) <= promised:
            registry.record(book.name, INTENT, signed)
        rows = pa.Table.from_pylist([*passed.values()], schema=target.schema)
        months = {month: rows.filter(pc.equal(rows["month"], month)) for month in rows["month"].unique().to_pylist()}
        if months:
            lake.upsert(target, months)
        quarantined = len({line["row"] for line in left})
        received = {**received, "published": received["received"] - quarantined, "quarantined": quarantined,
                    "partitions": sorted({*received["partitions"], *months})}
        lake.replace_partitions(taken, pa.Table.from_pylist([received], schema=taken.schema), [whole])
        lake.replace_partitions(quarantine, pa.Table.from_pylist(left, schema=quarantine.schema), [whole])
        registry.record(book.name, COMMITTED, {**signed, "left": quarantined})
    return {**answer, "released": len(released), "left": received["quarantined"],
            "partitions": received["partitions"], "version": lake.version(target)}


def _open_intent(ledger: Lines, fingerprint: str) -> list[int] | None:
    """The rows of the file's release that was begun and not committed."""
    own = [entry for entry in ledger if entry["kind"] in (INTENT, COMMITTED)
           and entry["payload"]["fingerprint"] == fingerprint]
    return own[-1]["payload"]["rows"] if own and own[-1]["kind"] == INTENT else None


def _judged(book: Book, target: lake.Table, lines: Lines,
            promised: set[int]) -> tuple[dict[int, dict[str, Any]], Lines]:
    """The rows that may be published now, in the lake's columns, by place; the quarantine's lines of the others."""
    first = {line["row"]: line for line in reversed(lines)}
    places = sorted(place for place, line in first.items() if line["record"] != "{}")
    kept = [line for line in lines if line["row"] not in places]
    twice = {line["row"] for line in lines if line["rule"] == DUPLICATE}
    if not places:
        return {}, kept
    columns, key = book.columns(target.name), list(KEYS[target.name])
    source = {c.name: c.source for c in columns if not c.personal}
    spelled = pa.Table.from_pylist([json.loads(first[place]["record"]) for place in places],
                                   schema=pa.schema([(name, pa.string()) for name in source.values()]))
    rows, broken = judge_records(book, target.name, spelled, date.fromisoformat(first[places[0]]["landed"][:10]))
    reasons = [(reason["row"], reason["rule"], reason["column"]) for reason in broken.to_pylist()]
    bad = {index for index, _, _ in reasons}
    passed: dict[int, dict[str, Any]] = {}
    held = _held(target, rows, key)
    for index, row in enumerate(rows.to_pylist()):
        if index in bad:
            continue
        row["month"] = f"{row[str(target.known)]:%Y-%m}"
        there = held.get(tuple(row[name] for name in key))
        if there is None or (there == row and places[index] in promised):
            passed[places[index]] = row
        else:
            reasons.append((index, DUPLICATE if places[index] in twice else SUPERSEDED, ", ".join(key)))
    records = spelled.to_pylist()
    for index, rule, column in reasons:
        line = first[places[index]]
        kept.append({**line, "rule": rule, "column": column, "value": spelled_in(records[index], column, source)})
    return passed, sorted(kept, key=lambda line: (line["row"], line["rule"], line["column"] or ""))


def _held(target: lake.Table, rows: pa.Table, key: list[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """What the lake holds under the loan numbers of ``rows``, by key."""
    loans = rows["loan_id"].drop_null().unique().to_pylist()
    found = lake.read(target, filters=[("loan_id", "in", loans)]).to_pylist() if loans else []
    return {tuple(row[name] for name in key): row for row in found}
