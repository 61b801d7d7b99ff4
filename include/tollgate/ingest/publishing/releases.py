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
from tollgate.books import LOAN
from tollgate.clock import today
from tollgate.errors import BadInput
from tollgate.ingest.contract import DUPLICATE, MASKED, PUBLISHED, begins_with, judge_records
from tollgate.ingest.deliveries import deliveries
from tollgate.ingest.publishing.publish import spelled_in

if TYPE_CHECKING:
    from tollgate.books import Book, BookTable

INTENT, COMMITTED = "release-intent", "release-committed"
SUPERSEDED = "superseded"
Lines = list[dict[str, Any]]


def release(book: Book, fingerprint: str, by: str, why: str) -> dict[str, Any]:
    """Judge the quarantined rows of a published file anew, and publish those that pass now, in one atomic commit.

    Args:
        fingerprint: of the file, or the beginning of it.
        by, why: stand in the ledger, when anything changes.

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
    target = lake.published(book, received["table"])
    lines = lake.read(quarantine, filters=[("fingerprint", "=", whole)]).to_pylist()
    registry.verify(book.name)
    open_intent = _open_intent(registry.entries(book.name), whole)
    promised = set(open_intent or ())
    delivery = deliveries(book.name)[whole].taken(today(book.time_zone))
    judged = _judged(book, target, lines, delivery)
    loans = pa.array([row[LOAN] for row in judged.passed.values()], pa.string())
    same_loans = [(LOAN, "in", loans)]
    judged = judged.beside(lake.read(target, filters=same_loans), promised)
    answer = {"book": book.name, "file": received["file"], "table": received["table"], "fingerprint": whole}
    released = judged.released(promised)
    if judged.left != lines or open_intent is not None:
        signed = {"fingerprint": whole, "file": received["file"], "by": by, "why": why}
        if open_intent is None or not set(released) <= promised:
            registry.record(book.name, INTENT, {**signed, "rows": released})
        promised |= set(released)
        seen = judged

        def absent(held: pa.Table) -> pa.Table:
            nonlocal judged
            judged = seen.beside(held, promised)  # another file may have brought a key since it was looked at
            there = {judged.key_of(row) for row in held.to_pylist()}
            return pa.Table.from_pylist([row for row in judged.passed.values() if judged.key_of(row) not in there],
                                        schema=target.schema)

        if seen.passed:
            lake.append_next(target, absent, same_loans)
        released, left = judged.released(promised), len({line["row"] for line in judged.left})
        months = {row["month"] for row in judged.passed.values()}
        published = received["received"] - left
        received = {**received, "published": published, "quarantined": left,
                    "added": received["added"] + published - received["published"],
                    "partitions": sorted({*received["partitions"], *months})}
        lake.replace_partitions(taken, pa.Table.from_pylist([received], schema=taken.schema), [whole])
        lake.replace_partitions(quarantine, pa.Table.from_pylist(judged.left, schema=quarantine.schema), [whole])
        registry.record(book.name, COMMITTED, {**signed, "rows": released, "left": left})
    return {**answer, "released": len(released), "left": received["quarantined"],
            "partitions": received["partitions"], "version": lake.version(target)}


@dataclass(frozen=True)
class _Judged:
    """The quarantined rows of a file by the contract of today.

    Attributes:
        key: names of the columns that no two rows of the lake's table share.
        passed: rows that may be published, in the lake's columns, by place.
        left: the quarantine's lines of the others.
        outrun: the line that each passed row leaves where the lake holds its key from another row.
    """

    key: tuple[str, ...]
    passed: dict[int, dict[str, Any]]
    left: Lines
    outrun: dict[int, dict[str, Any]]

    def key_of(self, row: dict[str, Any]) -> tuple[Any, ...]:
        """The row's values of the key."""
        return tuple(row[name] for name in self.key)

    def released(self, promised: set[int]) -> list[int]:
        """Places of the rows that are in the lake by this release; those of an open intent may be there already."""
        return sorted((promised | set(self.passed)) - {line["row"] for line in self.left})

    def beside(self, held: pa.Table, promised: set[int]) -> _Judged:
        """The same beside rows of the lake, which keep their keys; a promised row that lies there as it is, is ours."""
        there = {self.key_of(row): row for row in held.to_pylist()}
        late = {place for place, row in self.passed.items() if self.key_of(row) in there
                and not (_said(there[self.key_of(row)]) == _said(row) and place in promised)}
        left = [*self.left, *(self.outrun[place] for place in late)]
        return replace(self, passed={place: row for place, row in self.passed.items() if place not in late},
                       left=sorted(left, key=lambda line: (line["row"], line["rule"], line["column"] or "")))


def _said(row: dict[str, Any]) -> dict[str, Any]:
    """What the lender said: a release that was killed may be ended on another day."""
    return {name: cell for name, cell in row.items() if name != "known_on"}


def _stamp(of: BookTable, row: dict[str, Any], delivery: lake.Delivery) -> dict[str, Any]:
    """The month of a row of its file, and what makes it the first version of its key, known when it is released."""
    told = max(day for name in of.told if (day := row[name]) is not None)
    return {"month": f"{row[of.told[0]]:%Y-%m}", "delivery": delivery.number, "version": 1,
            "known_on": told if told < delivery.live_on else delivery.day}


def _open_intent(ledger: Lines, fingerprint: str) -> list[int] | None:
    """The rows of the file's release that was begun and not committed."""
    own = [entry for entry in ledger if entry["kind"] in (INTENT, COMMITTED)
           and entry["payload"]["fingerprint"] == fingerprint]
    return own[-1]["payload"]["rows"] if own and own[-1]["kind"] == INTENT else None


def _judged(book: Book, target: lake.Table, lines: Lines, delivery: lake.Delivery) -> _Judged:
    first = {line["row"]: line for line in reversed(lines)}
    places = sorted(place for place, line in first.items() if line["record"] != "{}" and MASKED not in line["record"])
    kept = [line for line in lines if line["row"] not in places]
    twice = {line["row"] for line in lines if line["rule"] == DUPLICATE}
    if not places:
        return _Judged(target.order, {}, kept, {})
    source = {c.name: c.source for c in book.columns(target.name) if not c.personal}
    records = [json.loads(first[place]["record"]) for place in places]
    spelled = pa.Table.from_pylist(records, schema=pa.schema([(name, pa.string()) for name in source.values()]))
    rows, broken = judge_records(book, target.name, spelled, date.fromisoformat(first[places[0]]["landed"][:10]))

    def line(index: int, rule: str, column: str) -> dict[str, Any]:
        return {**first[places[index]], "rule": rule, "column": column,
                "value": spelled_in(records[index], column, source)}

    reasons = broken.to_pylist()
    bad = {reason["row"] for reason in reasons}
    good = [(index, row) for index, row in enumerate(rows.to_pylist()) if index not in bad]
    return _Judged(
        target.order,
        {places[index]: {**row, **_stamp(book.table(target.name), row, delivery)} for index, row in good},
        [*kept, *(line(reason["row"], reason["rule"], reason["column"]) for reason in reasons)],
        {places[index]: line(index, DUPLICATE if places[index] in twice else SUPERSEDED, ", ".join(target.order))
         for index, _ in good})
