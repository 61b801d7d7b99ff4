"""What would have been approved: what may be changed, as it was seen in training, the smallest, and truly approved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_model import keep_model

from tollgate.books import Book, Rule, load_book
from tollgate.books.checking.book import faults_of
from tollgate.books.shipped import consumer
from tollgate.errors import Refused
from tollgate.features import Model, golden_inputs, make_features, write_golden
from tollgate.scoring.changes import changes
from tollgate.scoring.explain_page import in_words

LIMIT = 0.3


def marked(**actionable: str | None) -> Book:
    """The book with these columns to be asked for otherwise, and no others."""
    book = load_book("consumer")
    return book.with_columns("applications", tuple(
        replace(column, actionable=actionable.get(column.name)) for column in book.applications))


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    book = load_book("consumer")
    sent = consumer.simulate(seed=2, rows_a_month=1_500, first_month="2003-01", last_month="2003-01")
    return pa.table({c.name: sent[c.source] for c in book.applications if not c.personal}).append_column(
        "label", pa.array(sent["default_date"].is_valid().to_numpy().astype(np.int8)))


@pytest.fixture(scope="module")
def model(rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder, book = tmp_path_factory.mktemp("model"), load_book("consumer")
    features = make_features(book, rows)
    keep_model(folder, book, features, rows["label"].to_numpy(), threshold=LIMIT)
    write_golden(folder, rows, features, {}, 1)
    return Model.load(folder)


@pytest.fixture(scope="module")
def declined(rows: pa.Table, model: Model) -> list[pa.Table]:
    places = np.flatnonzero(model.predict(rows) >= LIMIT)
    return [rows.slice(k, 1) for k in places[::3]]


def found(model: Model, book: Book, loans: list[pa.Table]) -> list[tuple[pa.Table, list[dict[str, Any]]]]:
    return [(loan, changes(model, book, loan, {})) for loan in loans]


def changed(loan: pa.Table, to: dict[str, Any]) -> pa.Table:
    for name, value in to.items():
        loan = loan.set_column(loan.column_names.index(name), name, pa.array([value], loan[name].type))
    return loan


def test_every_change_is_approved_by_the_model_itself_and_goes_only_the_way_that_is_open(
        model: Model, declined: list[pa.Table]) -> None:
    several = found(model, marked(loan_amount="lower", purpose="either", annual_income="raise"), declined)
    told = [(loan, one) for loan, answer in several for one in answer]
    assert len(told) > 10 and {name for _, one in told for name in one["to"]} >= {"loan_amount", "annual_income"}
    for loan, one in told:
        assert model.predict(changed(loan, one["to"]))[0] == one["score"] < LIMIT
        assert one["from"] == {name: loan[name][0].as_py() for name in one["to"]}
        assert one["to"].get("loan_amount", 0) < loan["loan_amount"][0].as_py()
        assert one["to"].get("annual_income", 1e9) > loan["annual_income"][0].as_py()


def test_no_smaller_value_that_was_seen_in_training_would_have_done(model: Model, declined: list[pa.Table]) -> None:
    seen = np.unique(golden_inputs(model.folder)["loan_amount"].to_numpy())
    checked = 0
    for loan, answer in found(model, marked(loan_amount="lower"), declined):
        now = loan["loan_amount"][0].as_py()
        lower = seen[seen < now]
        approved = [float(value) for value in lower
                    if model.predict(changed(loan, {"loan_amount": float(value)}))[0] < LIMIT]
        assert [one["to"]["loan_amount"] for one in answer] == ([max(approved)] if approved else [])
        checked += len(answer)
    assert checked


def test_two_columns_are_changed_only_where_no_one_of_them_does(model: Model, declined: list[pa.Table]) -> None:
    single = found(model, marked(loan_amount="lower"), declined)
    other = found(model, marked(debt_to_income_ratio="lower"), declined)
    both = found(model, marked(loan_amount="lower", debt_to_income_ratio="lower"), declined)
    pairs = 0
    for (_, one), (_, two), (_, answer) in zip(single, other, both, strict=True):
        if one or two:
            assert sorted(map(str, answer)) == sorted(map(str, one + two))
            assert [each["passed"] for each in answer] == sorted(each["passed"] for each in answer)
        elif answer:
            assert [set(each["to"]) for each in answer] == [{"loan_amount", "debt_to_income_ratio"}]
            pairs += 1
    assert pairs


def test_what_is_not_for_the_applicant_to_choose_or_is_missing_stays(model: Model, declined: list[pa.Table]) -> None:
    assert found(model, marked(), declined[:3]) == [(loan, []) for loan in declined[:3]]
    without = changed(declined[0], {"annual_income": None})
    assert changes(model, marked(annual_income="raise"), without, {}) == []


def test_a_rule_between_columns_is_never_broken(model: Model, declined: list[pa.Table]) -> None:
    book = marked(loan_amount="lower")
    kept = Rule("not_below", ("loan_amount",), lambda amount: amount >= 9_000, "Smaller loans are not made.")
    ruled = replace(book, tables=tuple(replace(table, rules=(kept,)) if table.name == "applications" else table
                                       for table in book.tables))
    free = [one["to"]["loan_amount"] for _, answer in found(model, book, declined) for one in answer]
    bound = [one["to"]["loan_amount"] for _, answer in found(model, ruled, declined) for one in answer]
    assert min(free) < 9_000 <= min(bound)


def test_a_value_that_the_column_may_not_be_by_now_is_never_told(model: Model, declined: list[pa.Table]) -> None:
    def bounded(book: Book, name: str, **bounds: Any) -> Book:
        return book.with_columns("applications", tuple(
            replace(column, **bounds) if column.name == name else column for column in book.applications))

    book = marked(loan_amount="lower")
    free, bound = ([one["to"]["loan_amount"] for _, answer in found(model, of, declined) for one in answer]
                   for of in (book, bounded(book, "loan_amount", ge=9_000)))
    assert min(free) < 9_000 <= min(bound)
    book, lenient = marked(purpose="either"), replace(model, threshold=1.0)
    (one,) = changes(lenient, book, declined[0], {})
    others = set(golden_inputs(model.folder)["purpose"].to_pylist()) - {one["to"]["purpose"]}
    (other,) = changes(lenient, bounded(book, "purpose", isin=tuple(sorted(others))), declined[0], {})
    assert other["to"]["purpose"] in others


def test_what_a_night_would_refuse_is_never_told_as_approved(
        model: Model, declined: list[pa.Table], monkeypatch: pytest.MonkeyPatch) -> None:
    book = replace(marked(annual_income="either"), required=("payment_to_income_ratio",))
    monkeypatch.setattr("tollgate.scoring.shards.load_book", lambda _: book)
    golden = golden_inputs(model.folder)
    nothing = golden.set_column(golden.column_names.index("annual_income"), "annual_income",
                                pa.array(np.zeros(golden.num_rows)))
    monkeypatch.setattr("tollgate.scoring.changes.golden_inputs", lambda _: nothing)
    lenient = replace(model, threshold=1.0)
    assert lenient.predict(changed(declined[0], {"annual_income": 0.0}))[0] < 1, "the model alone would approve"
    assert found(lenient, book, declined[:3]) == [(loan, []) for loan in declined[:3]]


@pytest.mark.parametrize(("value", "says"), [
    (1_250_000, "1,250,000"), (2_500_000.0, "2,500,000"), (999_999.9, "1,000,000"), (-3e6, "-3,000,000"),
    (0.67341, "0.67341"), (12_800, "12,800"), (1.5e18, "1.5e+18"), ("car", "car"), (None, "missing")])
def test_an_amount_of_millions_is_told_in_digits(value: float | str | None, says: str) -> None:
    assert in_words({"to": {"amount": value}, "from": {"amount": value}}) == f"amount of {says} instead of {says}"


def test_a_ratio_moves_with_what_it_is_made_of(model: Model, rows: pa.Table, declined: list[pa.Table]) -> None:
    (loan, (one,)) = next(each for each in found(model, marked(loan_amount="lower"), declined) if each[1])
    made = make_features(load_book("consumer"), changed(loan, one["to"]))
    assert made["payment_to_income_ratio"][0].as_py() == one["to"]["loan_amount"] / loan["annual_income"][0].as_py()
    assert pc.min(rows["loan_amount"]).as_py() <= one["to"]["loan_amount"]


def test_a_model_without_golden_rows_is_refused(model: Model, declined: list[pa.Table], tmp_path: Path) -> None:
    with pytest.raises(Refused, match="keeps no golden rows that could be read"):
        changes(replace(model, folder=tmp_path), marked(loan_amount="lower"), declined[0], {})


@pytest.mark.parametrize(("name", "way", "says"), [
    ("sex", "either", "nobody asks for what is personal, protected or known later (actionable)"),
    ("applied_on", "lower", "a date is not asked for lower (actionable)"),
    ("purpose", "raise", "a text is not asked for raise (actionable)")])
def test_what_nobody_can_ask_for_is_a_fault_of_the_book(name: str, way: str, says: str) -> None:
    (fault,) = faults_of(marked(**{name: way}))
    assert fault.says == f"applications.{name}: {says}" and fault.word == name
