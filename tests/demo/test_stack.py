"""What the demo starts, it finds again, ends whole, and never takes from somebody else."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from ports import free_port

from tollgate.demo import stack
from tollgate.errors import BadInput, PassingFault

# A server that answers on the port it is given, with a child in a session of its own, as Airflow has.
SERVER = """
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def service(port: int, program: str = SERVER) -> stack.Service:
    return stack.Service("little", port, (sys.executable, "-c", program, str(port)), {}, f"http://127.0.0.1:{port}/")


def children_of(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


def recorded(home: Path) -> int:
    return int(json.loads((home / "demo" / "little.pid").read_text())["pid"])


@pytest.fixture
def started(home: Path) -> Iterator[stack.Service]:
    little = service(free_port())
    try:
        stack.start(little)
        stack.wait_until_up(little)
        yield little
    finally:
        stack.stop()


@pytest.mark.parametrize("name", ["airflow", "mlflow"])
def test_a_port_in_use_is_refused_with_the_setting_that_moves_it(home: Path, name: str,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        port = theirs.getsockname()[1]
        monkeypatch.setenv(f"TOLLGATE_{name.upper()}_PORT", str(port))
        with pytest.raises(BadInput) as caught:
            stack.start(getattr(stack, name)())
    assert str(caught.value) == (f"The port that {name} wants is in use (got: {port}). "
                                 f"Free it, or set TOLLGATE_{name.upper()}_PORT to another.")
    assert stack.stop() == {"stopped": []}


@pytest.mark.parametrize("port", ["http", "0", "70000", "-1"])
def test_a_port_that_is_no_port_is_refused(home: Path, port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_AIRFLOW_PORT", port)
    with pytest.raises(BadInput, match="TOLLGATE_AIRFLOW_PORT must be a port number"):
        stack.airflow()


def test_starting_twice_starts_once(started: stack.Service, home: Path) -> None:
    first = recorded(home)
    stack.start(started)
    assert recorded(home) == first


def test_stop_ends_the_whole_family_and_tells_what_it_ended(started: stack.Service, home: Path) -> None:
    family = children_of(recorded(home))
    assert len(family) == 2
    assert stack.stop() == {"stopped": ["little"]}
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert stack.stop() == {"stopped": []}


def test_a_process_that_merely_got_the_same_number_is_left_alone(home: Path) -> None:
    (home / "demo").mkdir(parents=True)
    (home / "demo" / "little.pid").write_text(json.dumps({"pid": os.getpid(), "started": 1.0}))
    assert stack.stop() == {"stopped": []}
    assert not (home / "demo" / "little.pid").exists()


def test_a_service_that_dies_at_once_is_told_with_its_log(home: Path) -> None:
    broken = service(free_port(), "print('no such table', flush=True); raise SystemExit(1)")
    with pytest.raises(PassingFault, match=r"little ended while it started.*little\.log.*Its log says why"):
        stack.start(broken)
        stack.wait_until_up(broken)
    assert "no such table" in (home / "demo" / "little.log").read_text()


def test_clean_removes_what_the_demo_made_and_keeps_the_sources(started: stack.Service, home: Path) -> None:
    for name in ("lake/consumer/x", "sources/card/y", "airflow/z"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("")
    (home / "mlflow.db").write_text("")
    told = stack.clean()
    assert told["stopped"] == ["little"]
    assert sorted(path.name for path in home.iterdir()) == ["sources"]
    assert (home / "sources" / "card" / "y").exists()
