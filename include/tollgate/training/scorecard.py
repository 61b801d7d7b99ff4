"""The honest baseline: a logistic scorecard over binned features, which a sweep must beat to be worth its time.

As lenders build it: a number is cut at the training rows' quantiles, a category is its level, missing is a bin of its
own, and a logistic regression over the bins' indicators gives each bin its points (Siddiqi, "Credit Risk Scorecards",
2006, without the rounding to whole points). What was learned is a table that a person can read, kept as JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tollgate.books import Book
from tollgate.errors import BadInput
from tollgate.features import Encoder

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FILE = "scorecard.json"
BINS = 20  # finer than the customary 10: a little stronger out of time on sba and consumer, so harder to beat
STEPS_MAX = 1_000


@dataclass(frozen=True)
class Scorecard:
    """A learned scorecard.

    Attributes:
        encoder: the frozen vocabularies; a level outside of them has the bin after the last.
        edges: for each input its ascending cuts; a value at a cut belongs to the bin above.
        points: for each input the log-odds of its bins, lowest first, missing last.
        intercept: log-odds to which the points of a row are added.
    """

    encoder: Encoder
    edges: tuple[np.ndarray, ...]
    points: tuple[np.ndarray, ...]
    intercept: float

    @classmethod
    def learn(cls, book: Book, features: pa.Table) -> Scorecard:
        """Learn cuts and points from raw features with their ``label`` (0 or 1): training rows only."""
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        encoder = Encoder.learn(book, features)
        matrix = encoder.encode(features)
        edges = tuple(np.arange(1, len(known.vocabulary) + 1) - 0.5 if known.kind == "category" else _cuts(column)
                      for known, column in zip(encoder.inputs, matrix.T, strict=True))
        with threadpool_limits(1):  # sums in one order, whatever the machine
            fitted = LogisticRegression(max_iter=STEPS_MAX).fit(_indicators(_bins(edges, matrix), edges),
                                                                features["label"].to_numpy())
        points = np.split(fitted.coef_[0], np.cumsum([_bin_count(cuts) for cuts in edges])[:-1])
        return cls(encoder, edges, tuple(points), float(fitted.intercept_[0]))

    @classmethod
    def load(cls, folder: Path) -> Scorecard:
        """Read the scorecard of a model folder. Raises ``BadInput`` when it is missing or unreadable."""
        try:
            record = json.loads((folder / FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as err:
            raise BadInput(f"The scorecard in {folder.name} cannot be read: {str(err).splitlines()[0]}", value=folder,
                           remedy="Run the train stage again.") from err
        inputs = record["inputs"]
        return cls(Encoder.from_json(inputs), tuple(np.array(i["edges"], dtype=np.float64) for i in inputs),
                   tuple(np.array(i["points"], dtype=np.float64) for i in inputs), record["intercept"])

    def to_json(self) -> dict[str, Any]:
        """The content of ``scorecard.json``."""
        return {"intercept": self.intercept,
                "inputs": [{**known, "edges": edges.tolist(), "points": points.tolist()} for known, edges, points
                           in zip(self.encoder.to_json(), self.edges, self.points, strict=True)]}

    def predict_features(self, features: pa.Table) -> np.ndarray:
        """Probability of default, float64 of shape (rows,), from raw features."""
        log_odds = np.full(features.num_rows, self.intercept)
        for points, place in zip(self.points, _bins(self.edges, self.encoder.encode(features)).T, strict=True):
            log_odds += points[place]
        return 1 / (1 + np.exp(-log_odds))


def _cuts(column: np.ndarray) -> np.ndarray:
    """Quantiles of the values that are there, each once; none where none is there."""
    there = column[~np.isnan(column)]
    if not len(there):
        return np.empty(0)
    return np.unique(np.quantile(there, np.arange(1, BINS) / BINS, method="lower")).astype(np.float64)


def _bin_count(cuts: np.ndarray) -> int:
    return len(cuts) + 2  # one more than the cuts, and missing


def _bins(edges: tuple[np.ndarray, ...], matrix: np.ndarray) -> np.ndarray:
    """The place of each value among its input's bins: whole numbers of the matrix's shape."""
    return np.stack([np.where(np.isnan(column), len(cuts) + 1, np.searchsorted(cuts, column, side="right"))
                     for cuts, column in zip(edges, matrix.T, strict=True)], axis=1)


def _indicators(bins: np.ndarray, edges: tuple[np.ndarray, ...]) -> csr_matrix:
    """One column a bin of an input, one 1 a row and input."""
    from scipy.sparse import csr_matrix

    ends = np.cumsum([_bin_count(cuts) for cuts in edges])
    rows, inputs = bins.shape
    columns = bins + np.concatenate(([0], ends[:-1]))
    return csr_matrix((np.ones(bins.size), columns.ravel(), np.arange(rows + 1) * inputs), shape=(rows, ends[-1]))
