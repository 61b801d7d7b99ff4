"""The versions that the ledger knows, by the ledger alone: no other store is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from tollgate.errors import BadInput
from tollgate.registry import ledger
from tollgate.registry.entries import Entry
from tollgate.registry.standing import champion_at, first_in_force, registrations, standing, states, version_in
from tollgate.registry.versions import Version


def registration(book: str, version: str) -> Entry:
    """The line that registered a version. Raises ``BadInput`` when the ledger knows no such version."""
    return registered(book, ledger.trusted(book), version)


def registered(book: str, chain: Sequence[Entry], version: str) -> Entry:
    """As ``registration``, in a ledger that was read already."""
    for entry in registrations(chain):
        if version_in(entry).version == version:
            return entry
    raise BadInput(f"{book} has no registered version of this number", value=version,
                   remedy=f"See tollgate models {book}.")


def challenger(book: str) -> Version | None:
    """The candidate that passed its gates and waits for approval, by the ledger alone."""
    return standing(ledger.trusted(book)).challenger


def champion_on(book: str, day: date) -> Version | None:
    """The champion of a date, by the ledger alone: what a backfill of that date scores with."""
    return champion_at(ledger.trusted(book), day)


def champions_since(book: str) -> date | None:
    """The first day that has a champion, by the ledger alone; None when no model was ever promoted."""
    return first_in_force(ledger.trusted(book))


def models(book: str) -> list[dict[str, Any]]:
    """Every registered version, newest first, by the ledger alone.

    Each is the version's fields with ``state`` (champion, challenger, former champion, rejected or replaced),
    ``metrics``, ``decline_rate``, that of its operating point, and ``trained_in``, the run of Airflow as DAG/RUN; None
    where none is known.
    """
    chain = ledger.trusted(book)
    state = states(chain)
    return [{**version_in(e).to_json(), "state": state[version_in(e).version], "metrics": e.payload["metrics"],
             "decline_rate": e.payload.get("decline_rate"), "trained_in": e.payload.get("trained_in")}
            for e in reversed(registrations(chain))]
