"""Erasing a loan from training runs: those that hold it lose their rows, wherever these are; others lose nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import scratch
from scratch import Scratch
from tests.versioning.test_two_machines import opened, recorded

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # DVC's own, of a library of its own

def holding(loan: str, project: Scratch) -> list[str]:
    """Every Parquet file that holds a loan, but for what plays the lender."""
    found = []
    for path in sorted(project.data.rglob("*")):
        if path.is_file() and "sources" not in path.parts and path.read_bytes()[:4] == b"PAR1":
            rows = pq.read_table(path, partitioning=None)
            if "loan_id" in rows.column_names and loan in rows["loan_id"].to_pylist():
                found.append(str(path.relative_to(project.data)))
    return found


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Scratch]:
    made = scratch.make(tmp_path / "project", book="consumer")
    yield made
    made.stop()


def test_a_run_that_held_the_loan_loses_its_rows_here_and_in_the_remote_and_another_is_whole(project: Scratch) -> None:
    project.simulate(150)
    project.ask("ingest", "history", "consumer", "--as-of", "2007-01-01")
    older = opened(project, "older", "snapshot", as_of="2006-07-01")
    newer = opened(project, "newer", "snapshot")
    held = set(pq.read_table(older / "run" / "snapshot.parquet")["loan_id"].to_pylist())
    loan = next(loan for loan in pq.read_table(newer / "run" / "snapshot.parquet")["loan_id"].to_pylist()
                if loan not in held)
    assert len(holding(loan, project)) > 5
    kept, gone = (project.data / "dvc-remote" / "files" / "md5" / md5[:2] / md5[2:] for md5 in (
        recorded(project, run, "run/snapshot.parquet") for run in ("older", "newer")))
    assert kept.exists() and gone.exists()
    shutil.copytree(newer / "run", project.folder / "run")  # as `dvc repro` would have left it
    told = project.ask("erase", "consumer", loan, "--reason", "request 17")
    assert told["runs"] == ["newer", "dvc repro"]
    assert all("sources" in said or "other machines" in said for said in told["still_holds"])
    assert holding(loan, project) == []
    assert not (project.folder / "run" / "snapshot.parquet").exists()
    assert not newer.exists() and (older / "run" / "snapshot.parquet").exists()
    assert kept.exists() and not gone.exists()
    assert project.ask("erase", "consumer", loan, "--reason", "request 17")["ledger"] is None
