"""The interpreter and libraries that a model was made with, built again where they are not those of now."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tollgate.config import PROJECT
from tollgate.registry.origin import LOCK, MODIFIED, Origin, environment

HERE = "this environment"
PROBE = """import json, platform
from importlib.metadata import distributions
there = {found.name: found.version for found in distributions()}
print(json.dumps({"python": platform.python_version(), "libraries": there}))"""


class _NotBuilt(Exception):
    """Why there is no environment of then."""


def interpreter(origin: Origin, folder: Path) -> tuple[str, str, list[str]]:
    """A Python that holds the recorded libraries: this one, or one built in ``folder`` from the recorded lock.

    Returns its path, whose libraries it holds, and sentences on what is not as recorded about it. Where the recorded
    lock cannot be had or installed, it is this one, and a sentence says why.
    """
    now = environment()
    if now["lock"] == origin["lock"] and _held(now) == _held(origin):
        return sys.executable, HERE, _differences(origin, now)
    try:
        python = _built(_recorded_lock(origin), _held(origin)["python"], folder)
    except _NotBuilt as why:
        return sys.executable, HERE, [*_differences(origin, now), f"{why}: the libraries of now were run"]
    return str(python), f"the lock {origin['lock'][:12]}", _differences(origin, {**now, **_probe(python),
                                                                              "lock": origin["lock"]})


def _held(origin: Origin) -> dict[str, Any]:
    """What a new environment can bring back: the libraries, and Python up to its minor version."""
    return {"python": ".".join(origin["python"].split(".")[:2]), "libraries": origin["libraries"]}


def _differences(then: Origin, now: Origin) -> list[str]:
    told = [f"{name} is {now[name]}, and was {then[name]}" for name in ("python", "platform")
            if now[name] != then[name]]
    told += [f"the library {name} is {now['libraries'].get(name, 'missing')}, and was {version}"
             for name, version in then["libraries"].items() if now["libraries"].get(name) != version]
    if now["lock"] != then["lock"]:
        told.append(f"{LOCK} is another: {now['lock'][:12]}, and was {then['lock'][:12]}")
    return told


def _recorded_lock(origin: Origin) -> bytes:
    commit = origin["commit"].removesuffix(MODIFIED)
    try:
        lock = subprocess.run(["git", "-C", str(PROJECT), "show", f"{commit}:{LOCK}"], capture_output=True,
                              check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise _NotBuilt(f"{LOCK} of the commit {commit} is not in this repository, to which git fetch --unshallow may "
                        "bring it") from None
    if hashlib.sha256(lock).hexdigest() != origin["lock"]:
        raise _NotBuilt(f"{LOCK} was changed and not committed when the model was made")
    return lock


def _built(lock: bytes, python: str, folder: Path) -> Path:
    from uv import find_uv_bin

    path = folder / "environment"
    (folder / "lock.txt").write_bytes(lock)
    inside = path / "bin" / "python"
    for words in (["venv", "--python", python, str(path)],
                  ["pip", "sync", "--require-hashes", "--python", str(inside), str(folder / "lock.txt")]):
        done = subprocess.run([find_uv_bin(), *words, "--quiet"], env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise _NotBuilt(f"the environment of then could not be built ({' '.join(done.stderr.split())})")
    return inside


def _probe(python: Path) -> Origin:
    there: Origin = json.loads(subprocess.run([str(python), "-c", PROBE], capture_output=True, check=True).stdout)
    return there
