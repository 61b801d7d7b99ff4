"""The operator, in Airflow's own environment, with a real child process at its other side."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
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
    script = """echo '{"book": "sba", "assets": ["outcomes"], "months": %s, "rows": 3}'"""
    settings: dict[str, Any] = {"command": ["ingest"], "partition": partition,
                                "outlets": ["applications/sba", "outcomes/sba"]}
    changed = operate(script % '["2006-02", "2006-03"]', **settings)
    assert changed["events"] == {"outcomes/sba": [["sba|2006-03"], {"book": "sba", "rows": 3,
                                                                       "partition": "sba|2006-03"}]}
    assert operate(script % "[]", **settings)["events"] == {}


FILES = ('{"book": "sba", "files": [{"assets": ["applications"], "book": "sba", "partitions": ["2006-02"]}, '
         '{"assets": ["outcomes"], "book": "sba", "partitions": []}], '
         '"refused": [{"name": "outcomes_b.csv", "why": "too many bad rows"}], "unreadable": []}')


def test_what_was_taken_in_beside_a_refused_file_is_announced_and_the_refusal_is_red_in_a_task_of_its_own(
        operate: Operate) -> None:
    settings: dict[str, Any] = {
        "command": ["ingest", "files"], "outlets": ["applications/sba", "outcomes/sba"], "events": "files",
        "partition": "{% if answer.partitions %}{{ answer.book }}|{{ answer.partitions | last }}{% endif %}"}
    ended = operate(f"echo '{FILES}'; echo 'error: 1 of the files' >&2; exit 3", **settings)
    assert "raised" not in ended
    assert ended["returned"]["refused"][0]["name"] == "outcomes_b.csv"
    assert {name: event[0] for name, event in ended["events"].items()} == {"applications/sba": ["sba|2006-02"]}
    assert operate("echo down >&2; exit 75", **settings)["raised"] == "AirflowException"
    red = operate("", answer=ended["returned"])
    assert (red["raised"], red["message"]) == ("AirflowFailException", "sba outcomes_b.csv: too many bad rows")
    assert "raised" not in operate("", answer={**ended["returned"], "refused": []})


@pytest.mark.parametrize(("level", "why", "says"), [
    ("refused", "loans.csv lacks a column of the contract (got: AGE). See `tollgate contract show card`.",
     "card: loans.csv lacks a column of the contract (got: AGE). See `tollgate contract show card`."),
    ("refused", "The cells of loans.csv are separated by tabs, not by commas. Save it with commas between the cells.",
     "card: The cells of loans.csv are separated by tabs, not by commas. Save it with commas between the cells."),
    ("unreadable", "Storage refused access: Permission denied (got: /landing/card/loans.csv). Mend it.",
     "card: Storage refused access: Permission denied (got: /landing/card/loans.csv). Mend it."),
    ("refused", "The column AGE has a type that is not read as integer (got: list<item: int64>). Ask the lender.",
     "card loans.csv: The column AGE has a type that is not read as integer (got: list<item: int64>). Ask the lender."),
], ids=["it begins the reason", "it stands in the reason", "in the path", "not in the reason"])
def test_a_file_that_was_not_taken_in_is_told_with_its_name_once(operate: Operate, level: str, why: str,
                                                                 says: str) -> None:
    answer = {"book": "card", "files": [], "refused": [], "unreadable": [], level: [{"name": "loans.csv", "why": why}]}
    assert operate("", answer=answer)["message"] == says


def test_of_more_files_that_were_not_taken_in_the_first_is_told_and_the_others_are_counted(operate: Operate) -> None:
    why = "applications_a.csv is refused whole: 3 of its 4 rows are bad"
    answer = {"book": "card", "files": [], "refused": [{"name": "applications_a.csv", "why": why}],
              "unreadable": [{"name": "applications_b.csv", "why": "applications_b.csv is not there"}]}
    assert operate("", answer=answer)["message"] == f"card: {why} And 1 more: see the lines above."


def test_a_command_that_hangs_is_ended_with_all_below_it_at_the_timeout_and_the_log_says_so(
        operate: Operate, tmp_path: Path) -> None:
    # The alarm is the one that Airflow has set for the timeout. It comes when the operator is sure to wait: it must
    # have read most of a log that no pipe holds.
    log = "head -c 200000 /dev/zero | tr '\\0' x | fold -w 2000 >&2"
    ended = operate(f"sleep 600 & echo $! > {tmp_path}/below; {log}; kill -ALRM $PPID; wait",
                    command=["run", "stage"])
    assert ended["raised"] == "AirflowTaskTimeout"
    assert ended["message"].startswith("tollgate run stage had not ended within 1:00:00")
    _, alive = psutil.wait_procs([process for process in psutil.process_iter()
                                  if process.pid == int((tmp_path / "below").read_text())], timeout=60)
    assert alive == []
