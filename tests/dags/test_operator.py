"""The operator, in Airflow's own environment, with a real child process at its other side."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
Operate = Callable[..., dict[str, Any]]


@pytest.fixture
def operate(tmp_path: Path) -> Operate:
    """Runs one operator whose command is the given shell script."""
    def run(script: str, **settings: Any) -> dict[str, Any]:
        command = tmp_path / "tollgate"
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
        env = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
               "TOLLGATE_BIN": str(command)}
        child = subprocess.run(
            [str(PROJECT / ".venv-airflow/bin/python"), str(Path(__file__).with_name("operate.py")),
             json.dumps(settings)], capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
        assert child.returncode == 0, child.stderr[-3000:]
        answer: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
        return answer
    return run


@pytest.mark.parametrize(("code", "error"), [
    (2, "AirflowFailException"), (3, "AirflowFailException"), (75, "AirflowException"), (1, "AirflowException"),
    (0, "AirflowException")])
def test_only_bad_input_and_refusals_end_a_task_for_good(operate: Operate, code: int, error: str) -> None:
    ended = operate(f"echo why >&2; exit {code}", command=["run"])
    assert ended["raised"] == error
    assert ended["message"] == ("why" if code else "tollgate said it was done but gave no answer")


def test_the_command_is_put_together_from_its_pieces_its_item_and_its_options(operate: Operate) -> None:
    ended = operate("""printf '{"got": "%s"}\\n' "$*" """, command=["ingest", "file"], each=["book", "name"],
                    item={"book": "sba", "name": "a.csv"}, options={"as-of": "2007-01-01", "trials": ""})
    assert ended["returned"] == {"got": "ingest file sba a.csv --as-of=2007-01-01"}


def test_a_list_to_map_over_is_returned_and_the_rest_of_the_answer_kept(operate: Operate) -> None:
    ended = operate("""echo '{"shards": [{"shard": 0}], "rows": 7}'""", command=["score"], returns="shards")
    assert ended["returned"] == [{"shard": 0}]
    assert ended["pushed"] == {"answer": {"shards": [{"shard": 0}], "rows": 7}}


def test_only_the_asset_that_changed_has_an_event_with_its_partition_and_counts(operate: Operate) -> None:
    partition = "{% if answer.months %}{{ answer.book }}|{{ answer.months | last }}{% endif %}"
    script = """echo '{"book": "sba", "table": "outcomes", "months": %s, "rows": 3}'"""
    settings: dict[str, Any] = {"command": ["ingest"], "partition": partition, "outlets": ["applications", "outcomes"]}
    changed = operate(script % '["2006-02", "2006-03"]', **settings)
    assert changed["events"] == {"outcomes": [["sba|2006-03"], {"book": "sba", "table": "outcomes", "rows": 3,
                                                                   "partition": "sba|2006-03"}]}
    assert operate(script % "[]", **settings)["events"] == {}


FILES = ('{"book": "sba", "files": [{"table": "applications", "book": "sba", "partitions": ["2006-02"]}, '
         '{"table": "outcomes", "book": "sba", "partitions": []}], '
         '"refused": [{"name": "outcomes_b.csv", "why": "too many bad rows"}], "unreadable": []}')


def test_what_was_taken_in_beside_a_refused_file_is_announced_and_the_refusal_is_red_in_a_task_of_its_own(
        operate: Operate) -> None:
    settings: dict[str, Any] = {
        "command": ["ingest", "files"], "outlets": ["applications", "outcomes"], "events": "files",
        "partition": "{% if answer.partitions %}{{ answer.book }}|{{ answer.partitions | last }}{% endif %}"}
    ended = operate(f"echo '{FILES}'; echo 'error: 1 of the files' >&2; exit 3", **settings)
    assert "raised" not in ended
    assert ended["returned"]["refused"][0]["name"] == "outcomes_b.csv"
    assert {name: event[0] for name, event in ended["events"].items()} == {"applications": ["sba|2006-02"]}
    assert operate("echo down >&2; exit 75", **settings)["raised"] == "AirflowException"
    red = operate("", answers=[ended["returned"]])
    assert (red["raised"], red["message"]) == ("AirflowFailException", "sba outcomes_b.csv: too many bad rows")
    assert "raised" not in operate("", answers=[{**ended["returned"], "refused": []}])
