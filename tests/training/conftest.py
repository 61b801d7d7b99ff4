"""A lake whose rows are written by hand, and the few parameters that a snapshot and a sweep need."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tollgate import lake
from tollgate.books import Book, load_book
from tollgate.config import PROJECT, Params, load_params

AS_OF = date(2007, 1, 1)
ROW = {"credit_score": 700, "loan_amount": 9_000.0, "annual_income": 50_000.0, "num_delinquencies_12m": 0}


@pytest.fixture
def book(home: Path) -> Book:
    return load_book("consumer")


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
    """Put into the lake applications ``{loan: applied_on}`` and outcomes ``[(loan, known_on, defaulted_on)]``."""

    def put(applications: dict[str, date], outcomes: list[tuple[str, date, date | None]]) -> None:
        rows = [{**ROW, "loan_id": loan, "applied_on": day, "month": f"{day:%Y-%m}"}
                for loan, day in applications.items()]
        told = [{"loan_id": loan, "known_on": known, "defaulted_on": day, "month": f"{known:%Y-%m}"}
                for loan, known, day in outcomes]
        for table, new in ((lake.applications(book), rows), (lake.outcomes(book), told)):
            made = pa.Table.from_pylist(new, table.schema)
            months = made["month"].unique().to_pylist()
            if months:
                lake.change_partitions(table, months, lambda had, made=made: pa.concat_tables([had, made]))

    return put
