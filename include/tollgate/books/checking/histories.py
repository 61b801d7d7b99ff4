"""What is wrong in how a book looks back: the entities of its histories, and its aggregates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tollgate.books.checking.expressions import faults_of_sql
from tollgate.books.checking.fault import NAME, RUN, Fault, duplicates

if TYPE_CHECKING:
    from tollgate.books.description.book import Book
    from tollgate.books.description.features import Aggregate
    from tollgate.books.description.tables import BookTable, Column


def faults_of_histories(book: Book) -> Iterator[Fault]:
    """Everything that is wrong in a book's histories and aggregates."""
    tables = {table.name: table for table in book.tables}
    if "applications" not in tables:
        return
    asking = {column.name: column for column in book.applications}
    for table in book.tables:
        if table.entity is None:
            continue
        ours, theirs = asking.get(table.entity), {column.name: column for column in table.columns}.get(table.entity)
        if theirs is None:
            yield Fault(f"{table.name}.entity: there is no column {table.entity}", table.entity)
        elif ours is None:
            yield Fault(f"{table.name}.entity: the applications have no column {table.entity}, by which a loan would "
                        "find its rows", table.entity)
        elif ours.kind != "text" or theirs.kind != "text" or ours.personal or theirs.personal:
            yield Fault(f"{table.name}.entity: {table.entity} must be text that is kept, in both tables", table.entity)
    names = [aggregate.name for aggregate in book.aggregates]
    yield from (Fault(f"aggregates: there are {n} called {name}", name) for name, n in duplicates(names))
    sound = []
    for aggregate in book.aggregates:
        faults = list(_of_aggregate(aggregate, tables, asking))
        yield from faults
        if not faults and aggregate.sql:
            sound.append(aggregate)
    if sound:
        yield from (Fault(f"the aggregate {aggregate.name}: {says}", aggregate.name)
                    for aggregate, says in faults_of_sql(book, sound))


def _of_aggregate(aggregate: Aggregate, tables: dict[str, BookTable], asking: dict[str, Column]) -> Iterator[Fault]:
    where = f"the aggregate {aggregate.name}"
    if not NAME.fullmatch(aggregate.name):
        yield Fault(f"{where}: its name is not of small letters, digits and _, a letter first", aggregate.name)
    if aggregate.name in asking or aggregate.name in RUN:
        yield Fault(f"{where}: the applications have a column of that name", aggregate.name)
    if aggregate.over not in tables:
        yield Fault(f"{where}: there is no table {aggregate.over}", aggregate.over)
    elif tables[aggregate.over].entity is None:
        yield Fault(f"{where}: the table {aggregate.over} has no entity, which says whose its rows are", aggregate.over)
    if bool(aggregate.sql) == (aggregate.make is not None):
        yield Fault(f"{where}: it needs either sql or make", aggregate.name)
