"""Where things live, which books there are, and the parameters of each: read once and checked whole."""

from typing import TYPE_CHECKING

from tollgate.config.finding import OWN, FoundBook, all_books, check_book, check_name, find_book, known_books
from tollgate.config.settings import AS_OF, EMBEDDED, PROJECT, Settings, settings
from tollgate.config.severities import SEVERITIES
from tollgate.lazily import found_in

if TYPE_CHECKING:
    from tollgate.config.params import (
        SECTIONS,
        Ingest,
        Labels,
        Monitoring,
        Params,
        Range,
        Retention,
        Schedule,
        Sweep,
        Train,
        load_params,
        load_retention,
        read_params,
        scheduled_books,
    )
    from tollgate.config.reading import read_params_file
    from tollgate.config.rules import MEASURES, Rule

# Pydantic checks parameters, and takes longer to load than what sensors poll to answer.
__getattr__ = found_in(__name__, "params", "rules")

__all__ = ["AS_OF", "EMBEDDED", "MEASURES", "OWN", "PROJECT", "SECTIONS", "SEVERITIES", "FoundBook", "Ingest", "Labels",
           "Monitoring", "Params", "Range", "Retention", "Rule", "Schedule", "Settings", "Sweep", "Train", "all_books",
           "check_book", "check_name", "find_book", "known_books", "load_params", "load_retention", "read_params",
           "read_params_file", "scheduled_books", "settings"]
