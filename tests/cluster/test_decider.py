"""The decider's own start: the key of .env becomes a file that nobody else reads, and what it signs is believed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values
from tests.cluster.test_start_refusals import project, start
from tests.scratch import Scratch

from tollgate import registry
from tollgate.config import PROJECT
from tollgate.errors import BadInput

__all__ = ["project"]

AIRFLOW = """#!/bin/sh
echo "$@"
stat -c '%a' "$TOLLGATE_LEDGER_KEY"
echo "${LEDGER_KEY:-gone}"
"""


def test_the_decider_signs_with_the_key_of_env_and_hands_it_on_to_no_task(
        project: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_AIRFLOW_PORT", "none")
    with pytest.raises(BadInput):  # the first start has made .env
        start()
    told = dotenv_values(project.folder / ".env", interpolate=False)
    key, bins = tmp_path / "ledger.pem", tmp_path / "bin"
    bins.mkdir()
    (bins / "airflow").write_text(AIRFLOW)
    (bins / "airflow").chmod(0o755)
    script = (PROJECT / "docker" / "decider.sh").read_text(encoding="utf-8").replace("/tmp/ledger.pem", str(key))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env={
        "PATH": f"{bins}{os.pathsep}{os.environ['PATH']}", "TOLLGATE_LEDGER_KEY": str(key),
        "LEDGER_KEY": str(told["LEDGER_KEY"])})
    assert done.stdout.splitlines() == ["celery worker --queues decide", "600", "gone"]
    monkeypatch.setenv("TOLLGATE_LEDGER_KEY", str(key))
    monkeypatch.setenv("TOLLGATE_LEDGER_PUBLIC_KEYS", str(told["LEDGER_PUBLIC_KEYS"]))
    registry.record("consumer", "note", {})
    assert registry.verify("consumer")["intact"]
