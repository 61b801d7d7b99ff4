"""Fitting one model, and the operating threshold that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.config import Params
from tollgate.features import Encoder, matrix

if TYPE_CHECKING:
    import xgboost


@dataclass(frozen=True)
class Parts:
    """The training and validation matrices of one run, encoded once and shared by every trial."""

    encoder: Encoder
    train: xgboost.DMatrix
    validation: xgboost.DMatrix
    constraints: tuple[int, ...]


def prepare(book: Book, features: pa.Table, split: pa.Table) -> Parts:
    """Learn the encoder on the training rows and encode both parts. ``features`` carries ``label``."""
    import pyarrow.compute as pc

    def part(name: str) -> pa.Table:
        return features.filter(pc.equal(split["split"], name))

    train, validation = part("train"), part("validation")
    encoder = Encoder.learn(book, train)
    return Parts(encoder, matrix(encoder, train, train["label"].to_numpy()),
                 matrix(encoder, validation, validation["label"].to_numpy()),
                 tuple(f.monotone for f in book.features))


def fit(parts: Parts, params: Params, choice: dict[str, Any]) -> tuple[xgboost.Booster, float]:
    """Boost with early stopping on the validation rows.

    Args:
        choice: the swept hyperparameters, by XGBoost's names.

    Returns:
        The booster cut at its best round, and the area under its validation ROC curve.
    """
    import xgboost

    settings = {"objective": "binary:logistic", "eval_metric": "auc", "tree_method": "hist", "seed": params.seed,
                "nthread": params.sweep.threads, "monotone_constraints": parts.constraints, **choice}
    booster = xgboost.train(settings, parts.train, params.sweep.rounds_max, evals=[(parts.validation, "validation")],
                            early_stopping_rounds=params.sweep.early_stopping, verbose_eval=False)
    return booster[: booster.best_iteration + 1], float(booster.best_score)


def operating_point(label: np.ndarray, score: np.ndarray, false_negative_target: float) -> dict[str, float]:
    """The highest threshold whose false-negative rate on these rows is at most the target, and what it costs.

    Scores at or above the threshold are declined; a default below it is a false negative.
    """
    of_defaults = np.sort(score[label == 1])
    threshold = float(of_defaults[int(false_negative_target * len(of_defaults))])
    declined = score >= threshold
    return {"threshold": threshold, "false_negative_rate": float(np.mean(of_defaults < threshold)),
            "decline_rate": float(declined.mean()), "approval_rate": float(1 - declined.mean())}
