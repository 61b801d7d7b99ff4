"""What a book is: its columns, described once, and the features made of them.

The landing files, the contract, the lake's schema, the docs page and the leakage gate are all derived
from these descriptions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from tollgate.errors import BadInput

Kind = Literal["text", "integer", "number", "money", "date"]
Known = Literal["application", "later"]
Progress = Callable[[int, int], None]  # (done, of), in bytes or steps

ARROW = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "money": pa.float64(),
         "date": pa.date32()}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a book's table, from the lender's file to the docs.

    Attributes:
        name: in the lake.
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
        unscreened: why free text of this column is not looked into for personal data; empty where it is.
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
    unscreened: str = ""


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


DUPLICATE, FUTURE = "duplicate", "from_the_future"
LOAN = "loan_id"            # every table has it: the application that a row is about
APPLICANT = "applicant_id"  # who asks, where the lender tells; no two parts of a split share one


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
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    told: tuple[str, ...]
    filled: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    def schema(self) -> pa.Schema:
        """What the lake keeps of the lender's columns: personal ones are not among them."""
        return pa.schema([pa.field(c.name, ARROW[c.kind], nullable=c.nullable) for c in self.columns if not c.personal])

    def row_rules(self) -> list[tuple[str, tuple[str, ...], str]]:
        """``(name, columns, doc)`` of all that is held against a whole row; the first two are true of every table."""
        return [(DUPLICATE, self.key, "Of the rows of a file that share them, the first counts."),
                (FUTURE, self.told, "A row is not dated after the day on which Tollgate first saw its file, in the "
                                    "book's time zone."),
                *((rule.name, rule.uses, rule.doc) for rule in self.rules)]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a loan: rows of a table in which ``column`` is one of ``isin``, or at least ``ge``.

    Attributes:
        table: where it is told. on: its date column that says when it happened.
        column: what tells this event from others; None when every row of the table tells it.
    """

    table: str
    on: str
    column: str | None = None
    isin: tuple[str, ...] = ()
    ge: float | None = None


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


APPROVED, DECLINED, WITHDRAWN = DECISIONS = ("approved", "declined", "withdrawn")


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
class Sender:
    """Who plays the lender's core system, for a book whose past can be brought and sent month by month.

    Attributes:
        first_month, last_month: ``YYYY-MM``, the months that the source covers.
        file_format: what the lender's core system sends.
        scenarios: the worlds a simulated book can be fetched in; empty for a real one.
        follows: whether the simulated lender decides by the champion's published scores from the first night on.
        fetch: ``(folder, progress, seed, scenario)`` brings the source data into ``folder``; running it again
            resumes. A real book has no use for the last two.
        extract: ``(folder, table, first_month, last_month, scored)`` gives the rows that the lender would send of a
            table for those months, every column as the lender spells it; ``scored`` are the champion's published
            decisions (``loan_id``, ``as_of``, ``decision``, ``score``, ``model_version``), for a sender that
            ``follows``.
    """

    first_month: str
    last_month: str
    file_format: Literal["csv", "parquet"]
    scenarios: tuple[str, ...] = ()
    follows: bool = False
    fetch: Callable[[Path, Progress, int, str], None]
    extract: Callable[[Path, str, str, str, pa.Table | None], pa.Table]


@dataclass(frozen=True, kw_only=True)
class Book:
    """One loan portfolio.

    Attributes:
        name: as in params.yaml. title: for people.
        about: Markdown for the docs page: where the data is from, its traps, when each feature is known.
        use: what a model of this book is for, for its card. limits: what it must not be trusted with, a sentence each.
        tables: ``applications`` (with ``loan_id`` and ``applied_on``), ``outcomes``, and ``decisions``.
        all_booked: the lender sends booked loans alone, and no decisions: every application is booked on its day.
        target: what bad is.
        features: the model's inputs.
        retired: former inputs, which no new model takes: still made for a model in service that does.
        critical: names of features whose PSI alone may request a retrain.
        required: names of features without which a row is not scored; without any of them at least one must be there.
        time_zone: where the lender's days begin, as the IANA database names it.
        nulls: how the lender spells nothing, besides what every book takes for it (empty, NULL, NA, nan and the like).
        dated: False when the rows carry no usable time, so that a split by time is impossible.
        sender: who plays the lender's core system; without one, the files that stand in landing are all there is.
    """

    name: str
    title: str
    about: str
    use: str
    limits: tuple[str, ...]
    tables: tuple[BookTable, ...]
    all_booked: bool = False
    target: Target = Target()
    features: tuple[Feature, ...]
    retired: tuple[Feature, ...] = ()
    critical: tuple[str, ...]
    required: tuple[str, ...] = ()
    time_zone: str = "UTC"
    nulls: tuple[str, ...] = ()
    dated: bool = True
    sender: Sender | None = None

    @property
    def made(self) -> tuple[Feature, ...]:
        """All that is made of an application: the features of new models, then the retired ones."""
        return self.features + self.retired

    @property
    def applications(self) -> tuple[Column, ...]:
        """The columns of the applications."""
        return self.table("applications").columns

    @property
    def grouped(self) -> bool:
        """Whether the lender tells who asks, so that one person's loans can be kept on one side of a split."""
        return APPLICANT in {column.name for column in self.applications}

    def table(self, name: str) -> BookTable:
        """One of its tables. Raises ``BadInput`` when there is none of that name."""
        for table in self.tables:
            if table.name == name:
                return table
        raise BadInput(f"The book {self.name} has no such table", value=name,
                       remedy=f"Its tables are {', '.join(table.name for table in self.tables)}.")

    def columns(self, table: str) -> tuple[Column, ...]:
        """The columns of a table."""
        return self.table(table).columns

    def with_columns(self, table: str, columns: tuple[Column, ...]) -> Book:
        """The same book with other columns in one of its tables."""
        return replace(self, tables=tuple(replace(t, columns=columns) if t.name == table else t for t in self.tables))

    def require_sender(self) -> Sender:
        """Who plays its lender. Raises ``BadInput`` for a book whose files a real one sends."""
        from tollgate.config import settings

        if self.sender is None:
            raise BadInput(f"Nobody plays the lender of the book {self.name}", value=self.name,
                           remedy=f"Put its files into {settings().landing}/{self.name} yourself.")
        return self.sender

    def protected(self) -> tuple[str, ...]:
        """Names of the protected attributes, possibly none."""
        return tuple(c.name for c in self.applications if c.protected)
