"""A scorecard: every input falls into bins, every bin has its points, and the points of a row are summed.

What was learned is a table that a person can read (Siddiqi, "Credit Risk Scorecards", 2006), kept as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tollgate.estimators.base import Inputs
from tollgate.numerals import numeral

FILE = "scorecard.json"
POINTS_DOUBLE, POINTS_BASE, ODDS_BASE = 20, 600, 50  # 600 points are odds of 50 to 1, and 20 more double them
FACTOR = POINTS_DOUBLE / np.log(2)


@dataclass(frozen=True)
class Bins:
    """The bins of one input.

    Attributes:
        edges: of a number, ascending cuts; a value at a cut belongs to the bin above. Of a category, the bounds
            between its codes.
        log_odds: what each bin adds, lowest first, missing last.
        loans, defaults: training rows of each bin.
    """

    edges: np.ndarray
    log_odds: np.ndarray
    loans: np.ndarray
    defaults: np.ndarray

    @property
    def mean(self) -> float:
        """What the input adds on average over the training rows."""
        return float(np.average(self.log_odds, weights=self.loans)) if self.loans.sum() else 0.0

    def place(self, values: np.ndarray) -> np.ndarray:
        """The bin of each value, whole numbers of shape (rows,)."""
        return np.where(np.isnan(values), len(self.edges) + 1, np.searchsorted(self.edges, values, side="right"))


@dataclass(frozen=True)
class Scorecard:
    """A learned scorecard: log-odds of ``intercept`` and of one bin an input."""

    intercept: float
    inputs: tuple[Bins, ...]

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """P(default), float64 of shape (rows,)."""
        log_odds = np.full(len(matrix), self.intercept)
        for bins, values in zip(self.inputs, matrix.T, strict=True):
            log_odds += bins.log_odds[bins.place(values)]
        return 1 / (1 + np.exp(-log_odds))

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """Against the training rows' mean: the Shapley values of a sum, were the inputs independent."""
        return np.stack([bins.log_odds[bins.place(values)] - bins.mean
                         for bins, values in zip(self.inputs, matrix.T, strict=True)], axis=1)

    def gains(self) -> np.ndarray:
        """By the spread of an input's log-odds over the training rows."""
        spread = np.array([np.average((bins.log_odds - bins.mean) ** 2, weights=bins.loans) if bins.loans.sum() else 0.0
                           for bins in self.inputs])
        return np.asarray(spread / (spread.sum() or 1.0))

    def parts(self) -> list[Any]:
        """The intercept, and the bins of each input."""
        record = self.to_json()
        return [record["intercept"], *record["inputs"]]

    def save(self, folder: Path) -> None:
        """Write the folder's file."""
        (folder / FILE).write_text(json.dumps(self.to_json(), sort_keys=True, indent=2) + "\n", encoding="utf-8")

    def to_json(self) -> dict[str, Any]:
        """The content of ``scorecard.json``."""
        return {"intercept": self.intercept,
                "inputs": [{"edges": bins.edges.tolist(), "log_odds": bins.log_odds.tolist(),
                            "loans": bins.loans.tolist(), "defaults": bins.defaults.tolist()} for bins in self.inputs]}

    @property
    def base_points(self) -> float:
        """Points of a loan of which every input adds nothing."""
        return float(POINTS_BASE - FACTOR * (np.log(ODDS_BASE) + self.intercept))

    def table(self, names: tuple[str, ...], levels: tuple[tuple[str, ...] | None, ...]) -> Iterator[dict[str, Any]]:
        """The card as people read it, a line a bin: ``feature``, ``bin``, ``loans``, ``default_rate``, ``points``.

        More points are less risk. Values of a category that have the same points stand on one line.

        Args:
            names: of the inputs. levels: the vocabulary of each category; None for a number.
        """
        for name, known, bins in zip(names, levels, self.inputs, strict=True):
            shown = _spans(bins.edges) if known is None else [*known, "any other"]
            alike: dict[float, list[int]] = {}
            for k in range(len(bins.log_odds)):
                alike.setdefault(float(k) if known is None else float(bins.log_odds[k]), []).append(k)
            for places in alike.values():
                loans, defaults = int(bins.loans[places].sum()), int(bins.defaults[places].sum())
                yield {"feature": name, "bin": ", ".join(([*shown, "missing"])[k] for k in places), "loans": loans,
                       "default_rate": defaults / loans if loans else None,
                       "points": round(-FACTOR * float(bins.log_odds[places[0]]))}


def load(folder: Path, inputs: Inputs) -> Scorecard:
    """The scorecard of a model's folder. Raises ``OSError`` or ``ValueError`` where it cannot be read."""
    record = json.loads((folder / FILE).read_text(encoding="utf-8"))
    try:
        bins = tuple(Bins(*(np.array(of[key], dtype=np.float64) for key in ("edges", "log_odds", "loans", "defaults")))
                     for of in record["inputs"])
    except (KeyError, TypeError) as err:
        raise ValueError(f"it is no scorecard: {err}") from err
    if len(bins) != len(inputs.names):
        raise ValueError(f"it has {len(bins)} inputs, and the model has {len(inputs.names)}")
    return Scorecard(float(record["intercept"]), bins)


def _spans(edges: np.ndarray) -> list[str]:
    if not len(edges):
        return ["any"]
    told = [numeral(edge) for edge in edges]
    return [f"below {told[0]}", *(f"{low} to {high}" for low, high in pairwise(told)),
            f"from {told[-1]}"]
