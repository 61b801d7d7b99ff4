"""Boosted trees by XGBoost, kept in its own binary format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import finalize

import numpy as np

from tollgate.estimators.base import Inputs, Rows
from tollgate.estimators.importing import import_without_sklearn
from tollgate.estimators.shapley import Tables, Tree

if TYPE_CHECKING:
    import xgboost

FILE = "model.ubj"
BINS = 256  # of an input, XGBoost's own default
SEARCHED = frozenset({"max_depth", "learning_rate", "min_child_weight", "subsample", "colsample_bytree", "reg_lambda",
                      "reg_alpha", "gamma", "max_bin", "max_cat_to_onehot"})


class Trees:
    """A fitted booster."""

    def __init__(self, booster: xgboost.Booster, inputs: Inputs) -> None:
        self.booster, self._inputs = booster, inputs

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """P(default), float64 of shape (rows,)."""
        if not len(matrix):
            return np.empty(0)
        if np.isinf(matrix).any():
            return self.booster.predict(_data(self._inputs, matrix)).astype(np.float64)  # it says what is wrong
        return self.booster.inplace_predict(matrix).astype(np.float64)  # the same bits, without a copy of the rows

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """Those of XGBoost's own ``pred_contribs``, from tables that are made when they are first asked for.

        Trees with too long a way for these are left to XGBoost.
        """
        if not len(matrix):
            return np.empty((0, len(self._inputs.names)))
        if self._tables is None:
            found = self.booster.predict(_data(self._inputs, matrix), pred_contribs=True)
            return found[:, :-1].astype(np.float64)
        return self._tables.contributions(np.stack([
            bins_of(edges, codes, matrix[:, k])
            for k, (edges, codes) in enumerate(zip(self._edges, self._inputs.codes, strict=True))]))

    @cached_property
    def _edges(self) -> list[np.ndarray]:
        """The places at which any tree splits each number, ascending float32; none of a category."""
        found: list[set[float]] = [set() for _ in self._inputs.names]
        for tree in self.parts():
            for node, feature in enumerate(tree["split_indices"]):
                if tree["left_children"][node] >= 0 and not self._inputs.codes[feature]:
                    found[feature].add(tree["split_conditions"][node])
        return [np.array(sorted(edges), np.float32) for edges in found]

    @cached_property
    def _tables(self) -> Tables | None:
        try:
            return Tables((self._tree(tree) for tree in self.parts()), len(self._inputs.names))
        except ValueError:
            return None

    def _tree(self, tree: dict[str, Any]) -> Tree:
        sets = {node: tree["categories"][start:start + size] for node, start, size in zip(
            tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)}
        goes_left = []
        for node, feature in enumerate(tree["split_indices"]):
            edges, codes = self._edges[feature], self._inputs.codes[feature]
            if tree["left_children"][node] < 0:
                left = np.empty(0, bool)
            elif codes:
                left = ~np.isin(np.arange(codes + 1), sets[node])  # the categories that are named go right
            else:
                left = np.arange(len(edges) + 2) <= np.searchsorted(edges, np.float32(tree["split_conditions"][node]))
            goes_left.append(np.append(left[:-1], bool(tree["default_left"][node])))
        return Tree(tree["left_children"], tree["right_children"], tree["split_indices"], goes_left,
                    tree["sum_hessian"], tree["split_conditions"])

    def gains(self) -> np.ndarray:
        """The share of all splits' gain that each input has."""
        found: dict[str, Any] = {**self.booster.get_score(importance_type="total_gain")}
        return np.array([found.get(name, 0.0) for name in self._inputs.names]) / (sum(found.values()) or 1.0)

    def parts(self) -> list[Any]:
        """The trees."""
        return self._parsed

    @cached_property
    def _parsed(self) -> list[Any]:
        whole = json.loads(bytes(self.booster.save_raw("json")))
        trees: list[Any] = whole["learner"]["gradient_booster"]["model"]["trees"]
        return trees

    def save(self, folder: Path) -> None:
        """Write the folder's file."""
        self.booster.save_model(folder / FILE)


def bins_of(edges: np.ndarray, codes: int, column: np.ndarray) -> np.ndarray:
    """Between which edges each value lies, or its code; the last bin is that of missing ones.

    Args:
        column: float32 of shape (rows,). codes: how many a category has, 0 for a number.

    Returns whole numbers of shape (rows,), 0 to ``codes`` of a category, else 0 to the number of edges plus one.
    """
    missing = np.isnan(column)
    if codes:
        return np.where(missing, codes, column).astype(np.int64)
    return np.where(missing, len(edges) + 1, np.searchsorted(edges, column, side="right"))


