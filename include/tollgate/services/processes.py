"""Servers as child processes: started in sessions of their own, found again later, ended as whole families."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollgate.errors import BadInput, PassingFault

if TYPE_CHECKING:
    import psutil

START_SECONDS_AT_MOST = 180
STOP_SECONDS_AT_MOST = 10
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Service:
    """One server that listens on a port of loopback.

    Attributes:
        up: whether it answers; a program that is not there yet may make it False or raise ``OSError``.
        ends_by: a signal to the first process alone, when that ends its children itself; otherwise all get TERM.
    """

    name: str
    port: int
    command: tuple[str, ...]
    up: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    ends_by: signal.Signals | None = None

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://{LOOPBACK}:{self.port}"


def page_answers(url: str) -> Callable[[], bool]:
    """A check that a page is served, and not with an error."""
    def answers() -> bool:
        import requests

        try:
            return requests.get(url, timeout=5).ok
        except requests.RequestException:
            return False

    return answers


def taken(port: int) -> bool:
    """Whether something listens there already."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def free_port() -> int:
    """A port of loopback that nobody has, below those that the system hands out to any client.

    Raises:
        PassingFault: none was found.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_000), 200):
        try:
            socket.create_server((LOOPBACK, port)).close()
        except OSError:
            continue
        return port
    raise PassingFault("No free port was found on loopback", value="20000-31999", remedy="End what holds them.")


def start(service: Service, folder: Path) -> None:
    """Start a service unless it runs already; its log and a record of its process lie in ``folder``.

    Raises:
        BadInput: its port is taken by somebody else.
    """
    if running(service.name, folder):
        return
    if taken(service.port):
        raise BadInput(f"The port that {service.name} wants is in use", value=service.port,
                       remedy=f"Free it, or set TOLLGATE_{service.name.upper()}_PORT to another.")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{service.name}.log").open("ab") as log:
        child = subprocess.Popen(service.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
                                 env=environment_of(service), start_new_session=True)
    adopt(service.name, child.pid, folder, service.ends_by)


def environment_of(service: Service) -> dict[str, str]:
    """What a service finds in its environment: ours, without what would change its programs, and its own."""
    path = f"{Path(service.command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "VIRTUAL_ENV", "PYTHON"))}
    return {**inherited, "PATH": path, **service.environment}


def adopt(name: str, pid: int, folder: Path, ends_by: signal.Signals | None = None) -> None:
    """Record that this process is the service of that name, for ``running`` and ``stop`` to find."""
    partial = folder / f"{name}.pid.partial"
    partial.write_text(json.dumps({"pid": pid, "started": _started(pid), "ends_by": ends_by}))
    os.replace(partial, _record(name, folder))


def wait_until_up(service: Service, folder: Path) -> None:
    """Wait until a started service answers.

    Raises:
        PassingFault: it ended, or did not answer in time; the message names its log.
    """
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

    log = folder / f"{service.name}.log"

    def answers() -> bool:
        if not running(service.name, folder):
            raise PassingFault(f"{service.name} ended while it started", value=log, remedy="Its log says why.")
        return service.up()

    try:
        Retrying(retry=retry_if_result(lambda up: not up), wait=wait_fixed(0.05),
                 stop=stop_after_delay(START_SECONDS_AT_MOST))(answers)
    except RetryError:
        raise PassingFault(f"{service.name} did not answer within {START_SECONDS_AT_MOST} seconds",
                           value=service.url, remedy=f"Read {log}.") from None


def stop(folder: Path) -> list[str]:
    """End every service that ``start`` started with this folder, whole families, and nothing else; their names."""
    ended = []
    for record in sorted(folder.glob("*.pid")):
        if running(record.stem, folder):
            known = json.loads(record.read_text())
            _end(known["pid"], known.get("ends_by"))
            ended.append(record.stem)
        record.unlink()
    return ended


def running(name: str, folder: Path) -> int | None:
    """The recorded process, if it lives and is the one that we started, not a later one of the same number."""
    known = _known(name, folder)
    lives = known is not None and known["started"] is not None and known["started"] == _started(known["pid"])
    return int(known["pid"]) if known is not None and lives else None


def _known(name: str, folder: Path) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads(_record(name, folder).read_text())
    except FileNotFoundError:
        return None
    return known


def _record(name: str, folder: Path) -> Path:
    return folder / f"{name}.pid"


def _started(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def _end(leader: int, ends_by: int | None) -> None:
    """The service's own signal to its first process or TERM to all, then KILL to whoever is left."""
    import psutil

    # Airflow's tasks and PostgreSQL's servers have sessions of their own, below the first process.
    children = {child.pid for child in psutil.Process(leader).children(recursive=True)}

    def members() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == leader or process.pid in children:
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found

    _signal([p for p in members() if ends_by is None or p.pid == leader], ends_by or signal.SIGTERM)
    psutil.wait_procs(members(), timeout=STOP_SECONDS_AT_MOST)
    if left := members():
        _signal(left, signal.SIGKILL)
        psutil.wait_procs(left, timeout=STOP_SECONDS_AT_MOST)


def _signal(processes: list[psutil.Process], number: int) -> None:
    import psutil

    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
