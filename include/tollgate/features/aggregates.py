"""One value a loan from its history: of the rows that were known before it was decided on, and of no others.

Tollgate joins and groups; a book says only what is to be counted. So no expression can see the future, forget a loan or
give it two values, and one loan alone gets what it gets among a million.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from tollgate.books import LOAN, Aggregate, Book, BookTable
from tollgate.books.description.expressions import LOAN_ASKED_FOR, exact, seen_columns
from tollgate.errors import BadInput

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

pc: Any = pyarrow.compute
Histories = Mapping[str, pa.Table]  # by the name of the table
GIVES = {"number": "DOUBLE", "text": "VARCHAR", "date": "DATE"}
ARROW = {"number": pa.float64(), "text": pa.string(), "date": pa.date32()}


def aggregate(book: Book, rows: pa.Table, histories: Histories) -> pa.Table:
    """The book's aggregates of ``rows``, one column each, of the same length and in the same order.

    Args:
        rows: applications as the lake holds them, any subset, in any order; ``known_on`` beside them is the day on
            which each arrived. Where it is not there, a loan arrived on the day on which it was applied for.
        histories: of each table that aggregates are made of, the versions of its rows: the columns of the lake, with
            ``known_on`` and ``version``. Of what no loan sees, any part may be left out.

    Raises:
        BadInput: a history is missing, SQL cannot be computed of a row, or a Python aggregate does not give one value a
            loan.
    """
    import duckdb

    made: dict[str, pa.Array] = {}
    with duckdb.connect() as connection:
        connection.register("asked", _asked(rows))
        for table in book.histories:
            if table.name not in histories:
                raise BadInput(f"The rows of {table.name}, of which {book.name} makes features, are not here",
                               value=table.name, remedy="Bring the history of these loans with them.")
            connection.register("held", _with_end(connection, table, histories[table.name]))
            mine = [each for each in book.aggregates if each.over == table.name]
            joined = _joined(book, table, set(rows.column_names))
            made |= _by_sql(connection, joined, [each for each in mine if each.sql], rows.num_rows)
            made |= _by_python(book, table, [each for each in mine if each.make], rows, histories[table.name])
            connection.unregister("held")
    return pa.table({each.name: made[each.name] for each in book.aggregates})


def seen(table: BookTable, rows: pa.Table, history: pa.Table) -> pa.Table:
    """What each of ``rows`` sees of a history: the versions' columns, and ``row``, the number of the loan.

    Ascending by ``row`` and the key.
    """
    import duckdb

    with duckdb.connect() as connection:
        connection.register("asked", _asked(rows))
        connection.register("held", _with_end(connection, table, history))
        return connection.sql(f"""
            SELECT asked._row AS "row", {_names(history.column_names, 'held.')}
            FROM asked JOIN held ON {_sees(table, 'asked', 'held')}
            ORDER BY asked._row, {_names(table.key, 'held.')}
        """).to_arrow_table()


# A name that begins with _ is no column of any book.
def _asked(rows: pa.Table) -> pa.Table:
    arrived = rows["known_on" if "known_on" in rows.column_names else "applied_on"]
    for name, column in (("_row", pa.array(np.arange(rows.num_rows))), ("_arrived_on", arrived),
                         ("_applied_on", rows["applied_on"])):
        rows = rows.append_column(name, column)
    return rows


def _with_end(connection: DuckDBPyConnection, table: BookTable, history: pa.Table) -> pa.Table:
    """The history with ``_until``, the day on which the next version of a row came; null of the newest."""
    if not history.num_rows or pc.max(history["version"]).as_py() == 1:
        return history.append_column("_until", pa.nulls(history.num_rows, pa.date32()))
    connection.register("versions", history)
    return connection.sql(f"""
        SELECT *, lead(known_on) OVER (PARTITION BY {_names(table.key)} ORDER BY version) AS _until FROM versions
    """).to_arrow_table()


def _sees(table: BookTable, asked: str, held: str) -> str:
    """SQL that tells whether a loan sees a version of a row; see ``Aggregate``."""
    told = f"greatest({_names(table.told, held + '.')})" if len(table.told) > 1 else _names(table.told, held + ".")
    before = "<=" if table.entity == LOAN else "<"
    return (f'{held}."{table.entity}" = {asked}."{table.entity}" AND {told} {before} {asked}._applied_on '
            f"AND {held}.known_on <= {asked}._arrived_on "
            f"AND ({held}._until IS NULL OR {held}._until > {asked}._arrived_on)")


def _names(names: Sequence[str], of: str = "") -> str:
    return ", ".join(f'{of}"{name}"' for name in names)


def _joined(book: Book, table: BookTable, there: set[str]) -> str:
    """SQL of every loan beside the rows that it sees, under the names and types that expressions know."""
    asked = [column for column in seen_columns(book.table("applications")) if column.name in there]
    return (f"(SELECT _row, _applied_on, _arrived_on, {exact(asked, 'asked')} FROM asked) AS {LOAN_ASKED_FOR} "
            f'JOIN (SELECT known_on, _until, {exact(seen_columns(table), "held")} FROM held) AS "{table.name}" '
            f"""ON {_sees(table, LOAN_ASKED_FOR, f'"{table.name}"')}""")


def _by_sql(connection: DuckDBPyConnection, joined: str, wanted: Sequence[Aggregate],
            loans: int) -> dict[str, pa.Array]:
    import duckdb

    if not wanted:
        return {}
    values = ", ".join(f'CAST(({each.sql}\n) AS {GIVES[each.kind]}) AS "{each.name}"' for each in wanted)
    try:
        found = connection.sql(f"SELECT _row, {values} FROM {joined} GROUP BY _row").to_arrow_table()
    except (duckdb.DataError, duckdb.ProgrammingError) as err:
        for each in wanted if len(wanted) > 1 else ():
            _by_sql(connection, joined, [each], loans)  # the one at fault tells itself
        raise BadInput(f"The SQL of the aggregate {wanted[0].name} cannot be computed of a row that came: "
                       f"{str(err).splitlines()[0]}", value=wanted[0].sql,
                       remedy="Let it give nothing of such a row: TRY_CAST in the place of CAST, or a FILTER.") from err
    nothing = connection.sql(f"SELECT -1 AS _row, {values} FROM {joined} WHERE false").to_arrow_table()
    # What the expression gives of no rows is the value of every loan that sees none.
    place = np.full(loans, found.num_rows)
    place[found["_row"].to_numpy()] = np.arange(found.num_rows)
    both = pa.concat_tables([found, nothing.cast(found.schema)])
    return {each.name: both[each.name].combine_chunks().take(pa.array(place)) for each in wanted}


def _by_python(book: Book, table: BookTable, wanted: Sequence[Aggregate], rows: pa.Table,
               history: pa.Table) -> dict[str, pa.Array]:
    if not wanted:
        return {}
    told = seen(table, rows, history).select(["row", *(column.name for column in seen_columns(table))])
    for column in seen_columns(book.table("applications")):
        if column.name in rows.column_names:
            told = told.append_column(f"application_{column.name}", rows[column.name].take(told["row"]))
    return {each.name: _one_a_loan(each, told, rows.num_rows) for each in wanted}


def _one_a_loan(wanted: Aggregate, told: pa.Table, loans: int) -> pa.Array:
    values = wanted.make(told, loans) if wanted.make else []
    if len(values) != loans:
        raise BadInput(f"The aggregate {wanted.name} must give one value a loan", value=f"{len(values)} for {loans}",
                       remedy="Return an array of as many values as the second argument says.")
    if wanted.kind == "number":
        return pa.array(np.asarray(values, np.float64), from_pandas=True)  # NaN is missing
    return pa.array(values, ARROW[wanted.kind])
