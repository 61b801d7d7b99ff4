"""One file from landing into the lake: good rows published, bad rows quarantined, the file written down as received.

The file is read twice: judged to its last byte first, so that a fault met late refuses it before anything was written;
then taken, batch by batch. The writes are made in that order, each atomic and each the same when made again.
Whoever is killed between them runs again and ends in the tables that an undisturbed run would have left: only the last
write says that the file was taken in.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from tollgate import lake
from tollgate.books import KEYS
from tollgate.config import Ingest, settings
from tollgate.errors import BadInput, PassingFault, TollgateError
from tollgate.ingest.cells import masked
from tollgate.ingest.expect import Finding
from tollgate.ingest.files import Raw, Unfit, batches, table_of
from tollgate.ingest.judge import PUBLISHED, REFUSED, Judgement, judge
from tollgate.ingest.landing import is_complete
from tollgate.ingest.manifest import MANIFEST
from tollgate.ingest.parse import parse, spell
from tollgate.ingest.spool import Landed, spool
from tollgate.ingest.warnings import note, noted

if TYPE_CHECKING:
    from tollgate.books import Book

pc: Any = pyarrow.compute
log = logging.getLogger(__name__)
VALUE_LENGTH = 200
LINES_AT_ONCE = 2**13  # of the quarantine, as Python objects


@dataclass(frozen=True)
class _File:
    book: Book
    landed: Landed

    @property
    def table(self) -> str:
        return table_of(self.landed.name)

    def stamp(self) -> dict[str, str | None]:
        """What every line about the file begins with; a file with a wrong name belongs to no table."""
        try:
            table: str | None = self.table
        except BadInput:
            table = None
        return {"fingerprint": self.landed.fingerprint, "file": self.landed.name, "table": table}

    def lake_table(self) -> lake.Table:
        return lake.published(self.book, self.table)


def ingest_file(book: Book, name: str, params: Ingest) -> dict[str, Any]:
    """Take one landed file in, once.

    A row that breaks any rule goes to the quarantine, the others are published by key (``loan_id``; outcomes also
    by ``known_on``): where the lake already holds the key, the row of the file that was ingested later wins.
    Content that was published before, under whatever name, is left alone and answered with ``"new": False``. A
    file that was refused before is judged again.

    Returns ``{"book", "file", "table", "fingerprint", "received", "published", "quarantined", "partitions",
    "version", "warnings", "new"}``: row counts, the months of the published rows, the Delta version of the table, and
    a sentence for everything that was surprising by the months before.

    Raises:
        Refused: the file as a whole does not fit the contract or its manifest, its share of bad rows is above
            ``params.bad_share_max``, or no honest month explains it by those before; its reasons are in the quarantine,
            and nothing was published.
        BadInput: no such file, or a name that says no table.
        PassingFault: landing or the lake did not answer.
    """
    if not is_complete(name):
        raise BadInput("That is not the name of a complete file in landing", value=name,
                       remedy=f"tollgate ingest list --book {book.name} shows the files that are.")
    landing, path = lake.Store(settings().landing), f"{book.name}/{name}"
    if landing.is_being_written(path):
        raise PassingFault("The file is still being written", value=name, remedy="Run it again once it is whole.")
    with spool(landing, path) as landed:
        file = _File(book, landed)
        for before in lake.read(lake.received(book.name),
                                filters=[("fingerprint", "=", landed.fingerprint)]).to_pylist():
            if before["verdict"] == PUBLISHED:
                return _answer(before, book, new=False)
        try:
            table_of(name)
            manifest = landing.read(path + MANIFEST) if landing.exists(path + MANIFEST) else None
            found = judge(book, landed, params, manifest)
        except (Unfit, BadInput) as err:
            _refuse_whole(file, err)
            raise
        with lake.scratch() as disk, lake.scratch() as other:
            good, lines = _take(file, found, disk, other)
            if found.refused is not None:
                whole = [_line(file, 0, f.check, f.column, f"{f.value:.3g}", "{}") for f in found.surprises
                         if f.level == "refused"]
                whole = whole or [_line(file, 0, "bad_share", None, f"{found.bad} of {found.received}", "{}")]
                lines.add(_table_of_lines(file, whole))
                _record(file, lines, found.received, found.surprises, published=0, months=[], verdict=REFUSED)
                raise found.refused
            if good:
                lake.upsert(file.lake_table(), good)
            answer = _answer(_record(file, lines, found.received, found.surprises, months=list(good),
                                     published=found.received - found.bad, verdict=PUBLISHED), book, new=True)
        for sentence in answer["warnings"]:
            log.warning("%s: %s", name, sentence)
        return answer


def _take(file: _File, found: Judgement, disk: lake.Scratch, other: lake.Scratch) -> tuple[lake.Pile, lake.Pile]:
    """Read the file again: its good rows by month, none when it is refused, and the quarantine's lines of the bad."""
    target = file.lake_table()
    good, lines, kept = lake.Pile(disk, target.schema, target.partition), _pile_of_lines(file, other), 0
    told = [np.empty(0, np.int64)]
    broken = found.broken.sort_by([(name, "ascending") for name in ("row", "column", "rule")])
    bad_rows, places = found.bad_rows, broken["row"].to_numpy()
    for raw in batches(file.book, file.landed):
        here = np.isin(places, np.concatenate([raw.numbers, raw.malformed]))
        mine = broken.filter(pa.array(here))
        for at in range(0, mine.num_rows, LINES_AT_ONCE):
            part = _table_of_lines(file, _lines(file, raw, mine.slice(at, LINES_AT_ONCE)))
            lines.add(part)
            told.append(part["row"].to_numpy())
        if found.refused is None:
            rows, _ = parse(file.book.columns(file.table), raw.rows)
            rows = rows.filter(pa.array(~np.isin(raw.numbers, bad_rows)))
            good.add(rows.append_column("month", pc.strftime(rows[target.known], format="%Y-%m"))
                     .select(target.schema.names).cast(target.schema))
            kept += rows.num_rows
    quarantined = len(np.unique(np.concatenate(told)))
    if quarantined != found.bad or (found.refused is None and kept + quarantined != found.received):
        raise RuntimeError(f"{file.landed.name}: {found.received} rows received, {kept} good, "
                           f"{quarantined} quarantined")
    return good, lines


