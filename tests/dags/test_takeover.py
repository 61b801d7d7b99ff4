"""A request whose run has ended or was deleted is taken over, by Airflow's own word, in the lake's own table."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import date
from pathlib import Path

from tollgate.config import PROJECT
from tollgate.requests import claim, open_request


def test_a_waiting_run_is_given_its_books_request_where_the_run_that_claimed_it_lives_no_more(
        home: Path, tmp_path: Path) -> None:
    holders = {"card": "manual__2026-01-01T00:00:00+00:00", "consumer": "of-another-book", "sba": "failed"}
    for month, (book, run) in enumerate(holders.items(), start=1):  # that of sba is the newest
        open_request(book, f"{book}|k", date(2007, month, 1), "drift", cooldown_days=1, expiry_days=60)
        claim(book, f"{book}|k", run)
    runs = {"card": {holders["card"]: "running"},
            "sba": {"failed": "failed", "done": "success", "next": "queued", "of-another-book": "running"}}
    waiting = {"sba": "new", "consumer": "new", "card": holders["card"]}
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
           "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
           "TOLLGATE_BIN": str(PROJECT / ".venv/bin/tollgate")}
    child = subprocess.run(
        [str(PROJECT / ".venv-airflow/bin/python"), str(Path(__file__).with_name("takeover.py")), json.dumps(runs),
         json.dumps(waiting)], capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
    found = json.loads(child.stdout.splitlines()[-1])
    assert found["running"] == {"failed": False, "done": False, "next": True, "of-another-book": True, "deleted": False}
    told = {book: (request["key"], request["ended"]) for book, request in found["given"].items()}
    assert told == {"sba": ("sba|k", "failed"), "consumer": ("consumer|k", "of-another-book"), "card": ("card|k", "")}
    assert found["none"] is None
    assert found["late"].startswith("The run slow of retrain_on_drift__sba has not ended within 8 days.")
    assert found["ends"] == {run: {"outcome": "failed",
                                   "result": f"ended without a decision by retrain_on_drift__sba run {run}"}
                             for run in ("done", "deleted")}
