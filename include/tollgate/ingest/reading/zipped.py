"""A zip with one file in it, unpacked onto scratch under the limits that every packed file is held to."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tollgate.ingest.reading.formats import ENDINGS, PACKED, Unreadable, check_unpacked
from tollgate.ingest.reading.landed import CHUNK, Landed
from tollgate.lake import Scratch, scratch

INSIDE = tuple(ending for ending in ENDINGS if not ending.endswith(PACKED))
ENCRYPTED = 0x1


@contextmanager
def unpacked(file: Landed) -> Iterator[Landed]:
    """The file itself, or the one in it where it is a zip, for as long as the context lasts.

    Raises:
        Unreadable: it is no zip, was damaged, is protected by a password, unpacks beyond the limit, or holds anything
            but one file of a format that is read.
    """
    if not file.name.endswith(".zip"):
        yield file
        return
    with scratch() as disk:
        try:
            name = _unpack(file, disk)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError) as err:
            raise Unreadable(f"it is no zip that can be unpacked, or was damaged on its way ({err})") from err
        size = disk.content.seek(0, 2)
        yield replace(file, name=name, content=disk.content, size=size)


def _unpack(file: Landed, disk: Scratch) -> str:
    """Lay the one member down; its name."""
    with zipfile.ZipFile(file.open()) as packed:
        member = _one(packed.infolist())
        size = 0
        check_unpacked(member.file_size, file.size)
        with packed.open(member) as content:
            while chunk := content.read(CHUNK):
                size += len(chunk)
                check_unpacked(size, file.size)
                disk.append(chunk)
    return member.filename


def _one(members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    if len(members) != 1:
        raise Unreadable(f"it holds {len(members)} files, and a zip is to hold one")
    (member,) = members
    # The name is told by its ending alone, and nothing is ever unpacked under it: a path in it is a sign of an attack.
    if "/" in member.filename or "\\" in member.filename or ".." in member.filename:
        raise Unreadable("the file in it has a path in its name")
    if member.flag_bits & ENCRYPTED:
        raise Unreadable("it is protected by a password")
    if not member.filename.endswith(INSIDE):
        raise Unreadable(f"the file in it does not end with {', '.join(INSIDE)}")
    return member
