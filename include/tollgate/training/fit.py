"""Fitting one model, and the operating threshold that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.config import Params
from tollgate.errors import BadInput
from tollgate.features import Encoder, matrix
from tollgate.labels import augment
from tollgate.training.split import TRAIN, VALIDATION, folds

if TYPE_CHECKING:
    import xgboost


@dataclass(frozen=True)
class Parts:
    """Matrices to train and to validate on, encoded once and shared by every trial."""

    encoder: Encoder
    train: xgboost.DMatrix
    validation: xgboost.DMatrix
    constraints: tuple[int, ...]


def prepare(book: Book, features: pa.Table, part: pa.ChunkedArray) -> Parts:
    """Learn the encoder on the training rows and encode both parts.

    Args:
        features: raw features, their ``label``, and where there is one the ``weight`` of a row in training.
        part: ``train`` or ``validation`` of each row; rows of any other part are left out.

    Raises:
        BadInput: a part does not hold both classes.
    """
    import pyarrow.compute as pc

    train, validation = (features.filter(pc.equal(part, name)) for name in (TRAIN, VALIDATION))
    for name, rows in ((TRAIN, train), (VALIDATION, validation)):
        defaults = pc.sum(rows["label"]).as_py() or 0
        if not 0 < defaults < rows.num_rows:
            raise BadInput(f"The {name} rows of a fold must hold paid and defaulted loans; of {rows.num_rows} rows "
                           f"{defaults} defaulted", value=name,
                           remedy="Widen snapshot.window_months, or lower split.folds in params.yaml.")
    encoder = Encoder.learn(book, train)
    weight = train["weight"].to_numpy() if "weight" in train.column_names else None
    return Parts(encoder, matrix(encoder, train, train["label"].to_numpy(), weight),
                 matrix(encoder, validation, validation["label"].to_numpy()),
                 tuple(f.monotone for f in book.features))


def prepare_folds(book: Book, features: pa.Table, split: pa.Table) -> tuple[Parts, ...]:
    """The parts of every fold of ``run/split.parquet``, the oldest first; each fold learns an encoder of its own.

    Raises:
        BadInput: there is no fold, or one does not hold both classes.
    """
    found = tuple(prepare(book, features, part) for part in folds(split))
    if not found:
        raise BadInput("The split holds no fold to score a trial on", value=split.column_names,
                       remedy="Widen snapshot.window_months, and run the split stage again.")
    return found


def booster_settings(parts: Parts, params: Params, choice: dict[str, Any]) -> dict[str, Any]:
    """What XGBoost is told. ``choice`` holds the swept hyperparameters, by XGBoost's names.

    All boosters of a thread draw from one random stream; seeded anew in each round, none disturbs another. Early
    stopping goes by the last metric, the AUC; the log loss is there because it tells a score that is not a number.
    """
    return {"objective": "binary:logistic", "eval_metric": ["logloss", "auc"], "tree_method": "hist",
            "seed": params.seed, "seed_per_iteration": True, "nthread": params.sweep.threads,
            "monotone_constraints": parts.constraints, **choice}


def fit(parts: Parts, params: Params, choice: dict[str, Any]) -> tuple[xgboost.Booster, float]:
    """Boost with early stopping on the validation rows.

    Args:
        choice: the swept hyperparameters, by XGBoost's names.

    Returns:
        The booster cut at its best round, and the area under its validation ROC curve.
    """
    import xgboost

    booster = xgboost.train(booster_settings(parts, params, choice), parts.train, params.sweep.rounds_max,
                            evals=[(parts.validation, "validation")],
                            early_stopping_rounds=params.sweep.early_stopping, verbose_eval=False)
    return booster[: booster.best_iteration + 1], float(booster.best_score)


def fit_inferred(book: Book, features: pa.Table, part: pa.ChunkedArray, unbooked: pa.Table, params: Params,
                 choice: dict[str, Any]) -> tuple[Parts, xgboost.Booster, float]:
    """Fit as ``train.reject_inference`` says; validation stays on booked loans, unweighted, whatever it says.

    Args:
        features, part: as for ``prepare``, of booked loans; with ``approval_probability`` where the lender tells it.
        unbooked: raw features of the unbooked applicants of the training months, none of them an applicant of another
            part.

    Returns:
        The parts that were fitted on, and what ``fit`` gives.

    Raises:
        BadInput: a part does not hold both classes, or ``weighted`` lacks its probabilities.
    """
    import pyarrow.compute as pc

    parts = prepare(book, features, part)
    method = params.train.reject_inference
    if method == "booked" or (method != "weighted" and not unbooked.num_rows):
        return parts, *fit(parts, params, choice)

    def scores(rows: pa.Table) -> np.ndarray:
        return booked_only.predict(matrix(parts.encoder, rows)).astype(np.float64)

    if method != "weighted":
        booked_only, _ = fit(parts, params, choice)
    train, validation = (features.filter(pc.equal(part, name)) for name in (TRAIN, VALIDATION))
    train = augment(method, train, unbooked, scores, params.seed)
    rows = pa.concat_tables([train, validation], promote_options="default")
    parted = pa.chunked_array([[TRAIN] * train.num_rows + [VALIDATION] * validation.num_rows])
    parts = prepare(book, rows, parted)
    return parts, *fit(parts, params, choice)


def operating_point(label: np.ndarray, score: np.ndarray, false_negative_target: float) -> dict[str, float]:
    """The highest threshold whose false-negative rate on these rows is at most the target, and what it costs.

    Scores at or above the threshold are declined; a default below it is a false negative.
    """
    of_defaults = np.sort(score[label == 1])
    threshold = float(of_defaults[int(false_negative_target * len(of_defaults))])
    declined = score >= threshold
    return {"threshold": threshold, "false_negative_rate": float(np.mean(of_defaults < threshold)),
            "decline_rate": float(declined.mean()), "approval_rate": float(1 - declined.mean())}
