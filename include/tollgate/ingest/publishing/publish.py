"""One file from landing into the lake: good rows published, bad rows quarantined, the file written down as received.

The file is read twice: judged to its last byte first, so that a fault met late refuses it before anything was written;
then taken, batch by batch. The writes are made in that order, each atomic and each the same when made again.
Whoever is killed between them runs again and ends in the tables that an undisturbed run would have left: only the last
write says that the file was taken in.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from tollgate import lake
from tollgate.clock import today
from tollgate.config import Ingest, settings
from tollgate.errors import BadInput, PassingFault, Refused, TollgateError
from tollgate.ingest.contract import PUBLISHED, REFUSED, Judgement, judge, masked
from tollgate.ingest.deliveries import Seen, register
from tollgate.ingest.expectations import Finding, note, noted, raise_restated, restated
from tollgate.ingest.landing import is_complete, waiting
from tollgate.ingest.reading import (
    MANIFEST,
    Landed,
    Raw,
    Unfit,
    apart,
    batches,
    parse,
    source_of,
    spell,
    spelled,
    spool,
    together,
    visible,
)

if TYPE_CHECKING:
    from tollgate.books import Book, Column, Source

pc: Any = pyarrow.compute
log = logging.getLogger(__name__)
VALUE_LENGTH = 200
LINES_AT_ONCE = 2**13  # of the quarantine, as Python objects


@dataclass(frozen=True)
class _File:
    book: Book
    landed: Landed
    seen: Seen

    @property
    def source(self) -> Source:
        return source_of(self.book, self.landed.name)

    def stamp(self) -> dict[str, str | None]:
        """What every line about the file begins with; a file with a wrong name belongs to no table."""
        try:
            table: str | None = together(self.source.tables)
        except BadInput:
            table = None
        return {"fingerprint": self.landed.fingerprint, "file": self.landed.name, "table": table}

    def delivery(self) -> lake.Delivery:
        """What stamps its rows when they are published now."""
        return self.seen.taken(today(self.book.time_zone))


def take_in(book: Book, params: Ingest, before: str | None = None) -> dict[str, Any]:
    """Take in everything that waits in landing, in the order of the deliveries.

    A file that is refused, or cannot be read, holds nobody up.

    Args:
        before: only the files that came before this one and feed a table that it feeds too.

    Returns ``{"book", "files": [the answer of ``ingest_file``, ...], "refused": [{"name", "why"}, ...],
    "unreadable": [{"name", "why"}, ...]}``.

    Raises:
        PassingFault: landing or the lake did not answer; what was taken in by then stays.
    """
    there = waiting(book.name)
    deliveries = register(book, [(fingerprint, spelled(name)) for name, fingerprint in there.files.items()], there.seen)
    answers, refused = [], []
    for name in _chosen(book, list(there.files), before):
        try:
            answers.append(ingest_file(book, name, params, deliveries))
        except (Refused, BadInput) as err:
            log.error("%s", err)
            refused.append({"name": spelled(name), "why": str(err)})
    return {"book": book.name, "files": answers, "refused": refused,
            "unreadable": [{"name": spelled(name), "why": why} for name, why in there.unreadable.items()]}


def _chosen(book: Book, names: list[str], before: str | None) -> list[str]:
    if before is None:
        return names
    earlier = names[:names.index(before)] if before in names else []
    return [name for name in earlier if _fed(book, name) & _fed(book, before)]


def _fed(book: Book, name: str) -> set[str]:
    """The tables that a file of this name feeds; none where it is of no source."""
    try:
        return set(source_of(book, name).tables)
    except BadInput:
        return set()


def ingest_file(book: Book, name: str, params: Ingest,
                deliveries: Mapping[str, Seen] | None = None) -> dict[str, Any]:
    """Take one landed file in, once.

    A row that breaks any rule goes to the quarantine, the others are published: one whose key the lake knows becomes a
    new version of it where it says something else. A file that was published before, the same name and content, is left
    alone and answered with ``"new": False``. One that was refused before is judged again.

    Args:
        deliveries: those of the book, by their fingerprints, where they were read before.

    Returns ``{"book", "file", "table", "fingerprint", "delivery", "known_on", "received", "published", "quarantined",
    "added", "restated", "superseded", "partitions", "version", "assets", "warnings", "new"}``: row counts, the months
    of the published rows, the Delta version of the table, what the change is announced as, and a sentence for all that
    was surprising. Of a file that feeds several tables, ``table`` names them with commas between, its rows are counted
    once and their changes over all of them, and the version is that of the first.

    Raises:
        Refused: the file as a whole does not fit the contract or its manifest, its share of bad rows is above
            ``params.bad_share_max``, it is about loans that nobody knows, it changes too much of what was published, or
            no honest month explains it; its reasons are in the quarantine, and nothing was published.
        BadInput: no such file, or a name that says no table.
        PassingFault: landing or the lake did not answer.
    """
    if not is_complete(name):
        raise BadInput("That is not the name of a complete file in landing", value=spelled(name),
                       remedy=f"tollgate ingest list --book {book.name} shows the files that are.")
    landing, path = lake.Store(settings().landing), f"{book.name}/{name}"
    if landing.is_being_written(path):
        raise PassingFault("The file is still being written", value=spelled(name),
                           remedy="Run it again once it is whole.")
    with spool(landing, path) as landed:
        for before in lake.read(lake.received(book.name),
                                filters=[("fingerprint", "=", landed.fingerprint)]).to_pylist():
            if before["verdict"] == PUBLISHED:
                return _answer(before, book, new=False)
        seen = register(book, [(landed.fingerprint, spelled(name))], deliveries)[landed.fingerprint]
        file = _File(book, landed, seen)
        try:
            source_of(book, landed.name)
            manifest = landing.read(path + MANIFEST) if landing.exists(path + MANIFEST) else None
            found = judge(book, landed, params, seen.day, manifest)
        except (Unfit, BadInput) as err:
            _refuse_whole(file, err)
            raise
        answer = _answer(_publish(file, found, params), book, new=True)
        for sentence in answer["warnings"]:
            log.warning("%s: %s", landed.name, sentence)
        return answer


def _publish(file: _File, found: Judgement, params: Ingest) -> dict[str, Any]:
    """Append the good rows, write down the others and the file itself. Raises ``Refused`` for one refused whole."""
    delivery, refused = file.delivery(), found.refused
    changes: dict[str, lake.Changes] = {}
    with lake.scratch() as disk, lake.scratch() as other:
        good, lines = _take(file, found, disk, other)
        findings = found.surprises
        if refused is None:
            try:
                changes = _append(file, good, delivery, found.received, params)
            except Unfit as err:
                refused = err
                findings = [*findings, Finding(err.rule, err.column, float(str(err.value)), params.restated_share_max,
                                               "refused", err.cause)]
        if refused is not None:
            whole = [_line(file, 0, f.check, f.column, f"{f.value:.3g}", "{}") for f in findings
                     if f.level == "refused"]
            whole = whole or [_line(file, 0, "bad_share", None, f"{found.bad} of {found.received}", "{}")]
            lines.add(_table_of_lines(file, whole))
            _record(file, lines, findings, delivery, [], received=found.received, published=0, months=[],
                    verdict=REFUSED)
            raise refused
        return _record(file, lines, [*findings, *change_findings(changes, params)], delivery, list(changes.values()),
                       received=found.received, published=found.received - found.bad,
                       months=sorted({month for rows in good.values() for month in rows}), verdict=PUBLISHED)


def _append(file: _File, good: Mapping[str, lake.PartitionedRows], delivery: lake.Delivery, received: int,
            params: Ingest) -> dict[str, lake.Changes]:
    """Append the good rows to each table, in one atomic commit a table; what they changed.

    Whoever is killed between two tables runs again, and adds to the first what it holds already: nothing.

    Raises:
        Unfit: they change too much of what was published; nothing was written.
    """
    def check(changes: lake.Changes) -> None:
        raise_restated(file.landed.name, changes, received, params)

    book = file.book
    written = {name: (lake.published(book, name), book.table(name), rows) for name, rows in good.items() if rows}
    if len(written) == 1:
        return {name: lake.append_versions(*into, delivery, check) for name, into in written.items()}
    for into in written.values():  # what the last table would refuse must be known before the first is written
        check(lake.compare(*into, delivery))
    return {name: lake.append_versions(*into, delivery) for name, into in written.items()}


def change_findings(changes: Mapping[str, lake.Changes], params: Ingest) -> list[Finding]:
    """What is to be told of the changes to each table; a sentence names its table where there are several."""
    return [finding if len(changes) == 1 else replace(finding, sentence=f"{table}: {finding.sentence}")
            for table, its in changes.items() for finding in restated(its, params)]


def _take(file: _File, found: Judgement, disk: lake.Scratch,
          other: lake.Scratch) -> tuple[dict[str, lake.PartitionedRows], lake.PartitionedRows]:
    """Read the file again: its good rows by table and month, none when it is refused, and the quarantine's lines."""
    good = {table: good_rows(file.book, table, disk) for table in file.source.tables}
    lines, kept = _quarantine_lines(file, other), 0
    told = [np.empty(0, np.int64)]
    broken = found.broken.sort_by([(name, "ascending") for name in ("row", "column", "rule", "table")])
    bad_rows, places = found.bad_rows, broken["row"].to_numpy()
    for raw in batches(file.book, file.landed):
        here = np.isin(places, np.concatenate([raw.numbers, raw.malformed]))
        mine = broken.filter(pa.array(here))
        for at in range(0, mine.num_rows, LINES_AT_ONCE):
            part = _table_of_lines(file, _lines(file, raw, mine.slice(at, LINES_AT_ONCE)))
            lines.add(part)
            told.append(part["row"].to_numpy())
        if found.refused is None:
            for table, rows in good.items():
                add_good(rows, file.book, table, raw, bad_rows, file.source)
            kept += len(raw.numbers) - int(np.isin(raw.numbers, bad_rows).sum())
    quarantined = len(np.unique(np.concatenate(told)))
    if quarantined != found.bad or (found.refused is None and kept + quarantined != found.received):
        raise RuntimeError(f"{file.landed.name}: {found.received} rows received, {kept} good, "
                           f"{quarantined} quarantined")
    return good, lines


