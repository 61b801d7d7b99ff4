"""What a check found: how bad it is, in words, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from tollgate.config import Settings
from tollgate.errors import PassingFault, TollgateError

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        found: what is so, the value included. remedy: what to do about it; empty when all is well.
        passing: whether an error may be gone by itself, as a server that is being restarted.
    """

    level: Level
    found: str
    remedy: str = ""
    passing: bool = False


Check = Callable[[Settings], Iterable[Finding]]


def ok(found: str) -> Finding:
    """All is well."""
    return Finding("ok", found)


def warning(found: str, remedy: str) -> Finding:
    """It works, and somebody should know."""
    return Finding("warning", found, remedy)


def error(found: str, remedy: str, *, passing: bool = False) -> Finding:
    """Something will fail, or be lost."""
    return Finding("error", found, remedy, passing)


def fault(err: TollgateError) -> Finding:
    """An error that the rooms have put into words already."""
    got = "" if err.value is None else f" (got: {err.value})"
    return error(f"{err.cause}{got}", err.remedy, passing=isinstance(err, PassingFault))
