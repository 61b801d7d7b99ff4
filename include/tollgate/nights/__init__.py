"""A night: one scoring of one population. What its attempts are called, what each pinned, and which of them count."""

from typing import TYPE_CHECKING

from tollgate.lazily import found_in
from tollgate.nights.attempts import NEW, PORTFOLIO, Attempt, attempt_of, claim, give_up
from tollgate.nights.pins import Pin, Pinned, read_pin, was_pinned, write_pin
from tollgate.nights.publications import Publication, add_publication, publication, publications, was_published
from tollgate.nights.tidying import tidy_nights

if TYPE_CHECKING:
    from tollgate.nights.erasing import erase_from_nights, named, recount, unnamed
    from tollgate.nights.files import (
        Shard,
        read_fault,
        read_features,
        read_histories,
        read_population,
        read_scored,
        read_shard,
        scored_file,
        shard_of,
        shards_of,
        write_fault,
        write_population,
        write_scored,
    )

# Which nights there are is told without Arrow; what is in their files is not.
__getattr__ = found_in(__name__, "files", "erasing")

__all__ = [
    "NEW", "PORTFOLIO", "Attempt", "Pin", "Pinned", "Publication", "Shard", "add_publication", "attempt_of",
    "claim", "erase_from_nights", "give_up", "named", "publication", "publications", "read_fault", "read_features",
    "read_histories", "read_pin", "read_population", "read_scored", "read_shard", "recount", "scored_file",
    "shard_of", "shards_of", "tidy_nights", "unnamed", "was_pinned", "was_published", "write_fault", "write_pin",
    "write_population", "write_scored",
]
