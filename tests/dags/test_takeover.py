"""A request whose run has ended or was deleted is taken over, by Airflow's own word, in the lake's own table."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import date
from pathlib import Path

from tollgate.config import PROJECT
from tollgate.requests import claim, open_request


def test_a_waiting_run_is_given_the_request_of_a_run_that_lives_no_more_and_none_of_one_that_does(
        home: Path, tmp_path: Path) -> None:
    holders = {"card": "manual__2026-01-01T00:00:00+00:00", "consumer": "deleted", "sba": "failed"}
    for book, run in holders.items():
        open_request(book, f"{book}|k", date(2007, 3, 1), "drift", cooldown_days=1, expiry_days=60)
        claim(book, f"{book}|k", run)
    runs = {holders["card"]: "running", "failed": "failed", "done": "success", "next": "queued"}
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
           "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
           "TOLLGATE_BIN": str(PROJECT / ".venv/bin/tollgate")}
    child = subprocess.run(
        [str(PROJECT / ".venv-airflow/bin/python"), str(Path(__file__).with_name("takeover.py")), json.dumps(runs),
         json.dumps(["new", holders["card"]])], capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
    found = json.loads(child.stdout.splitlines()[-1])
    assert found["lives"] == {holders["card"]: True, "failed": False, "done": False, "next": True, "deleted": False}
    told = {run: (request["key"], request["ended"]) for run, request in found["given"].items()}
    assert told == {"new": ("consumer|k", "deleted"), holders["card"]: ("card|k", "")}
    assert found["none"] is None
    assert found["late"].startswith("The run slow of retrain_on_drift has not ended within 8 days.")
    assert found["ends"] == {run: {"outcome": "failed",
                                   "result": f"ended without a decision by retrain_on_drift run {run}"}
                             for run in ("done", "deleted")}
