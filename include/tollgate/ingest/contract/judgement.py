"""Judging a file: which of its rows are good, which rule each of the others breaks, and whether it is fit as a whole.

Nothing is written here, so that the same judgement serves ingesting and a check beforehand. The file is read batch by
batch; what is kept of a batch is its broken rules, its counts, and a hash of each key.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa

from tollgate.config import Ingest
from tollgate.errors import Refused
from tollgate.ingest.contract.examples import examples
from tollgate.ingest.contract.keys import duplicates, hashes, repeated
from tollgate.ingest.contract.links import PLACE, before_application, known_loans, link, linked_columns
from tollgate.ingest.contract.rules import check, row_contract
from tollgate.ingest.contract.screen import suspects
from tollgate.ingest.expectations import Finding, Observation, observe, refusal, surprises
from tollgate.ingest.reading import (
    BATCH_ROWS,
    REASONS,
    Landed,
    Manifest,
    Raw,
    batches,
    parse,
    read_manifest,
    reasons,
    table_of,
)

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

    from tollgate.books import Book

T = TypeVar("T")
R = TypeVar("R")
PUBLISHED, REFUSED = "published", "refused"
MALFORMED = "malformed_row"


@dataclass(frozen=True)
class Judgement:
    """What the contract says of a file.

    Attributes:
        received: how many rows it has.
        broken: ``REASONS`` of the rows that are not good, each by its place in the file; a malformed row has no column.
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
    table = table_of(book, file.name)
    asked_for = linked_columns(book, table)
    columns, schema, key = book.columns(table), row_contract(book, table, seen_on), list(book.table(table).key)

    def screened(raw: Raw) -> _Screened:
        rows, unread = parse(columns, raw.rows, book.nulls)
        unread, asked = placed(unread, raw.numbers), suspects(schema, rows)
        clear = np.ones(rows.num_rows, bool)
        clear[asked] = False
        if unread.num_rows:
            clear &= ~np.isin(raw.numbers, unread["row"])
        return _Screened(raw, unread, _only(rows, clear), rows.take(asked), raw.numbers[asked],
                         hashes(rows.select(key)), rows.select(asked_for).append_column(PLACE, pa.array(raw.numbers)))

    now = observe(book, table)
    received, broken, hashed, waiting = 0, [REASONS.empty_table()], [], _Waiting(schema, now)
    about: list[pa.Table] = []
    for batch in ahead(screened, batches(book, file)):
        received += batch.raw.received
        broken += [reasons(batch.raw.malformed, MALFORMED, None), batch.unread, *waiting.add(batch)]
        hashed.append(batch.hashes)
        about += [batch.about] if asked_for else []
    broken += waiting.judged()
    if said is not None:
        said.check_rows(file.name, received)
    broken.append(_duplicates(book, file, repeated(hashed)))
    whole, found_out = pa.concat_tables(broken), []
    if about and not _too_many(book, file, received, whole, params):
        rows = pa.concat_tables(about, promote_options="permissive")
        linked = link(book, table, _only(rows, ~np.isin(rows[PLACE].to_numpy(), whole["row"].to_numpy())), params)
        whole, found_out = pa.concat_tables([whole, linked.broken]), linked.found
    too_many = _too_many(book, file, received, whole, params)
    found_out = [] if too_many else [*found_out, *surprises(book, table, now, params)]
    return Judgement(received, whole, found_out, too_many or refusal(file.name, found_out, received))


def judge_records(book: Book, table: str, records: pa.Table, seen_on: date) -> tuple[pa.Table, pa.Table]:
    """Hold rows under the lender's column names against the contract, as those of one file first seen on ``seen_on``.

    Returns the parsed rows, and ``REASONS`` by index into them.
    """
    key = list(book.table(table).key)
    rows, unread = parse(book.columns(table), records, book.nulls)
    schema = row_contract(book, table, seen_on)
    asked = suspects(schema, rows)
    found = check(schema, rows.take(asked), asked, unread)
    keys, about = rows.select(key), linked_columns(book, table)
    if about:
        linked = rows.select(about).append_column(PLACE, pa.array(np.arange(rows.num_rows)))
        found = pa.concat_tables([found, before_application(linked, known_loans(book, linked))])
    return rows, pa.concat_tables([unread, found, duplicates([(keys, np.arange(rows.num_rows))],
                                                             repeated([hashes(keys)]), ", ".join(key))])


