"""What an attempt fixed before it began: models, parameters, and every row by the digest of its file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tollgate import lake
from tollgate.config import settings
from tollgate.errors import BadInput, Refused
from tollgate.nights.attempts import Attempt, attempt_of
from tollgate.nights.publications import was_published


@dataclass(frozen=True)
class Pinned:
    """A model of an attempt."""

    version: str
    digest: str
    snapshot: str


@dataclass(frozen=True)
class Pin:
    """The record of an attempt.

    Attributes:
        run: the run that made it. replaces: the published attempt that it was opened to replace; None where none was.
        champion: the model in force on the day. shadows: models that score beside it.
        rows: of the population. too_late: applications that arrived when their window was over.
        shards: how many parts it is in. rows_digest: over the digests of ``files``.
        files: SHA-256 of each file of rows, by its name. lake_versions: Delta version of each table that was read.
        params: all of the book's parameters.
        erased: how many loans were erased since; ``rows`` and ``files`` are of those that are left, ``rows_digest`` is
            of the population as it was pinned.
    """

    attempt: Attempt
    run: str
    replaces: int | None
    champion: Pinned
    shadows: tuple[Pinned, ...]
    rows: int
    too_late: int
    shards: int
    rows_digest: str
    files: Mapping[str, str]
    lake_versions: Mapping[str, int]
    params: Mapping[str, Any]
    erased: int = 0


def was_pinned(attempt: Attempt) -> bool:
    """Whether the attempt has its pin."""
    return lake.Store(settings().store).exists(attempt.path("pin.json"))


def write_pin(pin: Pin) -> None:
    """Keep the pin, after the files that it names."""
    lake.Store(settings().store).write_json(pin.attempt.path("pin.json"), {**asdict(pin), "attempt": str(pin.attempt)})


def read_pin(attempt: Attempt) -> Pin:
    """What was pinned. Raises ``BadInput`` when nothing was, or it is kept no longer."""
    if not was_pinned(attempt):
        if was_published(attempt):
            raise BadInput("Nothing is pinned for this attempt any more; what it published stays", value=attempt,
                           remedy="A backup of before its rows were deleted has them; what is kept for how long is in "
                                  "params.yaml.")
        raise BadInput("Nothing is pinned for this attempt", value=attempt,
                       remedy="Run tollgate score pin first.")
    record = lake.Store(settings().store).read_json(attempt.path("pin.json"))
    return Pin(**{**record, "attempt": attempt_of(record["attempt"]), "champion": Pinned(**record["champion"]),
                  "shadows": tuple(Pinned(**one) for one in record["shadows"])})


def pinned_file(attempt: Attempt, name: str, digest: str) -> bytes:
    """The bytes of a file whose digest is on record.

    Raises:
        BadInput: it is gone.
        Refused: it is another.
    """
    content = lake.Store(settings().store).read(attempt.path(name))
    if hashlib.sha256(content).hexdigest() != digest:
        raise Refused(f"{name} of the night {attempt} is not what was pinned",
                      value=f"{settings().store}/{attempt.path(name)}",
                      remedy="Restore the file from a backup; a later run can score the night anew.")
    return content
