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
from tollgate.lake import Entry, Store
from tollgate.versioning.project import cache
from tollgate.versioning.record import Output, outputs

LOAN = "loan_id"
SEARCHED = ("run/declined.parquet", "run/evidence.parquet", "run/split.parquet", "run/snapshot.parquet")
# Row by row those of the snapshot, or of the histories of its loans; what is searched goes last.
ROWS = ("run/features.parquet", "run/feed.parquet", "run/histories", "run/sweep", *SEARCHED)
UNNAMED = "(of no run any more)"
YOUNG_SECONDS = 86_400  # what no run names may be of a stage that has not ended yet


@dataclass(frozen=True)
class _Run:
    """A run: its lock, the stores that may hold its outputs, and its folder on this machine."""

    name: str
    book: str
    made: dict[str, Output]
    stores: tuple[Store, ...]
    folder: Path


def erase_from_runs(book: str, loans: Sequence[str], *, now: float, dry_run: bool = False
                    ) -> tuple[list[str], list[str]]:
    """Delete the rows of every run of the book that hold one of these loans, in the DVC remote and on this machine.

    So goes what no run names any more, such as what an earlier ``dvc repro`` left in its cache.

    Args:
        now: the moment, in seconds since 1970: what no run names is left until it is a day old.

    Returns the names of these runs, ``UNNAMED`` among them, and a sentence for what cannot be looked through.

    Raises:
        PassingFault: the store or the DVC remote did not answer.
    """
    wanted = pa.array(list(loans), pa.string())
    every, held, left = list(_runs()), list[_Run](), list[str]()
    for run in (run for run in every if run.book == book):
        searched = [run.made[name] for name in SEARCHED if name in run.made]
        there = [(store, _path(out.md5)) for out in searched for store in run.stores]
        files = sorted(run.folder.glob("run/**/*.parquet")) if run.folder.is_dir() else []
        if not (any(store.exists(path) and _holds(store, path, wanted) for store, path in there)
                or any(_holds(Store(str(path.parent)), path.name, wanted) for path in files)):
            continue
        if run.folder == settings().project and not _is_ours():
            left.append(f"{run.folder}/run was made by `dvc repro` with another data folder than this one: delete it, "
                        "or run this with that one")
        else:
            held.append(run)
    found = [run.name for run in held]
    unnamed = list(_unnamed(every, wanted))
    if not dry_run:
        _delete(held)
    for store, entry in unnamed:
        if store.root == _own_cache() and not _is_ours():
            left.append(f"{store.root}/{entry.path} was made by `dvc repro` with another data folder than this one: "
                        "delete it, or run this with that one")
        elif entry.written > now - YOUNG_SECONDS:
            left.append(f"{store.root}/{entry.path}, which no run names and which is younger than a day, holds one of "
                        "them: run this again tomorrow")
        else:
            found = found if UNNAMED in found else [*found, UNNAMED]
            if not dry_run:
                store.delete(entry.path)
    if found:
        left.append("other machines may keep copies of these runs, which this one cannot see: delete workspaces and "
                    "dvc-cache of their data folders")
    return found, left


def _runs() -> Iterator[_Run]:
    """Those of train_weekly by their records, and that of `dvc repro` in the project itself."""
    import yaml

    store, remote = Store(settings().store), Store(settings().dvc_remote)
    records = {entry.path for entry in store.list("workspaces")}
    for path in sorted(records):
        if path.endswith("/run/params.yaml"):
            name = path.removeprefix("workspaces/").removesuffix("/run/params.yaml")
            lock = f"workspaces/{name}/dvc.lock"
            yield _Run(name, yaml.safe_load(store.read(path))["book"],
                       outputs(store.read(lock) if lock in records else None), (remote, Store(str(cache()))),
                       settings().data / "workspaces" / name)
    own = settings().project
    params = own / "run" / "params.yaml"
    if params.is_file():
        lock_file = own / "dvc.lock"
        yield _Run("dvc repro", yaml.safe_load(params.read_bytes())["book"],
                   outputs(lock_file.read_bytes() if lock_file.is_file() else None),
                   (remote, Store(_own_cache())), own)


def _own_cache() -> str:
    """Where `dvc repro` keeps what it made."""
    return str(settings().project / ".dvc" / "cache")


def _is_ours() -> bool:
    """Whether what `dvc repro` made in the project is of this data folder."""
    return settings().project in settings().data.parents


def _unnamed(runs: Sequence[_Run], wanted: pa.Array) -> Iterator[tuple[Store, Entry]]:
    """What holds one of the loans and no run names, of whatever book."""
    named = {_path(md5) for run in runs for out in run.made.values()
             for md5 in (out.md5, *(_inside(out, run.stores) if out.is_folder else ()))}
    for root in (settings().dvc_remote, str(cache()), _own_cache()):
        store = Store(root)
        for entry in store.list("files/md5"):
            if entry.path not in named and not entry.path.endswith(".dir") and _holds(store, entry.path, wanted):
                yield store, entry


def _inside(folder: Output, stores: Sequence[Store]) -> list[str]:
    """The hashes of a folder's files, by whichever store has the list of them."""
    path = _path(folder.md5)
    return [file["md5"] for store in stores if store.exists(path) for file in json.loads(store.read(path))]


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


def _delete(runs: Sequence[_Run]) -> None:
    """Everything of the runs that is rows; what tells that they hold the loan goes last, for they may share it."""
    for last in (False, True):
        for run in runs:
            for name in (name for name in ROWS if name in run.made and (name in SEARCHED) == last):
                out = run.made[name]
                for store in run.stores:
                    for md5 in _inside(out, [store]) if out.is_folder else ():
                        store.delete(_path(md5))
                    store.delete(_path(out.md5))
    for run in runs:
        if run.folder == settings().project:
            for name in ROWS:
                Store(str(run.folder)).delete(name)
        else:
            shutil.rmtree(run.folder, ignore_errors=True)
