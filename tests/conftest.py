"""What every test may ask for: an isolated home for Tollgate's state."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings
from ports import free_port
from tests.databases import Databases
from tests.processes import move_to

move_to({})  # nobody's lake or credentials but those that a test asks for
for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS"):  # for these our programs write colours into a pipe too
    os.environ.pop(name, None)
# The same examples on every machine, however slow it is.
settings.register_profile("anywhere", derandomize=True, deadline=None, suppress_health_check=[
    HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
settings.load_profile("anywhere")
# Small matrices: XGBoost's threads would spend their time waiting for each other. Read when it is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a test started stands in its folder, and is to have ended when all tests have."""
    base = tmp_path_factory.getbasetemp().resolve()
    yield
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.status() != psutil.STATUS_ZOMBIE and base in Path(process.cwd()).parents:
                left.append(f"{process.pid} {' '.join(process.cmdline())}")
    assert not left


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh TOLLGATE_DATA: lake, landing, store and the rest live under it."""
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it keeps the first keys that it saw, here another test's
    monkeypatch.setenv("TOLLGATE_DATA", str(tmp_path / "data"))
    for name in ("TOLLGATE_MLFLOW", "TOLLGATE_OPTUNA"):  # no server of its own: who needs a database asks for one
        monkeypatch.setenv(name, "postgresql+psycopg2://nobody@127.0.0.1:1/asked-for-none")
    return tmp_path / "data"


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """A PostgreSQL, started once by each test process that asks for it, ended with it."""
    with Databases(tmp_path_factory.mktemp("postgres")).running() as server:
        yield server


@pytest.fixture
def settle(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Path]]:
    """Give a home an MLflow of its own and live there; it is gone after the test."""
    names = []

    def settled(home: Path) -> Path:
        names.append(databases.settle(monkeypatch, home))
        return home

    yield settled
    for name in names:
        databases.forget(name)


@pytest.fixture
def studies(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Sweep in a database that knows nothing of other sweeps; called, in another such."""
    names = []

    def elsewhere() -> None:
        names.append(databases.new(databases.studies))
        monkeypatch.setenv("TOLLGATE_OPTUNA", databases.url(names[-1]))

    elsewhere()
    yield elsewhere
    for name in names:
        databases.forget(name)


PORTS = [f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]


@dataclass(frozen=True)
class S3Server:
    """A real S3 server on loopback, with one empty bucket."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str

    def environment(self) -> dict[str, str]:
        """What a client needs to be told."""
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": self.access_key,
                "AWS_SECRET_ACCESS_KEY": self.secret_key, "AWS_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS, started once by each test process that asks for it, ended with it."""
    folder = tmp_path_factory.mktemp("seaweedfs")
    server = S3Server("", "tollgate", "tollgate-test", "a-secret-for-tests")
    (folder / "s3.json").write_text(json.dumps({"identities": [{
        "name": "test", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        "credentials": [{"accessKey": server.access_key, "secretKey": server.secret_key}]}]}))
    log = folder / "log.txt"
    for _ in range(3):  # another process may take a free port before the server does
        first = free_port(*range(1, len(PORTS)))
        ports = {name: first + place for place, name in enumerate(PORTS)}
        server = replace(server, endpoint=f"http://127.0.0.1:{ports['s3.port']}")
        with log.open("wb") as out:
            process = subprocess.Popen(
                [str(Path(sys.executable).with_name("weed")), "server", "-s3", f"-dir={folder}", "-ip=127.0.0.1",
                 "-ip.bind=127.0.0.1", f"-s3.config={folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0",
                 "-volume.max=0", "-volume.minFreeSpace=10MiB", "-master.volumeSizeLimitMB=64",
                 "-master.telemetry=false", *(f"-{name}={port}" for name, port in ports.items())],
                stdout=out, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True)
        try:
            if _bucket_made(server, process):
                yield server
                return
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    pytest.fail(f"the S3 server did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _bucket_made(server: S3Server, process: subprocess.Popen[bytes]) -> bool:
    """Ask until the server takes a bucket; False when it died or three minutes have passed."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client("s3", endpoint_url=server.endpoint, aws_access_key_id=server.access_key,
                          aws_secret_access_key=server.secret_key, region_name="us-east-1",
                          config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1}))
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            with suppress(client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket=server.bucket)
            client.put_object(Bucket=server.bucket, Key="ready", Body=b"")
            return True
        except (BotoCoreError, ClientError):
            try:
                process.wait(timeout=0.1)
                return False
            except subprocess.TimeoutExpired:
                continue
    return False


@pytest.fixture(params=["local", "s3"])
def anywhere(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An isolated home whose lake, landing and store are local folders, and again where they are on S3."""
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        for place in ("lake", "landing", "store"):
            monkeypatch.setenv(f"TOLLGATE_{place.upper()}", f"s3://{server.bucket}/{home.parent.name}/{place}")
    return str(request.param)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The loop first, for it takes longest.

    With `-m long` there is another, and the cluster, which comes last: three Airflows at once are more than two cores
    carry, and one of them answers its own tasks no more.
    """
    def folder(item: pytest.Item) -> str:
        return item.path.relative_to(Path(__file__).parent).parts[0]

    items.sort(key=lambda item: (folder(item) == "e2e", folder(item)), reverse=True)
