"""Releasing quarantined rows: judged anew from their records once the contract was mended, published where they pass.

The intent goes into the ledger, then the rows into the lake, then the file's ``received`` line and its quarantine are
written, then the commit goes into the ledger. Whoever is killed between them runs it again: the intent names the rows,
so that one which lies in the lake already is known to have been put there by the release. The commit that publishes
the rows asks itself which keys another file has brought by then.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tollgate import lake
from tollgate.clock import today
from tollgate.errors import BadInput
from tollgate.ingest.contract import DUPLICATE, MASKED, PUBLISHED, begins_with, judge_records
from tollgate.ingest.deliveries import deliveries
from tollgate.ingest.publishing.publish import spelled_in
from tollgate.ingest.reading import apart, source_of

if TYPE_CHECKING:
    from tollgate.books import Book, BookTable, Reader

INTENT, COMMITTED = "release-intent", "release-committed"
SUPERSEDED = "superseded"
Lines = list[dict[str, Any]]
Filters = list[tuple[str, str, Any]]


def release(book: Book, fingerprint: str, by: str | None, why: str) -> dict[str, Any]:
    """Judge the quarantined rows of a published file anew, and publish those that pass now, in one commit a table.

    Args:
        fingerprint: of the file, or the beginning of it.
        by, why: stand in the ledger, when anything changes; the name is the login when None.

    The others stay, with the reasons of today: rows of which no whole record is kept (malformed, or personal data was
    masked in them), and as ``superseded`` those whose key the lake holds from another row, which is never overwritten.
    Doing it again changes nothing.

    Returns ``{"book", "file", "table", "fingerprint", "released", "left", "partitions", "version"}``: rows, the months
    of the file's published rows, and the Delta version of its table.

    Raises:
        BadInput: no such file, one that was refused whole, or nobody who signs.
        Refused: the ledger was tampered with.
        PassingFault: the lake did not answer.
    """
    from tollgate import registry

    if not why.strip():
        raise BadInput("A release needs a reason", value=repr(why), remedy="Pass --why.")
    decided = registry.signed_by(by)
    taken, quarantine = lake.received(book.name), lake.quarantine(book.name)
    whole = begins_with(taken, fingerprint)
    (received,) = lake.read(taken, filters=[("fingerprint", "=", whole)]).to_pylist()
    if received["verdict"] != PUBLISHED:
        raise BadInput(f"{received['file']} was refused whole, and is not released row by row", value=whole[:12],
                       remedy=f"Mend the contract, then judge it anew: tollgate ingest file {book.name} "
                              f"{received['file']}.")
    targets = [lake.published(book, name) for name in apart(received["table"])]
    lines = lake.read(quarantine, filters=[("fingerprint", "=", whole)]).to_pylist()
    registry.verify(book.name)
    open_intent = _open_intent(registry.entries(book.name), whole)
    promised = set(open_intent or ())
    delivery = deliveries(book.name)[whole].taken(today(book.time_zone))
    judged = _judged(book, targets, lines, delivery, source_of(book, received["file"]).reader)
    same = {target.name: judged.filters(target) for target in targets}
    for target in targets:
        judged = judged.beside(target.name, lake.read(target, filters=same[target.name]), promised)
    answer = {"book": book.name, "file": received["file"], "table": received["table"], "fingerprint": whole}
    released = judged.released(promised)
    if judged.left != lines or open_intent is not None:
        signed = {"fingerprint": whole, "file": received["file"], **decided, "why": why}
        if open_intent is None or not set(released) <= promised:
            registry.record(book.name, INTENT, {**signed, "rows": released})
        promised |= set(released)
        for target in targets:
            judged = _appended(target, judged, promised, same[target.name])
        released, left = judged.released(promised), len({line["row"] for line in judged.left})
        months = {row["month"] for rows in judged.passed.values() for row in rows.values()}
        published = received["received"] - left
        received = {**received, "published": published, "quarantined": left,
                    "added": received["added"] + published - received["published"],
                    "partitions": sorted({*received["partitions"], *months})}
        lake.replace_partitions(taken, pa.Table.from_pylist([received], schema=taken.schema), [whole])
        lake.replace_partitions(quarantine, pa.Table.from_pylist(judged.left, schema=quarantine.schema), [whole])
        registry.record(book.name, COMMITTED, {**signed, "rows": released, "left": left})
    return {**answer, "released": len(released), "left": received["quarantined"],
            "partitions": received["partitions"], "version": lake.version(targets[0])}


def _appended(target: lake.Table, seen: _Judged, promised: set[int], same: Filters) -> _Judged:
    """Append the rows of one table that are not there yet; what is judged beside the rows that lay there by then."""
    judged = seen

    def absent(held: pa.Table) -> pa.Table:
        nonlocal judged
        judged = seen.beside(target.name, held, promised)  # another file may have brought a key since it was looked at
        there = {judged.key_of(target.name, row) for row in held.to_pylist()}
        mine = (rows[target.name] for rows in judged.passed.values())
        return pa.Table.from_pylist([row for row in mine if judged.key_of(target.name, row) not in there],
                                    schema=target.schema)

    if seen.passed:
        lake.append_next(target, absent, same)
    return judged


@dataclass(frozen=True)
class _Judged:
    """The quarantined rows of a file by the contract of today.

    Attributes:
        keys: by table, names of the columns that no two rows of it share.
        passed: rows that may be published, in the lake's columns, by place and table.
        left: the quarantine's lines of the others.
        outrun: by place and table, the line that each passed row leaves where the lake holds its key from another row.
    """

    keys: dict[str, tuple[str, ...]]
    passed: dict[int, dict[str, dict[str, Any]]]
    left: Lines
    outrun: dict[int, dict[str, dict[str, Any]]]

    def key_of(self, table: str, row: dict[str, Any]) -> tuple[Any, ...]:
        """The row's values of the key."""
        return tuple(row[name] for name in self.keys[table])

    def filters(self, target: lake.Table) -> Filters:
        """What rows of a table that share a key with one of ours have in common."""
        first = target.order[0]
        values = [rows[target.name][first] for rows in self.passed.values()]
        return [(first, "in", pa.array(values, target.schema.field(first).type))]

    def released(self, promised: set[int]) -> list[int]:
        """Places of the rows that are in the lake by this release; those of an open intent may be there already."""
        return sorted((promised | set(self.passed)) - {line["row"] for line in self.left})

    def beside(self, table: str, held: pa.Table, promised: set[int]) -> _Judged:
        """The same beside rows of the lake, which keep their keys; a promised row that lies there as it is, is ours."""
        there = {self.key_of(table, row): row for row in held.to_pylist()}
        mine = {place: rows[table] for place, rows in self.passed.items()}
        late = {place for place, row in mine.items() if self.key_of(table, row) in there
                and not (_said(there[self.key_of(table, row)]) == _said(row) and place in promised)}
        left = [*self.left, *(self.outrun[place][table] for place in late)]
        return replace(self, passed={place: rows for place, rows in self.passed.items() if place not in late},
                       left=sorted(left, key=lambda line: (line["row"], line["rule"], line["column"] or "")))


