"""What is wrong in the description of a book: all of it at once, before anything is done with the book."""

from tollgate.books.checking.book import faults_of
from tollgate.books.checking.fault import Fault

__all__ = ["Fault", "faults_of"]
