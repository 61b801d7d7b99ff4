"""A lender whose book is made up of a few columns of every kind, so that a test can write its files in any way."""

from __future__ import annotations

from typing import Any

from tollgate.books import Book, BookTable, Column, Source, number, outcomes_table

ID = Column(name="loan_id", source="LOAN", kind="text", doc="Number of the loan.", nullable=False)
APPLICATIONS = (
    ID,
    Column(name="applied_on", source="DAY", kind="date", doc="Day of application.", nullable=False),
    Column(name="amount", source="AMOUNT", kind="money", doc="Amount asked for."),
    Column(name="rate", source="RATE", kind="percent", doc="Yearly rate."),
    Column(name="income", source="INCOME", kind="number", doc="Yearly income."),
    Column(name="term", source="TERM", kind="integer", doc="Months."),
    Column(name="purpose", source="PURPOSE", kind="text", doc="What for."),
    Column(name="who", source="NAME", kind="text", doc="Of the applicant.", personal=True, why="a name"),
)
OUTCOMES = (
    ID,
    Column(name="reported_on", source="REPORTED", kind="date", doc="Day of the report.", nullable=False),
    Column(name="defaulted_on", source="DEFAULTED", kind="date", doc="Day of the default."),
)
NAMES = [column.source for column in APPLICATIONS]


def small_book(*sources: Source, changes: dict[str, dict[str, Any]] | None = None) -> Book:
    """The book with these kinds of files; ``changes`` are options of its columns, by the lender's name."""
    from dataclasses import replace

    columns = tuple(replace(column, **(changes or {}).get(column.source, {})) for column in APPLICATIONS)
    return Book(name="small", title="Small", about="Made up.", use="None.", limits=(),
                tables=(BookTable(name="applications", columns=columns, key=("loan_id",), told=("applied_on",)),
                        outcomes_table(OUTCOMES)),
                sources=sources, all_booked=True, features=(number("amount"),), critical=("amount",))
