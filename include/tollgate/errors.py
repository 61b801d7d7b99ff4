"""Every error a user can meet: what went wrong, the offending value, and what to do about it.

The exit code is part of the error's type, and this is the only place where the codes are written:
0 done, 2 bad input or configuration, 3 refused by a gate or a contract, 75 a passing fault worth retrying.
"""

from __future__ import annotations


class TollgateError(Exception):
    """A fault that a person can act on; carries its cause, the offending value and the remedy."""

    exit_code = 2

    def __init__(self, cause: str, *, value: object = None, remedy: str = "") -> None:
        self.cause = cause
        self.value = value
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        got = "" if self.value is None else f" (got: {self.value})"
        todo = f" {self.remedy}" if self.remedy else ""
        return f"{self.cause}{got}.{todo}"


class BadInput(TollgateError):
    """A file, argument or setting is wrong; the same call will fail again. Exit code 2."""


class Refused(TollgateError):
    """A gate or a contract said no. Nothing crashed, and a retry will not help. Exit code 3."""

    exit_code = 3


class PassingFault(TollgateError):
    """A server, a lock or a disk was not there this time; the same call may succeed later. Exit code 75."""

    exit_code = 75
