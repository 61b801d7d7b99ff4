"""One file from landing into the lake: good rows published, bad rows quarantined, the file written down as received.

The three writes are made in that order, each atomic and each the same when made again. Whoever is killed between
them runs again and ends in the tables that an undisturbed run would have left: only the last write says that the
file was taken in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

from tollgate import lake
from tollgate.config import Ingest, settings
from tollgate.errors import BadInput, TollgateError
from tollgate.ingest.files import Raw, Unfit, table_of
from tollgate.ingest.judge import MALFORMED, PUBLISHED, REFUSED, judge, take_in
from tollgate.ingest.landing import fingerprint, is_complete
from tollgate.ingest.manifest import MANIFEST

if TYPE_CHECKING:
    from tollgate.books import Book

pc: Any = pyarrow.compute
VALUE_LENGTH = 200


@dataclass(frozen=True)
class _File:
    book: Book
    name: str
    fingerprint: str

    @property
    def table(self) -> str:
        return table_of(self.name)

    def stamp(self) -> dict[str, str | None]:
        """What every line about the file begins with; a file with a wrong name belongs to no table."""
        try:
            table: str | None = self.table
        except BadInput:
            table = None
        return {"fingerprint": self.fingerprint, "file": self.name, "table": table}

    def lake_table(self) -> lake.Table:
        return (lake.applications if self.table == "applications" else lake.outcomes)(self.book)


def ingest_file(book: Book, name: str, params: Ingest) -> dict[str, Any]:
    """Take one landed file in, once.

    A row that breaks any rule goes to the quarantine, the others are published by key (``loan_id``; outcomes also
    by ``known_on``): where the lake already holds the key, the row of the file that was ingested later wins.
    Content that was published before, under whatever name, is left alone and answered with ``"new": False``. A
    file that was refused before is judged again.

    Returns ``{"book", "file", "table", "fingerprint", "received", "published", "quarantined", "partitions",
    "version", "new"}``: row counts, the months of the published rows, and the Delta version of the table.

    Raises:
        Refused: the file as a whole does not fit the contract or its manifest, or its share of bad rows is above
            ``params.bad_share_max``; its reasons are in the quarantine, and nothing was published.
        BadInput: no such file, or a name that says no table.
        PassingFault: landing or the lake did not answer.
    """
    if not is_complete(name):
        raise BadInput("That is not the name of a complete file in landing", value=name,
                       remedy=f"tollgate ingest list --book {book.name} shows the files that are.")
    landing, path = lake.Store(settings().landing), f"{book.name}/{name}"
    content = landing.read(path)
    file = _File(book, name, fingerprint(content))
    for before in lake.read(lake.received(book.name), filters=[("fingerprint", "=", file.fingerprint)]).to_pylist():
        if before["verdict"] == PUBLISHED:
            return _answer(before, book, new=False)
    raw: Raw | None = None
    try:
        manifest = landing.read(path + MANIFEST) if landing.exists(path + MANIFEST) else None
        raw = take_in(book, name, content, manifest)
        found = judge(book, name, raw, params)
    except (Unfit, BadInput) as err:
        _refuse_whole(file, err, raw)
        raise
    lines = _lines(file, raw, found.broken)
    quarantined = len({line["row"] for line in lines})
    if quarantined != found.bad:
        raise RuntimeError(f"{name}: {raw.received} rows received, {found.good.num_rows} good, "
                           f"{quarantined} quarantined")
    if found.refused is not None:
        whole = _line(file, 0, "bad_share", None, f"{found.bad} of {raw.received}", "{}")
        _record(file, [whole, *lines], raw.received, published=0, months=[], verdict=REFUSED)
        raise found.refused
    months = _publish(file, found.good)
    received = _record(file, lines, raw.received, published=found.good.num_rows, months=months, verdict=PUBLISHED)
    return _answer(received, book, new=True)


def _publish(file: _File, good: pa.Table) -> list[str]:
    """Upsert the good rows in one commit; the months of these rows."""
    target = file.lake_table()
    good = good.append_column("month", pc.strftime(good[target.known], format="%Y-%m")).select(target.schema.names)
    months = set(good["month"].to_pylist())
    touched = set(months)
    if target.known not in target.order:
        # A correction may move a loan to another month: its old row must go in the same commit.
        held = lake.read(target, columns=["month", "loan_id"])
        touched |= set(held.filter(pc.is_in(held["loan_id"], value_set=good["loan_id"]))["month"].to_pylist())

    def upsert(now: pa.Table) -> pa.Table:
        key = list(target.order)
        kept = now.join(good.select(key), keys=key, join_type="left anti") if now.num_rows else now
        return pa.concat_tables([kept.select(good.column_names).cast(target.schema), good.cast(target.schema)])

    if months:
        lake.change_partitions(target, sorted(touched), upsert)
    return sorted(months)


def _record(file: _File, lines: list[dict[str, Any]], received: int, *, published: int, months: list[str],
            verdict: str) -> dict[str, Any]:
    """Write the quarantine, then the row that says that the file was taken in."""
    quarantine, taken = lake.quarantine(file.book.name), lake.received(file.book.name)
    lake.replace_partitions(quarantine, pa.Table.from_pylist(lines, schema=quarantine.schema), [file.fingerprint])
    row = {**file.stamp(), "received": received, "published": published, "quarantined": received - published,
           "partitions": months, "verdict": verdict}
    lake.replace_partitions(taken, pa.Table.from_pylist([row], schema=taken.schema), [file.fingerprint])
    return row


def _refuse_whole(file: _File, err: TollgateError, raw: Raw | None) -> None:
    """Write down a file that cannot be judged row by row, so that the landing trigger does not bring it again."""
    rule, column = (err.rule, err.column) if isinstance(err, Unfit) else ("file_name", None)
    line = _line(file, 0, rule, column, None, "{}")
    _record(file, [line], 0 if raw is None else raw.received, published=0, months=[], verdict=REFUSED)


def _lines(file: _File, raw: Raw, broken: pa.Table) -> list[dict[str, Any]]:
    """The quarantine's lines, one a broken rule; the record is the row as the lender spelled it."""
    source = {c.name: c.source for c in file.book.columns(file.table)}
    places = broken["row"].unique()
    bad = raw.rows.take(places)
    spelled = pa.table({name: bad[name].cast(pa.string()) for name in bad.column_names}).to_pylist()
    records = {place: (record, json.dumps(record, ensure_ascii=False))
               for place, record in zip(places.to_pylist(), spelled, strict=True)}
    lines = []
    for reason in broken.to_pylist():
        record, written = records[reason["row"]]
        value = record[source[reason["column"]]]
        lines.append(_line(file, int(raw.numbers[reason["row"]]), reason["rule"], reason["column"], value, written))
    # What stands in a torn row cannot be told apart, so that it might be personal: only its place is kept.
    lines += [_line(file, place, MALFORMED, None, None, "{}") for place in raw.malformed]
    return lines


def _line(file: _File, row: int, rule: str, column: str | None, value: str | None, record: str) -> dict[str, Any]:
    return {**file.stamp(), "row": row, "rule": rule, "column": column,
            "value": None if value is None else value[:VALUE_LENGTH], "record": record}


def _answer(received: dict[str, Any], book: Book, *, new: bool) -> dict[str, Any]:
    target = (lake.applications if received["table"] == "applications" else lake.outcomes)(book)
    return {"book": book.name, "file": received["file"], "table": received["table"],
            "fingerprint": received["fingerprint"], "received": received["received"],
            "published": received["published"], "quarantined": received["quarantined"],
            "partitions": received["partitions"], "version": lake.version(target), "new": new}
