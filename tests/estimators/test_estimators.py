"""What every estimator promises, whichever it is: one suite that each of them must pass."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score
from small_model import CHOICES

from tollgate.errors import BadInput
from tollgate.estimators import ESTIMATORS, Estimator, Fitted, Inputs, Rows, estimator

# income lowers the risk, arrears raise it, purpose is a category of three levels and "any other", noise is noise.
INPUTS = Inputs(("income", "arrears", "purpose", "noise"), (0, 0, 4, 0), (-1, 1, 0, 0))
COUNT, ROUNDS = 4_000, 12
ROUNDING = 1e-6     # of sums of leaves, which are kept in four bytes
DRAWN = {"xgboost": {"subsample": 0.7, "colsample_bytree": 0.6},
         "lightgbm": {"bagging_fraction": 0.7, "feature_fraction": 0.6}, "scorecard": {}}


def loans(seed: int, count: int = COUNT) -> Rows:
    rng = np.random.default_rng(seed)
    matrix = np.stack([rng.normal(size=count), rng.exponential(size=count), rng.integers(0, 3, count),
                       rng.normal(size=count)], axis=1).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.05] = np.nan
    known = np.nan_to_num(matrix)
    odds = -2 - known[:, 0] + 0.7 * known[:, 1] + 0.8 * (known[:, 2] == 1)
    return Rows(matrix, (rng.random(count) < expit(odds)).astype(np.int8))


@pytest.fixture(params=ESTIMATORS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def kind(name: str) -> Estimator:
    return estimator(name)


@pytest.fixture
def choice(name: str) -> dict[str, Any]:
    return {**CHOICES[name], **DRAWN[name]}


def fitted(kind: Estimator, choice: dict[str, Any], rows: Rows, inputs: Inputs = INPUTS) -> Fitted:
    fitting = kind.learner(inputs, rows, loans(2, 500), 3, 1).start(choice)
    fitting.to(ROUNDS)
    return fitting.at(ROUNDS)


def _moved(rows: np.ndarray, place: int, value: float) -> np.ndarray:
    moved = rows.copy()
    moved[:, place] = value
    return moved


def test_the_same_rows_and_seed_give_the_same_fit(kind: Estimator, choice: dict[str, Any]) -> None:
    once, again = (fitted(kind, choice, loans(1)) for _ in range(2))
    assert once.parts() == again.parts()


@pytest.mark.parametrize("size", [1, 999, COUNT])
def test_rows_in_batches_of_any_size_give_the_fit_of_the_whole(
        kind: Estimator, choice: dict[str, Any], size: int) -> None:
    rows = loans(1)
    weight = np.where(rows.label == 1, 2.5, 1.0)
    ends = [0, 0, *range(size, COUNT, size), COUNT]  # the first batch is empty
    parted = Rows(lambda: (rows.matrix[begin:end] for begin, end in itertools.pairwise(ends)), rows.label, weight)
    whole = fitted(kind, choice, Rows(rows.matrix, rows.label, weight))
    assert fitted(kind, choice, parted).parts() == whole.parts()
    assert fitted(kind, choice, replace(parted, weight=None)).parts() != whole.parts()


def test_the_bins_of_xgboost_are_those_that_were_chosen() -> None:
    learner = estimator("xgboost").learner(INPUTS, loans(1), loans(2, 500), 3, 1)
    few, many = (learner.start({"max_bin": bins}) for bins in (4, 256))
    again = learner.start({"max_bin": 4})
    for fitting in (few, many, again):
        fitting.to(ROUNDS)
    assert few.at(ROUNDS).parts() == again.at(ROUNDS).parts() != many.at(ROUNDS).parts()


def test_it_ranks_loans_that_it_never_saw(kind: Estimator, choice: dict[str, Any]) -> None:
    fresh = loans(5)
    assert roc_auc_score(fresh.label, fitted(kind, choice, loans(1)).predict(fresh.matrix)) > 0.75


def test_a_fit_with_pauses_is_a_fit_in_one_go_and_can_be_cut_at_any_round(
        kind: Estimator, choice: dict[str, Any]) -> None:
    learner = kind.learner(INPUTS, loans(1), loans(2, 500), 3, 1)
    paused, whole = learner.start(choice), learner.start(choice)
    for rounds in (2, 5, ROUNDS):
        scores = paused.to(rounds)
    assert np.allclose(scores, whole.to(ROUNDS), rtol=1e-6)
    assert paused.at(ROUNDS).parts() == whole.at(ROUNDS).parts()
    early = learner.start(choice)
    early.to(5)
    assert whole.at(5).parts() == early.at(5).parts()


def test_two_fits_side_by_side_do_not_disturb_one_another(kind: Estimator, choice: dict[str, Any]) -> None:
    learner = kind.learner(INPUTS, loans(1), loans(2, 500), 3, 1)
    one, other = learner.start(choice), learner.start(choice)
    for rounds in range(1, ROUNDS + 1):
        one.to(rounds)
        other.to(rounds)
    assert one.at(ROUNDS).parts() == other.at(ROUNDS).parts() == fitted(kind, choice, loans(1)).parts()


def test_what_is_kept_scores_and_explains_bit_for_bit_as_what_was_fitted(
        kind: Estimator, choice: dict[str, Any], tmp_path: Path) -> None:
    made, rows = fitted(kind, choice, loans(1)), loans(4, 300).matrix
    made.save(tmp_path)
    kept = kind.load(tmp_path, INPUTS)
    assert kept.predict(rows).tobytes() == made.predict(rows).tobytes()
    assert kept.contributions(rows).tobytes() == made.contributions(rows).tobytes()
    assert kept.parts() == made.parts()


def test_a_score_is_that_of_the_row_alone(kind: Estimator, choice: dict[str, Any]) -> None:
    made, rows = fitted(kind, choice, loans(1)), loans(4, 60).matrix
    assert [made.predict(rows[k:k + 1])[0] for k in range(60)] == made.predict(rows).tolist()
    assert made.predict(rows[:0]).shape == (0,) and made.contributions(rows[:0]).shape == (0, 4)


def test_contributions_make_up_the_log_odds(kind: Estimator, choice: dict[str, Any]) -> None:
    made, rows = fitted(kind, choice, loans(1)), loans(4, 300).matrix
    rest = logit(made.predict(rows)) - made.contributions(rows).sum(axis=1)
    assert np.ptp(rest) < 1e-4


def test_a_direction_is_never_broken(kind: Estimator, choice: dict[str, Any]) -> None:
    made, rows = fitted(kind, choice, loans(1)), loans(4, 300).matrix
    for k, way in ((0, -1), (1, 1)):
        scores = []
        for value in np.linspace(-3, 6, 40):
            moved = rows.copy()
            moved[:, k] = value
            scores.append(made.predict(moved))
        assert (way * np.diff(np.stack(scores), axis=0) >= -1e-7).all()


def test_what_an_input_with_a_direction_adds_goes_its_way_and_is_no_risk_at_its_best_value(
        kind: Estimator, choice: dict[str, Any]) -> None:
    model, rows = fitted(kind, choice, loans(1)), loans(5, 200).matrix
    for place, direction in enumerate(INPUTS.directions):
        if not direction:
            continue
        known = loans(1).matrix[:, place]
        grid = np.quantile(known[~np.isnan(known)], np.linspace(0, 1, 9))[::direction]
        moved = np.stack([_moved(rows, place, value) for value in grid])
        added = np.stack([model.contributions(each)[:, place] for each in moved])
        assert (np.diff(added, axis=0) >= -ROUNDING).all()
        assert (added[0] <= ROUNDING).all() and (added[-1] > 0).any()


def test_a_direction_that_the_loans_contradict_teaches_nothing(kind: Estimator, choice: dict[str, Any]) -> None:
    against = Inputs(INPUTS.names, INPUTS.codes, (1, 1, 0, 0))
    made, rows = fitted(kind, choice, loans(1), against), loans(4, 300).matrix
    known = rows[~np.isnan(rows[:, 0])]
    moved = known.copy()
    moved[:, 0] += 1
    assert (made.predict(moved) >= made.predict(known) - 1e-7).all()


def test_a_level_that_no_row_had_and_a_missing_value_score_all_the_same(
        kind: Estimator, choice: dict[str, Any]) -> None:
    made = fitted(kind, choice, loans(1))
    strange = np.array([[0, 1, 3, 0], [np.nan] * 4, [1e30, -1e30, np.nan, 1e30]], dtype=np.float32)
    assert ((made.predict(strange) > 0) & (made.predict(strange) < 1)).all()


def test_an_input_that_says_nothing_has_no_share_of_the_fit(kind: Estimator, choice: dict[str, Any]) -> None:
    rows = loans(1)
    rows.matrix[:, 3] = 7.0
    gains = fitted(kind, choice, rows).gains()
    assert gains.sum() == pytest.approx(1) and gains[3] == 0 and (gains[:3] > 0).all()


def test_a_row_of_more_weight_counts_for_more(kind: Estimator, choice: dict[str, Any]) -> None:
    rows = loans(1)
    heavy = Rows(rows.matrix, rows.label, np.where(rows.label == 1, 5.0, 1.0))
    assert fitted(kind, choice, heavy).predict(rows.matrix).mean() > 1.5 * rows.label.mean()


def test_a_torn_file_cannot_be_read(kind: Estimator, choice: dict[str, Any], tmp_path: Path) -> None:
    fitted(kind, choice, loans(1)).save(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises((OSError, ValueError)):
        kind.load(tmp_path, INPUTS)


def test_an_estimator_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(BadInput, match="no such estimator.*xgboost, lightgbm, scorecard"):
        estimator("oracle")
