"""A backup and its restoration: after the loss of everything, the ledger holds and last night can be scored again."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from mlflow import MlflowClient
from registry.world import BOOK, aliases, kinds
from scoring.nightly import ROWS, pin, score, score_shards, scores

from tollgate import lake, registry, scoring
from tollgate.backup import backup, restore
from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault

Settle = Callable[[Path], Path]


@pytest.fixture
def saved(night: Path, tmp_path: Path) -> Path:
    """A deployment with a published night, and its backup."""
    score()
    backup(tmp_path / "backup")
    return tmp_path / "backup"


@pytest.fixture
def lost(saved: Path, night: Path, tmp_path: Path, settle: Settle, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The backup of a deployment of which nothing is left; we live where nothing is."""
    shutil.rmtree(night)
    settle(tmp_path / "elsewhere")
    monkeypatch.setenv("TOLLGATE_MLFLOW_ARTIFACTS", str(night / "mlflow-artifacts"))
    return saved


@pytest.fixture
def small(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment of a file a location, beside an MLflow server that nobody asks."""
    monkeypatch.setenv("TOLLGATE_MLFLOW", "http://127.0.0.1:1")
    for name in ("landing", "lake", "store", "keys"):
        (home / name).mkdir(parents=True)
        (home / name / "file").write_text(name)
    return home


def test_what_was_lost_is_restored_with_its_decisions_and_gives_last_nights_scores_again(
        night: Path, tmp_path: Path, settle: Settle, monkeypatch: pytest.MonkeyPatch) -> None:
    score()
    before = scores(), kinds(), aliases(), registry.champion(BOOK)
    told: list[str] = []
    backup(tmp_path / "backup", told.append)
    shutil.rmtree(night)
    settle(tmp_path / "elsewhere")
    monkeypatch.setenv("TOLLGATE_MLFLOW_ARTIFACTS", str(night / "mlflow-artifacts"))
    assert registry.champion(BOOK) is None

    found = restore(tmp_path / "backup", told.append)

    assert found["ledgers"] == {BOOK: len(registry.entries(BOOK))}
    assert found["proved"] == [{"book": BOOK, "version": "1", "source": "scores of 2006-10-01", "rows": ROWS}]
    assert (scores(), kinds(), aliases(), registry.champion(BOOK)) == before
    assert f"{BOOK}: version 1 gives all {ROWS} scores of 2006-10-01 again" in told


def test_what_was_restored_goes_on_with_the_next_night_and_the_next_decision(lost: Path) -> None:
    restore(lost)
    following = pin("next", as_of=date(2006, 11, 1))
    scoring.publish(score_shards(following))
    challenger = registry.challenger(BOOK)
    assert challenger is not None
    registry.promote(BOOK, challenger.version, challenger.digest, by="ann")
    assert registry.verify(BOOK)["entries"] == len(registry.entries(BOOK))


def test_a_backup_is_for_its_owner_alone_and_so_is_the_key_that_comes_back(lost: Path) -> None:
    key, closed = settings().data / "keys" / "ledger.pem", list[bool]()

    def look(line: str) -> None:
        if key.exists():
            closed.append(stat.S_IMODE(key.parent.stat().st_mode) == 0o700)

    assert stat.S_IMODE(lost.stat().st_mode) == 0o700
    restore(lost, look)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert closed and all(closed), "also while the restoration goes on"


def test_a_restoration_that_was_cut_off_is_begun_again_by_the_same_command(lost: Path) -> None:
    def cut(line: str) -> None:
        if line.startswith("lake"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(lost, cut)
    assert restore(lost)["proved"][0]["rows"] == ROWS


def test_a_backup_in_which_a_file_was_changed_is_refused_before_anything_is_written(lost: Path) -> None:
    changed = next((lost / "lake").rglob("*.parquet"))
    changed.write_bytes(changed.read_bytes()[:-1])
    with pytest.raises(BadInput, match="A file of the backup is gone or is not what was copied") as err:
        restore(lost)
    assert str(changed) in str(err.value)
    assert not Path(settings().lake).exists()


def test_a_disk_that_the_backup_fills_is_named(small: Path, tmp_path: Path) -> None:
    (small / "lake" / "file").write_bytes(b"x" * 4_000_000)
    (tmp_path / "disk").mkdir()
    script = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(tmp_path / "disk"),
         str(Path(sys.executable).with_name("tollgate")), "backup", str(tmp_path / "disk" / "backup")],
        capture_output=True, text=True, check=False)
    assert done.returncode == 75
    assert f"error: The disk is full (got: {tmp_path / 'disk' / 'backup' / 'lake'})" in done.stderr


@pytest.mark.parametrize("record", ["", '{"format": 1', "[]", "{}"])
def test_a_record_that_is_torn_makes_a_backup_none(small: Path, tmp_path: Path, record: str) -> None:
    backup(tmp_path / "backup")
    (tmp_path / "backup" / "backup.json").write_text(record)
    with pytest.raises(BadInput, match="record of the backup cannot be read.*backup.json.*Take another backup"):
        restore(tmp_path / "backup")


def test_a_backup_that_was_cut_off_is_none(lost: Path) -> None:
    (lost / "backup.json").unlink()
    with pytest.raises(BadInput, match="no whole backup.*backup.json is written last"):
        restore(lost)


def test_a_backup_of_another_format_is_refused(lost: Path) -> None:
    record = json.loads((lost / "backup.json").read_text())
    (lost / "backup.json").write_text(json.dumps({**record, "format": 0}))
    with pytest.raises(BadInput, match="Another Tollgate made this backup.*format 0, not 1"):
        restore(lost)


def test_nothing_of_a_deployment_that_went_on_is_written_over(saved: Path) -> None:
    scoring.publish(score_shards(pin("next", as_of=date(2006, 11, 1))))
    before = scores(), lake.version(lake.scores(BOOK))
    with pytest.raises(BadInput, match="restored where nothing is"):
        restore(saved)
    assert (scores(), lake.version(lake.scores(BOOK))) == before


def test_models_that_the_backup_does_not_know_are_not_written_over_in_a_database_that_others_use(
        home: Path, settle: Settle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_MLFLOW_ARTIFACTS", str(tmp_path / "artefacts"))
    settle(home)
    backup(tmp_path / "backup")
    settle(tmp_path / "theirs")
    MlflowClient(registry.address(), registry.address()).create_run("0", run_name="theirs")
    (run,) = registry.runs_and_versions(registry.address())
    with pytest.raises(BadInput, match=f"holds what the backup does not know.*{run}.*Set TOLLGATE_MLFLOW to an empty"):
        restore(tmp_path / "backup")
    assert registry.runs_and_versions(registry.address()) == [run]


def test_a_server_in_front_of_mlflows_database_cannot_take_it_back(small: Path, tmp_path: Path) -> None:
    backup(tmp_path / "backup")
    shutil.rmtree(small)
    (tmp_path / "backup" / "mlflow.dump").touch()
    record = json.loads((tmp_path / "backup" / "backup.json").read_text())
    (tmp_path / "backup" / "backup.json").write_text(json.dumps({**record, "dump": hashlib.sha256().hexdigest()}))
    with pytest.raises(BadInput, match="a server stands before it.*Set TOLLGATE_MLFLOW to the database of that server"):
        restore(tmp_path / "backup")


def test_artefacts_that_would_lie_elsewhere_than_mlflow_says_are_refused(
        lost: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    then = settings().mlflow_artifacts
    monkeypatch.setenv("TOLLGATE_MLFLOW_ARTIFACTS", "/elsewhere")
    with pytest.raises(BadInput, match=f"Set TOLLGATE_MLFLOW_ARTIFACTS to {then}"):
        restore(lost)


@pytest.mark.parametrize(("then", "now", "remedy"), [
    ("ledger", "lake", "apart from the lake in the backup, and here not.*Set TOLLGATE_LEDGER to where"),
    ("lake", "ledger", "in the lake in the backup, and here not.*Unset TOLLGATE_LEDGER")])
def test_a_ledger_that_would_be_looked_for_elsewhere_than_it_lies_is_not_left_out_in_silence(
        small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str, now: str, remedy: str) -> None:
    monkeypatch.setenv("TOLLGATE_LEDGER", str(small / then))
    backup(tmp_path / "backup")
    shutil.rmtree(small)
    monkeypatch.setenv("TOLLGATE_LEDGER", str(small / now))
    with pytest.raises(BadInput, match=remedy):
        restore(tmp_path / "backup")
    assert not small.exists()


def test_a_book_that_is_not_here_is_told_of_after_its_ledger_came_back_unproved(small: Path, tmp_path: Path) -> None:
    (small / "lake" / "mortgages" / "ledger").mkdir(parents=True)
    (small / "lake" / "mortgages" / "ledger" / "file").touch()
    backup(tmp_path / "backup")
    shutil.rmtree(small)
    with pytest.raises(BadInput, match="Unknown book.*got: mortgages.*must come back before its models can score"):
        restore(tmp_path / "backup")
    assert (small / "lake" / "mortgages" / "ledger" / "file").exists()


def test_what_is_written_while_a_backup_is_made_makes_it_none(night: Path, tmp_path: Path) -> None:
    def write(line: str) -> None:
        if line.startswith("lake"):
            score()

    with pytest.raises(PassingFault, match="written while the backup was made.*Pause the DAGs"):
        backup(tmp_path / "backup", write)
    assert not (tmp_path / "backup" / "backup.json").exists()


def test_what_is_taken_away_while_a_backup_is_made_makes_it_none_either(small: Path, tmp_path: Path) -> None:
    def take_away(line: str) -> None:
        if line.startswith("landing"):
            (small / "lake" / "file").unlink()

    with pytest.raises(PassingFault, match="written while the backup was made.*got: lake/file.*Pause the DAGs"):
        backup(tmp_path / "backup", take_away)


def test_a_folder_that_was_there_before_is_closed_to_others_than_its_owner(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    folder.mkdir()
    folder.chmod(0o755)
    backup(folder)
    assert (folder / "keys" / "file").exists()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_in_which_no_backup_can_be_is_told_as_such(small: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "backup"):
        with pytest.raises(BadInput, match="cannot be made there.*Name a folder that is not there yet"):
            backup(folder)
    with pytest.raises(BadInput, match="does not lie in what it copies, the store.*another disk"):
        backup(small / "store" / "backup")
    assert not (small / "store" / "backup").exists()


def test_a_backup_is_not_mixed_with_what_is_in_a_folder(saved: Path) -> None:
    with pytest.raises(BadInput, match="folder of its own"):
        backup(saved)


def test_a_key_that_lies_elsewhere_is_named_as_left_out(
        night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Path(shutil.copy(night / "keys" / "ledger.pem", tmp_path / "key.pem"))
    monkeypatch.setenv("TOLLGATE_LEDGER_KEY", str(key))
    made = backup(tmp_path / "backup")
    assert made["elsewhere"] == [f"the key of the ledger, {key}"]
    assert not list((tmp_path / "backup").rglob("*.pem"))
