"""MLflow's aliases follow the ledger: every change has its intent before and its commit after, and is mended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tollgate.errors import PassingFault, Refused
from tollgate.features import check_golden
from tollgate.registry import keys, ledger
from tollgate.registry.entries import Entry
from tollgate.registry.standing import ABANDONED, MENDED, Standing, standing, version_in
from tollgate.registry.tracking import client, faults_named, name_of
from tollgate.registry.versions import Version, find, rehash

log = logging.getLogger(__name__)

CHAMPION, CHALLENGER = "champion", "challenger"


@faults_named()
def repair_aliases(book: str) -> Standing:
    """Finish a decision that was cut in half, put back aliases that were moved by hand, and say how things stand.

    A version that was deleted from MLflow has no alias to put back: the ledger alone says what it is. A process that
    does not hold the ledger's key mends nothing, and goes by the ledger.

    Raises:
        Refused: the ledger is broken.
        PassingFault: MLflow or the lake did not answer.
    """
    chain = ledger.trusted(book)
    now = standing(chain)
    if not keys.held():
        if now.open is not None:
            log.warning("%s: ledger line %d (%s) was cut short; only who holds the ledger's key can finish it", book,
                        now.open.seq, now.open.kind)
        return now
    ledger.keep_last(book, chain)
    while now.open is not None:
        log.warning("%s: finishing ledger line %d (%s), which was cut short", book, now.open.seq, now.open.kind)
        now = finish(book, now.open)
    found = _aliases(book)
    for role, wanted in ((CHAMPION, now.champion), (CHALLENGER, now.challenger)):
        if found.get(role) == (wanted and wanted.version):
            continue
        if wanted is not None and find(book, wanted.version) is None:
            log.warning("%s: version %s, the %s, or its tags were deleted from MLflow", book, wanted.version, role)
            continue
        # The line comes first: an alias that a decision moved since the ledger was read is none that was moved by hand.
        line = ledger.record(book, MENDED, given=no_decision_since(now), payload={
            "alias": role, "found": found.get(role), "restored": wanted.version if wanted else None})
        if line is None:
            return repair_aliases(book)
        log.warning("%s: the alias %s stood on %s and is put back on %s", book, role, found.get(role) or "nothing",
                    wanted.version if wanted else "nothing")
        point(book, role, wanted)
        now = replace(now, chain=[*now.chain, line])
    return now


def champion(book: str) -> Version | None:
    """The model whose scores count, after mending."""
    return repair_aliases(book).champion


def change(now: Standing, kind: str, model: Version, details: dict[str, Any]) -> Standing:
    """Make ``model`` champion: intent, alias, commit.

    Raises:
        PassingFault: another decision was recorded since ``now``.
    """
    payload = {"model": model.to_json(), "previous": now.champion.version if now.champion else None, **details}
    intent = ledger.record(model.book, f"{kind}-intent", payload, given=no_decision_since(now))
    if intent is None:
        raise decided_meanwhile(model)
    finish(model.book, intent)
    return repair_aliases(model.book)


def no_decision_since(now: Standing) -> Callable[[list[Entry]], bool]:
    """Asked of the ledger at the moment of writing: whether its last line still is the one that was decided on."""
    return lambda chain: ledger.head(chain) == ledger.head(now.chain)


def decided_meanwhile(version: Version) -> PassingFault:
    """The fault of whoever decided on a ledger that another decision has since extended."""
    return PassingFault(f"Another decision on {version.book} was recorded at the same moment", value=version.version,
                        remedy="Run it again; it will see that decision.")


def check_compared(now: Standing, compared: str | None) -> None:
    """Raise ``Refused`` unless the champion still is the version that the challenger's gates compared it with."""
    holder = now.champion.version if now.champion else None
    if compared != holder:
        raise Refused("The champion changed since the gates compared with it", value=f"{compared} then, {holder} now",
                      remedy="Run the gates again, against the present champion.")


def finish(book: str, intent: Entry) -> Standing:
    """Carry out an intent, or abandon it when its artefact no longer verifies. Doing it twice changes nothing."""
    model = version_in(intent)

    def still_open(chain: list[Entry]) -> bool:
        return standing(chain).open == intent

    try:
        unchanged(model)
    except Refused as refusal:
        log.warning("%s: ledger line %d is abandoned: %s", book, intent.seq, refusal)
        ledger.record(book, ABANDONED, {"intent": intent.seq, "why": str(refusal)}, given=still_open)
    else:
        point(book, CHAMPION, model)
        if _aliases(book).get(CHALLENGER) == model.version:
            point(book, CHALLENGER, None)
        ledger.record(book, intent.kind.replace("-intent", "-committed"), {**intent.payload, "intent": intent.seq},
                      given=still_open)
    return standing(ledger.trusted(book))


def unchanged(model: Version) -> None:
    """Raise ``Refused`` unless record and artefact are those that the ledger names, and score as they did."""
    found = find(model.book, model.version)
    if found != model:
        raise Refused(f"MLflow's record of {name_of(model.book)} version {model.version} was changed or deleted after "
                      "registration", value=found.digest if found else "no such version",
                      remedy="Restore it, or train and approve another model.")
    check_golden(rehash(model), f"{name_of(model.book)} version {model.version}")


def point(book: str, role: str, model: Version | None) -> None:
    """Set or remove one alias. The only place that touches MLflow's aliases."""
    if model is None:
        client().delete_registered_model_alias(name_of(book), role)
    else:
        client().set_registered_model_alias(name_of(book), role, model.version)


def _aliases(book: str) -> dict[str, str]:
    """Where the aliases stand; none when the book has no registered model yet."""
    from mlflow.exceptions import MlflowException

    try:
        found = client().get_registered_model(name_of(book)).aliases
    except MlflowException as err:
        if err.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
    return {role: str(version) for role, version in found.items()}
