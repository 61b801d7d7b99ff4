"""A landed file on this machine's disk, to be read more than once: its content, and what it is known by."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tollgate.lake import Store, scratch

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 2**20


@dataclass(frozen=True)
class Landed:
    """One file.

    Attributes:
        name: in landing, as it is shown.
        content: where its bytes are.
        size: how many.
        sha256: of its bytes.
    """

    name: str
    content: IO[bytes]
    size: int
    sha256: str

    @property
    def fingerprint(self) -> str:
        """What the file is known by; see ``fingerprint_of``."""
        return fingerprint_of(self.name, self.sha256)

    def open(self) -> IO[bytes]:
        """Its bytes from the first; each reader has a position of its own, and closing it closes nothing else."""
        return io.BufferedReader(_View(self.content.fileno()), CHUNK)


class _View(io.RawIOBase):
    """An open file read by place."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._at = descriptor, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(self._descriptor).st_size}[whence]
        self._at = begin + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = os.preadv(self._descriptor, [buffer], self._at)
        self._at += count
        return count


@contextmanager
def spool(landing: Store, path: str) -> Iterator[Landed]:
    """Copy a file of landing to local disk, for as long as the context lasts.

    The copy has no name in any folder, so that nothing of it is left, however the process ends: it holds personal data.

    Raises:
        BadInput: no such file.
        PassingFault: landing does not answer, or the disk is full.
    """
    with scratch() as copy:
        digest, size = hashlib.sha256(), 0
        with landing.open(path) as content:
            while chunk := content.read(CHUNK):
                digest.update(chunk)
                size += copy.append(chunk)[1]
        yield Landed(spelled(path.rpartition("/")[2]), copy.content, size, digest.hexdigest())


@contextmanager
def opened(path: Path) -> Iterator[Landed]:
    """A file that lies on this machine's disk already."""
    with path.open("rb") as content:
        yield Landed(spelled(path.name), content, path.stat().st_size, sha256_of(content))


def sha256_of(content: Any) -> str:
    """The SHA-256 of an open file's bytes."""
    return hashlib.file_digest(content, "sha256").hexdigest()


def fingerprint_of(name: str, sha256: str) -> str:
    """What a delivery is known by: its name and its content, so that the same content under another name is another."""
    return hashlib.sha256(f"{sha256} {spelled(name)}".encode()).hexdigest()


def spelled(name: str) -> str:
    """A file's name as it is shown and written down: bytes that are no UTF-8 are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()
