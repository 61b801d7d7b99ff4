"""The published nights of a window, with what they pinned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate import nights
from tollgate.books import Book
from tollgate.config import Monitoring
from tollgate.errors import BadInput


@dataclass(frozen=True)
class Window:
    """What the nights of a window published, and row by row what they pinned of the same loans.

    Attributes:
        version: the model in force. first: the day of its earliest night.
        scores: rows of the lake's ``scores``, refused ones left out. refused: how many these were.
        features: raw, as they were scored by. applications: as they were known then.
    """

    version: str
    first: date
    scores: pa.Table
    refused: int
    features: pa.Table
    applications: pa.Table

    @property
    def score(self) -> np.ndarray:
        """P(default), float64."""
        return np.asarray(self.scores["score"].to_numpy())


def scored_only(scores: pa.Table) -> pa.Table:
    """Without the rows that scoring refused: they carry no score."""
    return scores.filter(pc.is_valid(scores["score"]))


def is_declined(scores: pa.Table) -> np.ndarray:
    """Whether each scored loan was declined, bool."""
    return np.asarray(pc.equal(scores["decision"], "decline").to_numpy(), dtype=bool)


def load_window(book: Book, as_of: date, params: Monitoring) -> Window:
    """The night of ``as_of``, with those before it that are needed to have ``min_sample`` rows.

    They are of one model, and of ``window_days`` days at most. Each loan was new once, so that windows of which the one
    begins after the other ends share no row.

    Raises:
        BadInput: nothing was published for ``as_of``, or what a night pinned is kept no longer.
        Refused: a file that a night pinned changed.
    """
    found = nights.publications(book.name, until=as_of)
    if not found or found[0].attempt.day != as_of:
        raise BadInput(f"No night of {book.name} is published as of {as_of}", value="no scores",
                       remedy=f"Score first: run score_nightly for {book.name} as of {as_of}.")
    taken: list[nights.Publication] = []
    for night in found:
        enough = sum(one.scored for one in taken) >= params.min_sample
        if enough or night.version != found[0].version or (as_of - night.attempt.day).days >= params.window_days:
            break
        if taken and not nights.was_pinned(night.attempt):
            break  # of before nights were pinned, or kept no longer
        taken.append(night)
    parts = [part for night in reversed(taken) for part in _parts(night)]
    rows, features, applications = (pa.concat_tables(side, promote_options="default")
                                    for side in zip(*parts, strict=True))
    good = pc.is_valid(rows["score"])
    return Window(found[0].version, taken[-1].attempt.day, rows.filter(good), sum(one.refused for one in taken),
                  features.filter(good), applications.filter(good))


def _parts(night: nights.Publication) -> list[tuple[pa.Table, pa.Table, pa.Table]]:
    """What was published of each shard of a night, its features and its applications, row by row the same loans."""
    pin = nights.read_pin(night.attempt)
    return [(nights.read_scored(pin, k), nights.read_features(pin, k), nights.read_population(pin, k))
            for k in range(pin.shards)]
