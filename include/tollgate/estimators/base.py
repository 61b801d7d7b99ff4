"""The protocol of an estimator: from encoded rows to something that scores, explains and is kept without a pickle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class Inputs:
    """The columns of a model's matrix, in their order.

    Attributes:
        names: of the features.
        codes: how many codes a category has, ``0`` to ``codes - 1``, the last for every level outside the vocabulary;
            0 for a number.
        directions: +1 where a larger value may only raise the risk, -1 where it may only lower it, else 0.
    """

    names: tuple[str, ...]
    codes: tuple[int, ...]
    directions: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """Encoded loans: float32 of shape (rows, inputs), NaN where missing; labels 0 or 1; weights where there are any.

    Attributes:
        encoded: the matrix; or what reads it from its beginning, some rows at a time, where it stays in a file.
    """

    encoded: np.ndarray | Callable[[], Iterator[np.ndarray]]
    label: np.ndarray
    weight: np.ndarray | None = None

    @property
    def in_file(self) -> bool:
        """Whether they stay in a file."""
        return not isinstance(self.encoded, np.ndarray)

    @property
    def matrix(self) -> np.ndarray:
        """All rows, in memory: read each time it is asked for where they stay in a file."""
        return self.encoded if isinstance(self.encoded, np.ndarray) else np.concatenate(list(self.encoded()))

    def batches(self) -> Iterator[np.ndarray]:
        """All rows in their order, some at a time; a matrix in memory is one batch."""
        return iter([self.encoded]) if isinstance(self.encoded, np.ndarray) else self.encoded()


class Fitted(Protocol):
    """What scores. A row's score and contributions depend on that row alone, bit for bit."""

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """P(default), float64 of shape (rows,)."""

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """What each input adds to a row's log-odds, against what it adds on average; float64 (rows, inputs).

        What an input with a direction adds never falls as the row's value grows in it, the others unchanged, and is at
        most 0 at the end of least risk, unless it is less risk still to have none; but for the rounding of sums.
        """

    def gains(self) -> np.ndarray:
        """The share of the fit that each input has, float64 of shape (inputs,); 0 where nothing was learned."""

    def parts(self) -> list[Any]:
        """What the scores are summed from (trees, or an input's points), each to be compared as a whole."""

    def save(self, folder: Path) -> None:
        """Write it in its library's own text or binary format."""


class Fitting(Protocol):
    """One choice of hyperparameters on its way, which can be fitted further at any time."""

    @property
    def ends(self) -> bool:
        """Whether further rounds change nothing."""

    def to(self, rounds: int) -> np.ndarray:
        """Fit up to so many rounds; the scores of the validation rows, not a number where there is none."""

    def at(self, rounds: int) -> Fitted:
        """The fit as it stood after so many of the rounds that were made."""


class Learner(Protocol):
    """Rows to train and to validate on, made ready once for every choice that is tried on them."""

    def start(self, choice: Mapping[str, Any]) -> Fitting:
        """A fit with these hyperparameters, by the library's names."""


@dataclass(frozen=True)
class Estimator:
    """One kind of model.

    Attributes:
        learner: makes one of the inputs, the rows to train on, the rows to validate on, a seed and a number of threads.
            Equal arguments give equal fits, bit for bit.
        load: reads what ``Fitted.save`` wrote. Raises ``OSError`` or ``ValueError`` where it cannot.
        searched: the hyperparameters that a sweep may draw.
        library: the distribution whose version decides the fits.
    """

    learner: Callable[[Inputs, Rows, Rows, int, int], Learner]
    load: Callable[[Path, Inputs], Fitted]
    searched: frozenset[str]
    library: str
