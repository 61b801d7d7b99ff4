"""Which line may stand after which: no commit without its intent, no intent without a model that passed. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date

from tollgate.registry.entries import Entry
from tollgate.registry.standing import (
    ABANDONED,
    ADOPTED,
    COMMITS,
    INTENTS,
    NOTHING,
    PROMOTION,
    REGISTERED,
    REJECTED,
    Standing,
    after,
    version_in,
)
from tollgate.registry.versions import Version

DIGEST = re.compile("[0-9a-f]{64}")


@dataclass
class Transitions:
    """Takes a ledger's lines one after the other. Kinds that change nothing for a model, such as those of a release of
    quarantined rows, are legal everywhere.
    """

    _now: Standing = NOTHING
    _registered: dict[str, Version] = field(default_factory=dict)
    _champions: list[Version] = field(default_factory=list)
    _lines: int = 0

    def take(self, entry: Entry) -> str | None:
        """Go on to a line; why it may not stand there, if it may not."""
        self._lines += 1
        if entry.kind == ADOPTED:
            return None if entry.payload.get("entries") == self._lines - 1 else "it vouches for other lines than these"
        if entry.kind == ABANDONED:
            fault = self._abandoned(entry)
        elif entry.kind in (REGISTERED, REJECTED, *INTENTS, *COMMITS):
            try:
                model = version_in(entry)
            except (KeyError, TypeError, ValueError):
                return "it tells of no version"
            fault = (self._about_registration(entry, model) if entry.kind in (REGISTERED, REJECTED) else
                     self._intent(entry, model) if entry.kind in INTENTS else self._commit(entry))
            if entry.kind == REGISTERED:
                self._registered.setdefault(model.version, model)
            elif entry.kind in COMMITS:
                self._champions.append(model)
        else:
            return None
        self._now = after(self._now, entry)
        return fault

    def _about_registration(self, entry: Entry, model: Version) -> str | None:
        if self._now.open is not None:
            return f"line {self._now.open.seq} is neither committed nor abandoned"
        if entry.kind == REJECTED:
            return None if model == self._now.challenger else f"version {model.version} is not the challenger"
        if model.version in self._registered:
            return f"version {model.version} is registered already"
        files = entry.payload.get("files")
        gates = files.get("gates.json") if isinstance(files, dict) else None
        return None if DIGEST.fullmatch(str(gates)) else "it does not tell what the gates said of the model"

    def _intent(self, entry: Entry, model: Version) -> str | None:
        now = self._now
        if now.open is not None:
            return f"line {now.open.seq} is neither committed nor abandoned"
        if entry.kind.startswith(PROMOTION) and model != now.challenger:
            return f"version {model.version} of this digest is not the challenger, which passed its gates"
        if not entry.kind.startswith(PROMOTION) and (model not in self._champions or model == now.champion):
            return f"version {model.version} of this digest is no former champion"
        if entry.payload.get("previous") != (now.champion.version if now.champion else None):
            return f"the champion before it is not version {entry.payload.get('previous')}"
        if not str(entry.payload.get("by") or "").strip():
            return "it names nobody who decided"
        try:
            day = date.fromisoformat(entry.payload["effective_on"])
        except (KeyError, TypeError, ValueError):
            return "it tells no day from which on it is in force"
        return f"in force from {day}, before its as-of {model.as_of}" if day < model.as_of else None

    def _commit(self, entry: Entry) -> str | None:
        intent = self._now.open
        if intent is None or entry.kind != intent.kind.replace("-intent", "-committed"):
            return "there is no intent before it"
        if entry.payload != {**intent.payload, "intent": intent.seq}:
            return f"it commits something else than line {intent.seq} intended"
        return None

    def _abandoned(self, entry: Entry) -> str | None:
        intent = self._now.open
        return None if intent is not None and entry.payload.get("intent") == intent.seq else "there is no such intent"
