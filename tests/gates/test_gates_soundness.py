"""Behaviour and data: every planted fault is refused, by the right gate and with the right words."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tollgate.books import Feature
from tollgate.books.shipped import consumer

if TYPE_CHECKING:
    from tests.gates.conftest import Run

Fresh = Callable[..., "Run"]


def replaced(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """The consumer book with some of its attributes changed."""
    monkeypatch.setattr(consumer, "BOOK", replace(consumer.BOOK, **changes))


def test_a_model_that_moves_the_wrong_way_is_refused_with_the_feature(fresh: Fresh,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    free = fresh(constraints=(0,) * len(consumer.BOOK.features))
    found = free.verdict("behaviour")
    assert found.verdict == "refuse"
    assert "the wrong way: more of it may only" in found.sentence
    assert found.measured >= 1
    replaced(monkeypatch, features=tuple(replace(f, monotone=0) for f in consumer.BOOK.features))
    assert free.verdict("behaviour").verdict == "pass"


def test_a_protected_attribute_among_the_inputs_is_refused(good: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = tuple(replace(c, protected=c.name == "state") for c in consumer.BOOK.applications)
    replaced(monkeypatch, tables=consumer.BOOK.with_columns("applications", columns).tables)
    assert "the protected attribute state is an input" in good.verdict("behaviour").sentence


def test_a_model_that_depends_on_its_batch_is_refused(good: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from tollgate.features import Model

    honest = Model.predict_features

    def relative(self: Model, features: pa.Table) -> np.ndarray:
        score = honest(self, features)
        return score if len(score) == 2_000 or len(score) > 4_000 else score * 0.999

    monkeypatch.setattr(Model, "predict_features", relative)
    found = good.verdict("behaviour").sentence
    assert "another batch size changes the scores" in found
    assert "repeating the rows changes the scores" in found


def test_too_few_rows_or_defaults_are_refused(run: Run) -> None:
    small = run.params.snapshot.model_copy(update={"min_rows": 10_000, "min_defaults": 2_000})
    found = replace(run, params=run.params.model_copy(update={"snapshot": small})).verdict("data")
    assert found.verdict == "refuse"
    assert "test has 9,000 loans with 1,310 defaults, and needs 10,000 with 2,000" in found.sentence
    assert "train has" not in found.sentence


def test_a_snapshot_of_another_as_of_is_refused(run: Run) -> None:
    run.edit("snapshot.json", as_of="2006-01-01")
    assert "snapshot.json is as of 2006-01-01" in run.verdict("data").sentence


def test_a_model_of_another_snapshot_is_refused(run: Run) -> None:
    run.edit("model/model.json", snapshot="e" * 64)
    run.sign()
    assert "the model was trained on the snapshot eeeeeeeeeeee" in run.verdict("data").sentence


def test_a_snapshot_changed_after_its_digest_was_taken_is_refused(run: Run) -> None:
    run.write("snapshot", run.rows("snapshot").slice(1))
    found = run.verdict("data").sentence
    assert "snapshot.parquet is not what snapshot.json describes" in found
    assert "snapshot.parquet and features.parquet differ" in found


@pytest.mark.parametrize("column", ["sex", "applied_on"])
def test_a_group_or_a_day_that_is_exchanged_before_the_evaluation_is_refused(run: Run, column: str) -> None:
    rows = run.rows("features")
    test = np.flatnonzero(run.rows("split")["split"].to_numpy(zero_copy_only=False) == "test")
    values = rows[column].to_numpy(zero_copy_only=False).copy()
    values[test] = np.random.default_rng(1).permutation(values[test])
    exchanged = pa.array(values, rows[column].type)
    run.write("features", rows.set_column(rows.column_names.index(column), column, exchanged))
    found = run.against(None).report()  # the evidence is of these features, and so no gate that reads it objects
    assert found.refusals == ["data"]
    assert f"snapshot.parquet and features.parquet differ in {column}" in found.verdicts[-1].sentence


def test_features_and_split_of_different_loans_are_refused(run: Run) -> None:
    run.write("split", run.rows("split").slice(5))
    assert "features.parquet and split.parquet name different loans" in run.verdict("data").sentence


def test_training_on_loans_newer_than_the_test_is_refused(run: Run) -> None:
    rows = run.rows("split")
    swapped = {"train": "test", "test": "train", "validation": "validation"}
    run.write("split", pa.table({"loan_id": rows["loan_id"],
                                 "split": [swapped[part] for part in rows["split"].to_pylist()]}))
    assert "past the first test loan" in run.verdict("data").sentence


def test_a_run_without_a_model_is_refused(run: Run) -> None:
    shutil.rmtree(run.folder / "model")
    assert "The folder model is missing" in run.verdict("auc").sentence
    assert run.report().model_digest is None


def test_loans_without_a_date_are_refused_by_the_order_of_time(run: Run) -> None:
    rows = run.rows("features")
    undated = pa.nulls(rows.num_rows, rows["applied_on"].type)
    run.write("features", rows.set_column(rows.column_names.index("applied_on"), "applied_on", undated))
    assert "the training loans reach to None, past the first test loan of None" in run.verdict("data").sentence


@pytest.mark.parametrize("part", ["train", "calibration"])
def test_a_person_with_loans_on_both_sides_is_refused(run: Run, part: str) -> None:
    loans, rows = run.rows("snapshot").sort_by("loan_id"), run.rows("split").sort_by("loan_id")
    split = rows["split"].to_pylist()
    who, first = loans["applicant_id"].to_pylist(), {part: split.index(part) for part in ("train", "test")}
    who[first["test"]] = who[first["train"]] = "P-twice"
    split[first["train"]] = part
    run.write("snapshot", loans.set_column(loans.column_names.index("applicant_id"), "applicant_id", pa.array(who)))
    run.write("split", rows.set_column(rows.column_names.index("split"), "split", pa.array(split)))
    assert f"1 applicants have loans in {part} and in test, such as P-twice" in run.verdict("data").sentence


def test_a_snapshot_whose_newest_loan_is_old_is_refused(run: Run) -> None:
    later = replace(run, params=run.params.model_copy(update={"as_of": date(2007, 6, 1)}))
    found = later.verdict("data").sentence
    assert "the newest loan is of 2004-12-31, more than 2 months before 2005-05-02" in found, "the lag is 30 days"


def test_a_feature_that_is_missing_for_every_test_loan_is_refused(run: Run) -> None:
    rows = run.rows("features")
    in_test = pa.array(np.isin(rows["loan_id"].to_numpy(zero_copy_only=False), run.rows("evidence")["loan_id"]))
    broken = pc.if_else(in_test, None, rows["annual_income"])
    run.write("features", rows.set_column(rows.column_names.index("annual_income"), "annual_income", broken))
    assert "every loan in test lacks annual_income: have the feed mended" in run.verdict("data").sentence


def test_drift_from_train_to_test_is_told_and_does_not_refuse(run: Run, good: Run) -> None:
    assert "drifted" not in good.verdict("data").sentence
    rows, parts = run.rows("features"), run.rows("split")
    test = parts["split"].to_numpy(zero_copy_only=False) == "test"
    raised = pa.array(rows["annual_income"].to_numpy() * np.where(test, 2, 1))
    run.write("features", rows.set_column(rows.column_names.index("annual_income"), "annual_income", raised))
    found = run.verdict("data")
    assert found.verdict == "pass"
    assert "from train to test, annual_income drifted" in found.sentence
    assert [row["feature"] for row in found.table] == ["annual_income"]


def test_a_feature_made_with_a_protected_attribute_is_caught_by_exchanging_it(
        fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    def tilted(years: np.ndarray, sex: np.ndarray) -> np.ndarray:
        return years + 30 * (sex == "female")

    replaced(monkeypatch, features=tuple(
        Feature(f.name, "number", ("employment_years", "sex"), tilted) if f.name == "employment_years" else f
        for f in consumer.BOOK.features))
    found = fresh().verdict("behaviour")
    assert found.verdict == "refuse"
    assert "another sex changes the score" in found.sentence
    assert "age_band" not in found.sentence


def test_ten_times_the_amount_may_not_lower_a_score(fresh: Fresh) -> None:
    found = fresh(constraints=(0,) * len(consumer.BOOK.features)).verdict("behaviour")
    assert re.search(r"10 times \w+ moves [\d.]+ % of the scores the wrong way", found.sentence)


def test_features_that_are_not_those_of_the_applications_are_refused(run: Run) -> None:
    rows = run.rows("snapshot")
    raised = pa.array(rows["credit_score"].to_numpy() - 100)
    run.write("snapshot", rows.set_column(rows.column_names.index("credit_score"), "credit_score", raised))
    assert "do not give the features that were scored" in run.verdict("behaviour").sentence
