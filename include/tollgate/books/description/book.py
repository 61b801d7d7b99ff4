"""One loan portfolio, put together from its parts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from tollgate.books.description.features import Aggregate, Feature
from tollgate.books.description.sources import Sender, Source
from tollgate.books.description.tables import APPLICANT, BookTable, Column
from tollgate.books.description.targets import Target
from tollgate.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Book:
    """One loan portfolio.

    Attributes:
        name: as in params.yaml. title: for people.
        about: Markdown for the docs page: where the data is from, its traps, when each feature is known.
        use: what a model of this book is for, for its card. limits: what it must not be trusted with, a sentence each.
        tables: ``applications`` (with ``loan_id`` and ``applied_on``), ``decisions``, those that tell outcomes, and
            histories.
        sources: kinds of files. A table that none of them feeds has files of its own, CSV or any other that needs no
            reader's options, which begin with its name.
        all_booked: the lender sends booked loans alone, and no decisions: every application is booked on its day.
        target: what bad is.
        aggregates: what features use of the histories.
        features: the model's inputs.
        retired: former inputs, which no new model takes: still made for a model in service that does.
        critical: names of features whose PSI alone may request a retrain.
        required: names of features without which a row is not scored; without any of them at least one must be there.
        amount: the column of the applications with the money that a default loses at most; none where empty.
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
    sources: tuple[Source, ...] = ()
    all_booked: bool = False
    target: Target = field(default_factory=Target)
    aggregates: tuple[Aggregate, ...] = ()
    features: tuple[Feature, ...]
    retired: tuple[Feature, ...] = ()
    critical: tuple[str, ...]
    required: tuple[str, ...] = ()
    amount: str = ""
    time_zone: str = "UTC"
    nulls: tuple[str, ...] = ()
    dated: bool = True
    sender: Sender | None = None

    @property
    def made(self) -> tuple[Feature, ...]:
        """All that is made of an application: the features of new models, then the retired ones."""
        return self.features + self.retired

    def taking(self, names: Collection[str]) -> Book:
        """The same book with only those of its features, retired ones among them, that are called so."""
        return replace(self, features=tuple(f for f in self.made if f.name in names), retired=())

    @property
    def applications(self) -> tuple[Column, ...]:
        """The columns of the applications."""
        return self.table("applications").columns

    @property
    def histories(self) -> tuple[BookTable, ...]:
        """The tables that aggregates are made of, in the book's order."""
        over = {aggregate.over for aggregate in self.aggregates}
        return tuple(table for table in self.tables if table.name in over)

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

    def asset_of(self, table: str) -> str:
        """What a change of a table is announced as: applications, decisions, outcomes, or histories."""
        events = (*self.target.bad, *self.target.indeterminate, *self.target.cures, *self.target.void)
        told = table in ("applications", "decisions")
        return table if told else "outcomes" if table in {event.table for event in events} else "histories"

    def all_sources(self) -> tuple[Source, ...]:
        """Its kinds of files: those that it describes, then one for each table that none of these feeds."""
        fed = {table for source in self.sources for table in source.tables}
        return (*self.sources, *(Source(begins=table.name, tables=(table.name,)) for table in self.tables
                                 if table.name not in fed))

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
