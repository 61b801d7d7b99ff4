from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from registry.world import BOOK, World, client
from sqlalchemy import create_engine, text

from tollgate import lake, registry
from tollgate.books import load_book
from tollgate.config import PROJECT, settings
from tollgate.errors import BadInput, Refused
from tollgate.registry import origin as origins
from tollgate.registry import rebuild as room
from tollgate.registry import surroundings
from tollgate.registry.differences import of_models, of_predictions
from tollgate.registry.origin import LOCK
from tollgate.registry.surroundings import interpreter

FIT = "include/tollgate/estimators/xgboost_trees.py"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), "-c", "user.name=ann", "-c", "user.email=ann@example.org", *words],
                          capture_output=True, text=True, check=True)
    return done.stdout.strip()


def committed(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "change")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository of its own with the code of now in its only commit, taken for the project's."""
    folder = tmp_path / "checkout"
    shutil.copytree(PROJECT / "include" / "tollgate", folder / "include" / "tollgate",
                    ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "pyproject.toml"):
        shutil.copy(PROJECT / name, folder)
    git(folder, "init", "-q")
    committed(folder)
    monkeypatch.setattr(origins, "PROJECT", folder)
    monkeypatch.setattr(room, "PROJECT", folder)
    monkeypatch.setattr(surroundings, "PROJECT", folder)
    yield folder


def with_lock(folder: Path, text: str) -> origins.Origin:
    """The lock is another and committed; the environment as it would be recorded."""
    (folder / LOCK).parent.mkdir(exist_ok=True)
    (folder / LOCK).write_text(text)
    committed(folder)
    return origins.environment()


def coarser(folder: Path) -> None:
    """Code that makes other trees."""
    path = folder / FIT
    made = path.read_text()
    assert '"max_bin": BINS' in made
    path.write_text(made.replace('"max_bin": BINS', '"max_bin": 4'))


def late_file() -> None:
    """A lender's late application of a month that was trained on."""
    book = load_book(BOOK)
    table = lake.applications(book)
    row = lake.read(table, filters=[("month", "=", "2004-01")]).slice(0, 1)
    late = row.set_column(row.schema.get_field_index("loan_id"), row.schema.field("loan_id"), [["late"]])
    lake.change_partitions(table, ["2004-01"], lambda rows: pa.concat_tables([rows, late]))


def vacuum() -> None:
    from deltalake import DeltaTable

    DeltaTable(f"{settings().lake}/{BOOK}/applications").vacuum(retention_hours=0, dry_run=False,
                                                                enforce_retention_duration=False)


def test_a_model_comes_out_the_same_though_late_rows_came_and_the_code_moved_on(world: World, checkout: Path) -> None:
    version = world.registered("a")
    commit = git(checkout, "rev-parse", "HEAD")
    late_file()
    coarser(checkout)
    committed(checkout)
    answer = registry.reproduce(BOOK, "1")
    assert (answer["digest"], answer["code"], answer["besides"]) == (version.digest, commit, [])
    assert answer["rows"] > 2000 and answer["max_difference"] == 0
    assert list((settings().data / "reproduced").iterdir()) == []


def test_a_model_that_comes_out_another_is_told_tree_prediction_parameter_and_code(
        world: World, checkout: Path) -> None:
    world.registered("a")
    commit = git(checkout, "rev-parse", "HEAD")
    shutil.rmtree(checkout / ".git")
    coarser(checkout)
    with create_engine(settings().mlflow).begin() as database:
        database.execute(text("update params set value = '7' where key = 'seed'"))
    with pytest.raises(Refused) as refusal:
        registry.reproduce(BOOK, "1")
    said = str(refusal.value)
    assert re.search(r"part \d+ of \d+ \(a tree, or an input\'s points\) is the first of \d+ that differ", said)
    assert re.search(r"predictions differ, by up to 0\.", said)
    assert "the parameter seed is 7 in MLflow, and was 97 when the model was registered" in said
    assert f"its commit {commit} is not in this repository, to which git fetch --unshallow may bring it: " \
           "the code of now was run" in said


def test_code_that_was_never_committed_is_told(checkout: Path, tmp_path: Path) -> None:
    coarser(checkout)
    recorded = origins.environment()
    assert recorded["commit"].endswith("-modified")
    git(checkout, "checkout", "-q", FIT)
    folder, told = room.checkout(recorded, tmp_path / "then")
    assert folder == tmp_path / "then" and '"max_bin": 4' not in (folder / FIT).read_text()
    assert len(told) == 1 and "changed and not committed" in told[0]


def test_code_that_was_never_committed_is_told_at_registration_and_on_the_card(
        world: World, checkout: Path, caplog: pytest.LogCaptureFixture) -> None:
    world.registered("a")
    assert "made by code that no commit holds" not in caplog.text
    coarser(checkout)
    world.registered("b")
    assert "made by code that no commit holds" in caplog.text
    assert [", with changes that were not committed" in registry.card(BOOK, version)["html"]
            for version in ("1", "2")] == [False, True]


