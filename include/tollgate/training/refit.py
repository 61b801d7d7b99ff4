"""Fitting the judged configuration once more on every matured loan, and scores of each loan by fits without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.books import APPLICANT, LOAN, Book
from tollgate.config import Params
from tollgate.estimators import Fitted
from tollgate.features import Calibration, Encoder, TableFile, unweighted
from tollgate.stats.ranking import area_under
from tollgate.training.fit import fit_rounds
from tollgate.training.operating import operating_point
from tollgate.training.split import CALIBRATION, TEST, TRAIN, UNSEEN, VALIDATION, beside_training

BLOCKS = 5  # that each leave their loans out of one fit; the test months are the last


@dataclass(frozen=True)
class Matured:
    """All that a refit is made of.

    Attributes:
        book: with the features that the model takes.
        applications, features: of the matured loans, row by row; a file's stay there. part: of each in the split.
        declined, declined_features: those that reject inference supposes something of, row by row; perhaps none.
        choice, rounds: what was judged: hyperparameters by the library's names, and how long it was fitted.
    """

    book: Book
    applications: pa.Table | TableFile
    features: pa.Table | TableFile
    part: np.ndarray
    declined: pa.Table
    declined_features: pa.Table
    choice: Mapping[str, Any]
    rounds: int

    @property
    def tests(self) -> np.ndarray:
        """Which rows are of the test months, bool."""
        return self.part == TEST

    @cached_property
    def applicant(self) -> np.ndarray:
        """Whole numbers, the same for the same person; -1 where nobody is told."""
        if not self.book.grouped:
            return np.full(len(self.part), -1)
        who = self.applications[APPLICANT].combine_chunks().dictionary_encode().indices
        return np.asarray(pc.fill_null(who, -1).to_numpy())

    @property
    def newest(self) -> np.ndarray:
        """Which rows came after those that the judged fit was trained on, bool; people aside."""
        return np.isin(self.part, [VALIDATION, CALIBRATION, TEST])


@dataclass(frozen=True)
class Refit:
    """A fit on every matured loan.

    Attributes:
        scores: P(default) of each loan by the fit that left its block out, calibrated as this one is; float64.
        calibration, point: learned and chosen on such scores of the newest months.
        auc: the area under the ROC curve of such scores on the newest months.
    """

    encoder: Encoder
    fitted: Fitted
    scores: np.ndarray
    calibration: Calibration
    point: dict[str, Any]
    auc: float


def fit_younger(matured: Matured, params: Params) -> np.ndarray:
    """Scores of the test rows by a fit on all others, as young as a fit may be that the test months can judge.

    Returns P(default) before any calibration, float64 of shape (test rows,), in the order of the rows.
    """
    return _without(matured, matured.tests, params)


def refit_all(matured: Matured, younger: np.ndarray, params: Params) -> Refit:
    """Fit on all matured loans for as many rounds as the judged fit; threshold and calibration from unseen scores.

    Every loan is scored by a fit without its block, so that the rule of the threshold, the calibration and the profile
    go by scores of loans that were new to the fit. Nobody stands on both sides of a block.

    Args:
        younger: the answer of ``fit_younger``.
    """
    scores = np.empty(len(matured.part))
    scores[matured.tests] = younger
    blocks = list(_blocks(matured, params.seed))
    with ThreadPoolExecutor(params.sweep.workers) as pool:
        whole = pool.submit(_fit, matured, np.ones(len(scores), bool), params)
        for block, found in zip(blocks, pool.map(lambda block: _without(matured, block, params), blocks), strict=True):
            scores[block] = found
        encoder, fitted = whole.result()
    label, newest = matured.features["label"].to_numpy() == 1, matured.newest
    calibration = Calibration.learn(params.train.calibration, label[newest], scores[newest])
    scores = np.asarray(calibration.apply(scores))
    return Refit(encoder, fitted, scores, calibration, operating_point(label[newest], scores[newest], params.train),
                 area_under(label[newest], scores[newest]))


def _blocks(matured: Matured, seed: int) -> Iterator[np.ndarray]:
    """The blocks but the last: which rows are in each, bool. They follow one another in time, by lot within a day."""
    lot = np.random.default_rng(seed).permutation(len(matured.part))
    day = matured.applications["applied_on"].to_numpy(zero_copy_only=False)
    order = lot[np.argsort(day[lot], kind="stable")]
    for places in np.array_split(order[~matured.tests[order]], BLOCKS - 1):
        block = np.zeros(len(order), bool)
        block[places] = True
        yield block


def _without(matured: Matured, block: np.ndarray, params: Params) -> np.ndarray:
    """Scores of a block's rows by a fit on the others, without the people who are in it."""
    who = matured.applicant
    learns = ~block & ~np.isin(who, who[block & (who >= 0)])
    encoder, fitted = _fit(matured, learns, params)
    batches = encoder.batches(matured.features.filter(pa.array(block)))
    return unweighted(np.concatenate([fitted.predict(batch) for batch in batches]), params.train.default_weight)


def _fit(matured: Matured, learns: np.ndarray, params: Params) -> tuple[Encoder, Fitted]:
    declined = matured.declined_features
    if declined.num_rows:
        split = pa.table({LOAN: matured.applications[LOAN], "split": np.where(learns, TRAIN, UNSEEN)})
        beside = beside_training(matured.book, matured.declined, matured.applications, split)[LOAN]
        declined = declined.filter(pc.is_in(matured.declined[LOAN], value_set=beside.combine_chunks()))
    return fit_rounds(matured.book, matured.features.filter(pa.array(learns)), declined, params, matured.choice,
                      matured.rounds)
