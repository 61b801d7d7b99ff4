"""What a file must hold, put together from the tables that its source feeds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tollgate.errors import BadInput
from tollgate.ingest.reading.formats import ENDINGS

if TYPE_CHECKING:
    from tollgate.books import Book, Column, Reader, Source

INDEX = re.compile(r"__index_level_\d+__")  # what pandas keeps of a frame's own index


def source_of(book: Book, name: str) -> Source:
    """The kind of files that one is of, by the beginning of its name, the longest that fits.

    Raises:
        BadInput: any other name.
    """
    sources = book.all_sources()
    fits = [source for source in sources if name.startswith(source.begins)] if name.endswith(ENDINGS) else []
    if fits:
        return max(fits, key=lambda source: len(source.begins))
    raise BadInput(f"A landed file of {book.name} is called {', '.join(f'{source.begins}...' for source in sources)}, "
                   f"and ends with {', '.join(ENDINGS)}", value=name, remedy="Rename it.")


def together(tables: Iterable[str]) -> str:
    """How the tables that one file feeds are written in one cell."""
    return ", ".join(tables)


def apart(tables: str | None) -> list[str]:
    """The tables of such a cell; none of a file whose name tells no source."""
    return tables.split(", ") if tables else []


@dataclass(frozen=True)
class Layout:
    """What a file must hold, under the lender's names, and how it is written.

    Attributes:
        file: its name, for messages. show: the command that lists the columns of its contract.
        columns: each by the lender's name, as the first of the tables has it that read it.
        keys: the lender's names of those in which values hardly repeat. may_miss: of those that are never required.
        ignored: of those that nobody reads. ignore_unknown: whether any other is left unread too.
        reader: how the file is written.
    """

    file: str
    show: str
    columns: Mapping[str, Column]
    keys: frozenset[str]
    may_miss: frozenset[str]
    ignored: frozenset[str]
    ignore_unknown: bool
    reader: Reader

    @property
    def wanted(self) -> list[str]:
        """The lender's names of the columns that are read: personal ones are not."""
        return [name for name, column in self.columns.items() if not column.personal]

    def unknown(self, found: Iterable[str]) -> list[str]:
        """Those of the names that the book neither reads nor ignores, each once."""
        return [name for name in dict.fromkeys(found)
                if name not in self.columns and name not in self.ignored and not INDEX.fullmatch(name)]

    def unread(self, found: Iterable[str]) -> tuple[str, ...]:
        """The unknown columns that are left unread, to be told."""
        return tuple(self.unknown(found)) if self.ignore_unknown else ()


def layout_of(book: Book, file: str) -> Layout:
    """What a file of this name must hold. Raises ``BadInput`` for a name that is of no source."""
    source = source_of(book, file)
    tables = [book.table(name) for name in source.tables]
    columns: dict[str, Column] = {}
    for table in tables:
        for column in table.columns:
            columns.setdefault(column.source, column)
    required = {c.source for table in tables for c in table.columns if not c.nullable}
    return Layout(file, f"`tollgate contract show {book.name}`", columns,
                  frozenset(c.source for table in tables for c in table.columns if c.name in table.key),
                  frozenset(columns.keys() - required), frozenset(source.ignored), source.ignore_unknown, source.reader)
