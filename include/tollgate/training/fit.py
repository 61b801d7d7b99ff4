"""Fitting one model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.config import Params
from tollgate.errors import BadInput
from tollgate.estimators import Fitted, Fitting, Inputs, Learner, Rows, estimator
from tollgate.features import Encoder, TableFile, unweighted
from tollgate.labels import augment
from tollgate.stats.ranking import area_under
from tollgate.training.space import LOOKBACK
from tollgate.training.split import TRAIN, VALIDATION, folds
from tollgate.training.weights import newest, row_weights


@dataclass(frozen=True)
class Parts:
    """Rows to train and to validate on, encoded once and made ready for every trial.

    Attributes:
        learners: of the training rows of each look-back that competes, in months; 0 of all of them.
    """

    encoder: Encoder
    inputs: Inputs
    train: Rows
    validation: Rows
    learners: Mapping[int, Learner]

    def start(self, choice: Mapping[str, Any]) -> Fitting:
        """A fit with these hyperparameters, on the training rows of their look-back."""
        return self.learners[choice.get(LOOKBACK, 0)].start(_of_the_library(choice))

    def auc(self, fitting: Fitting, rounds: int) -> float:
        """The area under the validation ROC curve after so many rounds; not a number where a row's score is none."""
        score = fitting.to(rounds)
        return area_under(self.validation.label == 1, score) if np.isfinite(score).all() else math.nan

    def validated(self, predict: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """What ``predict`` makes of the validation rows, float64 of shape (rows,)."""
        return np.concatenate([predict(batch) for batch in self.validation.batches()])


def learn(book: Book, train: pa.Table | TableFile, params: Params, months: int = 0) -> tuple[Encoder, Inputs, Rows]:
    """The encoder of these training rows, what an estimator is told of its columns, and the rows with their weights.

    Args:
        train: as the ``features`` of ``prepare``, of training rows alone.
        months: the look-back, by which older ones teach the encoder alone; 0 for all.

    Raises:
        BadInput: a half-life or a look-back is asked for of a book without dates.
    """
    encoder = Encoder.learn(book, train)
    inputs = encoder.columns({feature.name: feature.monotone for feature in book.features})
    return encoder, inputs, _rows(book, encoder, train, params, months)


def _rows(book: Book, encoder: Encoder, train: pa.Table | TableFile, params: Params, months: int) -> Rows:
    recent = newest(book, train, months) if months else train
    return encoder.rows(recent, row_weights(book, recent, params.train))


def _of_the_library(choice: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in choice.items() if name != LOOKBACK}


def prepare(book: Book, features: pa.Table | TableFile, part: pa.ChunkedArray, params: Params) -> Parts:
    """Learn the encoder on the training rows and encode both parts.

    Args:
        features: raw features, their ``label``, ``applied_on`` where a half-life is asked for, and where there is one
            the ``weight`` of a row in training. Validation rows all count as one. A part that lies in a file and would
            be large in memory stays there, and an estimator reads it in batches or whole, as it can.
        part: ``train`` or ``validation`` of each row; rows of any other part are left out.

    Raises:
        BadInput: a part does not hold both classes, or a half-life is asked for of a book without dates.
    """
    import pyarrow.compute as pc

    train, validation = (features.filter(pc.equal(part, name)) for name in (TRAIN, VALIDATION))
    for name, rows in ((TRAIN, train), (VALIDATION, validation)):
        defaults = pc.sum(rows["label"]).as_py() or 0
        if not 0 < defaults < rows.num_rows:
            raise BadInput(f"The {name} rows of a fold must hold paid and defaulted loans; of {rows.num_rows} rows "
                           f"{defaults} defaulted", value=name,
                           remedy="Widen snapshot.window_months, or lower split.folds in params.yaml.")
    encoder, inputs, fitted_on = learn(book, train, params)
    chosen_on = encoder.rows(validation)

    def learner(rows: Rows) -> Learner:
        return estimator(params.train.estimator).learner(inputs, rows, chosen_on, params.seed, params.sweep.threads)

    return Parts(encoder, inputs, fitted_on, chosen_on, {
        0: learner(fitted_on),
        **{months: learner(_rows(book, encoder, train, params, months)) for months in params.sweep.lookback_months}})


def prepare_folds(book: Book, features: pa.Table | TableFile, split: pa.Table | TableFile, params: Params,
                  ) -> tuple[Parts, ...]:
    """The parts of every fold of ``run/split.parquet``, the oldest first; each fold learns an encoder of its own.

    Raises:
        BadInput: there is no fold, or one does not hold both classes.
    """
    found = tuple(prepare(book, features, part, params) for part in folds(split))
    if not found:
        raise BadInput("The split holds no fold to score a trial on", value=split.column_names,
                       remedy="Widen snapshot.window_months, and run the split stage again.")
    return found


@dataclass(frozen=True)
class Fit:
    """A fit, the rows that it was made on, and how it was cut.

    Attributes:
        fitted: what was fitted; its scores are probabilities once ``predict`` has taken back the weight of defaults.
        auc: the area under the validation ROC curve. rounds: how many of them were kept.
    """

    parts: Parts
    fitted: Fitted
    default_weight: float
    auc: float
    rounds: int

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """P(default) of encoded rows, float64 of shape (rows,)."""
        return unweighted(self.fitted.predict(matrix), self.default_weight)


def fit(parts: Parts, params: Params, choice: Mapping[str, Any]) -> Fit:
    """Fit with early stopping on the validation rows, and cut at the best round.

    Rounds are chosen by the log loss of the probabilities, the weight of defaults taken back. The area under the curve,
    by which the sweep compares points, is soon as large as it gets while a slow fit's scores still lie too close to one
    another.

    Args:
        choice: the swept hyperparameters, by the library's names.

    Raises:
        BadInput: a score is no number.
    """
    from sklearn.metrics import log_loss

    fitting, least, rounds, label = parts.start(choice), math.inf, 0, parts.validation.label
    for k in range(1, params.sweep.rounds_max + 1):
        score = fitting.to(k)
        if not np.isfinite(score).all():
            raise BadInput("A fit gives scores that are no numbers", value=dict(choice),
                           remedy="Look among the features for values that no model can be fitted to.")
        loss = log_loss(label, unweighted(score, params.train.default_weight))
        if loss < least:
            least, rounds = loss, k
        if fitting.ends or k - rounds >= params.sweep.early_stopping:
            break
    fitted = fitting.at(rounds)
    return Fit(parts, fitted, params.train.default_weight,
               area_under(label == 1, parts.validated(fitted.predict)), rounds)


def fit_inferred(book: Book, features: pa.Table | TableFile, part: pa.ChunkedArray, unbooked: pa.Table,
                 params: Params, choice: Mapping[str, Any]) -> Fit:
    """Fit as ``train.reject_inference`` says; validation stays on booked loans, unweighted, whatever it says.

    Args:
        features, part: as for ``prepare``, of booked loans; with ``approval_probability`` where the lender tells it.
        unbooked: raw features, and ``applied_on``, of the unbooked applicants of the training months, none of them an
            applicant of another part.

    Raises:
        BadInput: a part does not hold both classes, or ``weighted`` lacks its probabilities.
    """
    import pyarrow.compute as pc

    parts = prepare(book, features, part, params)
    method = params.train.reject_inference
    if method == "booked" or (method != "weighted" and not unbooked.num_rows):
        return fit(parts, params, choice)

    def scores(rows: pa.Table) -> np.ndarray:
        return booked_only.predict(parts.encoder.encode(rows))

    if method != "weighted":
        booked_only = fit(parts, params, choice)
    if isinstance(features, TableFile):
        features = features.read()  # rows are added to them
    train, validation = (features.filter(pc.equal(part, name)) for name in (TRAIN, VALIDATION))
    train = augment(method, train, unbooked, scores, params.seed)
    rows = pa.concat_tables([train, validation], promote_options="default")
    parted = pa.chunked_array([[TRAIN] * train.num_rows + [VALIDATION] * validation.num_rows])
    return fit(prepare(book, rows, parted, params), params, choice)


def fit_length(inputs: Inputs, rows: Rows, params: Params, choice: Mapping[str, Any], rounds: int) -> Fitted:
    """A fit of so many rounds, of which nothing is chosen by validation rows."""
    unused = Rows(next(batch for batch in rows.batches() if len(batch))[:1], rows.label[:1])
    fitting = estimator(params.train.estimator).learner(inputs, rows, unused, params.seed, params.sweep.threads).start(
        _of_the_library(choice))
    fitting.to(rounds)
    return fitting.at(rounds)


def fit_rounds(book: Book, rows: pa.Table | TableFile, unbooked: pa.Table, params: Params, choice: Mapping[str, Any],
               rounds: int) -> tuple[Encoder, Fitted]:
    """Fit for so many rounds on all of these rows, as ``train.reject_inference`` says; none is kept to validate on.

    Args:
        rows, unbooked: as the training rows and the ``unbooked`` of ``fit_inferred``.

    Raises:
        BadInput: ``weighted`` lacks its probabilities, or a half-life is asked for of a book without dates.
    """

    def fitted_on(train: pa.Table | TableFile) -> tuple[Encoder, Fitted]:
        encoder, inputs, learned = learn(book, train, params, choice.get(LOOKBACK, 0))
        return encoder, fit_length(inputs, learned, params, choice, rounds)

    method = params.train.reject_inference
    if method == "booked" or (method != "weighted" and not unbooked.num_rows):
        return fitted_on(rows)

    def scores(others: pa.Table) -> np.ndarray:
        encoder, fitted = booked_only
        return unweighted(fitted.predict(encoder.encode(others)), params.train.default_weight)

    if method != "weighted":
        booked_only = fitted_on(rows)
    if isinstance(rows, TableFile):
        rows = rows.read()  # rows are added to them
    return fitted_on(augment(method, rows, unbooked, scores, params.seed))
