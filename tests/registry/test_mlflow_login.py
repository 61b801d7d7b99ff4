"""A real MLflow server that asks for a login: what the tasks do with theirs, and what a wrong one is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from cluster.doors import DOORS, wrongly_open
from databases import Databases
from ports import free_port
from registry.world import BOOK, World, aliases

from tollgate import registry
from tollgate.config import PROJECT, settings
from tollgate.errors import BadInput

PEOPLE = {"MLFLOW_ADMIN_NAME": "ada", "MLFLOW_ADMIN_PASSWORD": "ada-of-the-admins", "MLFLOW_READER_NAME": "rita",
          "MLFLOW_READER_PASSWORD": "rita-of-the-readers", "MLFLOW_TRACKING_PASSWORD": "the-tasks-own-login"}
START_SECONDS_AT_MOST = 300


@pytest.fixture
def server(world: World, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """``mlflow server`` as docker-compose.yml starts it, its logins made by the script of init.sh."""
    logins = databases.new()
    shipped = (PROJECT / "docker" / "doors" / "mlflow.ini").read_text(encoding="utf-8")
    ini = tmp_path / "mlflow.ini"
    ini.write_text(shipped.replace("postgresql+psycopg2://tollgate@postgres/mlflow_auth",
                                   databases.url(logins)))
    environment = {**os.environ, **PEOPLE, "MLFLOW_AUTH_CONFIG_PATH": str(ini), "MLFLOW_DISABLE_TELEMETRY": "true",
                   "MLFLOW_FLASK_SERVER_SECRET_KEY": "of-the-flask", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                   "MLFLOW_AUTH_ADMIN_USERNAME": "ada", "MLFLOW_AUTH_ADMIN_PASSWORD": PEOPLE["MLFLOW_ADMIN_PASSWORD"]}
    people = PROJECT / "docker" / "doors" / "mlflow_people.py"
    subprocess.run([sys.executable, str(people)], env=environment, check=True)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = tmp_path / "mlflow.log"
    with log.open("wb") as told:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("mlflow")), "server", "--app-name=basic-auth", "--host=127.0.0.1",
             f"--port={port}", "--workers=1", f"--backend-store-uri={settings().mlflow}",
             f"--allowed-hosts=mlflow:{port},127.0.0.1:{port}",
             f"--default-artifact-root={settings().mlflow_artifacts}", "--no-serve-artifacts"],
            stdout=told, stderr=told, start_new_session=True, cwd=tmp_path, env=environment)
    try:
        _wait_until_up(process, address, log)
        monkeypatch.setenv("TOLLGATE_MLFLOW", address)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "tollgate")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PEOPLE["MLFLOW_TRACKING_PASSWORD"])
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        databases.forget(logins)


def _wait_until_up(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_AT_MOST
    while time.monotonic() < deadline and process.poll() is None:
        try:
            requests.get(f"{address}/health", timeout=5).raise_for_status()
            return
        except requests.RequestException:
            time.sleep(0.1)
    pytest.fail(log.read_text()[-3000:])


def test_the_tasks_login_registers_and_promotes_and_nobody_elses_moves_the_champion(
        server: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = world.promoted("a")
    assert registry.champion(BOOK).version == first.version  # runs, batches, artefacts, searches and aliases all went
    second = world.registered("b")

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "rita")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PEOPLE["MLFLOW_READER_PASSWORD"])
    assert registry.champion(BOOK).version == first.version  # a reader reads
    with pytest.raises(BadInput, match="does not let our login do this .got: rita") as forbidden:
        registry.promote(BOOK, second.version, second.digest, by="rita")
    assert "TOLLGATE_MLFLOW" in str(forbidden.value)
    assert aliases()["champion"] == first.version

    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "guessed-by-rita")
    with pytest.raises(BadInput, match="does not know our login .got: rita.*MLFLOW_TRACKING_PASSWORD") as unknown:
        registry.champion(BOOK)
    assert "guessed-by-rita" not in str(unknown.value)

    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    with pytest.raises(BadInput, match=f"{server} does not know our login .got: none"):
        registry.champion(BOOK)

    name = f"tollgate-{BOOK}"
    alias = {"name": name, "alias": "champion", "version": second.version}
    knocks = {None: 401, ("rita", PEOPLE["MLFLOW_READER_PASSWORD"]): 403, ("ada", PEOPLE["MLFLOW_ADMIN_PASSWORD"]): 200}
    for login, answer in knocks.items():
        got = requests.post(f"{server}/api/2.0/mlflow/registered-models/alias", json=alias, auth=login, timeout=60)
        assert got.status_code == answer, login
    doors = [replace(door, port=int(server.rpartition(":")[2])) for door in DOORS if door.service == "mlflow"]
    assert doors
    assert [told for door in doors if (told := wrongly_open(door, "127.0.0.1"))] == []
