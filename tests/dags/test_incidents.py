"""People are told at once of what goes wrong in a run, whatever else is down, and of no secret."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.listening import http, mail, posts
from tests.ports import free_port

from tollgate.config import PROJECT
from tollgate.incidents import begin
from tollgate.monitoring import alerts, life, untold

TOLLGATE = PROJECT / ".venv/bin/tollgate"
PIN = "failed:score_nightly__consumer.pin"
GONE = "error: The lake does not answer (got: s3://lake). Wait until it does."
Happen = Callable[..., dict[str, Any]]


@pytest.fixture
def happen(home: Path, tmp_path: Path) -> Happen:
    """Lets one thing after another happen, with these connections."""
    def run(*steps: tuple[str, dict[str, Any]], **connections: str) -> dict[str, Any]:
        env = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
               "TOLLGATE_BIN": str(TOLLGATE),
               **{f"AIRFLOW_CONN_TOLLGATE_{channel.upper()}": told for channel, told in connections.items()}}
        child = subprocess.run([str(PROJECT / ".venv-airflow/bin/python"), str(Path(__file__).with_name("happen.py")),
                                json.dumps(steps)], capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
        assert child.returncode == 0, child.stderr[-3000:]
        return {**json.loads(child.stdout.splitlines()[-1]), "log": child.stdout + child.stderr}

    return run


@pytest.fixture
def away(tmp_path: Path) -> dict[str, str]:
    """A `tollgate` that reaches no lake."""
    command = tmp_path / "tollgate"
    command.write_text(f"#!/bin/sh\necho '{GONE}' >&2\nexit 75\n")
    command.chmod(0o755)
    return {"tollgate": str(command)}


def _ids(channel: str) -> list[str]:
    return [alert["id"] for alert in untold("consumer", channel)]


def test_a_task_that_failed_is_told_once_however_often_it_is_cleared_and_fails_again(happen: Happen) -> None:
    with posts() as (hook, heard):
        happen(*[("failed", {"error": GONE, "run_id": run}) for run in ("a", "a", "b")], webhook=http(hook))
    ((_, alert),) = heard
    assert (alert["book"], alert["as_of"], alert["severity"], alert["subject"]) == (
        "consumer", "2007-02-01", "warning", PIN)
    assert alert["message"] == f"score_nightly__consumer.pin failed at try 7: {GONE}"
    assert [one["event"] for one in alerts("consumer")] == [PIN] and _ids("webhook") == []


def test_which_night_it_is_where_the_book_is_and_that_a_lost_worker_saw_no_error(happen: Happen) -> None:
    """A run of the evening of the last of January, in UTC, is of February in Auckland."""
    happen(("failed", {"partition_key": "consumer|2007-03-01"}), ("late", {"as_of": "2007-04-01"}))
    late, lost = alerts("consumer")
    assert (lost["event"], lost["as_of"]) == (PIN, "2007-03-01") and "its process was lost" in lost["message"]
    assert (late["event"], late["severity"], late["as_of"]) == ("late:score_nightly__consumer", "page", "2007-04-01")
    assert "has not succeeded 4 hours after it was queued, and is queued" in late["message"]
    happen(("late", {}))
    assert life("consumer", "late:score_nightly__consumer")["nights"][-1]["as_of"] == "2007-02-01"


def test_where_the_lake_is_away_people_are_told_directly_and_airflow_keeps_it_until_it_is_back(
        happen: Happen, away: dict[str, str]) -> None:
    with posts() as (hook, heard):
        ended = happen(("lake", away), ("failed", {"error": GONE}), ("lake", {"tollgate": str(TOLLGATE)}), ("kept", {}),
                       webhook=http(hook), mail=mail(free_port()))
    assert [alert["subject"] for _, alert in heard] == [PIN]
    (kept,) = ended["started"]
    assert kept["dag"] == "monitor_operations__consumer" and kept["conf"]["incident"]["told"] == "webhook"
    assert [one["event"] for one in alerts("consumer")] == [PIN]
    assert _ids("webhook") == [], "whoever was told is told no more"
    assert len(_ids("mail")) == 1, "and whoever could not be is"


def test_whoever_was_told_before_the_lake_went_away_is_not_told_again(happen: Happen, tmp_path: Path) -> None:
    goes = tmp_path / "goes"
    goes.write_text(f"""#!/bin/sh
[ "$1 $2" = "alerts told" ] && {{ echo '{GONE}' >&2; exit 75; }}
exec {TOLLGATE} "$@"
""")
    goes.chmod(0o755)
    with posts() as (hook, heard):
        ended = happen(("lake", {"tollgate": str(goes)}), ("failed", {"error": GONE}), webhook=http(hook))
    assert [alert["subject"] for _, alert in heard] == [PIN]
    (kept,) = ended["started"]
    assert kept["conf"]["incident"]["told"] == "webhook"


def test_a_notifier_that_is_down_fails_nothing_and_a_page_calls_everybody(happen: Happen, away: dict[str, str]) -> None:
    with posts(status=503) as (broken, tried):
        ended = happen(("failed", {"error": GONE}), ("lake", away), ("failed", {}), slack=http(broken))
    assert len(tried) == 2 and "could not be told by slack" in ended["log"]
    assert ended["started"] == [], "it is written down; and where a worker was lost no run can be started"
    with posts() as (slack, said):
        happen(("late", {}), slack=http(slack))
    assert [content["text"].split("*")[:2] for _, content in said] == [
        ["<!channel> ", "page: consumer, late:score_nightly__consumer, as of 2007-02-01"]]
    assert len(_ids("slack")) == 1, "what nobody was told of waits for the task that tells all"


def test_gates_that_refuse_a_model_are_one_alert_and_no_failed_task(happen: Happen) -> None:
    with posts() as (hook, heard):
        happen(*[("failed", {"error": f"error: {gate} is too low", "exit_code": 3}) for gate in ("AUC", "KS")],
               webhook=http(hook))
    ((_, alert),) = heard
    assert alert["subject"] == "refused:score_nightly__consumer" and "AUC is too low" in alert["message"]
    assert [one["status"] for one in alerts("consumer")] == ["lasts"]


def test_a_model_waits_until_its_own_run_has_ended_and_not_another_dags_of_the_same_id(happen: Happen) -> None:
    begin("consumer", "waiting:v3", date(2007, 2, 1), "Version 3 waits for an answer", severity="info",
          run_id="scheduled__2007-02-01")
    happen(("settled", {"kind": "score_nightly"}))
    assert [one["event"] for one in alerts("consumer")] == ["waiting:v3"]
    happen(("settled", {"kind": "train_weekly"}))
    assert alerts("consumer") == []


def test_no_secret_and_no_second_line_is_told(happen: Happen) -> None:
    error = "no login at postgresql://tollgate:hunter2@db/optuna with swordfish\nat line 7: " + "x" * 5_000
    with posts() as (hook, heard):
        happen(("failed", {"error": error, "secret": "swordfish"}), webhook=http(hook))
    ((_, alert),) = heard
    assert alert["message"].endswith("no login at postgresql://***@db/optuna with ***")
