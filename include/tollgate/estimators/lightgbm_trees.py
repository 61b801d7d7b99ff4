"""Boosted trees by LightGBM, kept in its own text format."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tollgate.estimators.base import Inputs, Rows
from tollgate.estimators.importing import import_without_sklearn

if TYPE_CHECKING:
    import lightgbm

FILE = "model.txt"
SEARCHED = frozenset({"num_leaves", "max_depth", "learning_rate", "min_data_in_leaf", "min_sum_hessian_in_leaf",
                      "bagging_fraction", "feature_fraction", "lambda_l1", "lambda_l2", "min_gain_to_split",
                      "cat_smooth", "cat_l2"})
# What a Dataset is built by stands apart: every choice is tried on the same one.
BUILT_BY = {"max_bin": 255, "feature_pre_filter": False, "force_row_wise": True, "deterministic": True, "verbosity": -1}


class Trees:
    """A fitted booster."""

    def __init__(self, booster: lightgbm.Booster) -> None:
        self._booster = booster

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """P(default), float64 of shape (rows,)."""
        if not len(matrix):
            return np.empty(0)
        return np.asarray(self._booster.predict(matrix, num_threads=1), dtype=np.float64)

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """By Tree SHAP (Lundberg et al., "From local explanations to global understanding", 2020)."""
        if not len(matrix):
            return np.empty((0, self._booster.num_feature()))
        return np.asarray(self._booster.predict(matrix, pred_contrib=True, num_threads=1), dtype=np.float64)[:, :-1]

    def gains(self) -> np.ndarray:
        """The share of all splits' gain that each input has."""
        found = self._booster.feature_importance("gain")
        return np.asarray(found / (found.sum() or 1.0), dtype=np.float64)

    def parts(self) -> list[Any]:
        """The trees."""
        trees: list[Any] = self._booster.dump_model()["tree_info"]
        return trees

    def save(self, folder: Path) -> None:
        """Write the folder's file."""
        self._booster.save_model(folder / FILE)


def load(folder: Path, inputs: Inputs) -> Trees:
    """The trees of a model's folder. Raises ``OSError`` or ``ValueError`` where they cannot be read."""
    from lightgbm.basic import LightGBMError

    text = (folder / FILE).read_text(encoding="utf-8")
    try:
        return Trees(_read(text))
    except LightGBMError as err:
        raise ValueError(str(err)) from err


def _read(text: str) -> lightgbm.Booster:
    import_without_sklearn("lightgbm")
    import lightgbm

    _quiet()
    return lightgbm.Booster(model_str=text)


def _quiet() -> None:
    """Its ``verbosity`` counts in one thread, and until a model is read; what it logs to counts everywhere."""
    import lightgbm

    logging.getLogger("lightgbm").setLevel(logging.ERROR)
    lightgbm.register_logger(logging.getLogger("lightgbm"))


class Learner:
    """A Dataset of LightGBM's, shared by every choice."""

    def __init__(self, inputs: Inputs, train: Rows, validation: Rows, seed: int, threads: int) -> None:
        import lightgbm

        _quiet()
        self._fixed = {**BUILT_BY, "objective": "binary", "metric": "None", "seed": seed, "num_threads": threads,
                       "bagging_freq": 1, "monotone_constraints": list(inputs.directions)}
        self._train = lightgbm.Dataset(
            train.matrix, train.label, weight=train.weight, feature_name=list(inputs.names), free_raw_data=False,
            categorical_feature=[k for k, codes in enumerate(inputs.codes) if codes], params=self._fixed).construct()
        self._validation = validation.matrix

    def start(self, choice: Mapping[str, Any]) -> _Fitting:
        """A fit with these hyperparameters."""
        return _Fitting({**self._fixed, **choice}, self._train, self._validation)


class _Fitting:
    def __init__(self, settings: dict[str, Any], train: lightgbm.Dataset, validation: np.ndarray) -> None:
        import lightgbm

        self._booster, self._validation, self.ends = lightgbm.Booster(settings, train), validation, False
        self._odds, self._done = np.zeros(len(validation)), 0

    def to(self, rounds: int) -> np.ndarray:
        from scipy.special import expit

        while self._booster.current_iteration() < rounds and not self.ends:
            self.ends = self._booster.update()
        made = self._booster.current_iteration()
        if made > self._done:  # only what is new is added, so that a fit costs what its rounds do
            self._odds = self._odds + self._booster.predict(
                self._validation, start_iteration=self._done, num_iteration=made - self._done, raw_score=True,
                num_threads=1)
            self._done = made
        return np.asarray(expit(self._odds))

    def at(self, rounds: int) -> Trees:
        return Trees(_read(self._booster.model_to_string(num_iteration=rounds)))
