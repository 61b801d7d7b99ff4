"""Whether there is room where this machine writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tollgate.config import Settings
from tollgate.doctor.findings import Finding, error, ok, warning
from tollgate.doctor.places import is_local, locations, nearest

LEAST, ENOUGH = 1 << 30, 5 << 30  # bytes: below, the next run may not end; a training of the sba book writes about 2 GB
FILES_LEAST = 10_000  # inodes


def check_disk(here: Settings) -> Iterator[Finding]:
    """Free bytes and free inodes of every file system that a folder of ours is on, each once."""
    folders = {"TOLLGATE_DATA": str(here.data), **{name: place for name, place in locations(here) if is_local(place)}}
    seen: dict[int, str] = {}
    for name, folder in folders.items():
        there = nearest(Path(folder).absolute())
        if there.stat().st_dev in seen:
            continue
        of = os.statvfs(there)
        free = of.f_bavail * of.f_frsize
        seen[there.stat().st_dev] = f"{_told(free)} free at {there}"
        if free < ENOUGH:
            say = error if free < LEAST else warning
            yield say(f"The disk of {name} has {_told(free)} left (got: {there})",
                      "Make room, for example with `tollgate tidy BOOK`, or move the location to a larger disk.")
        elif of.f_files and of.f_favail < FILES_LEAST:
            yield error(f"The disk of {name} has room for {of.f_favail:,} files more (got: {there})",
                        "Remove files, or make the file system anew with more inodes.")
    yield ok("; ".join(seen.values()))


def _told(size: int) -> str:
    return f"{size / (1 << 30):,.1f} GB" if size >= LEAST else f"{size / (1 << 20):,.0f} MB"
