"""Bringing in all of a book's past at once, in one extract a table."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow.compute

from tollgate import lake
from tollgate.config import Ingest
from tollgate.errors import BadInput
from tollgate.ingest.judge import PUBLISHED
from tollgate.ingest.landing import files, land, months_of, new_files
from tollgate.ingest.publish import ingest_file

if TYPE_CHECKING:
    from tollgate.books import Book

pc: Any = pyarrow.compute


def bring_history(book: Book, as_of: date, params: Ingest) -> dict[str, Any]:
    """Land and ingest every month of the source before ``as_of``'s that is not in the lake yet.

    A second call finds nothing to do, whether the months came by an earlier history or one by one.

    Returns ``{"book", "as_of", "files": [the answer of ingest_file, ...]}``.

    Raises:
        BadInput: nothing of the book lies before ``as_of``, or the source was not fetched.
        Refused: a file was refused whole.
        PassingFault: landing or the lake did not answer.
    """
    last = min(f"{as_of.replace(day=1) - timedelta(days=1):%Y-%m}", book.last_month)
    if last < book.first_month:
        raise BadInput(f"The book {book.name} begins with {book.first_month}", value=as_of,
                       remedy="Stand at a later as-of.")
    published = _published(book)
    since = _first_month_without(book, {*published, *_landed(book)})
    if since <= last:
        land(book, last, since)
    new = {file["name"] for file in new_files(book.name)}
    todo = [name for name in _landed(book) if name in new or name not in published]
    within = [name for name in todo if (months := months_of(book, name)) is not None and months[2] <= last]
    return {"book": book.name, "as_of": as_of, "files": [ingest_file(book, name, params) for name in within]}


def _published(book: Book) -> set[str]:
    taken = lake.read(lake.received(book.name), filters=[("verdict", "=", PUBLISHED)], columns=["file"])
    return set(taken["file"].to_pylist())


def _landed(book: Book) -> list[str]:
    return [entry.path.removeprefix(f"{book.name}/") for entry in files(book.name)]


def _first_month_without(book: Book, names: set[str]) -> str:
    """The first month of the book for which no applications were landed."""
    had = sorted(months[1:] for name in names
                 if (months := months_of(book, name)) is not None and months[0] == "applications")
    month = book.first_month
    for first, last in had:
        if first <= month <= last:
            month = _next(last)
    return month


def _next(month: str) -> str:
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12}-{number % 12 + 1:02d}"
