"""Deleting the rows of training runs that hold a loan: what DVC keeps of them, and the workspaces of this machine.

Content is named by its hash, so that a row cannot be taken out of it: the rows of such a run go whole. Its model, its
gates, its record and its parameters stay; the loan is in none of them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tollgate.config import settings
from tollgate.lake import Store
from tollgate.versioning.project import cache
from tollgate.versioning.record import Output, outputs

LOAN = "loan_id"
SEARCHED = ("run/declined.parquet", "run/evidence.parquet", "run/split.parquet", "run/snapshot.parquet")
# Row by row those of the snapshot, or of the histories of its loans; what is searched goes last.
ROWS = ("run/features.parquet", "run/feed.parquet", "run/histories", "run/sweep", *SEARCHED)


@dataclass(frozen=True)
class _Run:
    """A run: its lock, the stores that may hold its outputs, and its folder on this machine."""

    name: str
    made: dict[str, Output]
    stores: tuple[Store, ...]
    folder: Path


def erase_from_runs(book: str, loans: Sequence[str], *, dry_run: bool = False) -> tuple[list[str], list[str]]:
    """Delete the rows of every run of the book that hold one of these loans, in the DVC remote and on this machine.

    Returns the names of these runs, and a sentence for what cannot be looked through.

    Raises:
        PassingFault: the store or the DVC remote did not answer.
    """
    wanted = pa.array(list(loans), pa.string())
    found: list[str] = []
    left: list[str] = []
    for run in _runs(book):
        searched = [run.made[name] for name in SEARCHED if name in run.made]
        there = [(store, _path(out.md5)) for out in searched for store in run.stores]
        files = sorted(run.folder.glob("run/**/*.parquet")) if run.folder.is_dir() else []
        held = (any(store.exists(path) and _holds(store, path, wanted) for store, path in there)
                or any(_holds(Store(str(path.parent)), path.name, wanted) for path in files))
        if held and run.folder == settings().project and run.folder not in settings().data.parents:
            left.append(f"{run.folder}/run was made by `dvc repro` with another data folder than this one: delete it, "
                        "or run this with that one")
        elif held:
            found.append(run.name)
            if not dry_run:
                _delete(run)
    if found:
        left.append("other machines may keep copies of these runs, which this one cannot see: delete workspaces and "
                    "dvc-cache of their data folders")
    return found, left


def _runs(book: str) -> Iterator[_Run]:
    """Those of train_weekly by their records, and that of `dvc repro` in the project itself."""
    import yaml

    store, remote = Store(settings().store), Store(settings().dvc_remote)
    records = {entry.path for entry in store.list("workspaces")}
    for path in sorted(records):
        if path.endswith("/run/params.yaml") and yaml.safe_load(store.read(path))["book"] == book:
            name = path.removeprefix("workspaces/").removesuffix("/run/params.yaml")
            lock = f"workspaces/{name}/dvc.lock"
            yield _Run(name, outputs(store.read(lock) if lock in records else None), (remote, Store(str(cache()))),
                       settings().data / "workspaces" / name)
    own = settings().project
    params = own / "run" / "params.yaml"
    if params.is_file() and yaml.safe_load(params.read_bytes())["book"] == book:
        lock_file = own / "dvc.lock"
        yield _Run("dvc repro", outputs(lock_file.read_bytes() if lock_file.is_file() else None),
                   (remote, Store(str(own / ".dvc" / "cache"))), own)


def _path(md5: str) -> str:
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def _holds(store: Store, path: str, wanted: pa.Array) -> bool:
    with store.open(path) as content:
        try:
            file = pq.ParquetFile(content)
            if LOAN not in file.schema_arrow.names:
                return False
            return bool(pc.any(pc.is_in(file.read([LOAN])[LOAN], value_set=wanted)).as_py())
        except pa.ArrowInvalid:
            return False  # torn, so that nobody can read it


def _delete(run: _Run) -> None:
    """Everything of the run that is rows; what tells that it holds the loan goes last."""
    for name in ROWS:
        if name not in run.made:
            continue
        for store in run.stores:
            path = _path(run.made[name].md5)
            if run.made[name].is_folder and store.exists(path):
                for inside in json.loads(store.read(path)):
                    store.delete(_path(inside["md5"]))
            store.delete(path)
    if run.folder == settings().project:
        for name in ROWS:
            Store(str(run.folder)).delete(name)
    else:
        shutil.rmtree(run.folder, ignore_errors=True)