@dataclass(frozen=True)
class _Screened:
    """A batch that Arrow has looked at.

    Attributes:
        raw: as it was read.
        unread: ``REASONS`` of the cells that could not be parsed, by place in the file.
        clear: the parsed rows that break no rule, unless their key came before.
        suspects: those that may break one, which stand at ``places`` in the file.
        hashes: of the keys of all rows. about: what ``link`` asks of them.
    """

    raw: Raw
    unread: pa.Table
    clear: pa.Table
    suspects: pa.Table
    places: np.ndarray
    hashes: np.ndarray
    about: pa.Table


class _Waiting:
    """Suspects of many batches, judged together: a call of Pandera costs as much as thousands of rows.

    ``good`` observes the rows that no suspicion falls on, and those of whom it turned out wrong.
    """

    def __init__(self, schema: DataFrameSchema, good: Observation) -> None:
        self._schema, self._good = schema, good
        self._batches: list[tuple[pa.Table, np.ndarray, pa.Table]] = []

    def add(self, batch: _Screened) -> list[pa.Table]:
        """Let a batch's suspects wait; what is held against all that waited, once they fill a batch of their own."""
        self._good.add(batch.clear)
        if batch.suspects.num_rows:
            self._batches.append((batch.suspects, batch.places, batch.unread))
        return self.judged() if sum(rows.num_rows for rows, _, _ in self._batches) >= BATCH_ROWS else []

    def judged(self) -> list[pa.Table]:
        """What is held against those who wait, in ``REASONS``."""
        if not self._batches:
            return []
        rows, places, unread = zip(*self._batches, strict=True)
        self._batches = []
        whole, at = pa.concat_tables(rows), np.concatenate(places)
        broken = check(self._schema, whole, at, pa.concat_tables(unread))
        bad = np.isin(at, np.concatenate([broken["row"], *(part["row"] for part in unread)]))
        self._good.add(_only(whole, ~bad))
        return [broken]


def _only(rows: pa.Table, good: np.ndarray) -> pa.Table:
    return rows if good.all() else rows.filter(pa.array(good))


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


def placed(broken: pa.Table, numbers: np.ndarray) -> pa.Table:
    """``REASONS`` by place in the file instead of by index into a batch."""
    return broken.set_column(0, REASONS.field("row"), pa.array(numbers[broken["row"].to_numpy()], pa.int64()))


def _duplicates(book: Book, file: Landed, among: np.ndarray) -> pa.Table:
    """The rows whose key an earlier row has; the file is read again only when a hash came twice."""
    if not len(among):
        return REASONS.empty_table()
    key = book.table(table_of(book, file.name)).key
    columns = [column for column in book.columns(table_of(book, file.name)) if column.name in key]

    def keys(raw: Raw) -> pa.Table:
        return parse(columns, raw.rows, book.nulls)[0].select(list(key))

    return duplicates(((keys(raw), raw.numbers) for raw in batches(book, file)), among, ", ".join(key))


def _too_many(book: Book, file: Landed, received: int, broken: pa.Table, params: Ingest) -> Refused | None:
    bad = len(broken["row"].unique())
    if bad <= params.bad_share_max * received:
        return None
    rules = tally(broken)
    told = ", ".join(f"{rows:,} {rule} in {column}" if column else f"{rows:,} {rule}"
                      for (rule, column), rows in rules)
    found = examples(book.columns(table_of(book, file.name)), batches(book, file), broken, [rule for rule, _ in rules])
    return Refused(f"{file.name} is refused whole: {bad:,} of its {received:,} rows are bad, "
                   f"more than {params.bad_share_max:.1%}: {told}", value=f"{bad / received:.1%}",
                   remedy=" ".join([*found, "None of it is published. Mend these rows and land the file anew."]))


def tally(broken: pa.Table) -> list[tuple[tuple[str, str | None], int]]:
    """How many rows break each rule of each column, the most frequent first, then in order of their coming."""
    counts = broken.group_by(["rule", "column"]).aggregate([("row", "count"), ("row", "min")]).sort_by(
        [("row_count", "descending"), ("row_min", "ascending"), ("column", "ascending"), ("rule", "ascending")])
    return [((line["rule"], line["column"]), line["row_count"]) for line in counts.to_pylist()]
