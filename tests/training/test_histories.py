"""A training, a night and the leakage gate see of a loan's history what was known when it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from published import publish
from training.conftest import changed

from tollgate import lake
from tollgate.books import Book, load_book
from tollgate.books.shipped import instalment
from tollgate.config import PROJECT, Params, load_params
from tollgate.features import make_features, with_histories
from tollgate.gates.evidence import Case
from tollgate.gates.leakage import perturbed, unlike
from tollgate.registry.sources import sources_of
from tollgate.training import pin_lake, take_snapshot

AS_OF = date(2007, 1, 1)
NOW = {"applications": -1, "decisions": -1, "payments": -1, "bureau": -1}
LIVE = date(2003, 1, 1)
APPLICATION = {"loan_amount": 9_000.0, "term_months": 24, "annual_income": 50_000.0, "purpose": "car"}
PAYMENT = {"amount_due": 400.0, "amount_paid": 0.0, "status": "open"}


@pytest.fixture
def book(home: Path) -> Book:
    return load_book("instalment")


@pytest.fixture
def params() -> Params:
    return changed(load_params(PROJECT / "params.yaml", book="instalment", as_of=AS_OF),
                   snapshot={"min_rows": 1, "min_defaults": 1})


@pytest.fixture
def land(book: Book) -> Callable[..., None]:
    """Put rows of a table into the lake, each delivery on its own day."""
    numbers = iter(range(1, 1_000))

    def put(name: str, rows: list[dict[str, Any]], day: date) -> None:
        publish(book, name, rows, number=next(numbers), day=day, live_on=LIVE)

    return put


def loan(name: str, who: str, applied_on: date) -> dict[str, Any]:
    return {**APPLICATION, "loan_id": name, "applicant_id": who, "applied_on": applied_on}


def payment(name: str, who: str, due_on: date, days_past_due: int) -> dict[str, Any]:
    return {**PAYMENT, "loan_id": name, "applicant_id": who, "due_on": due_on,
            "reported_on": due_on + timedelta(days=5), "days_past_due": days_past_due}


def worst(book: Book, day: date, as_of: date) -> dict[str, float | None]:
    """The worst days past due that each application of a day shows, as a night of ``as_of`` makes it."""
    rows = lake.view(lake.applications(book), as_of=as_of, filters=[("applied_on", "=", day)])
    made = make_features(book, *with_histories(book, rows, as_of))
    return dict(zip(rows["loan_id"].to_pylist(), made["worst_days_past_due_24m"].to_pylist(), strict=True))


def test_a_later_training_sees_of_a_history_what_the_night_saw(
        book: Book, params: Params, land: Callable[..., None]) -> None:
    applied = date(2004, 3, 10)
    land("applications", [loan("L1", "ann", date(2003, 5, 1))], date(2003, 5, 2))
    land("payments", [payment("L1", "ann", date(2004, 1, 31), 30)], date(2004, 2, 6))
    land("payments", [payment("L1", "ann", date(2004, 2, 29), 10)], date(2004, 3, 12))
    land("applications", [loan("L2", "ann", applied)], date(2004, 3, 11))
    night = worst(book, applied, date(2004, 3, 12))
    assert night == {"L2": 30}
    land("payments", [payment("L1", "ann", date(2004, 1, 31), 60)], date(2004, 4, 1))   # a correction
    land("payments", [payment("L1", "ann", date(2003, 12, 31), 90)], date(2004, 4, 2))  # told before, come too late
    assert worst(book, applied, date(2004, 6, 1)) == night
    land("decisions", [{"loan_id": name, "decided_on": day, "decision": "approved", "booked_on": day}
                       for name, day in (("L1", date(2003, 5, 3)), ("L2", date(2004, 3, 13)))], date(2004, 3, 14))
    taken = take_snapshot(book, params, pin_lake(book, params), NOW)
    made = make_features(book, taken.rows, taken.histories)
    assert dict(zip(taken.rows["loan_id"].to_pylist(), made["worst_days_past_due_24m"].to_pylist(),
                    strict=True)) == {"L1": None, "L2": 30}


def test_the_trace_of_a_loan_tells_the_history_of_whoever_any_version_of_its_application_named(
        book: Book, land: Callable[..., None]) -> None:
    land("payments", [payment("L0", "ann", date(2004, 1, 31), 30), payment("L9", "ben", date(2004, 1, 31), 0)],
         date(2004, 2, 6))
    land("applications", [loan("L1", "ann", date(2004, 3, 10))], date(2004, 3, 11))
    land("applications", [{**loan("L1", "ann", date(2004, 3, 10)), "loan_amount": 5.0}], date(2004, 3, 20))
    land("applications", [loan("L1", "ben", date(2004, 3, 10))], date(2004, 4, 1))  # the wrong person had been named
    told = [(row["table"], row["key"]["loan_id"], row["version"]) for row in sources_of(book, "L1")]
    assert told == [("applications", "L1", 1), ("applications", "L1", 2), ("applications", "L1", 3),
                    ("payments", "L0", 1), ("payments", "L9", 1)]


def test_what_is_told_of_a_history_after_the_as_of_changes_no_byte_of_a_snapshot(
        book: Book, params: Params, land: Callable[..., None]) -> None:
    land("applications", [loan("L1", "ann", date(2003, 5, 1)), loan("L2", "ben", date(2003, 6, 1))], date(2003, 6, 2))
    land("decisions", [{"loan_id": name, "decided_on": date(2003, 6, 3), "decision": "approved",
                        "booked_on": date(2003, 6, 3)} for name in ("L1", "L2")], date(2003, 6, 4))
    land("payments", [payment("L1", "ann", date(2003, 9, 30), 100)], date(2003, 10, 8))
    first = take_snapshot(book, params, pin_lake(book, params), NOW)
    land("payments", [payment("L1", "ann", date(2003, 9, 30), 0), payment("L2", "ben", date(2004, 9, 30), 200)], AS_OF)
    again = take_snapshot(book, params, pin_lake(book, params), NOW)
    assert again.record == first.record
    assert {name: lake.digest(rows) for name, rows in again.histories.items()} == {
        name: lake.digest(rows) for name, rows in first.histories.items()}


@pytest.fixture
def case(book: Book, params: Params, tmp_path: Path) -> Case:
    """A run of 24 simulated months, with honest features."""
    applications, bureau = instalment.simulate(seed=1, rows_a_month=40, first_month="2003-01", last_month="2004-12")
    sent = instalment.decided(applications)
    for name, rows in (("applications", applications), ("bureau", bureau), ("decisions", sent),
                       ("payments", instalment._instalments.monthly_payments(sent))):
        columns = [c for c in book.columns(name) if not c.personal]
        rows = rows.filter(pc.is_valid(rows[columns[1].source])).select([c.source for c in columns])
        publish(book, name, rows.rename_columns([c.name for c in columns]))
    taken = take_snapshot(book, params, pin_lake(book, params), NOW)
    pq.write_table(taken.rows, tmp_path / "snapshot.parquet")
    (tmp_path / "histories").mkdir()
    for name, rows in taken.histories.items():
        pq.write_table(rows, tmp_path / "histories" / f"{name}.parquet")
    write_features(book, tmp_path, taken.rows)
    pq.write_table(taken.rows.select(["loan_id"]).append_column(
        "split", pa.array(["test"] * taken.rows.num_rows)), tmp_path / "split.parquet")
    return Case(tmp_path, params)


def write_features(book: Book, folder: Path, rows: pa.Table) -> None:
    made = make_features(book, rows, {table.name: pq.read_table(folder / "histories" / f"{table.name}.parquet")
                                      for table in book.histories})
    for name in ("label", "applied_on", "loan_id"):
        made = made.add_column(0, name, pq.read_table(folder / "snapshot.parquet")[name])
    pq.write_table(made, folder / "features.parquet")


def test_features_of_histories_stand_when_everything_that_no_loan_saw_is_disturbed(case: Case) -> None:
    assert case.loans.num_rows > 300
    assert case.histories["payments"].num_rows > 3_000
    assert unlike(case) == []


def test_features_that_saw_what_was_told_later_are_found(case: Case) -> None:
    later = pc.add(case.loans["applied_on"], pa.scalar(timedelta(days=365))).cast(pa.date32())
    peeking = case.loans.set_column(case.loans.column_names.index("applied_on"), "applied_on", later)
    peeking = peeking.set_column(peeking.column_names.index("known_on"), "known_on", later)
    write_features(case.book, case.folder, peeking)
    found = unlike(Case(case.folder, case.params))
    assert any("other values of worst_days_past_due_24m" in finding for finding in found)
    assert any("other values of earlier_loans" in finding for finding in found)


def test_a_disturbed_history_is_another_wherever_a_loan_does_not_look(case: Case) -> None:
    table, history = case.book.table("payments"), case.histories["payments"]
    asked = case.loans.slice(0, 50)
    moved = perturbed(table, asked, history, np.random.default_rng(1))
    kept = history.join(moved, history.column_names, join_type="left semi").num_rows
    assert moved.num_rows < 0.8 * history.num_rows
    assert kept < 0.7 * moved.num_rows
