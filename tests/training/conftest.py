"""A lake whose rows are written by hand, and the few parameters that a snapshot and a sweep need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from published import publish as publish_rows

from tollgate.books import Book, Target, load_book
from tollgate.config import PROJECT, Params, load_params

AS_OF = date(2007, 1, 1)
ROW = {"credit_score": 700, "loan_amount": 9_000.0, "annual_income": 50_000.0, "num_delinquencies_12m": 0}


@pytest.fixture
def book(home: Path) -> Book:
    """The consumer book, without a reporting lag: a test of the lag has its own."""
    return replace(load_book("consumer"), target=Target())


@pytest.fixture
def params() -> Params:
    """The consumer book's parameters as of 2007, content with a handful of rows."""
    return changed(load_params(PROJECT / "params.yaml", book="consumer", as_of=AS_OF),
                   snapshot={"min_rows": 1, "min_defaults": 1})


def changed(params: Params, **sections: dict[str, Any]) -> Params:
    """The same parameters with these keys laid over their sections."""
    return params.model_copy(update={name: getattr(params, name).model_copy(update=keys)
                                     for name, keys in sections.items()})


@pytest.fixture
def publish(book: Book) -> Callable[..., None]:
    """Put into the lake applications ``{loan: applied_on}`` and outcomes ``[(loan, reported_on, defaulted_on)]``.

    Every application is booked on its day.
    """
    numbers = count(1)

    def put(applications: dict[str, date], outcomes: list[tuple[str, date, date | None]]) -> None:
        for name, rows in (
            ("applications", [{**ROW, "loan_id": loan, "applied_on": day} for loan, day in applications.items()]),
            ("decisions", [{"loan_id": loan, "decided_on": day, "decision": "approved", "booked_on": day}
                           for loan, day in applications.items()]),
            ("outcomes", [{"loan_id": loan, "reported_on": told, "defaulted_on": day}
                          for loan, told, day in outcomes])):
            if rows:
                publish_rows(book, name, rows, number=next(numbers))

    return put
