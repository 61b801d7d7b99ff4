"""What the ledger says now: who is champion, who is challenger, and which decision was cut in half. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from tollgate.registry.ledger import Entry, head
from tollgate.registry.versions import Version

REGISTERED, REJECTED, MENDED, ABANDONED = "registered", "rejected", "mended", "abandoned"
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
        head: digest of the last line seen; a decision made on this standing is void once it moved.
    """

    champion: Version | None
    challenger: Version | None
    commit: Entry | None
    registration: Entry | None
    open: Entry | None
    head: str


def answered_at(entry: Entry) -> str:
    """When the person who decided answered; lines of before that was kept tell only when it was recorded."""
    return str(entry.payload.get("answered_at", entry.at))


def version_in(entry: Entry) -> Version:
    """The version that a line is about."""
    return Version.from_json(entry.payload["model"])


def standing(chain: Sequence[Entry]) -> Standing:
    """Fold the ledger. The newest registration is the challenger until it is promoted, rejected or replaced."""
    commit = registration = intent = None
    for entry in chain:
        if entry.kind == REGISTERED:
            registration = entry
        elif entry.kind in INTENTS:
            intent = entry
        elif entry.kind == ABANDONED:
            intent = None
        elif entry.kind in COMMITS:
            commit, intent = entry, None
        if (registration is not None and entry.kind in (*COMMITS, REJECTED)
                and version_in(entry) == version_in(registration)):
            registration = None
    return Standing(champion=version_in(commit) if commit else None,
                    challenger=version_in(registration) if registration else None,
                    commit=commit, registration=registration, open=intent, head=head(chain))


def champion_at(chain: Sequence[Entry], day: date) -> Version | None:
    """The champion of a date: of the last change that was effective on it or before."""
    changes = [e for e in chain if e.kind in COMMITS and date.fromisoformat(e.payload["effective_on"]) <= day]
    return version_in(changes[-1]) if changes else None
