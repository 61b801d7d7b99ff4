"""Where files arrive: dropping a month as the lender's core system would, and telling which files are new."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollgate import lake
from tollgate.config import known_books, settings
from tollgate.errors import BadInput
from tollgate.ingest.manifest import MANIFEST
from tollgate.ingest.spool import fingerprint
from tollgate.lake import Entry, Store

if TYPE_CHECKING:
    import pyarrow as pa

    from tollgate.books import Book

NO_FILES = (".part", ".tmp", MANIFEST)
MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
# Outcomes first: a landing that was cut in half then lacks its applications, which is what the history looks for.
TABLES = ("outcomes", "applications")


def land(book: Book, month: str, since: str | None = None) -> dict[str, Any]:
    """Write the rows that the lender would send for ``since`` (default: ``month``) to ``month`` into landing.

    Each table becomes one whole file, or none when it has no rows: ``sba/applications_2006-03.csv``, or
    ``sba/applications_1995-01_2006-12.csv`` for more than one month. The same months give the same bytes.

    Returns ``{"book", "files": [name, ...], "rows": {table: count}}``.

    Raises:
        BadInput: a month is malformed or outside the book, or the source was not fetched.
        PassingFault: landing cannot be written now (no space, no answer); no part of a file is left.
    """
    first = _month(book, month if since is None else since)
    last = _month(book, month)
    if first > last:
        raise BadInput("The first month to land lies after the last", value=f"{first}..{last}",
                       remedy="Swap the two.")
    source, landing = _source(book), Store(settings().landing)
    files, rows = [], {}
    for table in TABLES:
        sent = book.extract(source, table, first, last)
        rows[table] = sent.num_rows
        if sent.num_rows:
            name = file_name(book, table, first, last)
            landing.write(f"{book.name}/{name}", _encoded(sent, book.file_format))
            files.append(name)
    return {"book": book.name, "files": files, "rows": rows}


def file_name(book: Book, table: str, first: str, last: str) -> str:
    """What ``land`` calls the file of a table and its months."""
    months = last if first == last else f"{first}_{last}"
    return f"{table}_{months}.{book.file_format}"


def months_of(book: Book, name: str) -> tuple[str, str, str] | None:
    """``(table, first month, last month)`` of a file that ``land`` named; None for any other name."""
    found = re.fullmatch(rf"(applications|outcomes)_({MONTH.pattern})(?:_({MONTH.pattern}))?\.{book.file_format}", name)
    return None if found is None else (found[1], found[2], found[4] or found[2])


def files(book: str) -> list[Entry]:
    """The complete files of a book in landing; hidden files and ``.part`` or ``.tmp`` are still on their way.

    A manifest is no file of its own.
    """
    return [entry for entry in Store(settings().landing).list(book) if is_complete(entry.path.removeprefix(f"{book}/"))]


def is_complete(name: str) -> bool:
    """Whether ``name`` is that of a whole file directly in a book's landing folder."""
    return bool(name) and "/" not in name and not name.startswith(".") and not name.endswith(NO_FILES)


def new_files(book: str | None = None) -> list[dict[str, str]]:
    """``{"book", "name"}`` of every complete file in landing whose content was never received.

    A file that somebody still has open for writing is not complete.

    A file is known by the SHA-256 of its content, so that a renamed copy is not new. A file that stands unchanged
    since the last look (same size, same time or ETag) is not read again: its fingerprint is kept in the store, as
    a cache that may be lost without harm.
    """
    found = []
    for name in known_books() if book is None else [book]:
        landed = files(name)
        if not landed:
            continue
        fingerprints = _fingerprints(name, landed)
        seen = set(lake.partitions(lake.received(name)))
        found += [{"book": name, "name": path.removeprefix(f"{name}/")} for path, known in fingerprints.items()
                  if known not in seen]
    return found


def _fingerprints(book: str, landed: list[Entry]) -> dict[str, str]:
    landing, store = Store(settings().landing), Store(settings().store)
    cache = f"ingest/{book}/fingerprints.json"
    known = store.read_json(cache) if store.exists(cache) else {}
    now = {}
    for entry in landed:
        stamp = f"{entry.size} {entry.stamp}"
        before = known.get(entry.path, {})
        if before.get("stamp") == stamp:
            now[entry.path] = before
        elif not landing.is_being_written(entry.path):
            with landing.open(entry.path) as content:
                now[entry.path] = {"stamp": stamp, "fingerprint": fingerprint(content)}
    if now != known:
        store.write_json(cache, now)
    return {path: entry["fingerprint"] for path, entry in now.items()}


def _month(book: Book, month: str) -> str:
    if not MONTH.fullmatch(month):
        raise BadInput("A month is written YYYY-MM", value=month, remedy=f"For example {book.last_month}.")
    if not book.first_month <= month <= book.last_month:
        raise BadInput(f"The book {book.name} has no such month", value=month,
                       remedy=f"Its months are {book.first_month} to {book.last_month}.")
    return month


def _source(book: Book) -> Path:
    folder = settings().data / "sources" / book.name
    if not folder.is_dir() or not any(not path.name.startswith(".") and path.suffix != ".part"
                                      for path in folder.iterdir()):
        raise BadInput(f"The source data of {book.name} is not here", value=folder,
                       remedy=f"Bring it: tollgate fetch {book.name}.")
    return folder


def _encoded(rows: pa.Table, file_format: str) -> bytes:
    sink = io.BytesIO()
    if file_format == "csv":
        import pyarrow.csv

        pyarrow.csv.write_csv(rows, sink)
    else:
        import pyarrow.parquet

        pyarrow.parquet.write_table(rows, sink)
    return sink.getvalue()
