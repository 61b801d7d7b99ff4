"""Why monitoring asks for a retrain, other than that drift has lasted: a fall of the AUC, new labels, age."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from tollgate.books import Book
from tollgate.config import Params
from tollgate.labels import BAD, GOOD, mature_before, read_labels
from tollgate.monitoring.rules import Signal
from tollgate.requests import PERFORMANCE, SCHEDULE, VOLUME

ASKING = {"auc": PERFORMANCE}  # the rules whose signal asks, and the cause that it asks for


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


def asks(book: Book, as_of: date, params: Params, now: Iterable[Signal], trained: date | None) -> list[Ask]:
    """What asks for a retrain tonight, the gravest first.

    Args:
        now: the night's signals. trained: the as-of at which the night's model learned; None where that is not known.
    """
    found = [Ask(ASKING[signal.event], signal.text, signal.value, signal.limit)
             for signal in now if signal.rank and signal.event in ASKING]
    limits = params.monitoring
    if trained is None:
        return found
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


def new_labels(book: Book, trained: date, as_of: date, horizon_months: int) -> int:
    """How many loans have a label, good or bad, that was still immature when the champion learned.

    Raises:
        PassingFault: the lake did not answer.
    """
    labels = read_labels(book, as_of, horizon_months, since=mature_before(book, trained, horizon_months),
                         until=mature_before(book, as_of, horizon_months))
    counts = {row["values"]: row["counts"] for row in labels["label"].value_counts().to_pylist()}
    return int(counts.get(GOOD, 0) + counts.get(BAD, 0))
