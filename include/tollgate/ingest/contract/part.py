"""What one of the tables that a file feeds has against the file's rows, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tollgate.ingest.contract.keys import duplicates, hashes, repeated
from tollgate.ingest.contract.links import PLACE, linked_columns, own_columns
from tollgate.ingest.contract.rules import check, row_contract
from tollgate.ingest.contract.screen import suspects
from tollgate.ingest.expectations import Observation, observe
from tollgate.ingest.reading import BATCH_ROWS, REASONS, Landed, Raw, batches, parse

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

    from tollgate.books import Book, Reader


@dataclass(frozen=True)
class Screened:
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


class Part:
    """A table's side of a file.

    Attributes:
        name: of the table.
        now: the good rows, observed.
    """

    def __init__(self, book: Book, name: str, seen_on: date, reader: Reader, beside: Sequence[str]) -> None:
        self.name = name
        self.now = observe(book, name)
        self._book, self._reader, self._columns = book, reader, book.columns(name)
        self._key = list(book.table(name).key)
        self._schema = row_contract(book, name, seen_on)
        is_asked = name == "applications" and len(beside) > 1
        self._asked = own_columns(book) if is_asked else linked_columns(book, name)
        self._waiting = _Waiting(self._schema, self.now)
        self._broken, self._about = [REASONS.empty_table()], list[pa.Table]()
        self._hashed: list[np.ndarray] = []

    def screened(self, raw: Raw) -> Screened:
        """Look at a batch; in any thread."""
        rows, unread = parse(self._columns, raw.rows, self._book.nulls, self._reader)
        unread, asked = placed(unread, raw.numbers), suspects(self._schema, rows)
        clear = np.ones(rows.num_rows, bool)
        clear[asked] = False
        if unread.num_rows:
            clear &= ~np.isin(raw.numbers, unread["row"])
        about = rows.select(self._asked).append_column(PLACE, pa.array(raw.numbers))
        return Screened(raw, unread, only(rows, clear), rows.take(asked), raw.numbers[asked],
                        hashes(rows.select(self._key)), about)

    def take(self, batch: Screened) -> None:
        """Take the next batch in, in order."""
        self._broken += [batch.unread, *self._waiting.add(batch)]
        self._hashed.append(batch.hashes)
        self._about += [batch.about] if self._asked else []

    def ended(self, file: Landed) -> pa.Table:
        """What is held against the rows, by themselves and against each other, in ``REASONS``."""
        self._broken += self._waiting.judged()
        self._broken.append(self._duplicates(file, repeated(self._hashed)))
        return pa.concat_tables(self._broken)

    def about(self, bad: np.ndarray) -> pa.Table | None:
        """What ``link`` asks of the rows, but for those at the ``bad`` places; None where it asks nothing."""
        if not self._about:
            return None
        rows = pa.concat_tables(self._about, promote_options="permissive")
        return only(rows, ~np.isin(rows[PLACE].to_numpy(), bad))

    def _duplicates(self, file: Landed, among: np.ndarray) -> pa.Table:
        """The rows whose key an earlier row has; the file is read again only when a hash came twice."""
        if not len(among):
            return REASONS.empty_table()
        columns = [column for column in self._columns if column.name in self._key]

        def keys(raw: Raw) -> pa.Table:
            return parse(columns, raw.rows, self._book.nulls, self._reader)[0].select(self._key)

        return duplicates(((keys(raw), raw.numbers) for raw in batches(self._book, file)), among, ", ".join(self._key))


class _Waiting:
    """Suspects of many batches, judged together: a call of Pandera costs as much as thousands of rows.

    ``good`` observes the rows that no suspicion falls on, and those of whom it turned out wrong.
    """

    def __init__(self, schema: DataFrameSchema, good: Observation) -> None:
        self._schema, self._good = schema, good
        self._batches: list[tuple[pa.Table, np.ndarray, pa.Table]] = []

    def add(self, batch: Screened) -> list[pa.Table]:
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
        self._good.add(only(whole, ~bad))
        return [broken]


def only(rows: pa.Table, good: np.ndarray) -> pa.Table:
    """The good rows."""
    return rows if good.all() else rows.filter(pa.array(good))


def placed(broken: pa.Table, numbers: np.ndarray) -> pa.Table:
    """``REASONS`` by place in the file instead of by index into a batch."""
    return broken.set_column(0, REASONS.field("row"), pa.array(numbers[broken["row"].to_numpy()], pa.int64()))
