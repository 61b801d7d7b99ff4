"""Processes of their own for a real SIGKILL or a real race, forked from one that has imported everything already."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from multiprocessing import get_context
from typing import Any

# One server forks for every test of a pytest process, whichever asks first: this list is for all of them, and a child
# finds the environment of the test that happened to come first.
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload([
    "__main__", "tests.ingest.apart", "tests.registry.killing", "deltalake.fs", "duckdb",
    "fsspec.implementations.chained", "numpy.rec", "pandas", "pandera.backends.pandas.builtin_checks",
    "pandera.backends.pandas.container", "pandera.backends.pandas.register", "pandera.pandas", "pyarrow.acero",
    "pyarrow.csv", "pyarrow.dataset", "pyarrow.parquet", "s3fs", "tenacity"])


def places() -> dict[str, str]:
    """What tells this process where things live."""
    return {name: value for name, value in os.environ.items() if name.startswith(("TOLLGATE_", "AWS_"))}


def move_to(where: Mapping[str, str]) -> None:
    """Live where this says and forget every other place."""
    for name in places():
        del os.environ[name]
    os.environ.update(where)


def die_before(writes: Iterable[tuple[Any, str]], nth: int) -> None:
    """Let this process be killed before the ``nth`` call of these, each a function of its owner's by its name."""
    calls = count(1)

    def watched(write: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if next(calls) == nth:
                os.kill(os.getpid(), signal.SIGKILL)
            return write(*args, **kwargs)

        return call

    for owner, name in writes:
        setattr(owner, name, watched(getattr(owner, name)))