def test_what_it_would_be_compared_with_is_missed_before_anything_is_run(world: World) -> None:
    version = world.registered("a")
    evidence = Path(client().get_run(version.run_id).info.artifact_uri) / "evidence.parquet"
    evidence.write_bytes((world.made / "b" / "evidence.parquet").read_bytes())
    with pytest.raises(Refused, match="evidence.parquet of tollgate-consumer version 1 changed after registration"):
        registry.reproduce(BOOK, "1")
    evidence.unlink()
    with pytest.raises(Refused, match="evidence.parquet is no longer kept"):
        registry.reproduce(BOOK, "1")


def test_data_that_changed_and_whose_old_version_is_gone_is_told(world: World) -> None:
    world.registered("a")
    late_file()
    vacuum()
    with pytest.raises(Refused, match=r"Version 1 of the table consumer/applications is no longer in the lake.*"
                                      r"the data is not what the model was made of, \d+ applications"):
        registry.reproduce(BOOK, "1")


def test_a_model_is_made_again_by_the_libraries_of_its_own_lock(world: World, checkout: Path) -> None:
    with_lock(checkout, (PROJECT / LOCK).read_text())
    version = world.registered("a")
    with_lock(checkout, "")
    answer = registry.reproduce(BOOK, "1")
    recorded = f"the lock {hashlib.sha256((PROJECT / LOCK).read_bytes()).hexdigest()[:12]}"
    assert (answer["digest"], answer["libraries"], answer["besides"]) == (version.digest, recorded, [])


def test_what_the_recorded_lock_holds_is_installed_and_nothing_else(checkout: Path, tmp_path: Path) -> None:
    (small,) = re.findall(r"^iniconfig==.*?(?=^\S)", (PROJECT / LOCK).read_text(), re.MULTILINE | re.DOTALL)
    then = with_lock(checkout, small)
    with_lock(checkout, "")
    python, libraries, told = interpreter(then, tmp_path)
    modules = [subprocess.run([python, "-c", f"import {name}"], capture_output=True).returncode == 0
               for name in ("iniconfig", "xgboost")]
    assert modules == [True, False]
    assert libraries == f"the lock {then['lock'][:12]}"
    assert told == [f"the library {name} is missing, and was {version}" for name, version in then["libraries"].items()]


@pytest.mark.parametrize(("changed", "why"), [
    ({"lock": "0" * 64}, "requirements/pipeline.txt was changed and not committed when the model was made"),
    ({"commit": "none"}, "requirements/pipeline.txt of the commit none is not in this repository"),
    ({"python": "3.99.1"}, "the environment of then could not be built .*3.99"),
    ({}, "the environment of then could not be built .*no-such-library"),
])
def test_why_the_libraries_of_now_had_to_do_is_told(
        checkout: Path, tmp_path: Path, changed: dict[str, object], why: str) -> None:
    then = {**with_lock(checkout, f"no-such-library-of-tollgate==1.0 --hash=sha256:{'0' * 64}\n"), **changed}
    with_lock(checkout, "")
    python, libraries, told = interpreter(then, tmp_path)
    assert (python, libraries) == (sys.executable, "this environment")
    assert re.search(f"{why}.*: the libraries of now were run", told[-1]), told


def test_two_models_differ_in_parameters_trees_files_and_predictions(made: Path) -> None:
    told = of_models(made / "a" / "model", made / "b" / "model")
    assert "seed is 98, and was 97" in told
    assert any(text.startswith("params.max_depth is") for text in told)
    assert any(text.startswith("part 1 of") for text in told)
    assert "the model's file model.ubj differs" in told
    rows, gap, told = of_predictions(made / "a" / "evidence.parquet", made / "b" / "evidence.parquet")
    assert rows > 0 and gap > 0 and "are the same loans" in told[0] and "predictions differ" in told[1]


def test_a_version_that_never_was_cannot_be_made_again(world: World) -> None:
    with pytest.raises(BadInput, match="no registered version"):
        registry.reproduce(BOOK, "4")


def test_the_lake_as_it_stood_is_read_by_its_version(home: Path) -> None:
    table = lake.measures("sba")

    def rows(psi: float) -> object:
        import pyarrow as pa

        return pa.Table.from_pylist([{"day": "2007-01-01", "as_of": date(2007, 1, 1), "subject": "a", "value": psi}],
                                    schema=table.schema)

    first = lake.replace_partitions(table, rows(1), ["2007-01-01"])
    lake.replace_partitions(table, rows(2), ["2007-01-01"])
    assert lake.read(table, at=first)["value"].to_pylist() == [1]
    with pytest.raises(BadInput, match="Version 99 of the table sba/measures is no longer in the lake"):
        lake.read(table, at=99)
