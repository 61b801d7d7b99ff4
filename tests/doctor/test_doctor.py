"""`tollgate doctor` on deployments that are broken for real: each is named, with its remedy, and nothing else is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from doctor.reading import said
from scratch import BIN, Scratch

from tollgate import doctor
from tollgate.config import PROJECT


def test_a_new_deployment_is_well_and_nothing_is_left_in_it(well: Scratch) -> None:
    before = sorted(well.folder.rglob("*"))
    done = well.run("tollgate", "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["well"]
    assert {one["check"] for one in answer["findings"]} == set(doctor.CHECKS)
    assert [one for one in answer["findings"] if one["level"] != "ok"] == []
    assert sorted(well.folder.rglob("*")) == before


def test_a_person_reads_a_line_a_check_and_below_it_the_remedy(well: Scratch) -> None:
    (well.folder / ".dvc" / "config").unlink()
    quoted = f"stty columns 200; exec {BIN / 'tollgate'} doctor settings 'dvc remote'"
    done = well.run("python", "-c", f"import pty, sys; sys.exit(pty.spawn(['sh', '-c', {quoted!r}]) >> 8)")
    assert done.returncode == 2
    shown = re.sub("\x1b\\[[0-9;]*m|\r", "", done.stdout)
    assert "ok      settings: " in shown
    assert "error   dvc remote: The project has no .dvc/config" in shown
    assert "\n    -> Bring it back from the repository" in shown
    assert "so: 1 errors, 0 warnings" in shown


def test_a_check_that_is_not_there_is_refused_with_those_that_are(well: Scratch) -> None:
    done = well.run("tollgate", "doctor", "humour")
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"There is no such check (got: humour). They are: {', '.join(doctor.CHECKS)}." in done.stderr


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant(well: Scratch,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_LAEK", "s3://tollgate/lake")
    assert said() == {"settings": "warning: Nothing reads TOLLGATE_LAEK. It may be TOLLGATE_LAKE.\n"}


@pytest.mark.parametrize(("name", "value", "words"), [
    ("TOLLGATE_LANDING", "landing", "TOLLGATE_LANDING is a relative path"),
    ("TOLLGATE_MLFLOW_ARTIFACTS", "gs://models", r"must be a folder or s3://… \(got: gs://models\)"),
    ("TOLLGATE_FOUR_EYES", "yes", r"TOLLGATE_FOUR_EYES is on or off \(got: yes\)"),
    ("TOLLGATE_TODAY", "tomorrow", r"TOLLGATE_TODAY is written YYYY-MM-DD or as-of \(got: tomorrow\)"),
    ("TOLLGATE_LOOK_SECONDS", "often", r"TOLLGATE_LOOK_SECONDS is a number of seconds above 0 \(got: often\)"),
    ("TOLLGATE_LOOK_SECONDS", "0", r"TOLLGATE_LOOK_SECONDS is a number of seconds above 0 \(got: 0\)"),
    ("TOLLGATE_PROJECT", "/nowhere", r"There is no dvc.yaml in the project \(got: /nowhere\)"),
])
def test_a_setting_that_no_process_could_use_is_named(well: Scratch, monkeypatch: pytest.MonkeyPatch, name: str,
                                                      value: str, words: str) -> None:
    monkeypatch.setenv(name, value)
    found = said("settings")["settings"]
    assert re.search(words, found)
    assert found.startswith("error")


def test_a_date_without_quotes_in_params_is_named_with_how_it_is_written(well: Scratch) -> None:
    params = well.folder / "params.yaml"
    params.write_text(re.sub("(?m)^as_of: .*$", "as_of: 2007-01-01", params.read_text()))
    assert list(found := said()) == ["params"]
    assert 'as_of: a date stands in quotes here' in found["params"]
    assert 'Write as_of: "2007-01-01".' in found["params"]


def test_a_params_file_that_is_a_folder_is_a_finding_and_no_traceback(well: Scratch) -> None:
    (well.folder / "params.yaml").unlink()
    (well.folder / "params.yaml").mkdir()
    done = well.run("tollgate", "doctor", "params")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    finding, = json.loads(done.stdout)["findings"]
    assert finding["found"].startswith("The check itself failed: IsADirectoryError")


def test_a_book_that_does_not_load_is_named_with_its_line(well: Scratch, monkeypatch: pytest.MonkeyPatch,
                                                         tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "mortgages.py").write_text("from tollgate.books import Book\n\nBOOK = Bok()\n")
    monkeypatch.setenv("TOLLGATE_BOOKS", str(tmp_path / "books"))
    assert list(found := said()) == ["books"]
    assert "The book mortgages cannot be loaded: NameError" in found["books"]
    assert "mortgages.py line 3: BOOK = Bok()" in found["books"]


def test_a_book_that_ends_the_process_ends_neither_the_examination_nor_its_exit_code(
        well: Scratch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "mortgages.py").write_text("import sys\n\nsys.exit(3)\n")
    monkeypatch.setenv("TOLLGATE_BOOKS", str(tmp_path / "books"))
    assert "The book mortgages cannot be loaded: SystemExit: 3" in said()["books"]


def test_a_schedule_of_no_book_and_one_that_is_wrong_are_named(well: Scratch) -> None:
    well.tune(schedules={"mortgages": {}, "card": {"score_nightly": 3}})
    assert list(found := said()) == ["books"]
    assert "schedules.mortgages: there is no such book" in found["books"]
    assert "schedules.card.score_nightly: Input should be a valid string" in found["books"]


def test_libraries_that_are_not_the_locks_and_a_missing_environment_are_named(well: Scratch) -> None:
    (well.folder / "requirements").unlink()
    shutil.copytree(PROJECT / "requirements", well.folder / "requirements")
    lock = well.folder / "requirements" / "pipeline.txt"
    lock.write_text(re.sub(r"(?m)^xgboost-cpu==\S+", "xgboost-cpu==2.1.0", lock.read_text()))
    (well.folder / ".venv-airflow").unlink()
    assert list(found := said()) == ["versions"]
    assert re.search(r"in the pipeline's environment: xgboost-cpu [\d.]+, not 2.1.0 \(Python", found["versions"])
    assert f"missing (got: {well.folder / '.venv-airflow'}). Run `make setup`" in found["versions"]


def test_an_environment_that_was_cut_off_and_a_missing_command_are_named(well: Scratch,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    (well.folder / ".venv").unlink()
    (well.folder / ".venv").mkdir()
    (well.folder / ".venv" / ".unfinished").touch()
    found = said("versions")["versions"]
    assert "cut off while it was built" in found
    assert f"start is not there (got: {well.folder / '.venv' / 'bin' / 'tollgate'})" in found
    monkeypatch.setenv("TOLLGATE_BIN", str(BIN / "tollgate"))
    assert "start is not there" not in said("versions")["versions"]


def test_several_workers_with_folders_and_databases_of_their_own_are_named(well: Scratch,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    assert list(found := said()) == ["sharing"]
    for words in (f"TOLLGATE_LAKE {well.data / 'lake'}", "TOLLGATE_MLFLOW is embedded", "TOLLGATE_OPTUNA is embedded",
                  "TOLLGATE_LEDGER_PUBLIC_KEYS is not set", "AIRFLOW__CORE__EXECUTOR is CeleryExecutor"):
        assert words in found["sharing"]
    assert "warning" not in found["sharing"]
    monkeypatch.delenv("AIRFLOW__CORE__EXECUTOR")
    monkeypatch.setenv("TOLLGATE_LAKE", "s3://loans/lake")
    assert "error" not in said("sharing")["sharing"], "one machine may have its lake there"


def test_a_data_folder_on_a_network_disk_is_named(well: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here can mount one, so the list of what is mounted is."""
    shares = [SimpleNamespace(mountpoint="/", fstype="ext4"),
              SimpleNamespace(mountpoint=str(well.folder), fstype="nfs4")]
    monkeypatch.setattr("psutil.disk_partitions", lambda all: shares)
    assert list(found := said()) == ["sharing"]
    assert "TOLLGATE_DATA is on a network disk" in found["sharing"]
    assert f"(got: {well.data}, nfs4)" in found["sharing"]


