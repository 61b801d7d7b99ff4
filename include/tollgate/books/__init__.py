"""The books: everything that is true of one loan portfolio alone."""

from tollgate.books.base import (
    APPLICANT,
    APPROVED,
    DECLINED,
    LOAN,
    WITHDRAWN,
    Book,
    BookTable,
    Column,
    Event,
    Feature,
    Rule,
    Target,
    category,
    number,
    ratio,
)

__all__ = ["APPLICANT", "APPROVED", "DECLINED", "LOAN", "WITHDRAWN", "Book", "BookTable", "Column", "Event", "Feature",
           "Rule", "Target", "category", "load_book", "number", "ratio"]


def load_book(name: str) -> Book:
    """The book called ``name``. Raises ``BadInput`` for a name that has no module."""
    from importlib import import_module

    from tollgate.config import check_book

    book: Book = import_module(f"tollgate.books.{check_book(name)}").BOOK
    return book
