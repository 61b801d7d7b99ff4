"""A real MLflow server that is killed before, between and after the writes of a decision, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
from ports import free_port
from registry.world import BOOK, World, aliases, kinds

from tollgate import lake, registry
from tollgate.config import settings
from tollgate.errors import PassingFault


class Server:
    """``mlflow server`` on the home's own database, at one port."""

    def __init__(self, database: str, folder: Path) -> None:
        self.port = free_port()
        self.address, self.database, self.folder = f"http://127.0.0.1:{self.port}", database, folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "mlflow.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name("mlflow")), "server", "--host", "127.0.0.1", "--port",
                 str(self.port), "--workers", "1", "--backend-store-uri", self.database],
                stdout=log, stderr=log, start_new_session=True, cwd=self.folder,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                requests.get(f"{self.address}/health", timeout=5).raise_for_status()
                return
            except requests.RequestException:
                time.sleep(0.1)
        pytest.fail((self.folder / "mlflow.log").read_text()[-3000:])

    def kill(self) -> None:
        """End it and its workers at once."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Not started yet; from here on it is the only way to MLflow."""
    world.promoted("a")
    world.registered("b")
    made = Server(settings().mlflow, tmp_path)
    monkeypatch.setenv("TOLLGATE_MLFLOW", made.address)
    for name, value in (("MAX_RETRIES", "1"), ("BACKOFF_FACTOR", "0"), ("TIMEOUT", "120")):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", value)
    yield made
    made.kill()


def after_line(kind: str, act: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Call ``act`` as soon as a line of this kind was written."""
    append = lake.append_next

    def watched(*args: Any) -> Any:
        line = append(*args)
        if line is not None and line["kind"].to_pylist() == [kind]:
            act()
        return line

    monkeypatch.setattr(lake, "append_next", watched)


def test_mlflow_killed_before_between_and_after_the_writes_never_makes_two_champions(
        server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    challenger = registry.challenger(BOOK)
    assert challenger is not None

    def promote() -> Any:
        return registry.promote(BOOK, "2", challenger.digest, by="ann", comment="better")

    def champions() -> list[str]:
        assert registry.verify(BOOK)["intact"]
        return [model["version"] for model in registry.models(BOOK) if model["state"] == "champion"]

    with pytest.raises(PassingFault, match="TOLLGATE_MLFLOW") as away:
        promote()
    assert (away.value.exit_code, kinds()[-1], champions()) == (75, "registered", ["1"])

    server.start()
    with monkeypatch.context() as patch, pytest.raises(PassingFault):
        after_line("promotion-intent", server.kill, patch)
        promote()
    assert (kinds()[-1], champions()) == ("promotion-intent", ["1"])
    with pytest.raises(PassingFault):
        registry.champion(BOOK)
    assert (kinds()[-1], champions()) == ("promotion-intent", ["1"])

    server.start()
    assert registry.champion(BOOK).version == "2"
    assert (kinds()[-1], champions(), aliases()) == ("promotion-committed", ["2"], {"champion": "2"})

    with monkeypatch.context() as patch, pytest.raises(PassingFault):
        after_line("rollback-committed", server.kill, patch)
        registry.rollback(BOOK, "1", by="eve", reason="worse")
    assert (kinds()[-1], champions()) == ("rollback-committed", ["1"])
    monkeypatch.setenv("TOLLGATE_MLFLOW", server.database)  # back, by another way
    before = kinds()
    assert registry.rollback(BOOK, "1", by="eve", reason="worse")["champion"] == "1"
    assert (kinds(), champions(), aliases()) == (before, ["1"], {"champion": "1"})


WHOLE = b'{"registered_model": {"name": "tollgate-consumer", "aliases": []}}'
HALVES = {"cut off": (200, len(WHOLE), WHOLE[:30]), "torn": (200, 30, WHOLE[:30]),
          "a login page": (200, 6, b"<html>"), "a proxy's excuse": (503, 6, b"<html>")}


class Half(BaseHTTPRequestHandler):
    """Answers every request alike, as ``server.answer`` says: status, promised length, body."""

    def do_GET(self) -> None:
        status, promised, body = self.server.answer  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Nothing to tell."""


def test_half_an_answer_of_mlflow_is_a_passing_fault_and_never_an_alias_that_was_moved(
        world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.registered("a")
    for name, value in (("MAX_RETRIES", "1"), ("BACKOFF_FACTOR", "0")):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", value)
    with ThreadingHTTPServer(("127.0.0.1", 0), Half) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("TOLLGATE_MLFLOW", f"http://127.0.0.1:{server.server_port}")
        try:
            for server.answer in HALVES.values():  # type: ignore[attr-defined]
                with pytest.raises(PassingFault, match="MLflow did not answer"):
                    registry.champion(BOOK)
        finally:
            server.shutdown()
    assert kinds() == ["registered"]