def test_two_locations_within_each_other_are_named(well: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_STORE", str(well.data / "lake" / "store"))
    monkeypatch.setenv("TOLLGATE_DVC_REMOTE", str(well.data / "landing"))
    assert list(found := said()) == ["sharing"]
    assert "TOLLGATE_LAKE and TOLLGATE_STORE lie within each other" in found["sharing"]
    assert "TOLLGATE_LANDING and TOLLGATE_DVC_REMOTE are one place" in found["sharing"]


def test_a_disk_that_is_nearly_full_is_named(well: Scratch) -> None:
    well.data.mkdir()
    script = 'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"'
    done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(well.data),
                           str(BIN / "tollgate"), "doctor"], cwd=well.folder, capture_output=True, text=True,
                          env={**os.environ, **well.places}, check=False)
    assert done.returncode == 2, done.stderr
    bad, = [one for one in json.loads(done.stdout)["findings"] if one["level"] != "ok"]
    assert bad["check"] == "disk"
    assert re.search(r"The disk of TOLLGATE_DATA has [12] MB left", bad["found"])
    assert "tollgate tidy" in bad["remedy"]


def test_a_location_that_leads_through_a_file_is_named(well: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_LANDING", str(well.folder / "dvc.yaml" / "landing"))
    assert list(found := said()) == ["locations"]
    assert f"TOLLGATE_LANDING leads through a file (got: {well.folder / 'dvc.yaml'})" in found["locations"]


def test_the_page_lists_every_check() -> None:
    page = (PROJECT / "docs" / "doctor.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z ]+)` \|", page, re.MULTILINE) == list(doctor.CHECKS)
