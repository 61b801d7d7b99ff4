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
    Sender,
    Target,
    category,
    number,
    ratio,
)
from tollgate.books.loading import book_files, load_book

__all__ = ["APPLICANT", "APPROVED", "DECLINED", "LOAN", "WITHDRAWN", "Book", "BookTable", "Column", "Event", "Feature",
           "Rule", "Sender", "Target", "book_files", "category", "load_book", "number", "ratio"]
