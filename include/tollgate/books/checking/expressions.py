"""What is wrong in the SQL of aggregates: what it names, what it gives, and whether chance or order decide."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tollgate.books.description.expressions import LOAN_ASKED_FOR, TYPES, seen_columns

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tollgate.books.description.book import Book
    from tollgate.books.description.features import Aggregate
    from tollgate.books.description.tables import BookTable

ORDER_FREE = {"avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "count", "count_if", "count_star",
              "countif", "max", "mean", "median", "min", "quantile", "quantile_cont", "quantile_disc", "sum"}
ADDING = {"avg", "mean", "sum"}
NUMERIC = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "BOOLEAN")


def faults_of_sql(book: Book, aggregates: Sequence[Aggregate]) -> Iterator[tuple[Aggregate, str]]:
    """What is wrong with the SQL of aggregates whose tables are sound; each fault is a sentence's end."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE {LOAN_ASKED_FOR} ({_typed(book.table('applications'))})")
        for name in {aggregate.over for aggregate in aggregates}:
            connection.execute(f'CREATE TABLE "{name}" ({_typed(book.table(name))})')
        unsteady = {row[0] for row in connection.sql(
            "SELECT function_name FROM duckdb_functions() "
            "WHERE stability <> 'CONSISTENT' AND function_type <> 'aggregate'").fetchall()}
        every = {row[0] for row in connection.sql(
            "SELECT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'").fetchall()}
        for aggregate in aggregates:
            for says in _faults(connection, book, aggregate, unsteady, every):
                yield aggregate, says


def _typed(table: BookTable) -> str:
    return ", ".join(f'"{column.name}" {TYPES[column.kind]}' for column in seen_columns(table))


def _faults(connection: DuckDBPyConnection, book: Book, aggregate: Aggregate, unsteady: set[str],
            every: set[str]) -> Iterator[str]:
    select = _parsed(connection, aggregate)
    if isinstance(select, str):
        yield f"its SQL cannot be read: {select}"
        return
    nodes = list(_nodes(select["node"]["select_list"]))
    if any(node.get("class") == "SUBQUERY" for node in nodes):
        yield "its SQL holds a query of its own, which would see rows that the loan does not"
        return
    if any(node.get("class") == "WINDOW" for node in nodes):
        yield "its SQL holds a window (OVER), which gives more than one value a loan"
        return
    functions = [node for node in nodes if node.get("class") == "FUNCTION"]
    # Some functions are written without parentheses, as a column is.
    named = {node["function_name"] for node in functions} | {
        node["column_names"][0].lower() for node in nodes if node.get("class") == "COLUMN_REF"}
    for name in sorted(named & unsteady):
        yield f"{name} does not give the same twice"
    for node in functions:
        name = node["function_name"]
        if name in every and name not in ORDER_FREE and not node["order_bys"]["orders"]:
            yield f"{name}() depends on the order of the rows; give it one: {name}(... ORDER BY ...)"
    yield from _protected(book, aggregate, nodes)
    yield from _bound(connection, aggregate, select, functions)


def _parsed(connection: DuckDBPyConnection, aggregate: Aggregate) -> dict[str, Any] | str:
    """The statement that selects an expression, as a tree, or why the expression is none."""
    answer = json.loads(connection.sql("SELECT json_serialize_sql(?)",
                                       params=[_select(aggregate.sql, aggregate)]).fetchall()[0][0])
    if answer["error"]:
        return str(answer["error_message"])
    statement = answer["statements"][0]
    node = statement["node"]
    if (len(answer["statements"]) != 1 or node["type"] != "SELECT_NODE" or len(node["select_list"]) != 1
            or node["from_table"]["type"] != "JOIN" or node["modifiers"] or node["where_clause"]
            or node["group_expressions"] or node["having"] or node["qualify"]):
        return "it is more than one expression"
    return dict(statement)


def _select(expression: str, aggregate: Aggregate) -> str:
    return f'SELECT ({expression}\n) FROM {LOAN_ASKED_FOR}, "{aggregate.over}"'


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for part in tree.values():
            yield from _nodes(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from _nodes(part)


def _protected(book: Book, aggregate: Aggregate, nodes: list[dict[str, Any]]) -> Iterator[str]:
    named = {node["column_names"][-1] for node in nodes if node.get("class") == "COLUMN_REF"}
    for table in (book.table("applications"), book.table(aggregate.over)):
        for column in table.columns:
            if column.name in named and column.protected:
                yield f"it uses {column.name}, which is protected: {column.why}"


def _bound(connection: DuckDBPyConnection, aggregate: Aggregate, select: dict[str, Any],
           functions: list[dict[str, Any]]) -> Iterator[str]:
    """What DuckDB says of the expression over the tables that it may name, and of the types that are in it."""
    import duckdb

    try:
        found = connection.sql(_select(aggregate.sql, aggregate))
        rows, kind = found.fetchall(), str(found.types[0])
    except duckdb.Error as err:
        yield f"DuckDB says: {str(err).splitlines()[0]}"
        return
    if len(rows) != 1:
        yield "it is no aggregate: it gives a value for every row of the history, and not one for the loan"
        return
    fits = {"number": any(word in kind for word in NUMERIC), "text": kind == "VARCHAR",
            "date": kind == "DATE" or kind.startswith("TIMESTAMP")}
    if not fits[aggregate.kind]:
        yield f"it is a {aggregate.kind} and gives {kind}"
    for node in functions:
        name = node["function_name"]
        if name in ADDING and not node["order_bys"]["orders"] and _adds_floats(connection, select, node):
            yield (f"{name}() adds floats, of which a sum depends on the order of the rows; make them exact: "
                   "CAST(... AS DECIMAL(28, 9))")


def _adds_floats(connection: DuckDBPyConnection, select: dict[str, Any], function: dict[str, Any]) -> bool:
    added = {**select, "node": {**select["node"], "select_list": [function["arguments"][0]["expression"]]}}
    written = connection.sql("SELECT json_deserialize_sql(?::JSON)", params=[json.dumps(
        {"error": False, "statements": [added]})]).fetchall()[0][0]
    return str(connection.sql(written).types[0]) in ("DOUBLE", "FLOAT")
