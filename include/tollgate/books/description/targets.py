"""What a book calls bad: events told in its tables, and how they make a label."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a loan: rows of a table in which ``column`` is one of ``isin``, or at least ``ge``.

    Attributes:
        table: where it is told.
        on: its date column that says when it happened; or several, of which the first that a row fills says it.
        column: what tells this event from others; None when every row of the table tells it.
    """

    table: str
    on: str | tuple[str, ...]
    column: str | None = None
    isin: tuple[str, ...] = ()
    ge: float | None = None

    @property
    def dates(self) -> tuple[str, ...]:
        """The date columns that may say when it happened, in the order in which they are asked."""
        return (self.on,) if isinstance(self.on, str) else self.on


@dataclass(frozen=True, kw_only=True)
class Target:
    """The book's definition of bad, by which training, gates and monitoring label its loans.

    A loan is bad when a ``bad`` event happened to it within ``snapshot.horizon_months`` of its booking. A row of the
    same event without a day is a correction: it takes back what was reported before it. Nothing else does: a later
    event leaves the first one standing.

    Attributes:
        bad: events that make a loan bad.
        indeterminate: closures that leave its end unknown (refinanced, sold): when one comes before any bad event, the
            loan is neither good nor bad.
        cures: events that undo what was bad before them: cured and not bad again, the loan is indeterminate.
        void: events after which nothing counts, whenever they come (fraud): the loan is indeterminate.
        lag_days: how long after it happened an event may be reported; a label is mature this long after the horizon.
    """

    bad: tuple[Event, ...] = (Event(table="outcomes", on="defaulted_on"),)
    indeterminate: tuple[Event, ...] = ()
    cures: tuple[Event, ...] = ()
    void: tuple[Event, ...] = ()
    lag_days: int = 0
