"""Where files arrive: dropping a month as the lender's core system would, and telling which files are new."""

from __future__ import annotations

import io
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollgate import lake
from tollgate.clock import MONTH
from tollgate.config import known_books, settings
from tollgate.errors import BadInput, PassingFault
from tollgate.ingest.deliveries import Seen, deliveries
from tollgate.ingest.reading import MANIFEST, fingerprint_of, sha256_of, source_of, spelled
from tollgate.lake import Entry, Store

if TYPE_CHECKING:
    import pyarrow as pa

    from tollgate.books import Book

NO_FILES = (".part", ".tmp", MANIFEST)


def land(book: Book, month: str, since: str | None = None) -> dict[str, Any]:
    """Write the rows that the lender would send for ``since`` (default: ``month``) to ``month`` into landing.

    Each table becomes one whole file, or none when it has no rows: ``sba/applications_2006-03.csv``, or
    ``sba/applications_1995-01_2006-12.csv`` for more than one month. The same months give the same bytes. All files are
    made before the first is written, so that they arrive within a moment, and the applications are written first:
    whoever takes the files in as they come finds the loans that the others are about.

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
    sent = {table.name: _send(book, table.name, first, last) for table in book.tables}
    for name, content, _ in sent.values():
        _write(book, name, content)
    return {"book": book.name, "files": [name for name, content, _ in sent.values() if content],
            "rows": {table: rows for table, (_, _, rows) in sent.items()}}


def land_table(book: Book, table: str, first: str, last: str) -> tuple[str, int]:
    """Write the rows of one table for these months into landing, if there are any; the file's name and their number."""
    name, content, rows = _send(book, table, first, last)
    _write(book, name, content)
    return name, rows


def _send(book: Book, table: str, first: str, last: str) -> tuple[str, bytes, int]:
    """The file of a table for these months: its name, what is in it, empty without rows, and how many these are."""
    sender = book.require_sender()
    rows = sender.extract(_source(book), table, first, last, _champions_decisions(book) if sender.follows else None)
    content = _encoded(rows, sender.file_format) if rows.num_rows else b""
    return file_name(book, table, first, last), content, rows.num_rows


def _write(book: Book, name: str, content: bytes) -> None:
    if content:
        Store(settings().landing).write(f"{book.name}/{name}", content)


def _champions_decisions(book: Book) -> pa.Table:
    from tollgate.nights import NEW

    return lake.read(lake.scores(book.name), filters=[("population", "=", NEW)],
                     columns=["loan_id", "as_of", "decision", "score", "model_version"])


def file_name(book: Book, table: str, first: str, last: str) -> str:
    """What ``land`` calls the file of a table and its months."""
    months = last if first == last else f"{first}_{last}"
    return f"{table}_{months}.{book.require_sender().file_format}"


def months_of(book: Book, name: str) -> tuple[str, str, str] | None:
    """``(table, first month, last month)`` of a file that ``land`` named; None for any other name."""
    tables = "|".join(table.name for table in book.tables)
    ending = book.require_sender().file_format
    found = re.fullmatch(rf"({tables})_({MONTH.pattern})(?:_({MONTH.pattern}))?\.{ending}", name)
    return None if found is None else (found[1], found[2], found[4] or found[2])


def files(book: str) -> list[Entry]:
    """The complete files of a book in landing; hidden files and ``.part`` or ``.tmp`` are still on their way.

    A manifest is no file of its own.
    """
    return [entry for entry in Store(settings().landing).list(book) if is_complete(entry.path.removeprefix(f"{book}/"))]


def is_complete(name: str) -> bool:
    """Whether ``name`` is that of a whole file directly in a book's landing folder."""
    return bool(name) and "/" not in name and not name.startswith(".") and not name.endswith(NO_FILES)


@dataclass(frozen=True)
class Waiting:
    """What stands in a book's landing and was never taken in.

    Attributes:
        files: the fingerprint of each by its name, in the order in which they are to be taken in.
        unreadable: names of files that cannot be read, each with the reason.
        seen: every delivery of the book so far, by its fingerprint; none where nothing waits.
    """

    files: dict[str, str]
    unreadable: dict[str, str]
    seen: dict[str, Seen]


