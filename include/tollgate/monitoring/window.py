"""One night's published scores, with the applications they were made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tollgate import lake
from tollgate.books import Book
from tollgate.errors import BadInput
from tollgate.features import with_histories


@dataclass(frozen=True)
class Window:
    """The champion's scores of one as-of, refused rows left out, and row by row the same loans' applications."""

    version: str
    scores: pa.Table
    applications: pa.Table
    histories: Mapping[str, pa.Table]

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


def load_window(book: Book, as_of: date) -> Window:
    """What was published for ``as_of``. Raises ``BadInput`` when nothing was."""
    day = as_of.isoformat()
    scores = lake.read(lake.scores(book.name), filters=[("day", "=", day), ("role", "=", "champion")])
    versions = scores["model_version"].unique().to_pylist()
    if len(versions) != 1:
        raise BadInput(f"{book.name} needs one champion's scores as of {day}; the lake holds those of "
                       f"{len(versions)} models", value=", ".join(versions) or "no scores",
                       remedy=f"Score first: run score_nightly for {book.name} as of {day}.")
    months = pc.strftime(scores["applied_on"], format="%Y-%m").unique().to_pylist()
    scores = scored_only(scores)
    known = lake.view(lake.applications(book), as_of=as_of, filters=[("month", "in", months)])
    place = pc.index_in(scores["loan_id"], value_set=known["loan_id"].combine_chunks())
    if place.null_count:
        lost = scores.filter(pc.is_null(place))["loan_id"]
        raise BadInput(f"{len(lost)} scored loans of {book.name} are not among the applications known before {day}",
                       value=lost[0].as_py(), remedy="Score that as-of again.")
    return Window(versions[0], scores, *with_histories(book, known.take(place), as_of))


def read_record(folder: Path, name: str) -> dict[str, Any]:
    """A JSON part of a model folder: ``model.json`` or ``profile.json``."""
    with _readable(folder / name) as path:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def read_reference(folder: Path) -> pa.Table:
    """The reference rows of a model folder: raw features and ``score``."""
    with _readable(folder / "reference.parquet") as path:
        return pq.read_table(path)


@contextmanager
def _readable(path: Path) -> Iterator[Path]:
    try:
        yield path
    except (OSError, ValueError, pa.ArrowInvalid) as err:
        raise BadInput(f"The model's {path.name} cannot be read: {str(err).splitlines()[0]}", value=path.parent,
                       remedy="Fetch the model from the registry again.") from err
