"""Judging a file: which of its rows are good, which rule each of the others breaks, and whether it is fit as a whole.

Nothing is written here, so that the same judgement serves ingesting and a check beforehand. The file is read batch by
batch; what is kept of a batch is its broken rules, its counts, and a hash of each key. Each of the tables that a file
feeds judges its rows; a row that one of them refuses is good in none.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa

from tollgate.books import Reader
from tollgate.config import Ingest
from tollgate.errors import Refused
from tollgate.ingest.contract.examples import examples
from tollgate.ingest.contract.keys import duplicates, hashes, repeated
from tollgate.ingest.contract.links import PLACE, before_application, known_loans, link, linked_columns
from tollgate.ingest.contract.part import Part
from tollgate.ingest.contract.rules import check, row_contract
from tollgate.ingest.contract.screen import suspects
from tollgate.ingest.expectations import Finding, refusal, surprises
from tollgate.ingest.reading import (
    REASONS,
    Landed,
    Manifest,
    Raw,
    batches,
    listed,
    parse,
    read_manifest,
    reasons,
    source_of,
    together,
)

if TYPE_CHECKING:
    from tollgate.books import Book

T = TypeVar("T")
R = TypeVar("R")
PUBLISHED, REFUSED = "published", "refused"
MALFORMED = "malformed_row"
BROKEN = pa.schema([("table", pa.string()), *REASONS])
FOOTER_LINES = 20  # no footer has more
Rule = tuple[str, str, str | None]  # table, rule, column


@dataclass(frozen=True)
class Judgement:
    """What the contract says of a file.

    Attributes:
        received: how many rows it has.
        broken: ``BROKEN``, the rows that are not good, each by its place in the file and with the table that refuses
            it; a malformed row has no column, and all tables of its file.
        surprises: what the months before the file did not lead to expect; not asked when too many rows are bad.
        refused: why the file is refused whole all the same, or None.
    """

    received: int
    broken: pa.Table
    surprises: list[Finding]
    refused: Refused | None

    @property
    def bad_rows(self) -> np.ndarray:
        """Places of the rows that are not good, ascending."""
        places: np.ndarray = np.unique(self.broken["row"].to_numpy())
        return places

    @property
    def bad(self) -> int:
        """How many rows are not good."""
        return len(self.bad_rows)


def judge(book: Book, file: Landed, params: Ingest, seen_on: date, manifest: bytes | None = None) -> Judgement:
    """Read a file to its end and hold it against the contract, its sender's manifest, and what the lake knows.

    Args:
        seen_on: the day on which the file was first seen; no row may be dated later.

    Raises:
        Unfit: it is not what the manifest says, or it cannot be read, or its columns are not those of the contract.
    """
    said: Manifest | None = None
    if manifest is not None:
        said = read_manifest(file.name, manifest)
        said.check_content(file)
    source = source_of(book, file.name)
    parts = [Part(book, table, seen_on, source.reader, source.tables) for table in source.tables]
    seen = _Seen()
    for batch in ahead(lambda raw: [part.screened(raw) for part in parts], batches(book, file)):
        seen.add(batch[0].raw)
        for part, screened in zip(parts, batch, strict=True):
            part.take(screened)
    broken = [_of(together(source.tables), pa.concat_tables([REASONS.empty_table(), *seen.malformed])),
              *(_of(part.name, part.ended(file)) for part in parts)]
    if said is not None:
        said.check_rows(file.name, seen.received)
    whole, found_out = pa.concat_tables(broken), list[Finding]()
    if not _too_many(book, file, seen, whole, params):
        whole, found_out = _linked(book, parts, whole, params)
    too_many = _too_many(book, file, seen, whole, params)
    if too_many:
        found_out = []
    else:
        surprising = ((part, finding) for part in parts for finding in surprises(book, part.name, part.now, params))
        found_out = [*seen.findings(), *found_out, *(_named(part, finding, len(parts)) for part, finding in surprising)]
    return Judgement(seen.received, whole, found_out, too_many or refusal(file.name, found_out, seen.received))


class _Seen:
    """What is known of a file's rows before any of its tables judges them."""

    def __init__(self) -> None:
        self.received = 0
        self.malformed: list[pa.Table] = []
        self.unread: dict[str, None] = {}
        self.torn_apart = False  # by a quote that its line does not close
        self.last, self.header = 0, 0  # the place of the last whole row; what stands above the first

    def add(self, raw: Raw) -> None:
        self.received += raw.received
        self.malformed.append(reasons(raw.malformed, MALFORMED, None))
        self.unread.update(dict.fromkeys(raw.unread))
        self.torn_apart = self.torn_apart or len(raw.spans) > 0
        self.last, self.header = max([self.last, *raw.numbers[-1:].tolist()]), raw.header

    def findings(self) -> list[Finding]:
        """That columns were left unread."""
        if not self.unread:
            return []
        names = list(self.unread)
        return [Finding("unknown_column", None, len(names), 0, "warning",
                        f"It has columns that the book does not know, which were left unread: {listed(names)}.")]

    def footer(self) -> str:
        """What its malformed lines may be, when they are the last ones; else nothing."""
        places = pa.concat_tables([REASONS.empty_table(), *self.malformed])["row"].to_numpy()
        if self.torn_apart or not self.header or not 0 < len(places) <= FOOTER_LINES or places.min() < self.last:
            return ""
        return (f"If what follows line {self.last + self.header} is a footer, say skip_bottom={len(places)} in the "
                "reader of its source in the book.")


