"""What comes of the `schedules` of params.yaml: Airflow reads it in its own environment, in a child process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
KINDS = {path.stem for path in (PROJECT / "dags").glob("*.py")} - {"schedules"} | {"score_portfolio"}
NIGHTLY = {"score_nightly": "0 2 * * *"}
Load = Callable[..., dict[str, Any]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """What Airflow makes of these entries, or of these ``params`` whole, under some settings of its own."""
    def load(entries: Any, params: str | None = None, **settings: str) -> dict[str, Any]:
        written = yaml.safe_dump({"book": "sba", "schedules": entries}) if params is None else params
        (tmp_path / "params.yaml").write_text(written, encoding="utf-8")
        env = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
               "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"), "TOLLGATE_PROJECT": str(tmp_path), **settings}
        child = subprocess.run(
            [str(PROJECT / ".venv-airflow/bin/python"), str(Path(__file__).with_name("schedules.py"))],
            capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
        assert child.returncode == 0, child.stderr[-3000:]
        answer: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
        return answer
    return load


def dags(*books: str) -> list[str]:
    return sorted(f"{kind}__{book}" for kind in KINDS for book in books)


def test_no_setting_of_airflow_moves_a_run_or_its_as_of_which_is_the_day_where_the_book_is(load: Load) -> None:
    entries = {"sba": NIGHTLY, "berlin": {**NIGHTLY, "timezone": "Europe/Berlin"},
               "auckland": {**NIGHTLY, "timezone": "Pacific/Auckland"}}
    usual = load(entries)
    moved = load(entries, AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS="True",
                 AIRFLOW__CORE__DEFAULT_TIMEZONE="America/New_York")
    assert moved["days"] == usual["days"]
    assert usual["days"]["score_nightly__sba"] == [
        ["2007-03-25T02:00:00+00:00", "2007-03-25"], ["2007-03-26T02:00:00+00:00", "2007-03-26"]]
    assert [day for _, day in usual["days"]["score_nightly__auckland"]] == ["2007-03-25", "2007-03-26"]
    assert usual["days"]["score_nightly__auckland"][1][0].startswith("2007-03-25T14:00")
    assert [day for _, day in usual["days"]["score_nightly__berlin"]] == ["2007-03-25", "2007-03-26"]


WRONG: dict[str, tuple[Any, str]] = {  # an entry, and the words about it
    "hour": ({"score_nightly": "0 25 * * *"}, "score_nightly: Value error, [0 25 * * *] is not acceptable"),
    "day": ({"train_weekly": "0 3 30 2 *"}, "train_weekly: Value error, [0 3 30 2 *] names a day that never comes"),
    "key": ({"score_nigthly": "0 2 * * *"}, "score_nigthly: Extra inputs"),
    "zone": ({"timezone": "Europe/Berlyn"}, "timezone: Value error, no time zone is called so"),
    "continent": ({"timezone": "Europe"}, "timezone: Value error, no time zone is called so"),
    "pool": ({"pool": 3}, "pool: Input should be a valid string (got: 3)"),
    "ever": ({**NIGHTLY, "late_hours": float("inf")}, "late_hours: Input should be less than or equal to 8760"),
    "nothing": (None, "must be a mapping, not NoneType"),
    "A Name": ({}, "name: String should match"),
}


def test_a_wrong_entry_is_told_by_its_book_and_key_and_costs_no_other_book_its_dags(load: Load) -> None:
    found = load({"sba": NIGHTLY, **{book: entry for book, (entry, _) in WRONG.items()}})
    assert found["dags"] == dags("sba")
    (path, error), = found["errors"].items()
    assert path.endswith("schedules.py")
    told = error.rpartition("ValueError: ")[2]
    for book, (_, words) in WRONG.items():
        about = told.partition(f"params.yaml: schedules.{book}: ")[2].partition("params.yaml: ")[0]
        assert words in about, (book, told)


def test_a_list_in_the_place_of_the_schedules_is_told_in_words(load: Load) -> None:
    found = load(["sba"])
    assert found["dags"] == [] and found["errors"]
    assert all("ValueError: params.yaml: `schedules` must hold one entry a book (got: ['sba'])" in error
               for error in found["errors"].values())


@pytest.mark.parametrize(("params", "words"), [
    ("book: sba\nschedules: {sba: {}\n", "expected ',' or '}', but got '<stream end>'"),
    ("", "NoneType in the place of a mapping of settings"),
], ids=["a brace is missing", "nothing in it"])
def test_a_params_file_that_cannot_be_read_is_named_where_dags_are_missing_and_on_the_model_board(
        load: Load, params: str, words: str) -> None:
    found = load(None, params=params)
    status, page = found["first_page"]
    assert status == 404
    for said in (*found["errors"].values(), unescape(page)):
        assert "params.yaml cannot be read as YAML (got: " in said and words in said, said
    assert set(found["errors"]) == {str(path) for path in (PROJECT / "dags").glob("*.py")}


def test_the_model_boards_own_address_leads_to_the_book_of_the_params_file(load: Load) -> None:
    assert load({"sba": {}})["first_page"] == [307, "sba"]


def test_the_tasks_of_a_book_run_in_its_queue_and_pool_and_those_that_decide_where_the_key_is(load: Load) -> None:
    found = load({"sba": {}, "mine": {"queue": "mortgages", "pool": "few"}})
    assert found["dags"] == dags("mine", "sba")
    here, there = found["places"]["train_weekly__sba"], found["places"]["train_weekly__mine"]
    assert here == [["decide", "default_pool"], ["default", "default_pool"]]
    assert there == [["decide", "few"], ["mortgages", "few"]]


def test_without_a_schedule_there_is_no_dag_and_nothing_is_wrong(load: Load) -> None:
    found = load(None)
    assert (found["dags"], found["errors"]) == ([], {})
