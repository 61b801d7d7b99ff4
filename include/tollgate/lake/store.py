"""Files and small JSON records under one URI: a local folder or an object store, through fsspec."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from tollgate.errors import BadInput, PassingFault


@dataclass(frozen=True)
class Entry:
    """One file of a store.

    Attributes:
        path: relative to the store. size: in bytes. stamp: what changes when it is written anew.
        written: when it was, in seconds since 1970; whoever unpacks an archive may restore any time.
    """

    path: str
    size: int
    stamp: str = ""
    written: float = 0.0


@dataclass(frozen=True)
class Store:
    """A folder of files at ``root`` (``/srv/data`` or ``s3://bucket/prefix``)."""

    root: str

    @contextmanager
    def _at(self, path: str) -> Iterator[tuple[Any, str]]:
        from fsspec.core import url_to_fs

        try:
            fs, base = url_to_fs(self.root, **_options(self.root))
            yield fs, f"{base.rstrip('/')}/{path}".rstrip("/")
        except FileNotFoundError as err:
            raise BadInput("There is no such file", value=f"{self.root}/{path}",
                           remedy="Check the name, and that the step before it has run.") from err
        except PermissionError as err:
            raise BadInput(f"Storage refused access: {err.strerror or err}", value=f"{self.root}/{path}",
                           remedy="Check the credentials and the folder's permissions.") from err
        except OSError as err:
            detail = err.strerror or str(err) or type(err).__name__
            raise PassingFault(f"Storage did not answer: {detail}", value=f"{self.root}/{path}",
                               remedy="Check the disk space, the address and the network.") from err
        except Exception as err:
            if not type(err).__module__.startswith("botocore."):
                raise
            raise PassingFault(f"Storage did not answer: {err}", value=f"{self.root}/{path}",
                               remedy="Check the address, the credentials and the network.") from err

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """A file for reading."""
        with self._at(path) as (fs, full), fs.open(full, "rb") as handle:
            yield handle

    def read(self, path: str) -> bytes:
        """A file's bytes, old or new while it is being replaced. Raises ``BadInput`` when it is not there."""
        with self._at(path) as (fs, full):
            # One request: a file opened on S3 asks for its ETag first, and fails if another is written in between.
            content: bytes = fs.cat_file(full)
            return content

    def write(self, path: str, content: bytes) -> None:
        """Write a whole file: a reader sees the old content or the new, never a part."""
        with self._at(path) as (fs, full):
            if _is_local(fs):
                _write_local(Path(full), content)
            else:
                fs.pipe_file(full, content)

    def create(self, path: str, content: bytes) -> bool:
        """Write a whole file where there is none; False, and nothing is changed, where there is one."""
        with self._at(path) as (fs, full):
            try:
                if _is_local(fs):
                    _write_local(Path(full), content, anew=True)
                else:
                    fs.pipe_file(full, content, mode="create")
            except OSError as err:
                if isinstance(err, FileExistsError) or _precondition_failed(err):
                    return False
                raise
            return True

    def read_json(self, path: str) -> Any:
        """A JSON record. Raises ``BadInput`` when it is not there or is damaged."""
        try:
            return json.loads(self.read(path))
        except ValueError as err:
            raise BadInput("A record cannot be read as JSON: it is damaged or was cut short",
                           value=f"{self.root}/{path}",
                           remedy="Bring it back from a backup (docs/operating.md).") from err

    def write_json(self, path: str, record: Any) -> None:
        """Write a JSON record, keys sorted, so that equal records have equal bytes."""
        self.write(path, (json.dumps(record, sort_keys=True, indent=2, default=str) + "\n").encode())

    def exists(self, path: str) -> bool:
        """Whether the file is there."""
        with self._at(path) as (fs, full):
            return bool(fs.exists(full))

    def list(self, folder: str) -> list[Entry]:
        """Every file under ``folder``, sorted by path; empty when the folder is not there."""
        with self._at("") as (fs, base), self._at(folder) as (_, full):
            if not fs.exists(full):
                return []
            fs.invalidate_cache()
            found = fs.find(full, detail=True)
            return [Entry(name.removeprefix(base).lstrip("/"), int(info["size"]),
                          str(info.get("ETag") or info.get("mtime") or ""), _written(info))
                    for name, info in sorted(found.items())
                    if info["type"] == "file" and name != full]  # some servers keep a marker for an empty folder

    def is_being_written(self, path: str) -> bool:
        """Whether a process still has the file open for writing; an object store shows whole files alone.

        The kernel tells by granting or denying a lease, on Linux and to the file's owner (``fcntl(2)``). Where it tells
        nothing, the answer is no.
        """
        with self._at(path) as (fs, full):
            return _is_local(fs) and _is_open_for_writing(Path(full))

    def copy_to(self, folder: Path, paths: Sequence[str]) -> None:
        """Copy files into a folder of this machine, under the names that they have here.

        Raises ``PassingFault`` that names the folder, where its disk is full.
        """
        with self._at("") as (fs, base):
            try:
                for path in paths:
                    (folder / path).parent.mkdir(parents=True, exist_ok=True)
                if paths:
                    fs.get([f"{base}/{path}" for path in paths], [str(folder / path) for path in paths])
            except OSError as err:
                if err.errno != errno.ENOSPC:
                    raise
                raise PassingFault("The disk is full", value=folder, remedy="Make room, or copy to another.") from err

    def copy_from(self, folder: Path, paths: Sequence[str]) -> None:
        """Copy files of a folder of this machine here, under the names that they have there."""
        with self._at("") as (fs, base):
            if _is_local(fs):
                for path in paths:
                    Path(base, path).parent.mkdir(parents=True, exist_ok=True)
            if paths:
                fs.put([str(folder / path) for path in paths], [f"{base}/{path}" for path in paths])

    def delete(self, folder: str) -> None:
        """Remove a file or a folder with all in it; nothing happens when it is not there."""
        with self._at(folder) as (fs, full):
            if fs.exists(full):
                fs.rm(full, recursive=True)


def _options(root: str) -> dict[str, Any]:
    """A server that is away is given up on in seconds, and listings are never answered from memory."""
    if not root.startswith("s3://"):
        return {}
    return {"use_listings_cache": False,
            "config_kwargs": {"connect_timeout": 5, "read_timeout": 60, "retries": {"total_max_attempts": 3}}}


def _precondition_failed(err: OSError) -> bool:
    """Whether an object store refused because the object is there already; s3fs has no exception of its own for it."""
    return getattr(err.__cause__, "response", {}).get("Error", {}).get("Code") == "PreconditionFailed"


def _written(info: dict[str, Any]) -> float:
    told = info.get("LastModified") or info.get("mtime") or 0.0
    return told.timestamp() if isinstance(told, datetime) else float(told)


def _is_local(fs: Any) -> bool:
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))


def _is_open_for_writing(path: Path) -> bool:
    import fcntl
    import signal

    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    with path.open("rb") as handle:
        try:
            # Whoever opens the file while the lease stands has us told by a signal: one that is ignored.
            fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError as err:
            return err.errno == errno.EAGAIN
    return False


def _write_local(path: Path, content: bytes, anew: bool = False) -> None:
    import os
    from uuid import uuid4

    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f".{uuid4().hex}.part"
    try:
        with draft.open("xb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        if anew:
            os.link(draft, path)
            draft.unlink()
        else:
            os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
