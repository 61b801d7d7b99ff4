"""The contributions of trees, looked up in tables, against XGBoost's own and against their definition."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from math import factorial

import numpy as np
import pytest
import xgboost

from tollgate.estimators.base import Inputs
from tollgate.estimators.shapley import BITS, LONGEST, Tables, Tree
from tollgate.estimators.xgboost_trees import Trees

CODES = (0, 0, 0, 0, 0, 0, 9, 40, 2, 0, 0, 0, 0, 0)


def loans(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers, some of them whole and with many ties, and categories; every input lacks some of its values."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, len(CODES))).astype(np.float32)
    matrix[:, 2] = np.round(matrix[:, 2] * 3)
    for k, codes in enumerate(CODES):
        if codes:
            matrix[:, k] = rng.integers(0, codes, rows)
    log_odds = matrix[:, 0] + matrix[:, 1] * matrix[:, 2] / 3 + (matrix[:, 6] % 3) - (matrix[:, 7] % 4) / 2
    log_odds += 0.3 * matrix[:, 9:].sum(axis=1)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    return matrix, (rng.random(rows) < 1 / (1 + np.exp(-log_odds))).astype(int)


def fitted(depth: int, rounds: int, **more: object) -> tuple[Trees, np.ndarray, xgboost.DMatrix]:
    matrix, label = loans(3_000)
    inputs = Inputs(tuple(f"f{k}" for k in range(len(CODES))), CODES, (0,) * len(CODES))
    weight = np.random.default_rng(1).uniform(0.5, 2, len(label))
    data = xgboost.DMatrix(matrix, label=label, weight=weight, feature_names=list(inputs.names),
                           feature_types=["c" if codes else "q" for codes in CODES], enable_categorical=True)
    booster = xgboost.train({"max_depth": depth, "objective": "binary:logistic", "nthread": 1, **more}, data, rounds)
    return Trees(booster, inputs), matrix, data


@pytest.mark.parametrize("depth", [1, 2, 4, 6, 9])
@pytest.mark.parametrize("more", [{}, {"max_cat_to_onehot": 50, "min_child_weight": 0}], ids=["partitions", "one-hot"])
def test_contributions_are_xgboosts_own(depth: int, more: dict[str, object]) -> None:
    trees, matrix, data = fitted(depth, 12, **more)
    assert trees._tables is not None
    theirs = trees.booster.predict(data, pred_contribs=True)
    mine = trees.contributions(matrix)
    assert np.abs(mine - theirs[:, :-1]).max() < 1e-5
    margin = trees.booster.predict(data, output_margin=True)
    assert np.allclose(mine.sum(axis=1) + theirs[:, -1], margin, atol=1e-4)


def test_an_edge_itself_goes_where_xgboost_sends_it() -> None:
    trees, _, _ = fitted(4, 10)
    edges = np.full((len(trees._edges[0]), len(CODES)), np.nan, np.float32)
    edges[:, 0] = trees._edges[0]
    data = xgboost.DMatrix(edges, feature_names=[f"f{k}" for k in range(len(CODES))], enable_categorical=True,
                           feature_types=["c" if codes else "q" for codes in CODES])
    theirs = trees.booster.predict(data, pred_contribs=True)[:, :-1]
    assert len(edges) > 5
    assert np.abs(trees.contributions(edges) - theirs).max() < 1e-5


def test_a_row_is_explained_alone_as_it_is_among_others() -> None:
    trees, matrix, _ = fitted(6, 10)
    among = trees.contributions(matrix)
    for row in (0, 17, 2_999):
        assert np.array_equal(trees.contributions(matrix[row:row + 1])[0], among[row])
    assert trees.contributions(matrix[:0]).shape == (0, len(CODES))


def test_small_trees_share_a_table() -> None:
    trees, matrix, data = fitted(2, 200)
    assert trees._tables is not None
    assert len(trees._tables._tables) < 100
    theirs = trees.booster.predict(data, pred_contribs=True)
    assert np.abs(trees.contributions(matrix) - theirs[:, :-1]).max() < 1e-5


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_and_pieces_change_no_bit_of_a_score(threads: int) -> None:
    trees, matrix, data = fitted(6, 50)
    whole = trees.booster.predict(data).astype(np.float64)
    trees.booster.set_param({"nthread": threads})
    assert trees.predict(matrix).tobytes() == whole.tobytes()
    with ThreadPoolExecutor(threads) as cores:
        pieces = list(cores.map(lambda start: trees.predict(matrix[start:start + 71]), range(0, len(matrix), 71)))
    assert np.concatenate(pieces).tobytes() == whole.tobytes()


def test_an_infinite_value_is_refused() -> None:
    trees, matrix, _ = fitted(2, 2)
    matrix[3, 0] = np.inf
    with pytest.raises(xgboost.core.XGBoostError, match="inf"):
        trees.predict(matrix)


def test_ways_too_long_for_a_table_are_left_to_xgboost() -> None:
    trees, matrix, data = fitted(14, 3, min_child_weight=0, reg_lambda=0, colsample_bynode=0.3)
    assert trees._tables is None
    assert np.array_equal(trees.contributions(matrix), trees.booster.predict(data, pred_contribs=True)[:, :-1])


def value(tree: Tree, bins: np.ndarray, known: tuple[int, ...], node: int = 0) -> float:
    """What the tree expects where only some inputs are known: at the other splits it goes both ways."""
    left, right = tree.left[node], tree.right[node]
    if left < 0:
        return tree.value[node]
    if tree.feature[node] in known:
        return value(tree, bins, known, left if tree.goes_left[node][bins[tree.feature[node]]] else right)
    return sum(tree.cover[child] / tree.cover[node] * value(tree, bins, known, child) for child in (left, right))


def test_they_are_shapley_values_by_definition() -> None:
    """Of a tree with an input twice on one way, one that is no balanced tree, over all its bins."""
    low, high = np.array([True, False, False]), np.array([True, True, False])
    none = np.empty(0, bool)
    tree = Tree(left=(1, 3, -1, 5, -1, -1, -1), right=(2, 4, -1, 6, -1, -1, -1), feature=(0, 1, 0, 0, 0, 0, 0),
                goes_left=(high, low, none, low, none, none, none), cover=(10.0, 7.0, 3.0, 5.0, 2.0, 1.0, 4.0),
                value=(0.0, 0.0, 0.3, 0.0, -1.0, 2.0, 0.7))
    tables = Tables([tree], 3)
    for first in range(3):
        for second in range(3):
            bins = np.array([first, second, 0])
            expected = [sum(factorial(len(known)) * factorial(2 - len(known)) / factorial(3)
                            * (value(tree, bins, (*known, j)) - value(tree, bins, known))
                            for size in range(3) for known in combinations([i for i in range(3) if i != j], size))
                        for j in range(3)]
            assert tables.contributions(bins[:, None])[0] == pytest.approx(expected, abs=1e-6)


def test_a_tree_of_one_leaf_explains_nothing() -> None:
    alone = Tree(left=(-1,), right=(-1,), feature=(0,), goes_left=(np.empty(0, bool),), cover=(5.0,), value=(0.4,))
    assert not Tables([alone], 2).contributions(np.zeros((2, 4), int)).any()
    assert LONGEST < BITS  # a leaf by itself fits a table
