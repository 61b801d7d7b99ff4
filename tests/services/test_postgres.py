"""The embedded database: there when it is needed, one for all who ask, behind a password, gone when it is stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy
from sqlalchemy.exc import OperationalError
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from tollgate.errors import BadInput, PassingFault
from tollgate.services import database, postgres, stop_embedded

ASK = "from tollgate.services import database; print(database('optuna'))"


@pytest.fixture
def place(home: Path) -> Iterator[Path]:
    """Where the embedded database of a fresh home will lie; it is stopped after the test."""
    try:
        yield home / "postgres"
    finally:
        stop_embedded()


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        found = connection.execute(sqlalchemy.text(statement))
        return [tuple(row) for row in found] if found.returns_rows else []


def server(place: Path) -> psutil.Process:
    found = postgres.postmaster(place / "data")
    assert found is not None
    return psutil.Process(found.pid)


def processes_in(folder: Path) -> list[int]:
    """PostgreSQL's processes stand in their data folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=30)[1]


def test_two_processes_that_need_it_at_once_start_one(place: Path) -> None:
    asking = [subprocess.Popen([sys.executable, "-c", ASK], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate()[0].strip() for process in asking}
    assert [process.returncode for process in asking] == [0, 0]
    assert said == {database("optuna")}
    assert ask(said.pop(), "SELECT current_database(), current_user") == [("optuna", "tollgate")]


def test_it_outlives_who_started_it_and_stops_with_all_its_processes(place: Path) -> None:
    subprocess.run([sys.executable, "-c", ASK], check=True, stdout=subprocess.PIPE)
    assert processes_in(place / "data")
    assert stop_embedded() == ["postgres"]
    assert processes_in(place / "data") == []
    assert stop_embedded() == []


def test_what_was_written_is_there_after_a_stop_and_after_a_kill(place: Path) -> None:
    ask(database("mlflow"), "CREATE TABLE kept (number integer)")
    stop_embedded()
    ask(database("mlflow"), "INSERT INTO kept VALUES (1)")
    first = server(place)
    family = [first, *first.children()]
    first.kill()
    assert gone(family)
    assert ask(database("mlflow"), "SELECT number FROM kept") == [(1,)]


def test_a_dead_servers_number_that_another_process_has_by_now_keeps_nothing_from_starting(place: Path) -> None:
    database("mlflow")
    stop_embedded()
    (place / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{place / 'data'}\n1\n1\n\n127.0.0.1\n1 1\nready\n")
    assert ask(database("mlflow"), "SELECT 1") == [(1,)]


def test_a_server_whose_starter_was_killed_before_it_could_record_it_is_found_and_stopped(place: Path) -> None:
    url = database("mlflow")
    (place / "postgres.pid").unlink()
    assert database("mlflow") == url
    assert stop_embedded() == ["postgres"]
    assert processes_in(place / "data") == []


def test_a_port_that_somebody_has_taken_meanwhile_is_changed_for_another(place: Path) -> None:
    before = sqlalchemy.make_url(database("mlflow")).port
    stop_embedded()
    with socket.create_server(("127.0.0.1", before)):
        url = database("mlflow")
        assert sqlalchemy.make_url(url).port != before
        assert ask(url, "SELECT 1") == [(1,)]


def test_nobody_gets_in_without_the_password_and_it_stands_in_no_url(place: Path, tmp_path: Path) -> None:
    url = database("mlflow")
    kept = place / "pgpass"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    password = kept.read_text().strip().split(":")[-1]
    assert password not in url and password not in (place / "postgres.log").read_text()
    assert password not in " ".join(server(place).cmdline())
    (tmp_path / "wrong").touch(mode=0o600)
    (tmp_path / "wrong").write_text("*:*:*:*:guessed\n")
    for passfile, said in ((tmp_path / "wrong", "authentication failed"), (tmp_path / "none", "no password supplied")):
        with pytest.raises(OperationalError, match=said):
            ask(f"{url.partition('?')[0]}?passfile={passfile}", "SELECT 1")


def test_it_listens_on_loopback_alone_and_on_no_socket_in_a_folder(place: Path) -> None:
    database("mlflow")
    listening = {address.laddr.ip for address in server(place).net_connections("all")
                 if address.status == psutil.CONN_LISTEN and address.laddr}
    assert listening == {"127.0.0.1"}
    assert not list((place / "data").glob(".s.PGSQL*"))


def test_a_home_with_a_space_in_its_name_has_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_DATA", str(tmp_path / "my data 100% & more"))
    try:
        assert ask(database("mlflow"), "SELECT 1") == [(1,)]
    finally:
        assert stop_embedded() == ["postgres"]


def test_another_versions_data_is_refused_with_both_versions_and_the_way_over(place: Path) -> None:
    database("mlflow")
    stop_embedded()
    (place / "data" / "PG_VERSION").write_text("15\n")
    with pytest.raises(BadInput, match=rf"was written by PostgreSQL 15 \(got: PostgreSQL {postgres.version()}\).*"
                                       "pg_upgrade.*pg_dumpall"):
        database("mlflow")


def test_a_lost_password_is_told(place: Path) -> None:
    database("mlflow")
    stop_embedded()
    (place / "pgpass").unlink()
    with pytest.raises(BadInput, match=r"password of the embedded database is lost.*pgpass.*Restore that file"):
        database("mlflow")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TOLLGATE_DATA", str(tmp_path / "file"))
    with pytest.raises(BadInput, match=r"embedded database cannot use its folder: Not a directory.*set TOLLGATE_DATA"):
        database("mlflow")


def test_a_disk_that_is_full_at_first_is_told_and_the_next_try_begins_anew(place: Path) -> None:
    # A limit on the size of a file makes the kernel stop the write midway, as a full disk does, without needing one.
    cut = subprocess.run([sys.executable, "-c", "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
                          "; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
                          "from tollgate.services import database; database('mlflow')"], capture_output=True, text=True)
    assert "PassingFault: PostgreSQL could not make its data folder: " in cut.stderr
    assert "File too large" in cut.stderr
    assert not (place / "data").exists()
    assert ask(database("mlflow"), "SELECT 1") == [(1,)]


def test_settings_that_the_server_does_not_accept_are_told_in_its_own_words(place: Path) -> None:
    database("mlflow")
    stop_embedded()
    (place / "data" / "postgresql.auto.conf").write_text("shared_buffers = 'much'\n")
    with pytest.raises(PassingFault, match=r"did not start: configuration file.*contains errors.*postgres\.log"):
        database("mlflow")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_where_the_kernel_has_no_namespace_for_root_the_server_runs_as_nobody(
        monkeypatch: pytest.MonkeyPatch) -> None:
    reachable = Path(tempfile.mkdtemp())  # pytest's own folders are root's alone
    reachable.chmod(0o755)
    runs = postgres._runs
    monkeypatch.setattr(postgres, "_runs", lambda *command: command[0] != "unshare" and runs(*command))
    monkeypatch.setenv("TOLLGATE_DATA", str(reachable))
    try:
        assert ask(database("mlflow"), "SELECT 1") == [(1,)]
        assert server(reachable / "postgres").username() == "nobody"
        assert stop_embedded() == ["postgres"]
        monkeypatch.undo()  # whoever owns the folder serves it, whatever the kernel can by now
        monkeypatch.setenv("TOLLGATE_DATA", str(reachable))
        assert ask(database("mlflow"), "SELECT 1") == [(1,)]
        assert server(reachable / "postgres").username() == "nobody"
    finally:
        stop_embedded()
        shutil.rmtree(reachable)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_that_can_become_nobody_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_runs", lambda *command: False)
    with pytest.raises(BadInput, match="PostgreSQL does not run as root.*Run Tollgate as an ordinary user"):
        database("mlflow")


HOLDING = """
import sys
from tollgate.services import alone
with alone(sys.argv[1], "the tables"):
    print("holding", flush=True)
    sys.stdin.read()
"""


def hold(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", HOLDING, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True)


def waiting(url: str) -> int:
    return len(ask(url, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))


def test_one_at_a_time_is_alone_and_a_killed_one_lets_the_next_in(place: Path) -> None:
    url = database("optuna")
    first = hold(url)
    assert first.stdout is not None and first.stdout.readline() == "holding\n"
    second = hold(url)
    Retrying(retry=retry_if_result(lambda found: found != 1), stop=stop_after_delay(180), wait=wait_fixed(0.05))(
        waiting, url)
    first.send_signal(signal.SIGKILL)
    assert second.communicate("")[0] == "holding\n"
    first.communicate()
