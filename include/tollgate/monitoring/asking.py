"""Why monitoring asks for a retrain: rules that have tripped, on drift or on performance; new labels; age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from tollgate import registry
from tollgate.books import Book
from tollgate.config import Params
from tollgate.labels import BAD, GOOD, mature_before, read_labels
from tollgate.monitoring.rules import Signal, is_of_feature
from tollgate.requests import DRIFT, PERFORMANCE, SCHEDULE, VOLUME


@dataclass(frozen=True)
class Ask:
    """One reason to ask for a retrain.

    Attributes:
        cause: in a word, as ``tollgate.requests`` knows it. reason: in a sentence, for the approver.
        value, limit: the measured number and what it passed.
        cooldown_days: its own, where that of params.yaml does not hold for it.
    """

    cause: str
    reason: str
    value: float
    limit: float
    cooldown_days: int | None = None


def asks(book: Book, as_of: date, params: Params, version: str, causes: Sequence[Signal]) -> list[Ask]:
    """What asks for a retrain of a model tonight, the gravest first.

    Args:
        causes: the signals by which the rules have tripped; none where they have not.
    """
    limits = params.monitoring
    found = [_tripped(version, causes)] if causes else []
    if limits.request_new_labels is None and limits.request_age_days is None:
        return found
    trained = next((date.fromisoformat(model["as_of"]) for model in registry.models(book.name)
                    if model["version"] == version), as_of)
    if limits.request_new_labels is not None:
        new = new_labels(book, trained, as_of, params.snapshot.horizon_months)
        if new >= limits.request_new_labels:
            found.append(Ask(VOLUME, f"{new} labels that matured since the training as of {trained}", new,
                             limits.request_new_labels))
    if limits.request_age_days is not None and (age := (as_of - trained).days) >= limits.request_age_days:
        # Its own pace is its cool-down: after a verdict it asks again when that has passed once more.
        found.append(Ask(SCHEDULE, f"a champion that was trained {age} days ago", age, limits.request_age_days,
                         limits.request_age_days))
    return found


def _tripped(version: str, causes: Sequence[Signal]) -> Ask:
    """Drift, where a feature or the score moved; else what became of the loans asks."""
    why, first = "; ".join(one.text for one in causes), causes[0]
    if any(is_of_feature(one) for one in causes):
        return Ask(DRIFT, f"drift from model v{version}: {why}", first.value, first.limit)
    return Ask(PERFORMANCE, why, first.value, first.limit)


def new_labels(book: Book, trained: date, as_of: date, horizon_months: int) -> int:
    """How many loans have a label, good or bad, that was still immature when the champion learned.

    Raises:
        PassingFault: the lake did not answer.
    """
    labels = read_labels(book, as_of, horizon_months, since=mature_before(book, trained, horizon_months),
                         until=mature_before(book, as_of, horizon_months))
    counts = {row["values"]: row["counts"] for row in labels["label"].value_counts().to_pylist()}
    return int(counts.get(GOOD, 0) + counts.get(BAD, 0))
