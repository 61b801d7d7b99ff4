"""From raw features to the float32 matrix that estimators read, by vocabularies frozen with the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.books import Book
from tollgate.estimators import Inputs, Rows
from tollgate.features.make import check_made
from tollgate.features.scratch_file import ScratchFile
from tollgate.features.table_file import TableFile, pieces

LEVEL_ROWS_MIN = 50
IN_MEMORY = 2**25  # values of a matrix: 128 MB, of which an estimator makes two or three times as many


@dataclass(frozen=True)
class Encoded:
    """One model input: its name, kind and, for a category, the levels it knows."""

    name: str
    kind: str
    vocabulary: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoder:
    """Learned once from training rows, kept with the model.

    A category becomes its place in the vocabulary. A level that is not in it, rare in training or unseen, becomes the
    place after the last: XGBoost would otherwise score it silently as some neighbour. Missing stays missing (NaN).
    """

    inputs: tuple[Encoded, ...]

    @classmethod
    def learn(cls, book: Book, features: pa.Table | TableFile) -> Encoder:
        """Freeze the vocabularies of ``features`` (raw, training rows only): levels with enough rows, sorted."""

        def vocabulary(name: str) -> tuple[str, ...]:
            counts = features[name].drop_null().value_counts()
            return tuple(sorted(str(level["values"]) for level in counts.to_pylist()
                                if level["counts"] >= LEVEL_ROWS_MIN))

        return cls(tuple(Encoded(f.name, f.kind, vocabulary(f.name) if f.kind == "category" else ())
                         for f in book.features))

    @classmethod
    def from_json(cls, record: list[dict[str, Any]]) -> Encoder:
        """The encoder that ``to_json`` described."""
        return cls(tuple(Encoded(r["name"], r["kind"], tuple(r["vocabulary"])) for r in record))

    def to_json(self) -> list[dict[str, Any]]:
        """One record an input, for the model's spec."""
        return [{"name": i.name, "kind": i.kind, "vocabulary": list(i.vocabulary)} for i in self.inputs]

    @property
    def names(self) -> list[str]:
        """The inputs' names, in the matrix's column order."""
        return [i.name for i in self.inputs]

    def columns(self, directions: Mapping[str, int] | None = None) -> Inputs:
        """What an estimator is told of the matrix; without directions where it only scores."""
        return Inputs(tuple(self.names), tuple(len(i.vocabulary) + 1 if i.kind == "category" else 0
                                               for i in self.inputs),
                      tuple((directions or {}).get(i.name, 0) for i in self.inputs))

    def encode(self, features: pa.Table | TableFile) -> np.ndarray:
        """A float32 matrix of shape (rows, inputs). Raises ``BadInput`` where an input is not among ``features``."""
        matrix = np.empty((features.num_rows, len(self.inputs)), dtype=np.float32)
        for k, values in enumerate(self.by_column(features)):
            matrix[:, k] = values
        return matrix

    def by_column(self, features: pa.Table | TableFile) -> Iterator[np.ndarray]:
        """The columns of ``encode``, one at a time."""
        check_made(features, self.names)
        for known in self.inputs:
            column = features[known.name]
            if known.kind == "category":
                place = pc.index_in(column, value_set=pa.array(known.vocabulary, pa.string()))
                column = pc.if_else(pc.is_null(column), None, pc.fill_null(place, len(known.vocabulary)))
            yield column.cast(pa.float32()).to_numpy(zero_copy_only=False)

    def batches(self, features: pa.Table | TableFile) -> Iterator[np.ndarray]:
        """The rows of ``encode``, some at a time."""
        # A file that lacks an input is told of as a table is.
        check_made(features, self.names)
        return (self.encode(piece) for piece in pieces(features.select(self.names)))

    def rows(self, features: pa.Table | TableFile, weight: np.ndarray | None = None) -> Rows:
        """Rows with their ``label`` as an estimator takes them: in memory, or many of a file in batches on disk."""
        many = isinstance(features, TableFile) and features.num_rows * len(self.inputs) > IN_MEMORY
        return Rows(ScratchFile(self.batches(features)) if many else self.encode(features),
                    features["label"].to_numpy(), weight)
