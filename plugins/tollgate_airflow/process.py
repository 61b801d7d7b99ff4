"""The one door from Airflow to Tollgate: a child process, its log line by line, its answer as one JSON object.

Nothing here imports Airflow, so that it can be tested and used by the triggers, the board and the operator alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from pathlib import Path
from typing import IO, Any

DONE, BAD_INPUT, REFUSED, PASSING_FAULT = 0, 2, 3, 75
GRACE = 10.0  # seconds between TERM and KILL
LIGHT = 300.0  # seconds after which a question that no task's own timeout bounds is taken for hung
END_WITH = "TOLLGATE_END_WITH"
CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")


class CommandFailed(Exception):
    """The command did not end well; the text is its own last line to the person who reads the log.

    ``answer`` is what it did all the same, if it told.
    """

    def __init__(self, message: str, exit_code: int, answer: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.answer = answer

    @property
    def passing(self) -> bool:
        """Whether the same call may succeed later: everything but bad input and a refusal."""
        return self.exit_code not in (BAD_INPUT, REFUSED)


def project() -> Path:
    """The checkout that this Airflow serves: ``TOLLGATE_PROJECT``, else the one that these plugins lie in."""
    return Path(os.environ.get("TOLLGATE_PROJECT") or Path(__file__).resolve().parents[2])


def command_line(arguments: Sequence[str]) -> list[str]:
    """``tollgate ARGUMENTS``, by ``TOLLGATE_BIN`` or the project's own environment."""
    return [os.environ.get("TOLLGATE_BIN") or str(project() / ".venv" / "bin" / "tollgate"), *arguments]


def environment() -> dict[str, str]:
    """Ours, and what lets the command end with us.

    It ends, with all that it has started, when its standard input is closed, of which we hold the other end and never
    write, or when the process that supervises us is gone: the system tells of both, also where we were killed.
    """
    return {**os.environ, END_WITH: str(os.getppid())}


def without_credentials(line: str) -> str:
    """``line`` with the user and password of every URL in it taken out."""
    return CREDENTIALS.sub("***@", line)


def read_answer(stdout: str, last_word: str, exit_code: int) -> dict[str, Any]:
    """The JSON object on the last line of ``stdout``.

    Raises:
        CommandFailed: the exit code is not 0, or it is and there is no answer.
    """
    lines = stdout.strip().splitlines()
    try:
        answer = json.loads(lines[-1])
    except (IndexError, ValueError):
        answer = None
    told = answer if isinstance(answer, dict) else None
    if exit_code < 0:  # what it said last is then no reason
        said = f" The last that it said: {last_word}" if last_word else ""
        raise CommandFailed(f"tollgate was ended by {_signal_name(-exit_code)}: the machine ran out of memory, or "
                            f"somebody ended it.{said}", exit_code, told)
    if exit_code != DONE:
        raise CommandFailed(last_word or f"tollgate ended without a word, with exit code {exit_code}", exit_code, told)
    if told is None:
        raise CommandFailed("tollgate said it was done but gave no answer", exit_code=DONE)
    return told


class Child:
    """One ``tollgate`` command in a process group of its own, which ends with the command."""

    def __init__(self, arguments: Sequence[str], say: Callable[[str], object] = lambda line: None) -> None:
        self._say = say
        self._asked = arguments
        self._last_word = ""
        self._child = subprocess.Popen(command_line(arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True, errors="replace", process_group=0,
                                       env=environment())
        self._end = _in_thread(self._wait)

    def answer(self, within: float | None = None) -> dict[str, Any]:
        """Wait for the end, passing on every line of the log; an interruption ends the whole group first.

        So does the end of ``within`` seconds, which is a failure.

        The calling thread only waits. Airflow's timeout is an alarm that logs in the main thread before it raises:
        were it to strike there amid a line of ours, it would wait for ever for the lock of the log.
        """
        child = self._child
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None
        threads: list[Future[Any]] = [self._end]
        try:
            heard = _in_thread(child.stdout.read)
            threads += [heard, _in_thread(self._pass_on, child.stderr)]
            ended, missing = wait(threads, timeout=within, return_when=FIRST_EXCEPTION)
            for thread in ended:
                thread.result()
            if missing and within is not None:
                raise _hung(self._asked, within)
        finally:
            self.stop()
            wait(threads, timeout=GRACE)
            child.stdin.close()
        return read_answer(heard.result(), self._last_word, child.returncode)

    def stop(self, grace: float = GRACE) -> None:
        """TERM the group, then KILL what is left of it after ``grace`` seconds. Does nothing once it has ended."""
        if self._end.done():
            return
        _signal_group(self._child.pid, signal.SIGTERM)
        try:
            wait([self._end], timeout=grace)
        finally:
            _signal_group(self._child.pid, signal.SIGKILL)
            wait([self._end])

    def _pass_on(self, log: IO[str]) -> None:
        for raw in log:
            line = without_credentials(raw.rstrip())
            self._last_word = line or self._last_word
            self._say(line)

    def _wait(self) -> None:
        """Wait for the command's end, and end what it leaves behind: a stage whose DVC was killed under it."""
        if hasattr(os, "waitid"):  # else, on an older macOS, what is left may live on
            # Uncollected, so that its number is still the group's and nobody else's.
            os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOWAIT)
            _signal_group(self._child.pid, signal.SIGKILL)
        self._child.wait()


async def ask(arguments: Sequence[str]) -> dict[str, Any]:
    """The answer of a light command, without blocking the event loop. Raises ``CommandFailed``."""
    stdin, held = os.pipe()
    try:
        child = await asyncio.create_subprocess_exec(*command_line(arguments), stdin=stdin, env=environment(),
                                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0)
        try:
            out, err = await asyncio.wait_for(child.communicate(), LIGHT)
        except TimeoutError:
            _signal_group(child.pid, signal.SIGKILL)
            await child.wait()
            raise _hung(arguments, LIGHT) from None
        except asyncio.CancelledError:
            _signal_group(child.pid, signal.SIGKILL)
            raise
    finally:
        os.close(stdin)
        os.close(held)
    words = [line for line in err.decode(errors="replace").splitlines() if line.strip()]
    return read_answer(out.decode(errors="replace"), without_credentials(words[-1] if words else ""),
                       child.returncode or 0)


def _hung(arguments: Sequence[str], seconds: float) -> CommandFailed:
    return CommandFailed(f"tollgate {' '.join(arguments[:2])} had not answered within {seconds:g} seconds, and was "
                         "ended with all that it had started", PASSING_FAULT)


def _in_thread(work: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """The result of ``work`` in a daemon thread with the caller's context; an executor's would hold up our own end.

    A thread's own ``join`` will not do: once a signal has interrupted it, Python 3.11 takes the thread for ended.
    """
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True).start()
    return future


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