def good_rows(book: Book, table: str, disk: lake.Scratch) -> lake.PartitionedRows:
    """Where good rows are laid down by month, as ``lake.append_versions`` takes them."""
    schema = pa.schema([pa.field("month", pa.string(), nullable=False), pa.field("line", pa.int64()),
                        *book.table(table).schema()])
    return lake.PartitionedRows(disk, schema, "month")


def add_good(good: lake.PartitionedRows, book: Book, table: str, raw: Raw, bad_rows: np.ndarray,
             source: Source) -> None:
    """Lay down the good rows of a batch, each with its line."""
    of = book.table(table)
    rows, _ = parse(of.columns, raw.rows, book.nulls, source.reader)
    rows = rows.append_column("line", pa.array(raw.numbers + raw.header))
    rows = rows.filter(pa.array(~np.isin(raw.numbers, bad_rows)))
    month = pc.strftime(rows[of.told[0]].cast(pa.date32()), format="%Y-%m")
    good.add(rows.append_column("month", month).select(good.schema.names).cast(good.schema))


def _record(file: _File, lines: lake.PartitionedRows, found: list[Finding], delivery: lake.Delivery,
            changes: Sequence[lake.Changes], **counts: Any) -> dict[str, Any]:
    """Write the quarantine and what was surprising, then the row that says that the file was taken in."""
    quarantine, taken = lake.quarantine(file.book.name), lake.received(file.book.name)
    if lines:
        lake.replace_partition(quarantine, file.landed.fingerprint, lines)
    else:  # those of an earlier judgement go
        lake.replace_partitions(quarantine, quarantine.schema.empty_table(), [file.landed.fingerprint])
    note(file.book.name, file.stamp(), found)
    row = {**file.stamp(), "delivery": delivery.number, "known_on": delivery.day, "received": counts["received"],
           "published": counts["published"], "quarantined": counts["received"] - counts["published"],
           **{what: sum(getattr(its, what) for its in changes) for what in ("added", "restated", "superseded")},
           "partitions": counts["months"], "verdict": counts["verdict"]}
    lake.replace_partitions(taken, pa.Table.from_pylist([row], schema=taken.schema), [file.landed.fingerprint])
    return row


