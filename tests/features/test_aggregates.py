"""What a loan sees of a history: only what was known before it, the same alone and among others, to the last bit."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tollgate.books import Aggregate, Book, BookTable, Column, Event, Feature, Target, days_between, number, ratio
from tollgate.books.checking import faults_of
from tollgate.errors import BadInput
from tollgate.features import aggregate, make_features, seen

LOANS, PEOPLE, PAYMENTS = 300, 80, 4_000
START = date(2005, 1, 1)


def column(name: str, kind: str, **more: object) -> Column:
    return Column(name=name, source=name, kind=kind, doc=name, **more)  # type: ignore[arg-type]


APPLICATIONS = BookTable(name="applications", key=("loan_id",), told=("applied_on",), entity="applicant_id", columns=(
    column("loan_id", "text", nullable=False), column("applied_on", "date", nullable=False),
    column("applicant_id", "text"), column("income", "money"), column("born_on", "date"),
    column("sex", "text", protected=True, why="a protected characteristic")))
HISTORY = BookTable(name="payments", key=("payment_id",), told=("due_on", "paid_on"), entity="applicant_id", columns=(
    column("payment_id", "text", nullable=False), column("applicant_id", "text"),
    column("due_on", "date", nullable=False), column("paid_on", "date"), column("days_late", "integer"),
    column("amount", "money"), column("rate", "number"), column("state", "text")))
FETCHED = BookTable(name="bureau", key=("loan_id", "line_no"), told=("drawn_on",), entity="loan_id", columns=(
    column("loan_id", "text", nullable=False), column("line_no", "text", nullable=False),
    column("drawn_on", "date", nullable=False), column("balance", "money")))


def longest_run(rows: pa.Table, loans: int) -> np.ndarray:
    """The most payments in a row that were late."""
    best, run, before = np.zeros(loans), 0, -1
    for row, late in zip(rows["row"].to_pylist(), rows["days_late"].to_pylist(), strict=True):
        run = 0 if row != before or not late or late <= 0 else run
        run += bool(late and late > 0)
        best[row], before = max(best[row], run), row
    return best


AGGREGATES = (
    Aggregate("late_12m", "payments", "count(*) FILTER (days_late > 30 AND due_on >= applied_on - INTERVAL 12 MONTH)"),
    Aggregate("paid", "payments", "sum(amount)"),
    Aggregate("mean_rate", "payments", "avg(rate)"),
    Aggregate("burden", "payments", "sum(amount) FILTER (amount * 10 > income)"),
    Aggregate("worst", "payments", "max(days_late)"),
    Aggregate("last_due", "payments", "max(due_on)", kind="date"),
    Aggregate("last_state", "payments", "last(state ORDER BY due_on, payment_id)", kind="text"),
    Aggregate("run", "payments", make=longest_run),
    Aggregate("earlier_loans", "applications", "count(*)"),
    Aggregate("owed", "bureau", "sum(balance)"),
)
OVERDUE = Target(bad=(Event(table="payments", on="due_on", column="days_late", ge=90),))
BOOK = Book(name="own", title="", about="", use="", limits=(), all_booked=True, critical=(), target=OVERDUE,
            tables=(APPLICATIONS, HISTORY, FETCHED), aggregates=AGGREGATES, features=(
                number("late_12m"), ratio("paid_share", "paid", "income"), days_between("since_due", "last_due"),
                days_between("age", "born_on"), number("owed"),
                Feature("state", "category", ("last_state",), lambda x: x)))


def days(rng: np.random.Generator, n: int, span: int = 1_000) -> list[date]:
    return [START + timedelta(days=int(k)) for k in rng.integers(0, span, n)]


@pytest.fixture(scope="module")
def loans() -> pa.Table:
    rng = np.random.default_rng(1)
    applied = days(rng, LOANS)
    rows = {"loan_id": [f"L{k}" for k in range(LOANS)], "applied_on": applied,
            "applicant_id": [None if k % 50 == 0 else f"P{rng.integers(PEOPLE)}" for k in range(LOANS)],
            "income": np.round(rng.lognormal(8, 1, LOANS), 2).tolist(), "born_on": [date(1970, 1, 1)] * LOANS,
            "sex": ["f"] * LOANS}
    arrived = [day + timedelta(days=int(k)) for day, k in zip(applied, rng.integers(0, 3, LOANS), strict=True)]
    return pa.table(rows, schema=APPLICATIONS.schema()).append_column("known_on", pa.array(arrived, pa.date32()))


@pytest.fixture(scope="module")
def histories(loans: pa.Table) -> dict[str, pa.Table]:
    """Payments of which one in five was corrected later, bureau lines, and the applications themselves."""
    rng = np.random.default_rng(2)
    rows = []
    for k in range(PAYMENTS):
        due = START + timedelta(days=int(rng.integers(-700, 1_000)))
        paid = due + timedelta(days=int(rng.integers(1, 60))) if rng.random() < .8 else None
        arrived = max(due, paid or due) + timedelta(days=int(rng.integers(0, 40) * (rng.random() < .3)))
        for version in range(1, 2 + (rng.random() < .2)):
            rows.append({"payment_id": f"X{k}", "applicant_id": f"P{rng.integers(PEOPLE)}" if version == 1 else
                         rows[-1]["applicant_id"], "due_on": due, "paid_on": paid,
                         "days_late": int(rng.integers(0, 90)), "amount": float(np.round(rng.lognormal(5, 2), 2)),
                         "rate": float(rng.random()), "state": str(rng.choice(["a", "b", "c"])),
                         "known_on": arrived + timedelta(days=200 * (version - 1)), "version": version})
    lines = [{"loan_id": loan, "line_no": str(k), "drawn_on": day + timedelta(days=k - 1), "balance": 100.1 * k,
              "known_on": day + timedelta(days=k - 1), "version": 1}
             for loan, day in zip(loans["loan_id"].to_pylist(), loans["applied_on"].to_pylist(), strict=True)
             for k in range(3)]
    return {"payments": pa.Table.from_pylist(rows, schema=versions(HISTORY)),
            "bureau": pa.Table.from_pylist(lines, schema=versions(FETCHED)),
            "applications": loans.append_column("version", pa.array([1] * LOANS))}


def versions(table: BookTable) -> pa.Schema:
    return pa.schema([*table.schema(), ("known_on", pa.date32()), ("version", pa.int64())])


def expected(loan: dict[str, object], rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """What a loan sees of the payments, told row by row."""
    newest: dict[object, dict[str, object]] = {}
    for row in rows:
        if row["applicant_id"] == loan["applicant_id"] and row["known_on"] <= loan["known_on"]:  # type: ignore[operator]
            newest[row["payment_id"]] = row
    return [row for row in newest.values()
            if max(row["due_on"], row["paid_on"] or row["due_on"]) < loan["applied_on"]]  # type: ignore[type-var]


def test_a_loan_sees_the_newest_version_of_what_was_told_before_it_and_had_arrived_with_it(
        loans: pa.Table, histories: dict[str, pa.Table]) -> None:
    rows = histories["payments"].to_pylist()
    found = seen(HISTORY, loans, histories["payments"])
    told: dict[int, list[tuple[object, object]]] = {}
    for row, name, version in zip(*(found[c].to_pylist() for c in ("row", "payment_id", "version")), strict=True):
        told.setdefault(row, []).append((name, version))
    for k, loan in enumerate(loans.to_pylist()):
        assert sorted(told.get(k, [])) == sorted((r["payment_id"], r["version"]) for r in expected(loan, rows))
    assert found.num_rows > LOANS
    assert any(version == 2 for name in told.values() for _, version in name)


def test_aggregates_are_what_a_person_would_count(loans: pa.Table, histories: dict[str, pa.Table]) -> None:
    rows, made = histories["payments"].to_pylist(), aggregate(BOOK, loans, histories).to_pylist()
    for loan, got in zip(loans.to_pylist(), made, strict=True):
        mine = expected(loan, rows)
        year_before = np.datetime64(loan["applied_on"].replace(day=1), "D")  # months are tried by the day below
        assert got["worst"] == max((r["days_late"] for r in mine), default=None)
        assert got["last_due"] == max((r["due_on"] for r in mine), default=None)
        assert got["paid"] == pytest.approx(sum(r["amount"] for r in mine)) if mine else got["paid"] is None
        assert got["late_12m"] <= sum(r["days_late"] > 30 for r in mine)
        assert got["late_12m"] >= sum(r["days_late"] > 30 and np.datetime64(r["due_on"]) >= year_before - 330
                                      for r in mine)
        assert got["earlier_loans"] == sum(
            other["applicant_id"] == loan["applicant_id"] is not None and other["applied_on"] < loan["applied_on"]
            and other["known_on"] <= loan["known_on"] for other in loans.to_pylist())


def test_a_loan_without_a_history_gets_what_the_expression_gives_of_no_rows(
        loans: pa.Table, histories: dict[str, pa.Table]) -> None:
    alone = loans.slice(0, 1)
    assert alone["applicant_id"][0].as_py() is None
    got = aggregate(BOOK, alone, histories).to_pylist()[0]
    assert (got["late_12m"], got["earlier_loans"], got["run"]) == (0, 0, 0)
    assert got["paid"] is None and got["last_due"] is None and got["last_state"] is None


def test_what_was_fetched_for_a_loan_is_seen_on_its_day_and_not_after(
        loans: pa.Table, histories: dict[str, pa.Table]) -> None:
    owed = aggregate(BOOK, loans, histories)["owed"].to_pylist()
    assert owed == [pytest.approx(100.1)] * LOANS  # the lines of the day before and of the day itself


def test_one_loan_gets_to_the_last_bit_what_it_gets_among_all_in_any_order(
        loans: pa.Table, histories: dict[str, pa.Table]) -> None:
    whole = make_features(BOOK, loans, histories)
    rng = np.random.default_rng(3)
    order = rng.permutation(LOANS)
    shuffled = {name: rows.take(rng.permutation(rows.num_rows)) for name, rows in histories.items()}
    assert make_features(BOOK, loans.take(order), shuffled).equals(whole.take(order))
    for k in range(0, LOANS, 29):
        assert make_features(BOOK, loans.slice(k, 1), shuffled).equals(whole.slice(k, 1).combine_chunks())


def test_the_future_and_other_peoples_rows_move_nothing(loans: pa.Table, histories: dict[str, pa.Table]) -> None:
    one = next(k for k in range(LOANS) if seen(HISTORY, loans.slice(k, 1), histories["payments"]).num_rows > 3)
    loan = loans.slice(one, 1)
    before = aggregate(BOOK, loan, histories)
    there = seen(HISTORY, loan, histories["payments"]).drop_columns("row")
    assert aggregate(BOOK, loan, {**histories, "payments": there}).equals(before)
    later = pa.table({**{name: there[name] for name in there.column_names},
                      "payment_id": pa.array([f"later{k}" for k in range(there.num_rows)]),
                      "known_on": pa.array([date(2009, 1, 1)] * there.num_rows, pa.date32())})
    everything = pa.concat_tables([histories["payments"], later.select(versions(HISTORY).names).cast(
        versions(HISTORY))])
    assert aggregate(BOOK, loan, {**histories, "payments": everything}).equals(before)


def test_a_history_that_is_missing_is_named(loans: pa.Table) -> None:
    with pytest.raises(BadInput, match="The rows of payments, of which own makes features, are not here"):
        make_features(BOOK, loans, {})


def test_sql_that_a_row_does_not_suit_is_told_with_its_aggregate(loans: pa.Table,
                                                                histories: dict[str, pa.Table]) -> None:
    sound, wrong = Aggregate("worst", "payments", "max(days_late)"), Aggregate(
        "code", "payments", "max(CAST(state AS INTEGER))")
    book = replace(BOOK, aggregates=(sound, wrong), features=(number("worst"), number("code")))
    assert not list(faults_of(book))
    with pytest.raises(BadInput, match=r"aggregate code cannot be computed.*Could not convert string.*TRY_CAST"):
        make_features(book, loans, histories)


def test_a_python_aggregate_that_forgets_a_loan_is_refused(loans: pa.Table, histories: dict[str, pa.Table]) -> None:
    wrong = Aggregate("run", "payments", make=lambda rows, loans: np.zeros(loans - 1))
    book = replace(BOOK, aggregates=(wrong,), features=(number("run"),))
    with pytest.raises(BadInput, match="The aggregate run must give one value a loan .got: 299 for 300"):
        make_features(book, loans, histories)


@pytest.mark.parametrize(("sql", "says"), [
    ("sum(", "its SQL cannot be read"),
    ("sum(nothing)", "nothing"),
    ("days_late", "it is no aggregate"),
    ("income", "it is no aggregate"),
    ("unnest([1, 2])", "it is no aggregate"),
    ("max(days_late) + random()", "random does not give the same twice"),
    ("date_diff('day', max(due_on), current_date)", "does not give the same twice"),
    ("first(days_late)", "first() depends on the order of the rows"),
    ("sum(sqrt(days_late))", "sum() adds floats"),
    ("(SELECT count(*) FROM payments)", "holds a query of its own"),
    ("sum(days_late) OVER ()", "holds a window"),
    ("count(*)) FROM payments --", "cannot be read"),
    ("max(due_on)", "it is a number and gives DATE"),
    ("count(sex)", "it uses sex, which is protected"),
    ("max(known_on)", "known_on"),
])
def test_sql_that_cannot_be_trusted_is_refused_when_the_book_is_loaded(sql: str, says: str) -> None:
    found = faults_of(replace(BOOK, aggregates=(Aggregate("wrong", "payments", sql),), features=()))
    assert [fault.says for fault in found if "the aggregate wrong" in fault.says and says in fault.says]


def test_a_sound_book_has_no_faults_and_a_history_needs_an_entity_that_the_applications_have() -> None:
    assert faults_of(BOOK) == []
    alien = replace(HISTORY, entity="payment_id")
    assert "the applications have no column payment_id" in faults_of(
        replace(BOOK, tables=(APPLICATIONS, alien, FETCHED)))[0].says
    nobody = replace(HISTORY, entity=None)
    said = [fault.says for fault in faults_of(replace(BOOK, tables=(APPLICATIONS, nobody, FETCHED)))]
    assert any("no entity that says whose its rows are" in sentence for sentence in said)
    assert any("the table payments has no entity" in sentence for sentence in said)
