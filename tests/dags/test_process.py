"""The door between Airflow and Tollgate, with real child processes at its other side."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import tenacity

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins"))

from tollgate_airflow import process
from tollgate_airflow.process import Child, CommandFailed, ask, command_line

Script = Callable[[str], None]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Puts a shell script in the place of the tollgate command."""
    def put(body: str) -> None:
        script = tmp_path / "tollgate"
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        monkeypatch.setenv("TOLLGATE_BIN", str(script))
    return put


def test_the_answer_is_the_json_object_on_the_last_line(command: Script) -> None:
    command("echo chatter; echo '{\"rows\": 3}'")
    assert Child(["score"]).answer() == {"rows": 3}
    assert asyncio.run(ask(["score"])) == {"rows": 3}


def test_every_argument_arrives_as_it_was_given(command: Script) -> None:
    command("""printf '{"count": %d, "third": "%s"}\\n' $# "$3" """)
    assert Child(["a", "", "two words; $HOME {x}"]).answer() == {"count": 3, "third": "two words; $HOME {x}"}


@pytest.mark.parametrize("body", ["true", "echo done", "echo '[1]'", "echo '{\"rows\": 3}'; echo bye"])
def test_success_without_an_answer_is_a_failure(command: Script, body: str) -> None:
    command(body)
    with pytest.raises(CommandFailed, match="gave no answer"):
        Child([]).answer()
    with pytest.raises(CommandFailed, match="gave no answer"):
        asyncio.run(ask([]))


@pytest.mark.parametrize(("end", "passing"), [("exit 2", False), ("exit 3", False), ("exit 75", True),
                                             ("exit 1", True)])
def test_a_failure_speaks_with_the_last_line_of_the_log_and_says_if_a_retry_may_help(
        command: Script, end: str, passing: bool) -> None:
    command(f"echo first >&2; echo 'The file is bad (got: x). Mend it.' >&2; echo '{{}}'; {end}")
    for call in (lambda: Child([]).answer(), lambda: asyncio.run(ask([]))):
        with pytest.raises(CommandFailed) as failure:
            call()
        assert str(failure.value) == "The file is bad (got: x). Mend it."
        assert failure.value.passing is passing


def test_a_command_that_was_killed_says_so_and_does_not_give_its_last_line_as_the_reason(command: Script) -> None:
    command("echo '12:00 INFO tollgate.training: tree 300 of 400' >&2; kill -KILL $$")
    for call in (lambda: Child([]).answer(), lambda: asyncio.run(ask([]))):
        with pytest.raises(CommandFailed, match=r"^tollgate was ended by SIGKILL: .*said: 12:00 INFO .*") as failure:
            call()
        assert failure.value.passing


def test_a_silent_failure_still_says_something(command: Script) -> None:
    command("exit 75")
    with pytest.raises(CommandFailed, match="without a word, with exit code 75"):
        Child([]).answer()


def test_the_log_arrives_line_by_line_and_without_the_credentials_of_a_url(command: Script) -> None:
    command("echo reading postgresql://me:secret@host/db >&2; echo then >&2; echo '{}'")
    said: list[str] = []
    Child([], say=said.append).answer()
    assert said == ["reading postgresql://***@host/db", "then"]


def test_a_megabyte_on_either_stream_blocks_nothing(command: Script) -> None:
    command("head -c 1000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero | tr '\\0' y >&2; echo; echo '{}'")
    assert Child([]).answer() == {}


def test_stopping_ends_the_child_and_what_it_started_even_when_it_does_not_listen(
        command: Script, tmp_path: Path) -> None:
    command(f"trap '' TERM; sleep 600 & echo $! > {tmp_path}/grandchild; echo ready >&2; wait")
    ready, ended = threading.Event(), threading.Event()
    child = Child([], say=lambda line: ready.set())

    def wait_for_it() -> None:
        with pytest.raises(CommandFailed):
            child.answer()
        ended.set()

    threading.Thread(target=wait_for_it, daemon=True).start()
    try:
        assert ready.wait(60)
    finally:
        child.stop(grace=0.1)
    assert ended.wait(60)
    assert _ends(int((tmp_path / "grandchild").read_text()))


def test_an_interruption_while_waiting_ends_the_child(command: Script, tmp_path: Path) -> None:
    command(f"echo $$ > {tmp_path}/child; echo ready >&2; exec sleep 600")

    def interrupt(line: str) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, signal.default_int_handler)  # as Airflow's timeout raises amid the waiting
    try:
        with pytest.raises(KeyboardInterrupt):
            Child([], say=interrupt).answer()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert _ends(int((tmp_path / "child").read_text()))


def test_a_question_that_hangs_is_given_up_on_and_ended_with_what_it_started(
        command: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LIGHT", 1.0)
    for call in (lambda: Child(["ingest", "list"]).answer(process.LIGHT), lambda: asyncio.run(ask(["ingest", "list"]))):
        command(f"sleep 600 & echo $! > {tmp_path}/below; wait")
        with pytest.raises(CommandFailed, match="^tollgate ingest list had not answered within 1 seconds") as failure:
            call()
        assert failure.value.passing, "it is asked again"
        assert _ends(int((tmp_path / "below").read_text()))


def test_a_line_that_cannot_be_passed_on_ends_the_child(command: Script, tmp_path: Path) -> None:
    command(f"echo $$ > {tmp_path}/child; echo ready >&2; exec sleep 600")

    def full(line: str) -> None:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        Child([], say=full).answer()
    assert _ends(int((tmp_path / "child").read_text()))


def test_the_command_is_the_projects_own_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOLLGATE_BIN", raising=False)
    monkeypatch.setenv("TOLLGATE_PROJECT", "/somewhere")
    assert command_line(["models", "sba"]) == ["/somewhere/.venv/bin/tollgate", "models", "sba"]


@tenacity.retry(retry=tenacity.retry_if_not_result(bool), wait=tenacity.wait_fixed(0.02),
                stop=tenacity.stop_after_delay(60))
def _ends(pid: int) -> bool:
    """Whether the process, which was told to end, is gone or a zombie that nobody has collected yet."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True