def _refuse_whole(file: _File, err: TollgateError) -> None:
    """Write down a file that cannot be judged row by row, so that the landing trigger does not bring it again."""
    rule, column, received = (err.rule, err.column, err.received) if isinstance(err, Unfit) else ("file_name", None, 0)
    with lake.scratch() as disk:
        lines = _quarantine_lines(file, disk)
        lines.add(_table_of_lines(file, [_line(file, 0, rule, column, None, "{}")]))
        _record(file, lines, [], file.delivery(), [], received=received, published=0, months=[],
                verdict=REFUSED)


def _lines(file: _File, raw: Raw, broken: pa.Table) -> list[dict[str, Any]]:
    """The quarantine's lines of a batch, one a broken rule; the record is the row as it came, typed cells as text."""
    tables = {name: file.book.columns(name) for name in file.source.tables}
    source = {name: {c.name: c.source for c in columns} for name, columns in tables.items()}
    column_of: dict[str, Column] = {}
    for columns in tables.values():
        for column in columns:
            column_of.setdefault(column.source, column)
    is_bad = np.isin(raw.numbers, broken["row"].to_numpy())
    bad = spell(list(column_of.values()), raw.rows.filter(pa.array(is_bad)), file.source.reader)
    spelled = pa.table({name: [masked(column_of[name], cell) for cell in bad[name].to_pylist()]
                        for name in bad.column_names}).to_pylist()
    records = {place: (record, json.dumps(record, ensure_ascii=False))
               for place, record in zip(raw.numbers[is_bad].tolist(), spelled, strict=True)}
    lines = []
    for reason in broken.to_pylist():
        # What stands in a torn row cannot be told apart, so that it might be personal: only its place is kept.
        value, record = raw.told(reason["row"]), "{}"
        if reason["column"] is not None:
            cells, record = records[reason["row"]]
            value = spelled_in(cells, reason["column"], source[reason["table"]])
        lines.append({**_line(file, reason["row"], reason["rule"], reason["column"], value, record),
                      "table": reason["table"], "line": reason["row"] + raw.header})
    return lines


