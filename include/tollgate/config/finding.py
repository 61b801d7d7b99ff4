"""Which books there are and where each lies, found without importing any of them.

A book is a module that holds a ``BOOK``: a file or a folder of the user's own, one of those that Tollgate ships, or an
entry point of the group ``tollgate.books`` in an installed package.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tollgate.config.settings import settings
from tollgate.errors import BadInput

GROUP = "tollgate.books"
NAME = re.compile("[a-z][a-z0-9_]*")
SHIPPED = "tollgate.books.shipped"
OWN = "tollgate_books"  # the package that the modules of a user's folder are in


@dataclass(frozen=True)
class FoundBook:
    """Where a book lies.

    Attributes:
        module: its dotted name. attribute: what of it is the book.
        path: its file, or its folder; None for an entry point, which is found when it is loaded.
    """

    name: str
    module: str
    attribute: str = "BOOK"
    path: Path | None = None

    def __str__(self) -> str:
        return str(self.path) if self.path else f"the entry point {self.module}:{self.attribute}"


def all_books() -> list[FoundBook]:
    """All books by their names, those of one name beside each other."""
    return sorted(_all(), key=lambda book: book.name)


def known_books() -> list[str]:
    """The names of all books, sorted."""
    return sorted({book.name for book in _all()})


def check_book(name: object) -> str:
    """``name`` if it is that of one book. Raises ``BadInput`` otherwise."""
    return find_book(name).name


def check_name(name: str) -> str:
    """``name`` if a book may be called so. Raises ``BadInput`` otherwise."""
    if not NAME.fullmatch(name):
        raise BadInput("A book's name is of small letters, digits and _, a letter first", value=name,
                       remedy="For example personal_loans.")
    return name


def find_book(name: object) -> FoundBook:
    """The one book of that name. Raises ``BadInput`` when there is none, or more than one."""
    found = [book for book in _all() if book.name == name]
    if not found:
        raise BadInput("Unknown book", value=name,
                       remedy=f"Use one of: {', '.join(known_books())}. Your own are looked for in {settings().books}; "
                              "one that is no longer there must come back before its models can score.")
    if len(found) > 1:
        raise BadInput(f"There are two books called {name}: {found[0]} and {found[1]}", value=name,
                       remedy="Rename one of them.")
    return found[0]


def _all() -> Iterator[FoundBook]:
    shipped = Path(__file__).parents[1] / "books" / "shipped"
    for package, folder in ((OWN, settings().books), (SHIPPED, shipped)):
        for path in sorted(folder.glob("*")) if folder.is_dir() else []:
            module = path.stem if path.suffix == ".py" else path.name if (path / "__init__.py").is_file() else ""
            if NAME.fullmatch(module):
                yield FoundBook(module, f"{package}.{module}", path=path)
    yield from _installed()


@functools.cache
def _installed() -> tuple[FoundBook, ...]:
    from importlib.metadata import entry_points

    return tuple(FoundBook(point.name, point.module, point.attr or "BOOK") for point in entry_points(group=GROUP))
