"""A file about loans held against the applications that the lake knows: orphans, and what cannot have come before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

from tollgate import lake
from tollgate.books import APPLICANT, APPROVED, LOAN, Book
from tollgate.config import Ingest
from tollgate.ingest.expectations import Finding
from tollgate.ingest.reading import REASONS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

pc: Any = pyarrow.compute
PLACE = "row"
BEFORE = "before_application"
# Letters of one case without what is lost on the way: blanks, dashes, and the zeros in front.
STRIPPED = "ltrim(regexp_replace(lower({}), '[^0-9a-z]', '', 'g'), '0')"


@dataclass(frozen=True)
class Linked:
    """What the applications say of a file's rows.

    Attributes:
        broken: ``REASONS`` of rows that are dated before the application that they are about.
        found: orphans, applicants that differ, outcomes of loans that were not booked.
    """

    broken: pa.Table
    found: list[Finding]


def linked_columns(book: Book, table: str) -> list[str]:
    """The columns of a table that ``link`` asks for; none of the applications, nor of rows that name no loan.

    What was fetched for a loan may have been told before it was applied for: no day of it can have come too early.
    """
    of = book.table(table)
    names = {column.name for column in of.columns}
    if table == "applications" or LOAN not in names:
        return []
    days = [*of.told, *(name for kind in ("bad", "indeterminate", "cures") for event in getattr(book.target, kind)
                        if event.table == table for name in event.dates)] if of.entity != LOAN else []
    return list(dict.fromkeys([LOAN, *days, *([APPLICANT] if APPLICANT in names and book.grouped else [])]))


def own_columns(book: Book) -> list[str]:
    """What the other tables of a file ask of the applications that it brings itself."""
    return [LOAN, "applied_on", *([APPLICANT] if book.grouped else [])]


def link(book: Book, table: str, rows: pa.Table, params: Ingest, own: pa.Table | None = None) -> Linked:
    """Look up the loans of a file's good rows.

    Args:
        rows: the ``linked_columns`` under the lake's names and types, and ``row``, the place of each in the file.
        own: the ``own_columns`` of the applications that the same file brings.

    Raises:
        PassingFault: the lake did not answer.
    """
    import duckdb

    known = known_loans(book, rows, own)
    with duckdb.connect() as connection:
        connection.register("arriving", rows)
        connection.register("known", known)
        told = [*_orphans(connection, book, rows.num_rows, params), *_strangers(connection, rows)]
    if table != "decisions" and not book.all_booked:
        told += _unbooked(book, table, rows)
    return Linked(before_application(rows, known), told)


def known_loans(book: Book, rows: pa.Table, own: pa.Table | None = None) -> pa.Table:
    """What the lake and the file itself (``own``) know of the applications that these rows are about."""
    columns = [LOAN, "applied_on", *([APPLICANT] if APPLICANT in rows.column_names else [])]
    wanted = rows[LOAN].unique()
    if own is None:
        return lake.lookup(lake.applications(book), LOAN, wanted, columns)
    here = own[LOAN].unique()
    known = lake.lookup(lake.applications(book), LOAN,
                        wanted.filter(pc.invert(pc.is_in(wanted, value_set=here))), columns)
    return pa.concat_tables([known, own.select(columns).cast(known.schema)])


def before_application(rows: pa.Table, known: pa.Table) -> pa.Table:
    """``REASONS`` of the rows that carry a day before that of their application."""
    import duckdb

    days = [name for name in rows.column_names if name not in (PLACE, LOAN, APPLICANT)]
    if not days:
        return REASONS.empty_table()
    with duckdb.connect() as connection:
        connection.register("arriving", rows)
        connection.register("known", known)
        early = " UNION ALL ".join(
            f"SELECT arriving.row, '{day}' AS \"column\" FROM arriving JOIN known USING ({LOAN}) "
            f'WHERE arriving."{day}" < known.applied_on' for day in days)
        return connection.sql(f"""
            SELECT row, '{BEFORE}' AS rule, min("column") AS "column" FROM ({early}) GROUP BY row ORDER BY row
        """).to_arrow_table().cast(REASONS)


def _orphans(connection: DuckDBPyConnection, book: Book, rows: int, params: Ingest) -> list[Finding]:
    orphans = connection.sql(f"""
        SELECT {LOAN} FROM arriving ANTI JOIN known USING ({LOAN}) ORDER BY row
    """).to_arrow_table()
    if not orphans.num_rows:
        return []
    share = orphans.num_rows / rows
    grave = share > params.orphan_share_max
    said = f"{orphans.num_rows:,} of {rows:,} rows are about loans that no application names ({share:.1%}"
    said += f", limit {params.orphan_share_max:.0%})" if grave else ")"
    every = lake.applications(book)
    if not lake.count(every):
        said += f": no application of {book.name} was published yet; land the applications first"
    else:
        connection.register("orphans", orphans)
        connection.register("every", pa.concat_tables([every.schema.empty_table().select([LOAN]),
                                                       *lake.batches(every, columns=[LOAN])]))
        alike, one, other = connection.sql(f"""
            SELECT count(*), min(orphans.{LOAN}), min_by(every.{LOAN}, orphans.{LOAN})
            FROM orphans JOIN (SELECT DISTINCT {LOAN} FROM every) AS every
                 ON {STRIPPED.format(f'orphans.{LOAN}')} = {STRIPPED.format(f'every.{LOAN}')}
        """).fetchall()[0]
        said += (f": {alike:,} of them would match without leading zeros, blanks, dashes and case, such as {one!r} for "
                 f"{other!r}" if alike else f", such as {orphans[LOAN][0].as_py()!r}")
    return [Finding("orphans", LOAN, share, params.orphan_share_max, "refused" if grave else "warning",
                    said if grave else f"{said}.")]


def _strangers(connection: DuckDBPyConnection, rows: pa.Table) -> list[Finding]:
    """Rows that name another applicant than the application does."""
    if APPLICANT not in rows.column_names:
        return []
    differ, alike, one, other = connection.sql(f"""
        SELECT count(*), count(*) FILTER ({STRIPPED.format('a')} = {STRIPPED.format('k')}), min(a), min_by(k, a)
        FROM (SELECT arriving.{APPLICANT} AS a, known.{APPLICANT} AS k FROM arriving JOIN known USING ({LOAN}))
        WHERE a <> k
    """).fetchall()[0]
    if not differ:
        return []
    return [Finding("applicants_differ", APPLICANT, differ / rows.num_rows, 0.0, "warning",
                    f"{differ:,} rows name another applicant than their application does, such as {one!r} for "
                    f"{other!r}; {alike:,} of them are the same but for zeros, blanks, dashes and case.")]


def _unbooked(book: Book, table: str, rows: pa.Table) -> list[Finding]:
    decided = lake.lookup(lake.decisions(book), LOAN, rows[LOAN].unique(), [LOAN, "decision"])
    never = decided.filter(pc.not_equal(decided["decision"], APPROVED))[LOAN]
    count = pc.sum(pc.is_in(rows[LOAN], value_set=never.combine_chunks())).as_py() or 0
    if not count:
        return []
    return [Finding("unbooked", LOAN, count / rows.num_rows, 0.0, "warning",
                    f"{count:,} rows of {table} are about applications that were declined or withdrawn, such as "
                    f"{never.sort()[0].as_py()!r}: they count for nothing.")]
