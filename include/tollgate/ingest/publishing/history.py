"""Bringing in all of a book's past at once, in one extract a table."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow.compute

from tollgate import lake
from tollgate.config import Ingest
from tollgate.errors import BadInput
from tollgate.ingest.contract import PUBLISHED
from tollgate.ingest.landing import files, land_table, months_of, waiting
from tollgate.ingest.publishing.publish import ingest_file

if TYPE_CHECKING:
    from tollgate.books import Book

pc: Any = pyarrow.compute


def bring_history(book: Book, as_of: date, params: Ingest) -> dict[str, Any]:
    """Land and ingest every month of the source before ``as_of``'s that is not in the lake yet.

    Of a book that nobody plays the lender of, what stands in landing is taken in. A second call finds nothing to do,
    whether the months came by an earlier history or one by one.

    Returns ``{"book", "as_of", "files": [the answer of ingest_file, ...]}``.

    Raises:
        BadInput: nothing of the book lies before ``as_of``, or the source was not fetched.
        Refused: a file was refused whole.
        PassingFault: landing or the lake did not answer.
    """
    if book.sender is None:
        return {"book": book.name, "as_of": as_of,
                "files": [ingest_file(book, name, params) for name in waiting(book.name).files]}
    last = min(f"{as_of.replace(day=1) - timedelta(days=1):%Y-%m}", book.sender.last_month)
    if last < book.sender.first_month:
        raise BadInput(f"The book {book.name} begins with {book.sender.first_month}", value=as_of,
                       remedy="Stand at a later as-of.")
    published = _published(book)
    names = {*published, *_landed(book)}
    for table in book.tables:  # applications first: the others are about them
        for first, until in _gaps(book, table.name, names, last):
            land_table(book, table.name, first, until)
    # A file that was refused before is judged again: a history is whole or it is told.
    todo = dict.fromkeys([*waiting(book.name).files, *(name for name in _landed(book) if name not in published)])
    within = [name for table in book.tables for name in todo
              if (months := months_of(book, name)) is not None and months[0] == table.name and months[2] <= last]
    return {"book": book.name, "as_of": as_of, "files": [ingest_file(book, name, params) for name in within]}


def _published(book: Book) -> set[str]:
    taken = lake.read(lake.received(book.name), filters=[("verdict", "=", PUBLISHED)], columns=["file"])
    return set(taken["file"].to_pylist())


def _landed(book: Book) -> list[str]:
    return [entry.path.removeprefix(f"{book.name}/") for entry in files(book.name)]


def _gaps(book: Book, table: str, names: set[str], last: str) -> list[tuple[str, str]]:
    """The runs of months up to ``last`` for which no file of the table was landed, first and last month each."""
    had = [months[1:] for name in names if (months := months_of(book, name)) is not None and months[0] == table]
    runs: list[tuple[str, str]] = []
    month = book.require_sender().first_month
    while month <= last:
        if not any(first <= month <= until for first, until in had):
            follows = bool(runs) and _next(runs[-1][1]) == month
            runs[-1:] = [(runs[-1][0], month)] if follows else [*runs[-1:], (month, month)]
        month = _next(month)
    return runs


def _next(month: str) -> str:
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12}-{number % 12 + 1:02d}"
