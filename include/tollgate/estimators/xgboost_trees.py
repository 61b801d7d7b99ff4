"""Boosted trees by XGBoost, kept in its own binary format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tollgate.estimators.base import Inputs, Rows

if TYPE_CHECKING:
    import xgboost

FILE = "model.ubj"
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
        return self.booster.predict(_data(self._inputs, matrix)).astype(np.float64)

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """By Tree SHAP (Lundberg et al., "From local explanations to global understanding", 2020)."""
        if not len(matrix):
            return np.empty((0, len(self._inputs.names)))
        found = self.booster.predict(_data(self._inputs, matrix), pred_contribs=True)
        return found[:, :-1].astype(np.float64)

    def gains(self) -> np.ndarray:
        """The share of all splits' gain that each input has."""
        found: dict[str, Any] = {**self.booster.get_score(importance_type="total_gain")}
        return np.array([found.get(name, 0.0) for name in self._inputs.names]) / (sum(found.values()) or 1.0)

    def parts(self) -> list[Any]:
        """The trees."""
        whole = json.loads(bytes(self.booster.save_raw("json")))
        trees: list[Any] = whole["learner"]["gradient_booster"]["model"]["trees"]
        return trees

    def save(self, folder: Path) -> None:
        """Write the folder's file."""
        self.booster.save_model(folder / FILE)


def load(folder: Path, inputs: Inputs) -> Trees:
    """The trees of a model's folder. Raises ``ValueError`` where they cannot be read."""
    import xgboost

    return Trees(xgboost.Booster(model_file=folder / FILE), inputs)


class Learner:
    """Matrices of XGBoost's, shared by every choice."""

    def __init__(self, inputs: Inputs, train: Rows, validation: Rows, seed: int, threads: int) -> None:
        self._inputs, self._seed, self._threads = inputs, seed, threads
        self._train, self._validation = (_data(inputs, rows.matrix, rows) for rows in (train, validation))

    def start(self, choice: Mapping[str, Any]) -> _Fitting:
        """A fit with these hyperparameters."""
        # All boosters of a thread draw from one random stream; seeded anew in each round, none disturbs another.
        settings = {"objective": "binary:logistic", "tree_method": "hist", "seed": self._seed,
                    "seed_per_iteration": True, "nthread": self._threads,
                    "monotone_constraints": self._inputs.directions, **choice}
        return _Fitting(settings, self._inputs, self._train, self._validation)


class _Fitting:
    ends = False

    def __init__(self, settings: dict[str, Any], inputs: Inputs, train: xgboost.DMatrix,
                 validation: xgboost.DMatrix) -> None:
        import xgboost

        self._inputs, self._train, self._validation, self._done = inputs, train, validation, 0
        self._booster = xgboost.Booster(settings, [train, validation])

    def to(self, rounds: int) -> np.ndarray:
        for k in range(self._done, rounds):
            self._booster.update(self._train, k)
        self._done = max(self._done, rounds)
        return self._booster.predict(self._validation)

    def at(self, rounds: int) -> Trees:
        return Trees(self._booster[:rounds], self._inputs)


def _data(inputs: Inputs, matrix: np.ndarray, rows: Rows | None = None) -> xgboost.DMatrix:
    import xgboost

    return xgboost.DMatrix(matrix, label=rows.label if rows else None, weight=rows.weight if rows else None,
                           feature_names=list(inputs.names), feature_types=["c" if n else "q" for n in inputs.codes],
                           enable_categorical=True)
