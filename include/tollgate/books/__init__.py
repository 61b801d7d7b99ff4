"""The books: everything that is true of one loan portfolio alone."""

from tollgate.books.description.book import Book
from tollgate.books.description.features import Aggregate, Feature, as_it_is, category, days_between, number, ratio
from tollgate.books.description.reasons import Reason, sentence_of, subject_of
from tollgate.books.description.sources import Progress, Reader, Sender, Source
from tollgate.books.description.tables import (
    APPLICANT,
    APPROVED,
    DECLINED,
    LOAN,
    WITHDRAWN,
    BookTable,
    Column,
    Kind,
    Rule,
    decisions_table,
    outcomes_table,
)
from tollgate.books.description.targets import Event, Target
from tollgate.books.loading import book_files, load_book

__all__ = ["APPLICANT", "APPROVED", "DECLINED", "LOAN", "WITHDRAWN", "Aggregate", "Book", "BookTable", "Column",
           "Event", "Feature", "Kind", "Progress", "Reader", "Reason", "Rule", "Sender", "Source", "Target",
           "as_it_is", "book_files", "category", "days_between", "decisions_table", "load_book", "number",
           "outcomes_table", "ratio", "sentence_of", "subject_of"]
