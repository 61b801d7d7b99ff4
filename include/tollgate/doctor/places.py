"""The locations of the settings, by the names that a person sets them by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tollgate.config import Settings


def locations(here: Settings) -> Iterator[tuple[str, str]]:
    """``(name of the setting, location)`` of everything that is kept.

    The ledger and its anchor are among them where they have a place of their own.
    """
    for name, place in here.locations().items():
        yield f"TOLLGATE_{name.upper()}", place
    if here.ledger_anchor:
        yield "TOLLGATE_LEDGER_ANCHOR", here.ledger_anchor


def is_local(place: str) -> bool:
    """Whether a location is a folder."""
    return "://" not in place


def bucket_of(place: str) -> str:
    """The bucket of an ``s3://`` location."""
    return place.removeprefix("s3://").partition("/")[0]


def nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())
