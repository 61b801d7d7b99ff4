"""What no one knew when the loan was asked for is found by its description, by its numbers, or by making it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from tollgate.books import Feature, load_book, number
from tollgate.books.shipped import consumer, sba
from tollgate.gates.leakage import forbidden

if TYPE_CHECKING:
    from tests.gates.conftest import Run

Fresh = Callable[..., "Run"]


def replaced(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """The consumer book with some of its attributes changed."""
    monkeypatch.setattr(consumer, "BOOK", replace(consumer.BOOK, **changes))


def test_a_leaking_feature_is_refused_by_name(fresh: Fresh) -> None:
    leaky = fresh(scenario="planted_leak", first_month="2007-01", last_month="2007-12")
    found = leaky.verdict("leakage")
    assert found.verdict == "refuse"
    assert "num_delinquencies_12m alone reaches AUC" in found.sentence
    assert "the whole model reaches AUC" in found.sentence


def test_a_file_without_any_feature_is_refused_in_words(run: Run) -> None:
    run.write("features", run.rows("features").select(["loan_id", "applied_on", "label"]))
    found = run.verdict("leakage")
    assert found.verdict == "refuse"
    assert "features.parquet holds no feature of the book. Run the features stage again." in found.sentence


def test_a_leak_that_is_not_monotone_is_found_too(run: Run) -> None:
    rows = run.rows("features")
    label, rng = rows["label"].to_numpy(), np.random.default_rng(1)
    term = 12 * rng.integers(1, 30, rows.num_rows) + np.where(label == 1, rng.integers(1, 12, rows.num_rows), 0)
    at = rows.column_names.index("employment_years")
    run.write("features", rows.set_column(at, "employment_years", pa.array(term.astype(float))))
    assert "employment_years alone reaches AUC" in run.verdict("leakage").sentence


def test_a_feature_past_the_limit_by_luck_is_no_leak(good: Run) -> None:
    found = good.verdict("leakage")
    assert found.low is not None and found.measured is not None and found.low < found.measured
    near = good.verdict("leakage", feature_auc_max=found.measured - 0.001)
    assert near.verdict == "pass"
    assert "that it is may be luck" in near.sentence
    far = good.verdict("leakage", feature_auc_max=found.low - 0.001)
    assert far.verdict == "refuse"
    assert f"with 95% confidence at least {found.low:.4f}" in far.sentence


def test_the_extremes_of_a_feature_with_a_direction_may_be_as_good_as_certain(good: Run) -> None:
    assert good.verdict("leakage", level_rate_max=0.5).verdict == "pass"  # 5 delinquencies: 3 of 4 loans default


def test_a_category_that_leaks_is_found_too(run: Run) -> None:
    rows = run.rows("features")
    paid = np.where(rows["label"].to_numpy() == 1, "NY", "CA")
    run.write("features", rows.set_column(rows.column_names.index("state"), "state", pa.array(paid)))
    assert "state alone reaches AUC" in run.verdict("leakage").sentence


def test_a_retired_feature_is_made_and_no_input_and_troubles_no_gate(
        fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    *kept, gone = consumer.BOOK.features
    replaced(monkeypatch, features=tuple(kept), retired=(gone,))
    made = fresh()
    assert gone.name in made.rows("features").column_names
    assert made.report().refusals == []


@pytest.mark.parametrize(("loans", "refused"), [(60, True), (20, False)])
def test_a_value_that_only_defaults_have_is_found_from_few_loans(run: Run, loans: int, refused: bool) -> None:
    rows = run.rows("features")
    judged = np.isin(run.rows("split")["split"].to_numpy(), ("validation", "test"))
    some = np.flatnonzero((rows["label"].to_numpy() == 1) & judged)[:loans]
    state = rows["state"].to_numpy(zero_copy_only=False).copy()
    state[some] = "in collection"
    run.write("features", rows.set_column(rows.column_names.index("state"), "state", pa.array(state)))
    said = run.verdict("leakage").sentence
    assert ("of 60 loans that share a value of state, 60 defaulted" in said) == refused
    assert "state alone reaches" not in said


def test_a_column_known_only_later_is_refused_with_the_books_reason(good: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    term = next(column for column in sba.BOOK.applications if column.name == "term")
    with_term = consumer.BOOK.with_columns("applications", (*consumer.BOOK.applications, term))
    replaced(monkeypatch, tables=with_term.tables,
             features=(*consumer.BOOK.features, number("term")))
    found = good.verdict("leakage")
    assert found.verdict == "refuse"
    assert "feature term uses term, which is not known at the application" in found.sentence
    assert term.why in found.sentence
    assert "the model was trained without term" in found.sentence


@pytest.mark.parametrize("name", ["sba", "consumer", "card"])
def test_no_book_comes_with_a_feature_of_a_forbidden_column(name: str) -> None:
    assert not forbidden(load_book(name))


def test_features_that_are_not_made_of_the_snapshot_are_refused(run: Run) -> None:
    rows = run.rows("features")
    hint = rows["employment_years"].to_numpy() + 0.1 * rows["label"].to_numpy()
    run.write("features", rows.set_column(rows.column_names.index("employment_years"), "employment_years",
                                          pa.array(hint)))
    found = run.verdict("leakage")
    assert found.verdict == "refuse"
    assert "features.parquet holds other values of employment_years" in found.sentence
    assert "credit_score" not in found.sentence


def test_a_feature_that_looks_at_other_loans_is_refused(good: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ranked = Feature("loan_amount", "number", ("loan_amount",), lambda x: x / x.mean(), 1)
    replaced(monkeypatch, features=(consumer.BOOK.features[0], ranked, *consumer.BOOK.features[2:]))
    assert "other values of loan_amount" in good.verdict("leakage").sentence


@pytest.mark.parametrize(("column", "words"), [
    ("loan_id", "which only names the loan"), ("sex", "is protected: a protected characteristic"),
    ("applicant", "is personal data: a name"), ("defaulted_on", "is not known at the application: an outcome"),
    ("horoscope", "which the book does not describe"),
])
def test_forbidden_columns_are_refused_each_with_its_reason(good: Run, monkeypatch: pytest.MonkeyPatch, column: str,
                                                            words: str) -> None:
    feature = Feature("harmless", "category", (column,), lambda x: x)
    replaced(monkeypatch, features=(*consumer.BOOK.features, feature))
    found = good.verdict("leakage")
    assert found.verdict == "refuse"
    assert f"feature harmless uses {column}" in found.sentence
    assert words in found.sentence


def test_an_input_that_the_book_does_not_describe_is_refused(good: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(monkeypatch, features=consumer.BOOK.features[1:])
    assert "the model takes credit_score, which is no feature of the book" in good.verdict("leakage").sentence


@pytest.mark.filterwarnings("error")
def test_a_split_without_validation_rows_cannot_clear_a_feature_of_leaking(run: Run) -> None:
    rows = run.rows("split")
    run.write("split", pa.table({"loan_id": rows["loan_id"], "split": [
        "train" if part == "validation" else part for part in rows["split"].to_pylist()]}))
    found = run.verdict("leakage")
    assert found.verdict == "refuse"
    assert "split.parquet names no loan of features.parquet for validation" in found.sentence
