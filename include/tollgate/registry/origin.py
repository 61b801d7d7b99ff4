"""What a model was made of: recorded in the ledger when it is registered, compared when it is made again."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from tollgate.config import PROJECT, Params
from tollgate.registry.runs import read_json

LIBRARIES = ("deltalake", "duckdb", "lightgbm", "mlflow", "numpy", "optbinning", "optuna", "pandas", "pyarrow",
             "scikit-learn", "scipy", "xgboost-cpu")
DECIDES = ("include", "requirements", "dvc.yaml")  # params.yaml is recorded by its content
LOCK = "requirements/pipeline.txt"
MODIFIED = "-modified"  # ends a commit whose code was changed after it

Origin = dict[str, Any]


def origin_of(run_folder: Path, params: Params) -> Origin:
    """What the run in ``run_folder`` stands on.

    Returns ``{"params": all of them, "lake": what the lake showed, "lake_versions": {table: Delta version at the pin},
    "snapshot": digest, "book_files": {file: SHA-256}, "commit", "code", "lock", "python", "platform", "libraries"}``.

    Raises:
        BadInput: a file of the run is missing.
    """
    snapshot = read_json(run_folder / "snapshot.json")
    return {"params": params.model_dump(mode="json"), "lake": snapshot["lake"], "snapshot": snapshot["digest"],
            "book_files": read_json(run_folder / "book.json")["files"],
            "lake_versions": read_json(run_folder / "delta.json"), **environment()}


def environment() -> Origin:
    """The code, the interpreter and the libraries that run now."""
    lock = PROJECT / LOCK
    return {"commit": code_commit(), "code": code_digest(PROJECT),
            "lock": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "none",
            "python": platform.python_version(), "platform": platform.platform(),
            "libraries": {name: version_of(name) for name in LIBRARIES}}


def code_digest(project: Path) -> str:
    """SHA-256 over the names and contents of every module: equal code, whatever git says of it."""
    package, whole = project / "include" / "tollgate", hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        whole.update(f"{path.relative_to(package).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def code_commit() -> str:
    """The code's git commit, marked when files that decide a model differ from it.

    Outside a repository, as in an image, the one that it was built from (``TOLLGATE_COMMIT``), or "none".
    """

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(PROJECT), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (MODIFIED if git("status", "--porcelain", "--", *DECIDES) else "")
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("TOLLGATE_COMMIT") or "none"