def waiting(book: str) -> Waiting:
    """The complete files in landing that were never taken in.

    They are in the order of the deliveries: what was seen before by its number, then what is new by the first table
    that it feeds (as the book lists them), by the time at which it was written, and by its name. A file that somebody
    still has open for writing is not complete. A file that stands unchanged since the last look (same size, same time
    or ETag) is not read again: its SHA-256 is kept in the store, as a cache that may be lost without harm.
    """
    landed = files(book)
    if not landed:
        return Waiting({}, {}, {})
    hashes, unreadable = _hashes(book, landed)
    taken = set(lake.partitions(lake.received(book)))
    new = {name: fingerprint for name, found in hashes.items()
           if (fingerprint := fingerprint_of(name, found)) not in taken}
    if not new:
        return Waiting({}, unreadable, {})
    seen, rank = deliveries(book), _ranks(book, list(new))
    written = {entry.path.removeprefix(f"{book}/"): entry.written for entry in landed}

    def order(name: str) -> tuple[float, int, float, str]:
        number = seen[new[name]].number if new[name] in seen else math.inf
        return number, rank[name], written[name], name.partition(".")[0]

    return Waiting({name: new[name] for name in sorted(new, key=order)}, unreadable, seen)


def _ranks(book: str, names: list[str]) -> dict[str, int]:
    """The place of the first table that each file feeds, in the book.

    A file of no source comes last. A book that cannot be loaded does not stop the others: taking in tells.
    """
    from tollgate.books import load_book

    ranks = dict.fromkeys(names, len(names))
    with suppress(BadInput):
        described = load_book(book)
        places = {table.name: place for place, table in enumerate(described.tables)}
        ranks = dict.fromkeys(names, len(places))
        for name in names:
            with suppress(BadInput):
                ranks[name] = min(places[table] for table in source_of(described, name).tables)
    return ranks


def new_files(book: str | None = None) -> list[dict[str, Any]]:
    """``{"book", "name"}`` of every complete file in landing that was never taken in, in order of the deliveries."""
    return look(book)["files"]


def look(book: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """What stands in landing and was never taken in.

    Returns ``{"files": [{"book", "name"}, ...] in the order of the deliveries, "unreadable": [{"book", "name", "why"},
    ...]}``.
    """
    found: dict[str, list[dict[str, Any]]] = {"files": [], "unreadable": []}
    for name in known_books() if book is None else [book]:
        there = waiting(name)
        found["files"] += [{"book": name, "name": spelled(file)} for file in there.files]
        found["unreadable"] += [{"book": name, "name": spelled(file), "why": why}
                                for file, why in there.unreadable.items()]
    return found


def _hashes(book: str, landed: list[Entry]) -> tuple[dict[str, str], dict[str, str]]:
    """The SHA-256 of each complete file by its name, and why the others cannot be read."""
    landing, store = Store(settings().landing), Store(settings().store)
    cache = f"ingest/{book}/sha256.json"
    known = store.read_json(cache) if store.exists(cache) else {}
    now, unreadable = {}, {}
    for entry in landed:
        name = entry.path.removeprefix(f"{book}/")
        stamp, key = f"{entry.size} {entry.stamp}", spelled(name)
        before = known.get(key, {})
        try:
            if before.get("stamp") == stamp:
                now[name] = before
            elif not landing.is_being_written(entry.path):
                with landing.open(entry.path) as content:
                    now[name] = {"stamp": stamp, "sha256": sha256_of(content)}
        except BadInput as err:
            unreadable[name] = spelled(str(err))
        except PassingFault as err:  # a server that is away is away for all; a broken sector is one file's
            if "://" in settings().landing:
                raise
            unreadable[name] = spelled(str(err))
    kept = {spelled(name): found for name, found in now.items()}
    if kept != known:
        store.write_json(cache, kept)
    return {name: found["sha256"] for name, found in now.items()}, unreadable


def _month(book: Book, month: str) -> str:
    sender = book.require_sender()
    if not MONTH.fullmatch(month):
        raise BadInput("A month is written YYYY-MM", value=month, remedy=f"For example {sender.last_month}.")
    if not sender.first_month <= month <= sender.last_month:
        raise BadInput(f"The book {book.name} has no such month", value=month,
                       remedy=f"Its months are {sender.first_month} to {sender.last_month}.")
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
