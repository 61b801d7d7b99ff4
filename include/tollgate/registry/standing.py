"""What the ledger says now: who is champion, who is challenger, and which decision was cut in half. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce

from tollgate.registry.entries import Entry
from tollgate.registry.versions import Version

REGISTERED, REJECTED, MENDED, ABANDONED = "registered", "rejected", "mended", "abandoned"
ADOPTED = "adopted"
JUDGED = "judged"   # a run's gates said yes or no
PROMOTION, ROLLBACK = "promotion", "rollback"
INTENTS = (f"{PROMOTION}-intent", f"{ROLLBACK}-intent")
COMMITS = (f"{PROMOTION}-committed", f"{ROLLBACK}-committed")


@dataclass(frozen=True)
class Standing:
    """The state of a book's models, folded from its ledger.

    Attributes:
        champion, challenger: None when there is none.
        commit: the line that made the champion.
        registration: the line that made the challenger.
        open: an intent that has no commit yet.
        chain: the ledger that was folded; a decision made on this standing is void once another line follows.
    """

    champion: Version | None
    challenger: Version | None
    commit: Entry | None
    registration: Entry | None
    open: Entry | None
    chain: Sequence[Entry]


NOTHING = Standing(None, None, None, None, None, ())


def answered_at(entry: Entry) -> str:
    """When the person who decided answered; lines of before that was kept tell only when it was recorded."""
    return str(entry.payload.get("answered_at", entry.at))


def version_in(entry: Entry) -> Version:
    """The version that a line is about."""
    return Version.from_json(entry.payload["model"])


def standing(chain: Sequence[Entry]) -> Standing:
    """Fold the ledger. The newest registration is the challenger until it is promoted, rejected or replaced."""
    return replace(reduce(after, chain, NOTHING), chain=chain)


def after(now: Standing, entry: Entry) -> Standing:
    """The state that a line leads to; the chain is left as it is."""
    if entry.kind == REGISTERED:
        return replace(now, challenger=version_in(entry), registration=entry)
    if entry.kind in INTENTS:
        return replace(now, open=entry)
    if entry.kind == ABANDONED:
        return replace(now, open=None)
    if entry.kind in COMMITS:
        now = replace(now, champion=version_in(entry), commit=entry, open=None)
    if entry.kind in (*COMMITS, REJECTED) and version_in(entry) == now.challenger:
        return replace(now, challenger=None, registration=None)
    return now


def registrations(chain: Sequence[Entry]) -> list[Entry]:
    """The lines that registered a version, the oldest first."""
    return [entry for entry in chain if entry.kind == REGISTERED]


def states(chain: Sequence[Entry]) -> dict[str, str]:
    """What has become of each version: champion, challenger, former champion, rejected or replaced."""
    now, found = standing(chain), {version_in(entry).version: "replaced" for entry in registrations(chain)}
    for entry in chain:
        if entry.kind == REJECTED:
            found[version_in(entry).version] = "rejected"
        elif entry.kind in COMMITS:
            found[version_in(entry).version] = "former champion"
    for state, model in (("champion", now.champion), ("challenger", now.challenger)):
        if model is not None:
            found[model.version] = state
    return found


def champion_at(chain: Sequence[Entry], day: date) -> Version | None:
    """The champion of a date: of the last change that was effective on it or before."""
    changes = [e for e in chain if e.kind in COMMITS and date.fromisoformat(e.payload["effective_on"]) <= day]
    return version_in(changes[-1]) if changes else None


def first_in_force(chain: Sequence[Entry]) -> date | None:
    """The first day that has a champion; None when no model was ever promoted."""
    return min((date.fromisoformat(e.payload["effective_on"]) for e in chain if e.kind in COMMITS), default=None)
