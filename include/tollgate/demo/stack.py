"""Airflow and an MLflow page as child processes: started in sessions of their own, ended as whole groups."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault

START_SECONDS_AT_MOST = 180
STOP_SECONDS_AT_MOST = 10


@dataclass(frozen=True)
class Service:
    """One server: its name, the port it listens on, how it is started, and the page that tells it is up."""

    name: str
    port: int
    command: tuple[str, ...]
    environment: dict[str, str]
    health: str

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.port}"


def _home() -> Path:
    return settings().data / "demo"


def airflow() -> Service:
    """Airflow standalone on SQLite and LocalExecutor, listening on loopback only."""
    here, port = settings(), _port("TOLLGATE_AIRFLOW_PORT", 8080)
    url = f"http://127.0.0.1:{port}"
    environment = {
        "AIRFLOW_HOME": str(here.data / "airflow"),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__AUTH_MANAGER":
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(here.project / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(here.project / "plugins"),
        # Nobody else reaches loopback, and a demo that asks for a password teaches nothing.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "60",
        # Airflow's own ports for logs, moved along with the page's port, so that two demos get on.
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(port + 714),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(port + 713),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # At the default of 5 seconds, half of all tasks hold their place for that long after their work is done.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "TOLLGATE_PROJECT": str(here.project),
        "TOLLGATE_DATA": str(here.data),
    }
    binary = here.project / ".venv-airflow" / "bin" / "airflow"
    return Service("airflow", port, (str(binary), "standalone"), environment, f"{url}/api/v2/monitor/health")


def mlflow() -> Service:
    """MLflow's page over the same store that the pipeline writes to."""
    here, port = settings(), _port("TOLLGATE_MLFLOW_PORT", 5000)
    command = ("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", here.mlflow, "--default-artifact-root", here.mlflow_artifacts)
    binary = here.project / ".venv" / "bin" / command[0]
    return Service("mlflow", port, (str(binary), *command[1:]), {}, f"http://127.0.0.1:{port}/health")


def _port(variable: str, default: int) -> int:
    value = os.environ.get(variable) or str(default)
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise BadInput(f"{variable} must be a port number", value=value, remedy="Use a free port such as 18080.")
    return int(value)


def start(service: Service) -> None:
    """Start a service unless it runs already. Raises ``BadInput`` when its port is taken by somebody else."""
    if _running(service.name):
        return
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", service.port)) == 0:
            raise BadInput(f"The port that {service.name} wants is in use", value=service.port,
                           remedy=f"Free it, or set TOLLGATE_{service.name.upper()}_PORT to another.")
    home = _home()
    home.mkdir(parents=True, exist_ok=True)
    path = f"{Path(service.command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "VIRTUAL_ENV", "PYTHON"))}
    with (home / f"{service.name}.log").open("ab") as log:
        child = subprocess.Popen(service.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home,
                                 env={**inherited, "PATH": path, **service.environment}, start_new_session=True)
    _record(service.name).write_text(json.dumps({"pid": child.pid, "started": _started(child.pid)}))


def wait_until_up(service: Service) -> None:
    """Wait until a started service answers.

    Raises:
        PassingFault: it ended, or did not answer in time; the message names its log.
    """
    import requests
    from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

    def answers() -> None:
        if not _running(service.name):
            raise PassingFault(f"{service.name} ended while it started", value=_home() / f"{service.name}.log",
                               remedy="Its log says why.")
        requests.get(service.health, timeout=5).raise_for_status()

    try:
        for attempt in Retrying(retry=retry_if_exception_type(requests.RequestException), wait=wait_fixed(0.3),
                                stop=stop_after_delay(START_SECONDS_AT_MOST)):
            with attempt:
                answers()
    except RetryError:
        raise PassingFault(f"{service.name} did not answer within {START_SECONDS_AT_MOST} seconds",
                           value=service.url, remedy=f"Read {_home() / f'{service.name}.log'}.") from None


def stop() -> dict[str, list[str]]:
    """End every service that ``start`` started, whole process groups, and nothing else."""
    ended = []
    for record in sorted(_home().glob("*.pid")):
        name = record.stem
        if _running(name):
            _end_session(json.loads(record.read_text())["pid"])
            ended.append(name)
        record.unlink()
    return {"stopped": ended}


def clean() -> dict[str, list[str]]:
    """Stop, then remove everything a demo made except the fetched sources."""
    stopped = stop()["stopped"]
    here = settings()
    removed = []
    for path in sorted(here.data.iterdir()) if here.data.exists() else []:
        if path.name not in ("sources", "README.md"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            removed.append(path.name)
    return {"stopped": stopped, "removed": removed}


def _record(name: str) -> Path:
    return _home() / f"{name}.pid"


def _running(name: str) -> bool:
    """Whether the recorded process lives and is the one that we started, not a later one of the same number."""
    record = _record(name)
    if not record.exists():
        return False
    known = json.loads(record.read_text())
    return bool(known["started"] == _started(known["pid"]))


def _started(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def _end_session(leader: int) -> None:
    """TERM, then KILL, for every process of the session that ``leader`` leads; Airflow's children outlive it."""
    import psutil

    def members() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == leader or process.pid in children:
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found

    # Tasks run in sessions of their own, below the scheduler.
    children = {child.pid for child in psutil.Process(leader).children(recursive=True)}
    for number in (signal.SIGTERM, signal.SIGKILL):
        alive = members()
        for process in alive:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(alive, timeout=STOP_SECONDS_AT_MOST)


