"""A model's inputs, and how each is made of what was known when the loan was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from tollgate.books.description.reasons import PLAIN, Reason


@dataclass(frozen=True)
class Aggregate:
    """One value a loan, from those rows of a history table that were known before the loan was decided on.

    A row is seen by an application when both share the table's ``entity``, its latest ``told`` day lies before
    ``applied_on`` (or on it, where the entity is the loan itself, for which the row was fetched), and it had arrived no
    later than the application itself. Of several versions of a row, the newest such one is seen.

    Attributes:
        name: under which features use it, like a column of the applications.
        over: the history table.
        sql: an aggregate in DuckDB's SQL over the columns of ``over`` and, inside of its arguments, those of the
            applications: ``count(*) FILTER (days_late > 30 AND due_on >= applied_on - INTERVAL 12 MONTH)``. Whole
            numbers are BIGINT there, other numbers DECIMAL, so that no sum depends on the order of its rows.
        make: instead of ``sql``, a function of the rows seen and of the number of loans; it gives an array of as many
            values. The rows are a ``pyarrow.Table``, ascending by ``row``, the number of the loan, and the key, with
            the columns of ``over``, and those of the applications under ``application_`` and their names.
        kind: what it gives.
    """

    name: str
    over: str
    sql: str = ""
    make: Callable[[pa.Table, int], Any] | None = None
    kind: Literal["number", "text", "date"] = "number"
    doc: str = ""


@dataclass(frozen=True)
class Feature:
    """One model input, made from columns of the applications and from aggregates.

    ``make`` maps what ``uses`` names (as numpy arrays: float64 with NaN for numbers, object with None for text,
    datetime64[D] with NaT for dates) to one array of the same length. ``monotone`` is +1 where a larger value may only
    raise the default probability, -1 where it may only lower it, 0 where either may be true. ``reason`` says it to an
    applicant who was declined; no model depends on it.
    """

    name: str
    kind: Literal["number", "category"]
    uses: tuple[str, ...]
    make: Callable[..., np.ndarray]
    monotone: Literal[-1, 0, 1] = 0
    doc: str = ""
    reason: Reason = PLAIN


def as_it_is(values: Any) -> Any:
    """What a feature is made by that is a column of the applications, or an aggregate."""
    return values


def number(name: str, *, monotone: Literal[-1, 0, 1] = 0, reason: Reason = PLAIN) -> Feature:
    """The numeric column or aggregate ``name`` as it is."""
    return Feature(name, "number", (name,), as_it_is, monotone, reason=reason)


def category(name: str, *, reason: Reason = PLAIN) -> Feature:
    """The text column or aggregate ``name``, one category a distinct value."""
    return Feature(name, "category", (name,), as_it_is, reason=reason)


def ratio(name: str, over: str, under: str, *, monotone: Literal[-1, 0, 1] = 0,
          reason: Reason | None = None) -> Feature:
    """``over / under``; missing where ``under`` is zero or either is missing."""

    def make(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # beyond a float's reach it is infinite, which encoding takes for missing
            return np.divide(a, b, out=np.full(len(a), np.nan), where=np.isfinite(b) & (b != 0))

    told = Reason(f"{over} in proportion to {under}".replace("_", " ").capitalize()) if reason is None else reason
    return Feature(name, "number", (over, under), make, monotone, f"{over} / {under}", told)


def days_between(name: str, earlier: str, later: str = "applied_on", *, monotone: Literal[-1, 0, 1] = 0,
                 reason: Reason = PLAIN) -> Feature:
    """Days from one date to another, negative where the first comes later; missing where either is."""

    def make(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        days = (end - begin).astype("timedelta64[D]")
        return np.where(np.isnat(days), np.nan, days.astype(np.float64))

    return Feature(name, "number", (earlier, later), make, monotone, f"days from {earlier} to {later}", reason)
