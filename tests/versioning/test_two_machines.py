"""One run on two machines, which share the lake, the store and the DVC remote and no disk: the record decides."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import scratch
import yaml
from scratch import BIN, Scratch
from tests.processes import places

from tollgate.config import PROJECT
from tollgate.errors import BadInput, PassingFault
from tollgate.versioning import restore, run_stage
from tollgate.versioning.project import reproduce, standing_in

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")  # DVC's own, of a library of its own

AS_OF = "2007-01-01"
FEATURES, SPLIT = "run/features.parquet", "run/split.parquet"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    """Machine A: a lake with a small history, and whatever its runs share."""
    project = scratch.make(tmp_path_factory.mktemp("machines") / "a", book="consumer",
                           sweep={"trials": 1, "rounds_max": 10})
    project.simulate(150)
    project.ask("ingest", "history", "consumer", "--as-of", AS_OF)
    yield project
    project.stop()


def another(project: Scratch, folder: Path) -> tuple[Scratch, dict[str, str]]:
    """A machine that has nothing of its own, and what it has to be told to share what ``project`` shares.

    Its code is a copy, to be changed.
    """
    other = scratch.make(folder)
    shutil.copyfile(project.folder / "params.yaml", folder / "params.yaml")
    (folder / "include").unlink()
    shutil.copytree(PROJECT / "include", folder / "include")
    shared = {f"TOLLGATE_{name.replace('-', '_').upper()}": str(project.data / name)
              for name in ("lake", "store", "dvc-remote")}
    return other, {**shared, "PYTHONPATH": str(folder / "include")}


def opened(project: Scratch, run: str, *stages: str, as_of: str = AS_OF) -> Path:
    """Open a run and take it through some stages; its workspace."""
    project.ask("run", "open", run, "--book", "consumer", "--as-of", as_of)
    for stage in stages:
        project.ask("run", "stage", run, stage)
    return project.data / "workspaces" / run


def recorded(project: Scratch, run: str, name: str) -> str:
    """The hash that the run's record names."""
    lock = yaml.safe_load((project.data / "store" / "workspaces" / run / "dvc.lock").read_text())
    return next(out["md5"] for stage in lock["stages"].values() for out in stage["outs"] if out["path"] == name)


def content(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def live(project: Scratch, patch: pytest.MonkeyPatch) -> None:
    """Let this process work in the project."""
    for name, value in project.places.items():
        patch.setenv(name, value)


def test_a_stage_that_ran_again_elsewhere_replaces_what_an_earlier_machine_still_has(
        machine: Scratch, tmp_path: Path) -> None:
    workspace = opened(machine, "moved", "snapshot", "features", "split")
    stale = content(workspace / FEATURES)
    other, shared = another(machine, tmp_path / "b")
    written = "pq.ParquetWriter(path, first.schema)"
    for name, old, new in (("run_files.py", written, written.replace(")", ", compression='none')")),
                           ("features/make.py", "def make_features", "# changed\ndef make_features")):
        code = other.folder / "include" / "tollgate" / name
        assert old in code.read_text()
        code.write_text(code.read_text().replace(old, new))
    other.ask("run", "stage", "moved", "features", **shared)
    fresh = recorded(machine, "moved", FEATURES)
    assert fresh != stale
    assert content(workspace / FEATURES) == stale, "machine A has not been told yet"
    machine.ask("run", "stage", "moved", "sweep")
    assert content(workspace / FEATURES) == fresh
    lock = yaml.safe_load((machine.data / "store" / "workspaces" / "moved" / "dvc.lock").read_text())
    read = {dep["path"]: dep["md5"] for dep in lock["stages"]["sweep"]["deps"] if dep["path"] == FEATURES}
    assert read == {FEATURES: fresh}
    assert set(lock["stages"]) == {"snapshot", "features", "split", "sweep"}


def test_what_was_edited_or_torn_on_one_machine_is_put_right_even_where_its_size_and_times_tell_nothing(
        machine: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = opened(machine, "torn", "snapshot", "features", "split")
    live(machine, monkeypatch)
    right, path = recorded(machine, "torn", SPLIT), workspace / SPLIT
    times, whole = path.stat(), path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    (workspace / "run" / "params.yaml").write_text("book: card\n")
    (workspace / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    restore("torn", (SPLIT,))
    assert content(path) == right
    assert "book: consumer" in (workspace / "run" / "params.yaml").read_text()
    path.write_bytes(whole[:100])
    cached = machine.data / "dvc-cache" / "files" / "md5" / right[:2] / right[2:]
    cached.chmod(0o644)
    cached.write_bytes(whole[:100])
    cached.chmod(0o444)
    restore("torn", (SPLIT,))
    assert content(path) == right


def test_what_no_stage_has_recorded_is_not_taken_from_the_machine_s_own_folder(
        machine: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = opened(machine, "left", "snapshot")
    live(machine, monkeypatch)
    (workspace / SPLIT).write_bytes(b"left by a stage that was killed")
    with pytest.raises(BadInput, match="No stage of the run has made this yet"):
        restore("left", (SPLIT,))


def test_a_lock_that_another_machine_wrote_meanwhile_keeps_its_stage(
        machine: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(machine, "beside", "snapshot", "features")
    live(machine, monkeypatch)
    record = machine.data / "store" / "workspaces" / "beside" / "dvc.lock"

    def meanwhile(*args: object) -> None:
        reproduce(*args)
        written = yaml.safe_load(record.read_text())
        written["stages"]["sweep"] = {"cmd": "of another machine", "outs": []}
        record.write_text(yaml.safe_dump(written))

    monkeypatch.setattr("tollgate.versioning.workspace.reproduce", meanwhile)
    run_stage("beside", "split")
    stages = yaml.safe_load(record.read_text())["stages"]
    assert set(stages) == {"snapshot", "features", "split", "sweep"}
    assert stages["sweep"]["cmd"] == "of another machine"


def test_runs_that_pull_the_same_content_at_once_on_one_machine_all_have_it(machine: Scratch) -> None:
    runs = [f"pulling-{number}" for number in range(3)]
    for run in runs:
        opened(machine, run, "snapshot", "features")
    for name in ("workspaces", "dvc-cache"):
        shutil.rmtree(machine.data / name)
    clean = {name: value for name, value in os.environ.items() if name not in places()}
    children = [subprocess.Popen([BIN / "tollgate", "run", "stage", run, "split"], cwd=machine.folder, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**clean, **machine.places})
                for run in runs]
    ended = [(child.communicate()[1], child.returncode) for child in children]
    assert [code for _, code in ended] == [0] * len(runs), ended
    hashes = {content(machine.data / "workspaces" / run / "run/snapshot.parquet") for run in runs}
    assert hashes == {recorded(machine, runs[0], "run/snapshot.parquet")}


def test_a_lock_that_dvc_finds_taken_is_a_passing_fault(machine: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = opened(machine, "locked", "snapshot", "features")
    live(machine, monkeypatch)
    with standing_in(workspace) as other, other.lock, pytest.raises(PassingFault, match="Another process works"):
        run_stage("locked", "split")


def test_a_stage_that_was_killed_is_a_passing_fault(machine: Scratch) -> None:
    opened(machine, "killed", as_of="2006-11-01")  # no earlier run's result will do
    shell = machine.folder / "shell"
    shell.write_text("#!/bin/sh\nkill -9 $$\n")
    shell.chmod(0o755)
    killed = machine.run("tollgate", "run", "stage", "killed", "snapshot", SHELL=str(shell))
    assert killed.returncode == 75, killed.stderr
    assert "was killed" in killed.stderr.splitlines()[-1]