def _said(row: dict[str, Any]) -> dict[str, Any]:
    """What the lender said: a release that was killed may be ended on another day."""
    return {name: cell for name, cell in row.items() if name != "known_on"}


def _stamp(of: BookTable, row: dict[str, Any], line: int | None, delivery: lake.Delivery) -> dict[str, Any]:
    """The month of a row of its file, and what makes it the first version of its key, known when it is released."""
    told = max(day for name in of.told if (day := row[name]) is not None)
    return {"month": f"{row[of.told[0]]:%Y-%m}", "delivery": delivery.number, "version": 1, "line": line,
            "known_on": told if told < delivery.live_on else delivery.day}


def _open_intent(ledger: Lines, fingerprint: str) -> list[int] | None:
    """The rows of the file's release that was begun and not committed."""
    own = [entry for entry in ledger if entry["kind"] in (INTENT, COMMITTED)
           and entry["payload"]["fingerprint"] == fingerprint]
    return own[-1]["payload"]["rows"] if own and own[-1]["kind"] == INTENT else None


def _judged(book: Book, targets: list[lake.Table], lines: Lines, delivery: lake.Delivery, reader: Reader) -> _Judged:
    keys = {target.name: target.order for target in targets}
    first = {line["row"]: line for line in reversed(lines)}
    places = sorted(place for place, line in first.items() if line["record"] != "{}" and MASKED not in line["record"])
    kept = [line for line in lines if line["row"] not in places]
    twice = {(line["row"], line["table"]) for line in lines if line["rule"] == DUPLICATE}
    if not places:
        return _Judged(keys, {}, kept, {})
    records = [json.loads(first[place]["record"]) for place in places]
    seen_on = date.fromisoformat(first[places[0]]["landed"][:10])
    parsed, reasons = _parsed(book, targets, records, seen_on, reader)
    bad = {index for _, index, _, _ in reasons}

    def line(table: str, index: int, rule: str, column: str) -> dict[str, Any]:
        source = {c.name: c.source for c in book.columns(table)}
        return {**first[places[index]], "table": table, "rule": rule, "column": column,
                "value": spelled_in(records[index], column, source)}

    def outrun(table: str, index: int) -> dict[str, Any]:
        rule = DUPLICATE if (places[index], table) in twice else SUPERSEDED
        return line(table, index, rule, ", ".join(keys[table]))

    good = [index for index in range(len(places)) if index not in bad]
    return _Judged(
        keys,
        {places[index]: {table: {**rows[index], **_stamp(book.table(table), rows[index], first[places[index]]["line"],
                                                         delivery)} for table, rows in parsed.items()}
         for index in good},
        [*kept, *(line(*reason) for reason in reasons)],
        {places[index]: {table: outrun(table, index) for table in keys} for index in good})


def _parsed(book: Book, targets: list[lake.Table], records: Lines, seen_on: date,
            reader: Reader) -> tuple[dict[str, Lines], list[tuple[str, int, str, str]]]:
    """The records as rows of each table, and ``(table, index, rule, column)`` of all that is held against them."""
    parsed: dict[str, Lines] = {}
    reasons: list[tuple[str, int, str, str]] = []
    own = None
    for target in sorted(targets, key=lambda target: target.name != "applications"):  # the others are about them
        sources = [c.source for c in book.columns(target.name) if not c.personal]
        spelled = pa.Table.from_pylist(records, schema=pa.schema([(name, pa.string()) for name in sources]))
        rows, broken = judge_records(book, target.name, spelled, seen_on, reader, own)
        own = rows if target.name == "applications" else own
        parsed[target.name] = rows.to_pylist()
        reasons += [(target.name, reason["row"], reason["rule"], reason["column"]) for reason in broken.to_pylist()]
    return parsed, reasons
