"""A deployment that is well, and servers that a test makes ill."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import scratch
from careless import Careless
from s3fs import S3FileSystem
from scratch import Scratch


@pytest.fixture
def well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scratch]:
    """A project of its own, with nothing set but where it is, in which we stand."""
    project = scratch.make(tmp_path / "project")
    for name, value in project.places.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.folder)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    monkeypatch.setattr("tollgate.lake.contention._proven", set())
    S3FileSystem.clear_instance_cache()  # it keeps the server that it was made with, here another test's
    yield project
    S3FileSystem.clear_instance_cache()


class Shifted(BaseHTTPRequestHandler):
    """Tells the clock's time and ``server.shift`` seconds."""

    server: Any

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(time.time() + self.server.shift)


class Answering(Shifted):
    """Whatever is asked, answers ``server.answers[path]``: (status, content)."""

    def do_GET(self) -> None:
        status, content = self.server.answers[self.path]
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class CarelessStore(Careless, Shifted):
    """An object store that keeps another time too."""


@contextmanager
def _served(handler: type[BaseHTTPRequestHandler], **state: Any) -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    for name, value in state.items():
        setattr(server, name, value)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def mlflow_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """As much of an MLflow server as is asked of one, which is well and of our version."""
    answers = {"/health": (200, b"OK"), "/version": (200, version("mlflow").encode()),
               "/api/2.0/mlflow/experiments/search": (200, b"{}")}
    with _served(Answering, answers=answers, shift=0.0) as server:
        monkeypatch.setenv("TOLLGATE_MLFLOW", f"http://127.0.0.1:{server.server_port}")
        yield server


@pytest.fixture
def airflow_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """As much of Airflow's server as is asked of one."""
    with _served(Answering, answers={}, shift=0.0) as server:
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", f"http://127.0.0.1:{server.server_port}/execution/")
        yield server


@pytest.fixture
def careless_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An object store at which everybody who puts is told that he has won."""
    with _served(CarelessStore, put=lambda absent: 200, kept={}, asked=[], shift=0.0) as server:
        for name, value in {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_ACCESS_KEY_ID": "k",
                            "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1"}.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def on_s3(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put every location into a bucket; the databases stay where they are."""

    def put(bucket: str) -> None:
        for place in ("LAKE", "LANDING", "STORE", "DVC_REMOTE", "MLFLOW_ARTIFACTS"):
            monkeypatch.setenv(f"TOLLGATE_{place}", f"s3://{bucket}/{place.lower()}")

    return put


@pytest.fixture
def on_server(request: pytest.FixtureRequest, on_s3: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> str:
    """Put every location into the bucket of a real S3 server; its name."""
    server = request.getfixturevalue("s3_server")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    on_s3(server.bucket)
    return str(server.bucket)
