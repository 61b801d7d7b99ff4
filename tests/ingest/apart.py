"""Ingesting in processes of their own: a real SIGKILL, a real race."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

from tests.lender import bad_share
from tests.processes import PROCESSES, move_to, places

from tollgate.books import load_book
from tollgate.ingest import ingest_file


def take(where: Mapping[str, str], book: str, name: str, start: Any = None) -> None:
    """Ingest one file, with no limit to its share of bad rows; together with the others that wait at ``start``."""
    move_to(where)
    if start is not None:
        start.wait()
    ingest_file(load_book(book), name, bad_share(1.0))


def take_and_die(where: Mapping[str, str], book: str, name: str, at: int) -> None:
    """Ingest one file, and die by SIGKILL at the n-th point.

    A point is a call of a function of ``publish``, or of compiled code by a module of ours, the lake's library or
    fsspec: nothing else opens, writes, moves or commits.
    """
    seen = 0

    def watch(frame: FrameType, event: str, function: object) -> None:
        nonlocal seen
        module, owner = str(frame.f_globals.get("__name__")), getattr(function, "__self__", None)
        compiled = type(owner).__module__.startswith("deltalake") or getattr(owner, "__name__", "") in ("io", "posix")
        ours = event == "call" and module in ("tollgate.ingest.publishing.publish", "tollgate.ingest.deliveries")
        seen += ours or (event == "c_call" and compiled and module.startswith(("tollgate", "deltalake", "fsspec")))
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    take(where, book, name)


def take_until_a_file_is_as_long(where: Mapping[str, str], book: str, name: str, size: int) -> None:
    """Ingest one file; the kernel ends the process in the middle of writing the first file longer than ``size`` bytes.

    The signal differs from SIGKILL in nothing but its number: no handler is there, and nothing is tidied up.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    take(where, book, name)


def ended(target: Any, *arguments: Any) -> int:
    """The exit code of a process that does one of the above; a negative one is the signal that ended it."""
    process = PROCESSES.Process(target=target, args=(places(), *arguments))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def race(book: str, names: list[str]) -> list[int]:
    """The exit codes of as many processes as there are names, each of which ingests its file, let go at once."""
    start = PROCESSES.Barrier(len(names))
    racers = [PROCESSES.Process(target=take, args=(places(), book, name, start)) for name in names]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    return [int(racer.exitcode or 0) for racer in racers]
