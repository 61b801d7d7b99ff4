"""Changing the champion: approve, reject, roll back. Each is bound to a digest and stands in the ledger."""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta
from typing import Any

from tollgate.books import load_book
from tollgate.clock import today
from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault, Refused
from tollgate.registry import keys, ledger
from tollgate.registry.aliases import (
    CHALLENGER,
    change,
    check_compared,
    decided_meanwhile,
    no_decision_since,
    point,
    repair_aliases,
    unchanged,
)
from tollgate.registry.known import registered
from tollgate.registry.people import check_four_eyes, signed_by
from tollgate.registry.proof import last_scored, prove
from tollgate.registry.standing import COMMITS, PROMOTION, REJECTED, ROLLBACK, Standing, states, version_in
from tollgate.registry.tracking import faults_named
from tollgate.registry.versions import Version

log = logging.getLogger(__name__)


@faults_named()
def promote(book: str, version: str, digest: str, by: str | None = None, comment: str = "",
            answered_at: datetime | None = None) -> dict[str, Any]:
    """Make the challenger champion. Doing it again for the champion answers the same and adds nothing.

    Args:
        digest: of the artefact that the approver saw.
        by: who approves; the login when None.
        answered_at: when the person answered, with its zone; now when None.

    Returns ``{"champion", "previous", "digest", "effective_on"}``: scoring dates from that day on use it, which is
    today or the model's as-of, whichever is later. No night before the decision is ever scored by it.

    Raises:
        BadInput: there is no such version, nobody is named, or the ledger's key is not held here.
        Refused: the version is not the challenger, the digest is not its digest, its artefact changed, the champion is
            no longer the one that its gates compared with, or whoever approves had it trained and four eyes are asked
            for.
        PassingFault: MLflow or the lake did not answer, another decision came first, or the answer is still to come.
    """
    signed = _signed(by, comment, answered_at)
    now = repair_aliases(book)
    if now.champion is not None and now.commit is not None and now.champion.version == version:
        _bound(now.champion, digest)
        return _changed(now)
    model = _challenger(now, book, version)
    _bound(model, digest)
    check_four_eyes(registered(book, now.chain, version), signed)
    check_compared(now, now.registration.payload["compared_with"] if now.registration else None)
    unchanged(model)
    day = max(model.as_of, today(load_book(book).time_zone, model.as_of))
    return _changed(_made(model, change(now, PROMOTION, model, {**signed, "effective_on": day.isoformat()})))


@faults_named()
def reject(book: str, version: str, by: str | None = None, comment: str = "",
           answered_at: datetime | None = None) -> dict[str, Any]:
    """Turn the challenger down; the champion stays. Returns ``{"rejected", "champion"}``.

    A version whose place a newer one took is out of the running already: that is said, and nothing is recorded.

    Args:
        by: who says no; the login when None.
        answered_at: when the person answered, with its zone; now when None.

    Raises:
        BadInput: there is no such version, nobody is named, or the ledger's key is not held here.
        Refused: the version is not the challenger.
        PassingFault: MLflow or the lake did not answer, another decision came first, or the answer is still to come.
    """
    signed = _signed(by, comment, answered_at)
    now = repair_aliases(book)
    answer = {"rejected": version, "champion": now.champion.version if now.champion else None}
    if any(e.kind == REJECTED and version_in(e).version == version for e in now.chain):
        return answer
    if states(now.chain).get(version) == "replaced":
        log.warning("%s: a newer challenger took the place of version %s before this answer; nothing is left to reject",
                    book, version)
        return answer
    model = _challenger(now, book, version)
    line = ledger.record(book, REJECTED, {"model": model.to_json(), **signed}, given=no_decision_since(now))
    if line is None:
        raise decided_meanwhile(model)
    point(book, CHALLENGER, None)
    return answer


