"""Erasing a loan from what training runs made, laid out as DVC lays it out: by hashes, folders as lists."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
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


def erase(loan: str, *, now: float | None = None, dry_run: bool = False) -> tuple[list[str], list[str]]:
    return erase_from_runs("consumer", [loan], now=time.time() if now is None else now, dry_run=dry_run)


def a_run(name: str, loans: list[str], book: str = "consumer") -> Path:
    """The record of a run that made a snapshot, features and histories, and its workspace."""
    history = kept(parquet(line=[name, *loans]))
    outs = {"run/snapshot.parquet": kept(parquet(loan_id=loans)),
            "run/features.parquet": kept(parquet(loan_id=loans, made_by=[name for _ in loans])),
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
    assert erase("L1", dry_run=True)[0] == ["held"] and objects(home) == before
    assert erase("L1")[0] == ["held"]
    assert objects(home) == before - 2 * 4, "snapshot, features, the list of histories and the one in it"
    assert not held.exists() and whole.exists() and other.exists()
    assert erase("L1") == ([], [])


def test_a_run_whose_workspace_is_gone_here_is_found_in_the_remote(home: Path) -> None:
    workspace = a_run("held", ["L1", "L2"])
    shutil.rmtree(workspace)
    shutil.rmtree(home / "dvc-cache")
    assert erase("L2")[0] == ["held"]
    assert objects(home) == 1, "what is no row"


def test_of_two_runs_with_the_same_snapshot_both_lose_all_their_rows(home: Path) -> None:
    for name in ("first", "second"):  # alike but for their features and histories
        shutil.rmtree(a_run(name, ["L1", "L2"]))
    assert erase("L1", dry_run=True)[0] == erase("L1")[0] == ["first", "second"]
    assert objects(home) == 2 * 2, "what is no row"


def test_whoever_was_killed_between_two_runs_with_the_same_snapshot_finds_both_again(
        home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        shutil.rmtree(a_run(name, ["L1", "L2"]))
    delete, left = Store.delete, 7

    def killed(store: Store, path: str) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt
        delete(store, path)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Store, "delete", killed)
        erase("L1")
    assert erase("L1")[0] == ["first", "second"]
    assert objects(home) == 2 * 2


def test_what_an_earlier_run_of_a_stage_left_goes_too_once_it_is_a_day_old(home: Path) -> None:
    """Such as the snapshot of another as-of, which ``dvc repro`` keeps in its cache when its lock names a newer one."""
    a_run("whole", ["L3"])
    before = objects(home)
    kept(parquet(loan_id=["L1"], as_of=["2006"]))
    kept(parquet(loan_id=["L3"], as_of=["2006"]))
    found, left = erase("L1")
    assert found == [] and len(left) == 2 and all("younger than a day" in said for said in left)
    tomorrow = time.time() + 90_000
    assert erase("L1", now=tomorrow, dry_run=True)[0] == erase("L1", now=tomorrow)[0] == ["(of no run any more)"]
    assert objects(home) == before + 2, "what holds another loan stays"
    assert erase("L1", now=tomorrow) == ([], [])


def test_a_loan_of_the_same_id_in_another_book_stays(home: Path) -> None:
    a_run("other", ["L1"], book="sba")
    before = objects(home)
    assert erase("L1", now=time.time() + 90_000) == ([], []) and objects(home) == before