def _record(file: _File, lines: lake.Pile, received: int, found: list[Finding], *, published: int,
            months: list[str], verdict: str) -> dict[str, Any]:
    """Write the quarantine and what was surprising, then the row that says that the file was taken in."""
    quarantine, taken = lake.quarantine(file.book.name), lake.received(file.book.name)
    if lines:
        lake.replace_partition(quarantine, file.landed.fingerprint, lines)
    else:  # those of an earlier judgement go
        lake.replace_partitions(quarantine, quarantine.schema.empty_table(), [file.landed.fingerprint])
    note(file.book.name, file.stamp(), found)
    row = {**file.stamp(), "received": received, "published": published, "quarantined": received - published,
           "partitions": months, "verdict": verdict}
    lake.replace_partitions(taken, pa.Table.from_pylist([row], schema=taken.schema), [file.landed.fingerprint])
    return row


def _refuse_whole(file: _File, err: TollgateError) -> None:
    """Write down a file that cannot be judged row by row, so that the landing trigger does not bring it again."""
    rule, column, received = (err.rule, err.column, err.received) if isinstance(err, Unfit) else ("file_name", None, 0)
    with lake.scratch() as disk:
        lines = _pile_of_lines(file, disk)
        lines.add(_table_of_lines(file, [_line(file, 0, rule, column, None, "{}")]))
        _record(file, lines, received, [], published=0, months=[], verdict=REFUSED)


def _lines(file: _File, raw: Raw, broken: pa.Table) -> list[dict[str, Any]]:
    """The quarantine's lines of a batch, one a broken rule; the record is the row as it came, typed cells as text."""
    columns = file.book.columns(file.table)
    source = {c.name: c.source for c in columns}
    keys = {source[name] for name in KEYS[file.table]}
    is_bad = np.isin(raw.numbers, broken["row"].to_numpy())
    bad = spell(columns, raw.rows.filter(pa.array(is_bad)))
    spelled = pa.table({name: [masked(cell, key=name in keys) for cell in bad[name].to_pylist()]
                        for name in bad.column_names}).to_pylist()
    records = {place: (record, json.dumps(record, ensure_ascii=False))
               for place, record in zip(raw.numbers[is_bad].tolist(), spelled, strict=True)}
    lines = []
    for reason in broken.to_pylist():
        # What stands in a torn row cannot be told apart, so that it might be personal: only its place is kept.
        value, record = None, "{}"
        if reason["column"] is not None:
            cells, record = records[reason["row"]]
            value = spelled_in(cells, reason["column"], source)
        lines.append(_line(file, reason["row"], reason["rule"], reason["column"], value, record))
    return lines


def _pile_of_lines(file: _File, disk: lake.Scratch) -> lake.Pile:
    quarantine = lake.quarantine(file.book.name)
    return lake.Pile(disk, quarantine.schema, quarantine.partition)


def _table_of_lines(file: _File, lines: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(lines, schema=lake.quarantine(file.book.name).schema)


def spelled_in(cells: Mapping[str, str | None], column: str, source: Mapping[str, str]) -> str | None:
    """What the lender wrote under the column of a reason, or under each of several; ``source`` holds his names."""
    values = [cells[source[name]] for name in column.split(", ")]
    value = values[0] if len(values) == 1 else ", ".join(cell or "" for cell in values)
    return None if value is None else value[:VALUE_LENGTH]


def _line(file: _File, row: int, rule: str, column: str | None, value: str | None, record: str) -> dict[str, Any]:
    return {**file.stamp(), "landed": f"{file.landed.at:%Y-%m-%dT%H:%M:%SZ}", "row": row, "rule": rule,
            "column": column, "value": value, "record": record}


def _answer(received: dict[str, Any], book: Book, *, new: bool) -> dict[str, Any]:
    target = lake.published(book, received["table"])
    return {"book": book.name, "file": received["file"], "table": received["table"],
            "fingerprint": received["fingerprint"], "received": received["received"],
            "published": received["published"], "quarantined": received["quarantined"],
            "partitions": received["partitions"], "version": lake.version(target),
            "warnings": [line["sentence"] for line in noted(book.name, received["fingerprint"])], "new": new}