@faults_named()
def rollback(book: str, version: str, by: str | None, reason: str, effective_on: date | None = None,
             leaving: str | None = None) -> dict[str, Any]:
    """Make an earlier champion champion again, once re-scoring has proved that it is still the same model.

    Args:
        by: who goes back; the login when None.
        leaving: the champion that is meant; when None whichever it is.
        effective_on: scoring dates from this one on use it; when None the latest of the newest published night, the
            day the present champion became effective, and the version's own as-of.

    Returns ``{"champion", "previous", "digest", "effective_on", "proof": {"source", "rows", "max_difference"}}``.

    Raises:
        BadInput: the version never was champion or is the champion already, it is of a later as-of than
            ``effective_on`` or that day lies beyond the next night, name or reason are missing, or the ledger's key is
            not held here.
        Refused: its artefact changed, or it does not reproduce its own scores bit for bit.
        PassingFault: MLflow or the lake did not answer, or another decision came first: ``leaving`` is the champion no
            longer.
    """
    signed = _signed(by, reason)
    if not reason.strip():
        raise BadInput("A rollback needs a reason", value=repr(reason), remedy="Pass --reason.")
    now = repair_aliases(book)
    if now.champion is None or now.commit is None:
        raise BadInput(f"{book} has no champion to roll back from", value=version, remedy="Promote a model first.")
    if now.champion.version == version:
        if now.commit.kind == f"{ROLLBACK}-committed":
            return _changed(now)
        raise BadInput(f"Version {version} of {book} is the champion already", value=version,
                       remedy=f"Name an earlier champion; see tollgate models {book}.")
    if leaving not in (None, now.champion.version):
        raise decided_meanwhile(now.champion)
    earlier = [version_in(e) for e in now.chain if e.kind in COMMITS]
    model = next((v for v in earlier if v.version == version), None)
    if model is None:
        others = sorted({v.version for v in earlier} - {now.champion.version}, key=int)
        raise BadInput(f"Version {version} of {book} never was champion", value=version,
                       remedy=f"Roll back to one of {', '.join(others)}." if others else
                              f"None was before version {now.champion.version}, which is the champion.")
    newest = last_scored(book)
    if effective_on is not None:
        _check_begins_in_time(effective_on, model, now.champion, newest)
    unchanged(model)
    proof = prove(model)
    since = date.fromisoformat(now.commit.payload["effective_on"])
    day = effective_on or max(filter(None, (since, model.as_of, newest)))
    return _changed(_made(model, change(now, ROLLBACK, model, {
        **signed, "effective_on": day.isoformat(), "proof": proof})))


def _check_begins_in_time(day: date, model: Version, leaving: Version, newest: date | None) -> None:
    """Raise ``BadInput`` for a day before the model's own as-of, or beyond the next night of the book."""
    if day < model.as_of:
        raise BadInput(f"Version {model.version} of {model.book} was trained as of {model.as_of} and knows what came "
                       "before", value=day, remedy="Name a date from then on.")
    latest = max(filter(None, (today(load_book(model.book).time_zone), newest))) + timedelta(days=1)
    if day > latest:
        raise BadInput(f"Until then version {leaving.version} would go on scoring {model.book}, which a rollback ends",
                       value=day, remedy=f"Name a date up to {latest}, or none.")


def _signed(by: str | None, comment: str, answered_at: datetime | None = None) -> dict[str, str]:
    """Who decided, why and when, as every decision records it; and the clock, where it is a replay's."""
    keys.signer()  # whoever cannot decide is told that first, whatever was asked
    replayed = {"replay": settings().today} if settings().today else {}
    return {**signed_by(by), "comment": comment, "answered_at": ledger.timestamp(answered_at), **replayed}


def _challenger(now: Standing, book: str, version: str) -> Version:
    model = version_in(registered(book, now.chain, version))
    if now.challenger != model:
        state = states(now.chain)[version]
        there = (f"tollgate rollback {book} {version} goes back to it" if state == "former champion" else
                 f"The challenger is version {now.challenger.version}" if now.challenger else "Nothing is: train one")
        raise Refused(f"Version {version} of {book} is not the challenger; its state is: {state}", value=version,
                      remedy=f"{there}; see tollgate models {book}.")
    return model


def _bound(model: Version, digest: str) -> None:
    if digest != model.digest:
        raise Refused(f"The approval is for another artefact than version {model.version} of {model.book}",
                      value=digest, remedy=f"Read the gate report of {model.digest} and approve that.")


def _made(model: Version, now: Standing) -> Standing:
    """The standing after a change, if the change was carried out."""
    if now.champion != model:
        raise PassingFault(f"Version {model.version} of {model.book} did not stay champion",
                           value=now.champion.version if now.champion else None,
                           remedy=f"See tollgate history {model.book} for what came between.")
    return now


def _changed(now: Standing) -> dict[str, Any]:
    """The answer of a change, read from its commit."""
    if now.commit is None or now.champion is None:
        raise ValueError("there is no change to answer for")
    payload = now.commit.payload
    answer = {"champion": now.champion.version, "previous": payload["previous"], "digest": now.champion.digest,
              "effective_on": payload["effective_on"]}
    return {**answer, "proof": payload["proof"]} if "proof" in payload else answer
