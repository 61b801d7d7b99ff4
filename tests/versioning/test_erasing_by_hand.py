"""Erasing a loan from what training runs made, laid out as DVC lays it out: by hashes, folders as lists."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tollgate.config import settings
from tollgate.lake import Store
from tollgate.versioning import erase_from_runs


def parquet(**columns: list[object]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def kept(content: bytes, ending: str = "") -> str:
    """Keep content in the remote and in the cache under its hash, which is handed back."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() + ending
    for root in (settings().dvc_remote, str(settings().data / "dvc-cache")):
        Store(root).write(f"files/md5/{md5[:2]}/{md5[2:]}", content)
    return md5


def a_run(name: str, loans: list[str], book: str = "consumer") -> Path:
    """The record of a run that made a snapshot, features and histories, and its workspace."""
    history = kept(parquet(line=[name, *loans]))
    outs = {"run/snapshot.parquet": kept(parquet(loan_id=loans)), "run/features.parquet": kept(parquet(x=loans)),
            "run/histories": kept(json.dumps([{"md5": history, "relpath": "b.parquet"}]).encode(), ".dir"),
            "run/metrics.json": kept(name.encode())}
    store = Store(settings().store)
    store.write(f"workspaces/{name}/run/params.yaml", yaml.safe_dump({"book": book}).encode())
    store.write(f"workspaces/{name}/dvc.lock", yaml.safe_dump({"stages": {"all": {"outs": [
        {"path": path, "md5": md5, "size": 1} for path, md5 in outs.items()]}}}).encode())
    workspace = settings().data / "workspaces" / name
    (workspace / "run").mkdir(parents=True)
    pq.write_table(pa.table({"loan_id": loans}), workspace / "run" / "snapshot.parquet")
    return workspace


def objects(home: Path) -> int:
    return sum(path.is_file() for root in ("dvc-remote", "dvc-cache") for path in (home / root).rglob("*"))


def test_rows_of_a_run_go_from_remote_cache_and_workspace_and_what_is_no_row_stays(home: Path) -> None:
    held, whole, other = a_run("held", ["L1", "L2"]), a_run("whole", ["L3"]), a_run("other", ["L1"], book="sba")
    before = objects(home)
    assert erase_from_runs("consumer", ["L1"], dry_run=True)[0] == ["held"] and objects(home) == before
    assert erase_from_runs("consumer", ["L1"])[0] == ["held"]
    assert objects(home) == before - 2 * 4, "snapshot, features, the list of histories and the one in it"
    assert not held.exists() and whole.exists() and other.exists()
    assert erase_from_runs("consumer", ["L1"]) == ([], [])


def test_a_run_whose_workspace_is_gone_here_is_found_in_the_remote(home: Path) -> None:
    workspace = a_run("held", ["L1", "L2"])
    shutil.rmtree(workspace)
    shutil.rmtree(home / "dvc-cache")
    assert erase_from_runs("consumer", ["L2"])[0] == ["held"]
    assert objects(home) == 1, "what is no row"
