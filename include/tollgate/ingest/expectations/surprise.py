"""A file held against the book's own history, which is in the lake. Nothing is written here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

from tollgate import lake
from tollgate.books import LOAN
from tollgate.config import Ingest
from tollgate.ingest.expectations.expect import MONTHS_MIN, ROWS_MIN, Finding, findings, freshness
from tollgate.ingest.expectations.labels import defaulted, label_flip, label_rate
from tollgate.ingest.expectations.observation import Observation
from tollgate.ingest.reading import Unfit

if TYPE_CHECKING:
    from tollgate.books import Book, BookTable

pc: Any = pyarrow.compute
ENOUGH = 250_000  # rows
REMEDY = ("None of it is published. Ask the lender; if it is right all the same, raise the limit in params.yaml and "
          "run `tollgate ingest file` again.")


def observe(book: Book, table: str) -> Observation:
    """Nothing yet: to be told of a file's good rows, batch by batch."""
    return Observation(book.table(table))


def surprises(book: Book, table: str, now: Observation, params: Ingest) -> list[Finding]:
    """Everything that is surprising in a file of good rows ``now``, by the months of the lake before its own.

    Raises:
        PassingFault: the lake did not answer.
    """
    if not now.rows:
        return []
    target = lake.published(book, table)
    held = lake.partitions(target)
    before, newest = _earlier(target, book.table(table), held, now, params.history_months)
    of = book.table(table)
    told = [column for column in of.columns if column.name not in of.filled]  # how many are empty yet is no surprise
    found = [*freshness(now, held[-1] if held else None, params), *findings(told, now, before, newest, params)]
    for event in book.target.bad if before.rows else ():
        if event.table != table or event.column is not None:
            continue
        day = event.dates[0]
        found += label_rate(day, now, before, params)
        loans, past = defaulted(day, now), defaulted(day, before)
        if min(len(loans), len(past)) >= ROWS_MIN:  # else nothing will be said, and the loans need not be looked up
            flipped, usual = _categories(book, loans, past)
            found += label_flip(flipped, usual, params)
    return found


def refusal(name: str, found: list[Finding], received: int) -> Unfit | None:
    """Why a file is refused whole, or None."""
    grave = [finding for finding in found if finding.level == "refused"]
    if not grave:
        return None
    return Unfit(grave[0].check, f"{name} is refused whole: {'; '.join(finding.sentence for finding in grave)}",
                 column=grave[0].column, value=f"{grave[0].value:.3g}", received=received, remedy=REMEDY)


def _earlier(target: lake.Table, of: BookTable, held: list[str], now: Observation,
             months: int) -> tuple[Observation, Observation]:
    """The newest months of the lake before the file's own that it brings no row of, together; the last one alone.

    Of a large book they are fewer: as many as hold ``ENOUGH`` rows, so that a file is not judged by reading far more.

    What the file itself publishes is therefore never its own history, also when it is judged again after a kill.
    """
    before, newest = Observation(of), Observation(of)
    past = [month for month in held if month < now.first_month() and month not in now.months][-months:][::-1]
    for rows in lake.batches(target, partitions=past, columns=[target.partition, *before.schema.names]):
        month = rows[target.partition][0].as_py()
        if before.rows >= ENOUGH and len(before.months) >= MONTHS_MIN and month not in before.months:
            break
        before.add(rows)
        if month == past[0]:
            newest.add(rows)
    return before, newest


def _categories(book: Book, *loans: pa.ChunkedArray) -> list[pa.Table]:
    """The categories with a closed vocabulary of each of some sets of loans, as far as the lake knows them."""
    names = [c.name for c in book.applications if c.isin and not c.personal]
    wanted = pa.chunked_array([chunk for ids in loans for chunk in ids.chunks], pa.string()).unique()
    known = lake.lookup(lake.applications(book), LOAN, wanted, [LOAN, *names])
    return [known.filter(pc.is_in(known[LOAN], value_set=ids.combine_chunks())).select(names) for ids in loans]
