"""The approval, in Airflow's own environment: what is kept of an answer, and of none."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, sys
from datetime import datetime
sys.path.insert(0, sys.argv[1])
from airflow.sdk.exceptions import AirflowFailException
from tollgate_airflow import forms
from tollgate_airflow.approval import ModelApproval

class Instance:
    pushed = {"asked": {"version": "3", "digest": "abc"}}
    def xcom_push(self, key, value): self.pushed[key] = value
    def xcom_pull(self, task_ids, key): return self.pushed[key]

approval = ModelApproval(task_id="approve", book="sba", gate="gate", register="register", approve="promote",
                         reject="reject", params={"comment": forms.comment()})
approval.version, ended = "3", {}
try:
    event = json.load(sys.stdin)
    if "responded_at" in event:  # Airflow hands it over as the datetime that its server wrote down
        event["responded_at"] = datetime.fromisoformat(event["responded_at"])
    approval.execute_complete({"ti": Instance()}, event)
except AirflowFailException as error:
    ended["failed"] = str(error)
except Exception as error:  # Airflow's own part needs a running scheduler
    ended["beyond"] = type(error).__name__
print(json.dumps({**ended, "kept": Instance.pushed}))
"""


def answered(tmp_path: Path, event: dict[str, Any]) -> dict[str, Any]:
    """What the approval keeps of an event that its trigger sends."""
    env = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    child = subprocess.run([str(PROJECT / ".venv-airflow/bin/python"), "-c", SCRIPT, str(PROJECT / "plugins")],
                           input=json.dumps(event), capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
    found: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return found


def approved(comment: str) -> dict[str, Any]:
    """The event of an approval with this comment."""
    return {"chosen_options": ["Approve"], "params_input": {"comment": comment}, "timedout": False,
            "responded_by_user": {"id": "7", "name": "ann"}, "responded_at": "2026-03-02T08:30:00.250000+00:00"}


def test_without_an_answer_in_time_the_task_fails_for_good_and_nothing_is_decided(tmp_path: Path) -> None:
    found = answered(tmp_path, {"error": "The timeout has passed", "error_type": "timeout"})
    assert found["failed"].startswith("Nobody answered within 7 days: version 3 stays the challenger")
    assert "decision" not in found["kept"]


def test_an_answer_is_kept_with_its_author_its_time_its_comment_and_the_artefact_that_was_shown(tmp_path: Path) -> None:
    found = answered(tmp_path, approved("good"))
    assert found["kept"]["decision"] == {"version": "3", "digest": "abc", "by": "ann", "comment": "good",
                                         "answered_at": "2026-03-02T08:30:00.250000+00:00"}


def test_a_comment_that_no_command_could_carry_fails_the_question_which_is_then_asked_again(tmp_path: Path) -> None:
    fits = "🙂" * 30_000
    decided = answered(tmp_path, approved(fits))
    assert decided["beyond"] != "ParamValidationError"
    told = f"--comment={decided['kept']['decision']['comment']}"
    assert subprocess.run(["true", told], check=True).returncode == 0
    assert answered(tmp_path, approved(fits + "x"))["beyond"] == "ParamValidationError", "which Airflow retries"