def _quarantine_lines(file: _File, disk: lake.Scratch) -> lake.PartitionedRows:
    quarantine = lake.quarantine(file.book.name)
    return lake.PartitionedRows(disk, quarantine.schema, quarantine.partition)


def _table_of_lines(file: _File, lines: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(lines, schema=lake.quarantine(file.book.name).schema)


def spelled_in(cells: Mapping[str, str | None], column: str, source: Mapping[str, str]) -> str | None:
    """What the lender wrote under the column of a reason, or under each of several; ``source`` holds his names."""
    values = [cells[source[name]] for name in column.split(", ")]
    value = values[0] if len(values) == 1 else ", ".join(cell or "" for cell in values)
    return None if value is None else visible(value)[:VALUE_LENGTH]


def _line(file: _File, row: int, rule: str, column: str | None, value: str | None, record: str) -> dict[str, Any]:
    return {**file.stamp(), "landed": file.seen.day.isoformat(), "row": row, "line": None, "rule": rule,
            "column": column, "value": value, "record": record}


def _answer(received: dict[str, Any], book: Book, *, new: bool) -> dict[str, Any]:
    target = lake.published(book, apart(received["table"])[0])
    kept = ("file", "table", "fingerprint", "delivery", "known_on", "received", "published", "quarantined", "added",
            "restated", "superseded", "partitions")
    return {"book": book.name, **{name: received[name] for name in kept}, "version": lake.version(target),
            "assets": sorted({book.asset_of(table) for table in apart(received["table"])}),
            "warnings": [line["sentence"] for line in noted(book.name, received["fingerprint"])], "new": new}
