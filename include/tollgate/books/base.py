"""What a book is: its columns, described once, and the features made of them.

The landing files, the contract, the lake's schema, the docs page and the leakage gate are all derived
from these descriptions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

Kind = Literal["text", "integer", "number", "money", "date"]
Known = Literal["application", "later"]
Progress = Callable[[int, int], None]  # (done, of), in bytes or steps

ARROW = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "money": pa.float64(),
         "date": pa.date32()}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a book's table, from the lender's file to the docs.

    Attributes:
        name: in the lake. Every applications table has ``loan_id`` and ``applied_on``; every outcomes table
            has ``loan_id``, ``known_on`` and ``defaulted_on`` (null: known not to have defaulted, a correction).
        source: the lender's name for it.
        kind: how the lender's text is read. ``money`` tolerates ``"$1,234.00 "``.
        doc: one sentence for the docs page, the unit included.
        known: ``later`` marks what is only known after the decision; such a column is never a feature.
        why: the reason behind ``known="later"``, ``personal`` or ``protected``.
        personal: dropped before the lake, the quarantine and the logs.
        protected: kept for fairness, never a feature.
        nullable: whether an empty cell is good.
        ge, le: inclusive bounds; isin: the closed vocabulary; recode: spellings mapped before the checks.
        format: strptime pattern of a ``date`` column.
    """

    name: str
    source: str
    kind: Kind
    doc: str
    known: Known = "application"
    why: str = ""
    personal: bool = False
    protected: bool = False
    nullable: bool = True
    ge: float | date | None = None
    le: float | date | None = None
    isin: tuple[str, ...] = ()
    recode: Mapping[str, str] | None = None
    format: str = "%Y-%m-%d"


@dataclass(frozen=True)
class Rule:
    """What must hold between columns of one row.

    ``holds`` maps the columns in ``uses`` (pandas series, all of them present) to true or false, row by row; a row in
    which one of them is missing keeps the rule.
    """

    name: str
    uses: tuple[str, ...]
    holds: Callable[..., Any]
    doc: str


KNOWN_AFTER_DEFAULT = Rule("known_before_default", ("defaulted_on", "known_on"),
                           lambda defaulted, known: defaulted <= known, "A default is not known before it happens.")
# A correction of an outcome is a later row of the same loan.
KEYS = {"applications": ("loan_id",), "outcomes": ("loan_id", "known_on")}
KNOWN = {"applications": "applied_on", "outcomes": "known_on"}
DUPLICATE, FUTURE = "duplicate", "from_the_future"

@dataclass(frozen=True)
class Feature:
    """One model input, made from application columns only.

    ``make`` maps the columns in ``uses`` (as numpy arrays: float64 with NaN for numbers, object with None for
    text) to one array of the same length. ``monotone`` is +1 where a larger value may only raise the default
    probability, -1 where it may only lower it, 0 where either may be true.
    """

    name: str
    kind: Literal["number", "category"]
    uses: tuple[str, ...]
    make: Callable[..., np.ndarray]
    monotone: Literal[-1, 0, 1] = 0
    doc: str = ""


def number(name: str, *, monotone: Literal[-1, 0, 1] = 0) -> Feature:
    """The numeric column ``name`` as it is."""
    return Feature(name, "number", (name,), lambda x: x, monotone)


def category(name: str) -> Feature:
    """The text column ``name``, one category a distinct value."""
    return Feature(name, "category", (name,), lambda x: x)


def ratio(name: str, over: str, under: str, *, monotone: Literal[-1, 0, 1] = 0) -> Feature:
    """``over / under``; missing where ``under`` is zero or either is missing."""

    def make(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # beyond a float's reach it is infinite, which encoding takes for missing
            return np.divide(a, b, out=np.full(len(a), np.nan), where=np.isfinite(b) & (b != 0))

    return Feature(name, "number", (over, under), make, monotone, f"{over} / {under}")


@dataclass(frozen=True, kw_only=True)
class Book:
    """One loan portfolio.

    Attributes:
        name: as in params.yaml. title: for people.
        about: Markdown for the docs page: where the data is from, its traps, when each feature is known.
        use: what a model of this book is for, for its card. limits: what it must not be trusted with, a sentence each.
        applications, outcomes: the columns of the two tables.
        application_rules, outcome_rules: what must hold between them.
        features: the model's inputs.
        retired: former inputs, which no new model takes: still made for a model in service that does.
        critical: names of features whose PSI alone may request a retrain.
        first_month, last_month: ``YYYY-MM``, the months that the source covers.
        file_format: what the lender's core system sends.
        dated: False when the rows carry no usable time, so that a split by time is impossible.
        scenarios: the worlds a simulated book can be fetched in; empty for a real one.
        fetch: ``(folder, progress, seed, scenario)`` brings the source data into ``folder``; running it again
            resumes. A real book has no use for the last two.
        extract: ``(folder, table, first_month, last_month)`` gives the rows that the lender would send for those
            months (``table`` is ``applications`` or ``outcomes``), every column as the lender spells it.
    """

    name: str
    title: str
    about: str
    use: str
    limits: tuple[str, ...]
    applications: tuple[Column, ...]
    outcomes: tuple[Column, ...]
    application_rules: tuple[Rule, ...] = ()
    outcome_rules: tuple[Rule, ...] = (KNOWN_AFTER_DEFAULT,)
    features: tuple[Feature, ...]
    retired: tuple[Feature, ...] = ()
    critical: tuple[str, ...]
    first_month: str
    last_month: str
    file_format: Literal["csv", "parquet"]
    dated: bool = True
    scenarios: tuple[str, ...] = ()
    fetch: Callable[[Path, Progress, int, str], None]
    extract: Callable[[Path, str, str, str], pa.Table]

    @property
    def made(self) -> tuple[Feature, ...]:
        """All that is made of an application: the features of new models, then the retired ones."""
        return self.features + self.retired

    def columns(self, table: str) -> tuple[Column, ...]:
        """The columns of ``applications`` or ``outcomes``."""
        return self.applications if table == "applications" else self.outcomes

    def rules(self, table: str) -> tuple[Rule, ...]:
        """What must hold between the columns of a table."""
        return self.application_rules if table == "applications" else self.outcome_rules

    def row_rules(self, table: str) -> list[tuple[str, tuple[str, ...], str]]:
        """``(name, columns, doc)`` of all that is held against a whole row; the first two are true of every book."""
        return [(DUPLICATE, KEYS[table], "Of the rows of a file that share them, the first counts."),
                (FUTURE, (KNOWN[table],), "A row is not dated after the day (UTC) on which its file landed."),
                *((rule.name, rule.uses, rule.doc) for rule in self.rules(table))]

    def schema(self, table: str) -> pa.Schema:
        """The lake's Arrow schema of a table: personal columns are not in it."""
        return pa.schema([pa.field(c.name, ARROW[c.kind], nullable=c.nullable)
                          for c in self.columns(table) if not c.personal])

    def protected(self) -> tuple[str, ...]:
        """Names of the protected attributes, possibly none."""
        return tuple(c.name for c in self.applications if c.protected)
