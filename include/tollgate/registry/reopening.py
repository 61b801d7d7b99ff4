"""Opening a published night again: a person's decision, with a reason, for one run and one more attempt."""

from __future__ import annotations

from datetime import date
from typing import Any

from tollgate import nights
from tollgate.errors import BadInput
from tollgate.registry import ledger
from tollgate.registry.entries import Entry
from tollgate.registry.people import signed_by

REOPENED = "night-reopened"


def reopen(book: str, day: date, run: str, reason: str, by: str | None = None,
           population: str = nights.NEW) -> dict[str, Any]:
    """Let a run score a published night once more; doing it again for the same run adds nothing.

    Args:
        run: the id of the run that may. by: who asks; the login when None.

    Returns ``{"book", "night", "replaces": the attempt that is published, "run"}``.

    Raises:
        BadInput: nothing is published for that night, or this run published it by itself; no reason is given, or the
            ledger's key is not held here.
        Refused: the ledger is not to be trusted.
        PassingFault: the lake did not answer.
    """
    if not reason.strip():
        raise BadInput("To score a published night again needs a reason", value=repr(reason), remedy="Pass --reason.")
    now = nights.publication(book, day, population)
    if now is None:
        raise BadInput(f"No night of {book} is published for this day: there is nothing to open again", value=day,
                       remedy="Score it: run score_nightly, or tollgate score pin.")
    night, number = now.attempt.night, now.attempt.number
    if now.run == run and reopened(book, night, run) is None:
        raise BadInput("The run that is to score the night again is the one that has published it", value=run,
                       remedy="Name another run: one run publishes a night once.")
    if now.run != run:  # that of the run itself is what it was opened for
        ledger.record(book, REOPENED, {"night": night, "replaces": number, "run": run, "comment": reason,
                                       **signed_by(by)},
                      given=lambda chain: _replaced(chain, night, run) != number)
    return {"book": book, "night": night, "replaces": number, "run": run}


def reopened(book: str, night: str, run: str) -> int | None:
    """The published attempt that a run may replace; None where nobody opened the night for it.

    Raises:
        Refused: the ledger is not to be trusted. PassingFault: the lake did not answer.
    """
    return _replaced(ledger.trusted(book), night, run)


def _replaced(chain: list[Entry], night: str, run: str) -> int | None:
    found = [entry.payload for entry in chain if entry.kind == REOPENED]
    return next((int(line["replaces"]) for line in reversed(found) if (line["night"], line["run"]) == (night, run)),
                None)