def load(folder: Path, inputs: Inputs) -> Trees:
    """The trees of a model's folder. Raises ``ValueError`` where they cannot be read."""
    import_without_sklearn("xgboost")
    import xgboost

    return Trees(xgboost.Booster(model_file=folder / FILE), inputs)


class Learner:
    """Matrices of XGBoost's, shared by every choice: a byte or a few for a value of the training rows, not four.

    However these come in batches, the trees are the same, bit for bit: XGBoost's sketch of an input's quantiles goes
    through the rows one by one. Inputs have no names here: XGBoost would compare them in every round.
    """

    def __init__(self, inputs: Inputs, train: Rows, validation: Rows, seed: int, threads: int) -> None:
        import xgboost

        # Pages on disk are read for one fit at a time.
        self._inputs, self._seed, self._threads, self._rows = inputs, seed, threads, train
        self._alone: AbstractContextManager[Any] = Lock() if train.in_file or validation.in_file else nullcontext()
        self._validation = (_kept(xgboost.DMatrix, inputs, validation, nthread=threads) if validation.in_file
                            else _data(inputs, validation.matrix, named=False))
        self._binned = BINS, _quantised(inputs, train, BINS, threads)

    def start(self, choice: Mapping[str, Any]) -> _Fitting:
        """A fit with these hyperparameters."""
        # All boosters of a thread draw from one random stream; seeded anew in each round, none disturbs another.
        settings = {"objective": "binary:logistic", "tree_method": "hist", "seed": self._seed,
                    "seed_per_iteration": True, "nthread": self._threads,
                    "monotone_constraints": self._inputs.directions, "max_bin": BINS, **choice}
        bins = int(settings["max_bin"])
        if self._binned[0] != bins:
            self._binned = bins, _quantised(self._inputs, self._rows, bins, self._threads)
        return _Fitting(settings, self._inputs, self._binned[1], self._validation, self._alone)


class _Fitting:
    ends = False

    def __init__(self, settings: dict[str, Any], inputs: Inputs, train: xgboost.DMatrix,
                 validation: xgboost.DMatrix, alone: AbstractContextManager[Any]) -> None:
        import xgboost

        self._inputs, self._train, self._validation, self._alone, self._done = inputs, train, validation, alone, 0
        self._booster = xgboost.Booster(settings, [train, validation])

    def to(self, rounds: int) -> np.ndarray:
        with self._alone:
            for k in range(self._done, rounds):
                self._booster.update(self._train, k)
            self._done = max(self._done, rounds)
            return self._booster.predict(self._validation)

    def at(self, rounds: int) -> Trees:
        booster = self._booster[:rounds]
        booster.feature_names = list(self._inputs.names)
        return Trees(booster, self._inputs)


def _data(inputs: Inputs, matrix: np.ndarray, *, named: bool = True) -> xgboost.DMatrix:
    import xgboost

    return xgboost.DMatrix(matrix, enable_categorical=True, feature_types=_types(inputs),
                           feature_names=list(inputs.names) if named else None)


def _quantised(inputs: Inputs, rows: Rows, bins: int, threads: int) -> xgboost.DMatrix:
    """The rows as places among an input's quantiles: on disk where they stay in a file, else in memory."""
    import xgboost

    if rows.in_file:
        return _kept(xgboost.ExtMemQuantileDMatrix, inputs, rows, max_bin=bins, nthread=threads)
    return xgboost.QuantileDMatrix(_data_iter(inputs, rows), max_bin=bins, nthread=threads, enable_categorical=True)


def _kept(kind: type[xgboost.DMatrix], inputs: Inputs, rows: Rows, **options: int) -> xgboost.DMatrix:
    """Rows that XGBoost reads some times over, a batch in memory at a time, and keeps in pages in a scratch folder."""
    folder = TemporaryDirectory(prefix="tollgate-pages-")
    matrix = kind(_data_iter(inputs, rows, cache_prefix=f"{folder.name}/pages"), enable_categorical=True, **options)
    finalize(matrix, folder.cleanup)
    return matrix


def _data_iter(inputs: Inputs, rows: Rows, cache_prefix: str | None = None) -> xgboost.DataIter:
    import xgboost

    class Batches(xgboost.DataIter):
        def reset(self) -> None:
            self._left, self._done = (batch for batch in rows.batches() if len(batch)), 0

        def next(self, input_data: Callable[..., Any]) -> bool:
            batch = next(self._left, None)
            if batch is None:
                return False
            here = slice(self._done, self._done + len(batch))
            weight = rows.weight[here] if rows.weight is not None else None
            input_data(data=batch, label=rows.label[here], weight=weight, feature_types=_types(inputs))
            self._done = here.stop
            return True

    return Batches(cache_prefix)


def _types(inputs: Inputs) -> list[str]:
    return ["c" if codes else "q" for codes in inputs.codes]
