"""What is started as a child process is found again, ended whole, and never taken from somebody else."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from ports import free_port

from tollgate.errors import PassingFault
from tollgate.services import Service, page_answers, start, stop, wait_until_up

# A server that answers on the port it is given, with a child in a session of its own, as Airflow has.
SERVER = """
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
# One that ends its child itself when it is interrupted, and says so.
ORDERLY = """
import http.server, signal, subprocess, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in a shell's background
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
try:
    server.serve_forever()
except KeyboardInterrupt:
    child.terminate()
    print("ended in order", child.wait(), flush=True)
"""


def service(port: int, program: str = SERVER, ends_by: signal.Signals | None = None) -> Service:
    return Service("little", port, (sys.executable, "-c", program, str(port)), page_answers(f"http://127.0.0.1:{port}/"),
                   ends_by=ends_by)


def recorded(folder: Path) -> int:
    return int(json.loads((folder / "little.pid").read_text())["pid"])


def family(folder: Path) -> list[psutil.Process]:
    first = psutil.Process(recorded(folder))
    return [first, *first.children(recursive=True)]


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Service]:
    little = service(free_port())
    try:
        start(little, tmp_path)
        wait_until_up(little, tmp_path)
        yield little
    finally:
        stop(tmp_path)


def test_starting_twice_starts_once(started: Service, tmp_path: Path) -> None:
    first = recorded(tmp_path)
    start(started, tmp_path)
    assert recorded(tmp_path) == first


def test_stop_ends_the_whole_family_and_tells_what_it_ended(started: Service, tmp_path: Path) -> None:
    members = family(tmp_path)
    assert len(members) == 2
    assert stop(tmp_path) == ["little"]
    assert living(members) == []
    assert stop(tmp_path) == []


def test_what_ends_its_children_itself_is_asked_alone(tmp_path: Path) -> None:
    orderly = service(free_port(), ORDERLY, signal.SIGINT)
    try:
        start(orderly, tmp_path)
        wait_until_up(orderly, tmp_path)
        members = family(tmp_path)
    finally:
        assert stop(tmp_path) == ["little"]
    assert living(members) == []
    assert f"ended in order {-signal.SIGTERM}" in (tmp_path / "little.log").read_text()


def test_a_process_that_merely_got_the_same_number_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "little.pid").write_text(json.dumps({"pid": os.getpid(), "started": 1.0}))
    assert stop(tmp_path) == []
    assert not (tmp_path / "little.pid").exists()


def test_a_service_that_dies_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    broken = service(free_port(), "print('no such table', flush=True); raise SystemExit(1)")
    with pytest.raises(PassingFault, match=r"little ended while it started.*little\.log.*Its log says why"):
        start(broken, tmp_path)
        wait_until_up(broken, tmp_path)
    assert "no such table" in (tmp_path / "little.log").read_text()
