"""What is wrong in how a book says its files are written: its sources, their readers, and columns of dates."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from itertools import combinations
from typing import TYPE_CHECKING

from tollgate.books.checking.fault import Fault
from tollgate.books.description.tables import has_day

if TYPE_CHECKING:
    from tollgate.books.description.book import Book
    from tollgate.books.description.sources import Reader, Source
    from tollgate.books.description.tables import Column

# Days that tell any two patterns of dates apart, if anything does: every month, small days and great.
DAYS = [date(year, month, day) for year in (2001, 2010, 2012) for month in range(1, 13)
        for day in (1, 2, 3, 11, 12, 28)]


def faults_of_sources(book: Book) -> Iterator[Fault]:
    """Everything that is wrong in a book's sources."""
    begins = [source.begins for source in book.all_sources()]
    yield from (Fault(f"sources: {n} begin with {name!r}, so that a file is of either", name)
                for name, n in Counter(begins).items() if n > 1)
    for source in book.sources:
        yield from _of_source(book, source)
        yield from _of_reader(source)


def faults_of_dates(table: str, column: Column) -> Iterator[Fault]:
    """What is wrong in how a column's dates are read."""
    where = f"{table}.{column.name}"
    if column.kind != "date":
        if column.month_end:
            yield Fault(f"{where}: month_end is for dates, and it is {column.kind}", column.name)
        return
    if not column.formats:
        yield Fault(f"{where}: a date needs a format", column.name)
    yield from (Fault(f"{where}: {form!r} reads no day", form) for form in column.formats
                if _day(DAYS[0].strftime(form), form) is None)
    if column.month_end and all(has_day(form) for form in column.formats):
        yield Fault(f"{where}: month_end is for dates without a day, and every format has one", column.name)
    for one, other in combinations(column.formats, 2):
        if (text := _read_twice(one, other)) is not None:
            yield Fault(f"{where}: {one} and {other} read {text} as two different days", column.name)


def _of_source(book: Book, source: Source) -> Iterator[Fault]:
    where = f"the source {source.begins!r}"
    if not source.begins or "/" in source.begins or source.begins.startswith("."):
        yield Fault(f"{where}: no file in landing has a name that begins so", source.begins or "begins")
    if not source.tables:
        yield Fault(f"{where}: it feeds no table", source.begins)
    yield from (Fault(f"{where}: it feeds {name} {n} times", name) for name, n in Counter(source.tables).items()
                if n > 1)
    known = {table.name: table for table in book.tables}
    yield from (Fault(f"{where}: there is no table {name}", name) for name in source.tables if name not in known)
    mine: dict[str, list[tuple[str, Column]]] = {}
    for name in source.tables:
        for column in known[name].columns if name in known else ():
            mine.setdefault(column.source, []).append((name, column))
    for lenders, columns in mine.items():
        if len({column.personal for _, column in columns}) > 1:
            yield Fault(f"{where}: {lenders} is personal in {_in(columns, personal=True)} and not in "
                        f"{_in(columns, personal=False)}", lenders)
        if len({(column.formats, column.month_end) for _, column in columns if column.kind == "date"}) > 1:
            yield Fault(f"{where}: {lenders} is a date of other formats in each of "
                        f"{' and '.join(name for name, _ in columns)}", lenders)
        if lenders in source.ignored:
            yield Fault(f"{where}: {lenders} is ignored, and {columns[0][0]} reads it", lenders)


def _in(columns: list[tuple[str, Column]], *, personal: bool) -> str:
    return " and ".join(name for name, column in columns if column.personal == personal)


def _of_reader(source: Source) -> Iterator[Fault]:
    reader, where = source.reader, f"the source {source.begins!r}: reader"
    yield from _of_letters(reader, where)
    if not _is_text(reader.encoding):
        yield Fault(f"{where}: Python knows no encoding {reader.encoding!r}", reader.encoding)
    for option in ("skip_top", "skip_bottom"):
        if getattr(reader, option) < 0:
            yield Fault(f"{where}: {option} is {getattr(reader, option)}, less than 0", option)
    yield from (Fault(f"{where}: {n} names are {name}", name) for name, n in Counter(reader.names).items()
                if n > 1 and name not in source.ignored)
    if reader.widths and len(reader.widths) != len(reader.names):
        yield Fault(f"{where}: {len(reader.widths)} widths for {len(reader.names)} names", "widths")
    if any(width < 1 for width in reader.widths):
        yield Fault(f"{where}: a width is less than 1", "widths")


def _of_letters(reader: Reader, where: str) -> Iterator[Fault]:
    for option, may_be_none in (("delimiter", False), ("quote", True), ("decimal", False), ("thousands", True)):
        letter = getattr(reader, option)
        if (len(letter) != 1 and not (may_be_none and not letter)) or letter in ("\r", "\n", "\0"):
            yield Fault(f"{where}: {option} is one letter{' or none' if may_be_none else ''}, and not {letter!r}",
                        option)
        elif option in ("delimiter", "quote") and not letter.isascii():
            yield Fault(f"{where}: {option} is a letter of ASCII, and not {letter!r}", option)
        elif option in ("decimal", "thousands") and letter and (letter.isalnum() or letter in "+-()%$€£"):
            yield Fault(f"{where}: {option} is {letter!r}, which is a part of numbers itself", option)
    if reader.quote and reader.quote == reader.delimiter:
        yield Fault(f"{where}: quote and delimiter are the same letter, {reader.quote!r}", "quote")
    if reader.thousands and reader.thousands == reader.decimal:
        yield Fault(f"{where}: decimal and thousands are the same letter, {reader.decimal!r}", "thousands")


def _is_text(encoding: str) -> bool:
    """Whether it is one that Python can decode text from, piece by piece; base64 and the like are none."""
    try:
        return "a".encode(encoding).decode(encoding) == "a" and codecs.lookup(encoding).incrementaldecoder is not None
    except (LookupError, UnicodeError):
        return False


def _read_twice(one: str, other: str) -> str | None:
    """A text that the two patterns read as two days; None where there is none."""
    for day in DAYS:
        for first, second in ((one, other), (other, one)):
            text = day.strftime(first)
            mine, its = _day(text, first), _day(text, second)
            if mine is not None and its is not None and mine != its:
                return text
    return None


def _day(text: str, form: str) -> date | None:
    try:
        return datetime.strptime(text, form).date()
    except ValueError:
        return None
