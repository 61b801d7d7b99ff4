"""The numbers of run/metrics.json and the slices, held against scikit-learn and against known truths."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from tollgate.books.shipped import consumer
from tollgate.config import load_params
from tollgate.stats.calibration import calibration_line
from tollgate.stats.ranking import average_precision_draws
from tollgate.training import Slice, cut_slices, metrics, rank_slices, slice_columns
from tollgate.training.evaluate import cost_curve

ROWS = 20_000


def ranked(rows: pa.Table) -> tuple[list[Slice], int]:
    """The slices of these rows, the furthest behind first, and how many are too small."""
    members, small = cut_slices(consumer.BOOK, rows)
    return rank_slices(members, rows["label"].to_numpy() == 1, rows["score"].to_numpy()), small


def judged(seed: int = 1, flipped: str | None = None) -> pa.Table:
    """Evidence of well calibrated scores; the labels of one state may be turned round."""
    rng = np.random.default_rng(seed)
    score = rng.beta(1, 6, ROWS)
    label = rng.random(ROWS) < score
    states = rng.choice(consumer.STATES, ROWS)
    label ^= states == flipped
    texts = {c.name: rng.choice(c.isin, ROWS) for c in consumer.APPLICATIONS if c.isin and c.name != "state"}
    return pa.table({"split": ["test"] * ROWS, "label": label.astype(np.int8), "score": score, "state": states,
                     **{name: texts.get(name, rng.normal(size=ROWS)) for name in slice_columns(consumer.BOOK)
                        if name != "state"}})


def test_every_metric_lies_within_its_interval_and_is_scikit_learns() -> None:
    rows = judged()
    found = metrics(rows, 0.2, load_params(book="consumer"))
    label, score = rows["label"].to_numpy(), rows["score"].to_numpy()
    assert found["auc"] == pytest.approx(roc_auc_score(label, score))
    assert found["average_precision"] == pytest.approx(average_precision_score(label, score))
    named = [name.removesuffix("_low") for name in found if name.endswith("_low")]
    assert {"auc", "gini", "ks", "average_precision", "brier", "label_rate", "approval_rate",
            "observed_over_expected"} <= set(named)
    assert found["observed_over_expected"] == pytest.approx(label.sum() / score.sum())
    assert all(found[f"{name}_low"] < found[name] < found[f"{name}_high"] for name in named)


def test_the_cost_counts_approved_defaults_and_declined_good_loans() -> None:
    rows = pa.table({"split": ["test"] * 6, "label": pa.array([1, 1, 1, 0, 0, 0], pa.int8()),
                     "score": [0.1, 0.8, 0.9, 0.1, 0.2, 0.7]})
    params = load_params(book="consumer")
    found = metrics(rows, 0.5, params.model_copy(update={
        "train": params.train.model_copy(update={"cost_of_default": 4.0})}))
    assert found["cost"] == pytest.approx((4 + 1) / 6)
    assert found["cost_without_model"] == pytest.approx(4 * 3 / 6)


def test_the_cost_of_tied_scores_stands_at_the_share_that_is_really_approved() -> None:
    label, score = np.array([False] * 6 + [True] * 4), np.array([0.1] * 3 + [0.2] * 7)
    curve = cost_curve(label, score, 10.0)
    assert dict(zip(curve["approval_rate"], curve["cost"], strict=True)) == {0.0: 0.6, 0.3: 0.3}


def test_the_calibration_line_is_the_logistic_regression_on_the_log_odds() -> None:
    rows = judged()
    label, score = rows["label"].to_numpy(), rows["score"].to_numpy()
    odds = np.log(score / (1 - score))
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(odds[:, None], label)
    line, errors = calibration_line(label, score)
    assert line == pytest.approx([theirs.intercept_[0], theirs.coef_[0, 0]], abs=1e-4)
    assert np.all(np.abs(line - [0, 1]) < 3 * errors)
    too_far_apart = calibration_line(label, 1 / (1 + np.exp(-2 * odds)))[0]
    assert too_far_apart[1] == pytest.approx(line[1] / 2, abs=1e-3)


def test_the_draws_of_the_average_precision_scatter_around_it() -> None:
    rows = judged()
    label, score = rows["label"].to_numpy() == 1, rows["score"].to_numpy().round(2)
    draws = average_precision_draws(label, score, 100, np.random.default_rng(2))
    assert draws.mean() == pytest.approx(average_precision_score(label, score), abs=3 * draws.std())
    assert 0 < draws.std() < 0.02


def test_each_value_and_each_quarter_is_a_slice_with_its_own_auc() -> None:
    rows = judged()
    found, small = ranked(rows)
    names = {s.name for s in found}
    assert {"state = OH", "sex = female", "age_band = 60+"} <= names
    assert sum(name.startswith("credit_score ") for name in names) == 4
    assert small == 0
    ohio = next(s for s in found if s.name == "state = OH")
    member = rows["state"].to_numpy(zero_copy_only=False) == "OH"
    label, score = rows["label"].to_numpy(), rows["score"].to_numpy()
    assert ohio.area == pytest.approx(roc_auc_score(label[member], score[member]))
    assert ohio.behind == pytest.approx(roc_auc_score(label, score) - ohio.area)


def test_a_slices_standard_errors_are_those_of_the_bootstrap() -> None:
    rows = judged()
    ohio = next(s for s in ranked(rows)[0] if s.name == "state = OH")
    label, score = rows["label"].to_numpy(), rows["score"].to_numpy()
    member, rng = rows["state"].to_numpy(zero_copy_only=False) == "OH", np.random.default_rng(3)
    draws = []
    for _ in range(200):
        drawn = rng.integers(0, ROWS, ROWS)
        own = drawn[member[drawn]]
        mine = roc_auc_score(label[own], score[own])
        draws.append((mine, roc_auc_score(label[drawn], score[drawn]) - mine))
    assert (ohio.area_error, ohio.error) == pytest.approx(tuple(np.std(draws, axis=0)), rel=0.2)


def test_a_state_whose_labels_were_turned_round_is_the_furthest_behind() -> None:
    rows = judged(flipped="OH")
    found, _ = ranked(rows)
    assert found[0].name == "state = OH"
    assert found[0].behind > 0.3


def test_missing_is_a_slice_of_its_own_and_a_slice_with_few_defaults_is_only_counted() -> None:
    rows = judged()
    state, income = rows["state"].to_pylist(), rows["annual_income"].to_pylist()
    rows = rows.set_column(rows.column_names.index("state"), "state",
                           pa.array([None if i % 3 == 0 else "AK" if i < 50 else s for i, s in enumerate(state)]))
    rows = rows.set_column(rows.column_names.index("annual_income"), "annual_income",
                           pa.array([None if i % 4 == 0 else value for i, value in enumerate(income)]))
    found, small = ranked(rows)
    names = {s.name for s in found}
    assert {"state missing", "annual_income missing"} <= names
    assert "state = AK" not in names
    assert small == 1
