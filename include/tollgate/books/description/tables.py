"""The tables of a book: their columns, keys, days and rules, described once.

The landing files, the contract, the lake's schema, the docs page and the leakage gate are all derived from them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, Literal

import pyarrow as pa

Kind = Literal["text", "integer", "number", "money", "percent", "date"]
Known = Literal["application", "later"]
Actionable = Literal["lower", "raise", "either"]
ARROW = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "money": pa.float64(),
         "percent": pa.float64(), "date": pa.date32()}

DUPLICATE, FUTURE = "duplicate", "from_the_future"
LOAN = "loan_id"            # the application that a row is about; only a history table may be about something else
APPLICANT = "applicant_id"  # who asks, where the lender tells; no two parts of a split share one
APPROVED, DECLINED, WITHDRAWN = DECISIONS = ("approved", "declined", "withdrawn")

# How tools write the days of a column in which one cell has a time; read where the column's format is the plain one.
ISO_DAY, ISO_TIME = "%Y-%m-%d", re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?")


def read_day(text: str, form: str) -> date:
    """The day that a text says by a strptime pattern. Raises ``ValueError`` where it says none."""
    moment = form == ISO_DAY and ISO_TIME.fullmatch(text)
    return (datetime.fromisoformat(text) if moment else datetime.strptime(text, form)).date()


@cache
def has_day(form: str) -> bool:
    """Whether a strptime pattern tells the day, and not the month alone."""
    return date(2001, 2, 1).strftime(form) != date(2001, 2, 3).strftime(form)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a book's table, from the lender's file to the docs.

    Attributes:
        name: in the lake.
        source: the lender's name for it.
        kind: how the lender's text is read. ``money`` tolerates ``"$1,234.00 "``, and money and numbers a negative one
            in parentheses; ``percent`` is written with its sign, ``10.65%``, and kept as the share 0.1065.
        doc: one sentence for the docs page, the unit included.
        known: ``later`` marks what is only known after the decision; such a column is never a feature.
        why: the reason behind ``known="later"``, ``personal`` or ``protected``.
        personal: dropped before the lake, the quarantine and the logs.
        protected: kept for fairness, never a feature.
        nullable: whether an empty cell is good.
        ge, le: inclusive bounds; isin: the closed vocabulary; recode: spellings mapped before the checks.
        format: strptime pattern of a ``date`` column, or several, of which the first that fits is taken.
        month_end: whether a date that is written without a day means the last day of its month, not the first. It
            should where the date says when something was known.
        unscreened: why free text of this column is not looked into for personal data; empty where it is.
        actionable: how whoever applies could have asked for something else here: for ``lower`` or ``raise`` alone, or
            for ``either``, as of a text, which is another level. None where it is not for them to choose.
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
    format: str | tuple[str, ...] = "%Y-%m-%d"
    month_end: bool = False
    unscreened: str = ""
    actionable: Actionable | None = None

    @property
    def formats(self) -> tuple[str, ...]:
        """The patterns of a date, in the order in which they are tried."""
        return (self.format,) if isinstance(self.format, str) else self.format


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


@dataclass(frozen=True, kw_only=True)
class BookTable:
    """One table of a book: the files that carry it, and what is published of them.

    Attributes:
        name: of the lake's table; a file that carries it begins so.
        columns: as the lender sends them.
        key: columns that no two rows share. A row that comes again under its key is a new version of it.
        told: date columns; the latest of them that a row fills is the day on which the lender knew what it says. The
            first is never empty, and its month is the row's partition.
        filled: columns that are empty at first and filled later, so that filling them changes nothing that was said.
        rules: what must hold between the columns of one row.
        entity: of a history, which ``Aggregate``s are made of, the column by which a loan finds its rows; the
            applications have it too.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    told: tuple[str, ...]
    filled: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    entity: str | None = None

    def schema(self) -> pa.Schema:
        """What the lake keeps of the lender's columns: personal ones are not among them."""
        return pa.schema([pa.field(c.name, ARROW[c.kind], nullable=c.nullable) for c in self.columns if not c.personal])

    def row_rules(self) -> list[tuple[str, tuple[str, ...], str]]:
        """``(name, columns, doc)`` of all that is held against a whole row; the first two are true of every table."""
        return [(DUPLICATE, self.key, "Of the rows of a file that share them, the first counts."),
                (FUTURE, self.told, "A row is not dated after the day on which Tollgate first saw its file, in the "
                                    "book's time zone."),
                *((rule.name, rule.uses, rule.doc) for rule in self.rules)]


def outcomes_table(columns: tuple[Column, ...], rules: tuple[Rule, ...] = ()) -> BookTable:
    """A table of outcomes with one row a loan and report: ``defaulted_on``, known by ``reported_on``."""
    known = Rule("known_before_default", ("defaulted_on", "reported_on"), lambda defaulted, told: defaulted <= told,
                 "A default is not known before it happens.")
    return BookTable(name="outcomes", columns=columns, key=(LOAN, "reported_on"), told=("reported_on",),
                     rules=(known, *rules))


def decisions_table(columns: tuple[Column, ...]) -> BookTable:
    """A table of decisions: ``decision`` of ``decided_on``, and ``booked_on`` once the loan is paid out."""
    booked = Rule("booked_before_decision", ("booked_on", "decided_on"), lambda booked, decided: booked >= decided,
                  "A loan is not booked before it is decided on.")
    approved = Rule("booked_without_approval", ("booked_on", "decision"), lambda booked, decision: decision == APPROVED,
                    "Only an approved application is booked.")
    return BookTable(name="decisions", columns=columns, key=(LOAN,), told=("decided_on", "booked_on"),
                     filled=("booked_on",), rules=(booked, approved))
