"""Who is pruned depends on the points and their scores, and on nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training.conftest import changed

from tollgate.books import Book
from tollgate.books.shipped import consumer
from tollgate.config import Params, Range
from tollgate.errors import BadInput
from tollgate.features import make_features
from tollgate.training import Parts, prepare_folds
from tollgate.training.rungs import Climb, best_third, budgets
from tollgate.training.space import pace

CHOICE = {"max_depth": 3, "learning_rate": 0.2, "subsample": 0.7, "colsample_bytree": 0.6}


def rows_of(book: Book) -> pa.Table:
    """Raw features and labels of 1,500 simulated loans."""
    sent = consumer.simulate(seed=3, rows_a_month=250, first_month="2003-01", last_month="2003-06")
    rows = make_features(book, pa.table({c.name: sent[c.source] for c in book.applications}))
    return rows.append_column("label", pa.array(sent["default_date"].is_valid().to_numpy().astype(np.int8)))


def fold(train: int, rows: int = 1_500) -> list[str]:
    return ["train"] * train + ["validation"] * (rows - train)


@pytest.fixture
def folds(book: Book, params: Params) -> tuple[Parts, ...]:
    return prepare_folds(book, rows_of(book), pa.table({"fold_1": fold(600), "fold_2": fold(1_000)}), params)


scores = st.dictionaries(st.integers(0, 30), st.floats(0, 1), min_size=1)


@given(scores, st.randoms(use_true_random=False))
def test_the_order_in_which_scores_arrive_does_not_matter(found: dict[int, float], random: object) -> None:
    items = list(found.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert best_third(dict(items)) == best_third(found)


@given(scores)
def test_no_point_that_was_left_behind_is_better_than_one_that_goes_on(found: dict[int, float]) -> None:
    on = best_third(found)
    assert len(on) == -(-len(found) // 3)
    left = found.keys() - set(on)
    assert max((found[k] for k in left), default=-1) <= min(found[k] for k in on)


def test_of_equal_points_the_earlier_goes_on() -> None:
    assert best_third({4: 0.7, 2: 0.7, 9: 0.7}) == [2]


@pytest.mark.parametrize(("trials", "first", "most", "rungs"), [
    (12, 10, 400, [10, 30, 90]), (27, 1, 400, [1, 3, 9]), (28, 1, 400, [1, 3, 9, 27]), (28, 30, 100, [30, 90, 100]),
    (3, 10, 400, [10]), (1, 10, 400, [10]), (12, 400, 5, [5])])
def test_a_rung_is_three_times_the_one_before_until_one_point_is_left(
        params: Params, trials: int, first: int, most: int, rungs: list[int]) -> None:
    asked = changed(params, sweep={"rounds_first": first, "rounds_max": most})
    assert budgets(asked.sweep, trials) == rungs


def test_a_climb_with_pauses_is_a_climb_in_one_go(folds: tuple[Parts, ...], params: Params) -> None:
    params = changed(params, sweep={"trials": 12, "rounds_first": 4, "rounds_max": 36})
    paused, whole = Climb(folds, params, CHOICE), Climb(folds, params, CHOICE)
    for budget in budgets(params.sweep, 12):
        paused.to(budget)
    whole.to(36)
    assert (paused.auc, paused.rounds) == (whole.auc, whole.rounds)
    assert [f.at(whole.rounds).parts() for f in paused._fittings] == [
        f.at(whole.rounds).parts() for f in whole._fittings]


def test_a_climb_ends_when_patience_does(folds: tuple[Parts, ...], params: Params) -> None:
    patient = changed(params, sweep={"early_stopping": 10, "rounds_first": 10},
                      space={"xgboost": {"learning_rate": Range(low=1.0, high=1.0)}})
    climb = Climb(folds, patient, {**CHOICE, "learning_rate": 1.0})
    climb.to(10_000)
    assert climb._done == climb.rounds + 10
    climb.to(20_000)
    assert climb._done == climb.rounds + 10


@pytest.mark.parametrize(("rate", "rounds"), [(0.1, 40), (0.2, 20), (0.05, 80), (0.01, 100), (0.9, 13)])
def test_a_point_that_learns_half_as_fast_climbs_twice_as_many_rounds_and_none_over_a_rung_further(
        folds: tuple[Parts, ...], params: Params, rate: float, rounds: int) -> None:
    ranged = {"learning_rate": Range(low=0.05, high=0.2, log=True)}  # the middle is 0.1
    params = changed(params, sweep={"rounds_first": 40, "rounds_max": 100}, space={"xgboost": ranged})
    climb = Climb(folds, params, {**CHOICE, "learning_rate": rate})
    climb.to(40)
    assert [fitting._booster.num_boosted_rounds() for fitting in climb._fittings] == [rounds] * 2
    assert climb.rounds <= rounds


def test_without_a_learning_rate_in_the_space_all_points_climb_alike(params: Params) -> None:
    params = changed(params, space={"xgboost": {"max_depth": Range(low=2, high=6)}})
    assert pace(params, CHOICE) == 1


@pytest.mark.parametrize(("part", "label", "defaults"), [("train", 0, "0 def"), ("validation", 1, "500 def")])
def test_a_fold_of_one_class_is_refused_with_its_counts(
        book: Book, params: Params, part: str, label: int, defaults: str) -> None:
    rows, cut = rows_of(book), fold(1_000)
    one = [label if name == part else int(k) for name, k in zip(cut, rows["label"].to_pylist(), strict=True)]
    rows = rows.set_column(rows.column_names.index("label"), "label", pa.array(one, pa.int8()))
    with pytest.raises(BadInput, match=f"The {part} rows of a fold must hold paid and defaulted.*{defaults}"):
        prepare_folds(book, rows, pa.table({"fold_1": cut}), params)


def test_an_empty_fold_is_refused(book: Book, params: Params) -> None:
    with pytest.raises(BadInput, match="of 0 rows 0 defaulted"):
        prepare_folds(book, rows_of(book), pa.table({"fold_1": ["train"] * 1_500}), params)


def test_a_split_without_folds_is_refused(book: Book, params: Params) -> None:
    with pytest.raises(BadInput, match="holds no fold.*run the split stage again"):
        prepare_folds(book, rows_of(book), pa.table({"split": fold(1_000)}), params)
