"""Drafting a new book from a lender's files, each conclusion with its evidence."""

from tollgate.books.drafting.new import new_book

__all__ = ["new_book"]
