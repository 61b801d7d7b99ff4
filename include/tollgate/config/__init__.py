"""Where things live, which books there are, and the parameters of each: read once and checked whole."""

from tollgate.config.finding import FoundBook, all_books, check_book, find_book, known_books, own_package
from tollgate.config.params import (
    SECTIONS,
    Ingest,
    Labels,
    Monitoring,
    Params,
    Sweep,
    load_params,
    params_of_book,
    read_params,
    read_params_file,
)
from tollgate.config.settings import EMBEDDED, PROJECT, Settings, settings

__all__ = ["EMBEDDED", "PROJECT", "SECTIONS", "FoundBook", "Ingest", "Labels", "Monitoring", "Params", "Settings",
           "Sweep", "all_books", "check_book", "find_book", "known_books", "load_params", "own_package",
           "params_of_book", "read_params", "read_params_file", "settings"]