def _of(table: str, broken: pa.Table) -> pa.Table:
    return broken.add_column(0, BROKEN.field("table"), pa.repeat(pa.scalar(table), broken.num_rows))


def _named(part: Part, finding: Finding, parts: int) -> Finding:
    """A finding whose sentence tells the table where there are several."""
    return finding if parts == 1 else replace(finding, sentence=f"{part.name}: {finding.sentence}")


def _linked(book: Book, parts: list[Part], broken: pa.Table, params: Ingest) -> tuple[pa.Table, list[Finding]]:
    """The rows held against the applications, those of the file itself among them; what is broken then."""
    bad = np.unique(broken["row"].to_numpy())
    own = next((part.about(bad) for part in parts if part.name == "applications"), None)
    every, found = [broken], list[Finding]()
    for part in parts:
        rows = None if part.name == "applications" else part.about(bad)
        if rows is not None:
            linked = link(book, part.name, rows, params, own)
            every.append(_of(part.name, linked.broken))
            found += [_named(part, finding, len(parts)) for finding in linked.found]
    return pa.concat_tables(every), found


def judge_records(book: Book, table: str, records: pa.Table, seen_on: date, reader: Reader,
                  own: pa.Table | None = None) -> tuple[pa.Table, pa.Table]:
    """Hold rows under the lender's column names against the contract, as those of one file first seen on ``seen_on``.

    Args:
        own: the applications among the same records, where these feed several tables.

    Returns the parsed rows, and ``REASONS`` by index into them.
    """
    key = list(book.table(table).key)
    rows, unread = parse(book.columns(table), records, book.nulls, reader)
    schema = row_contract(book, table, seen_on)
    asked = suspects(schema, rows)
    found = check(schema, rows.take(asked), asked, unread)
    keys, about = rows.select(key), linked_columns(book, table)
    if about:
        linked = rows.select(about).append_column(PLACE, pa.array(np.arange(rows.num_rows)))
        found = pa.concat_tables([found, before_application(linked, known_loans(book, linked, own))])
    return rows, pa.concat_tables([unread, found, duplicates([(keys, np.arange(rows.num_rows))],
                                                             repeated([hashes(keys)]), ", ".join(key))])


def ahead(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """``work`` on each item in order, as many at once as there are cores, and no more than these in memory."""
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) == cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _too_many(book: Book, file: Landed, seen: _Seen, broken: pa.Table, params: Ingest) -> Refused | None:
    bad = len(broken["row"].unique())
    if bad <= params.bad_share_max * seen.received:
        return None
    source, rules = source_of(book, file.name), rows_by_rule(broken)
    one = len(source.tables) == 1
    told = ", ".join(f"{rows:,} {rule} in {column if one else f'{table}.{column}'}" if column else f"{rows:,} {rule}"
                     for (table, rule, column), rows in rules)
    found = examples(book, source, batches(book, file), broken, [rule for rule, _ in rules])
    return Refused(f"{file.name} is refused whole: {bad:,} of its {seen.received:,} rows are bad, "
                   f"more than {params.bad_share_max:.1%}: {told}", value=f"{bad / seen.received:.1%}",
                   remedy=" ".join([*found, *filter(None, [seen.footer()]),
                                    "None of it is published. Mend these rows and land the file anew."]))


def rows_by_rule(broken: pa.Table) -> list[tuple[Rule, int]]:
    """How many rows break each rule of a table's column, the most frequent first, then in order of their coming."""
    counts = broken.group_by(["table", "rule", "column"]).aggregate([("row", "count"), ("row", "min")]).sort_by(
        [("row_count", "descending"), ("row_min", "ascending"), ("column", "ascending"), ("rule", "ascending"),
         ("table", "ascending")])
    return [((line["table"], line["rule"], line["column"]), line["row_count"]) for line in counts.to_pylist()]
