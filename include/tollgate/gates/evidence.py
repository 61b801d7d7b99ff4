"""What the gates judge by: the run's files, read once, and believed only after they were checked."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.books import Book, load_book
from tollgate.config import Params
from tollgate.errors import Refused
from tollgate.features import digest_of
from tollgate.gates.rescoring import check_same
from tollgate.training import evidence, slice_columns

PARTS = ("train", "validation", "calibration", "test")
WRITTEN_BY = {"champion": "rivals", "snapshot": "snapshot", "feed": "snapshot", "histories": "snapshot",
              "features": "features", "split": "split", "model": "train", "evidence": "evaluate"}


@dataclass(frozen=True)
class Case:
    """One run under judgement. Each part is read and checked when a gate first asks for it.

    Every property raises ``Refused`` when its file is missing, unreadable, stale or of another book.

    Attributes:
        champion, former: model folders of the champion, None when there is none, and of former champions: the
            registry's, not the run's.
    """

    folder: Path
    params: Params
    champion: Path | None = None
    former: tuple[Path, ...] = ()

    @cached_property
    def book(self) -> Book:
        """The book that the parameters name."""
        return load_book(self.params.book)

    def rng(self, gate: str) -> np.random.Generator:
        """The gate's own random numbers: the same whichever gates ran before it."""
        return np.random.default_rng([self.params.seed, *gate.encode()])

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file of the run."""
        try:
            record = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Refused(f"{name} is missing", remedy=_again(name)) from None
        except (OSError, ValueError) as err:
            raise Refused(f"{name} cannot be read as JSON: it is damaged or was cut short",
                          remedy=_again(name)) from err
        if not isinstance(record, dict):
            raise Refused(f"{name} must hold one JSON object", value=type(record).__name__, remedy=_again(name))
        return record

    def table(self, name: str, columns: tuple[str, ...]) -> pa.Table:
        """A Parquet file of the run, which must hold ``columns``."""
        import pyarrow.parquet as pq

        try:
            rows = pq.read_table(self.folder / name)
        except FileNotFoundError:
            raise Refused(f"{name} is missing", remedy=_again(name)) from None
        except (OSError, pa.ArrowException) as err:
            raise Refused(f"{name} cannot be read as Parquet: it is damaged or was cut short",
                          remedy=_again(name)) from err
        check_columns(name, rows, columns)
        return rows

    @cached_property
    def digest(self) -> str:
        """The digest of the model folder as it is now."""
        if not (self.folder / "model").is_dir():
            raise Refused("The folder model is missing", remedy=_again("model"))
        return digest_of(self.folder / "model")

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The model's own description, of the right book."""
        return self._of_this_book("model/model.json")

    @cached_property
    def snapshot(self) -> dict[str, Any]:
        """The snapshot's description, of the right book."""
        return self._of_this_book("snapshot.json")

    def _of_this_book(self, name: str) -> dict[str, Any]:
        record = self.json(name)
        if record.get("book") != self.params.book:
            raise Refused(f"{name} is of another book than {self.params.book}", value=record.get("book"),
                          remedy="Train and evaluate a model of this book.")
        return record

    @cached_property
    def threshold(self) -> float:
        """Scores at or above it are declined."""
        found = self.spec.get("threshold")
        if not isinstance(found, int | float) or not 0 <= found <= 1:
            raise Refused("model/model.json holds no threshold between 0 and 1", value=found,
                          remedy=_again("model"))
        return float(found)

    @cached_property
    def rescored(self) -> pa.Table:
        """The evidence as the models here give it of the features here, by the function that the stage used."""
        _ = self.spec  # raises when the model, and so its evidence, is of another book
        check_columns("features.parquet", self.features, slice_columns(self.book))
        return evidence(self.book, self.folder / "model", self.features.drop_columns(["split"]), self.split,
                        self.champion, self.former)

    @cached_property
    def evidence(self) -> pa.Table:
        """The predictions of the test rows, made again; the saved ones must be the same, bit for bit."""
        rows = self.table("evidence.parquet", ("loan_id", "split"))
        made_by = (rows.schema.metadata or {}).get(b"model_digest", b"").decode()
        if made_by != self.digest:
            raise Refused(f"evidence.parquet is stale: it was made by the model {made_by[:12] or 'of no name'}, and "
                          f"the model here is {self.digest[:12]}", remedy=_again("evidence.parquet"))
        check_same(rows, self.rescored)
        test = self.rescored.filter(pc.equal(self.rescored["split"], "test"))
        _check_predictions(test)
        return test

    @cached_property
    def label(self) -> np.ndarray:
        """True where a test loan defaulted."""
        return self.evidence["label"].to_numpy() == 1

    @cached_property
    def score(self) -> np.ndarray:
        """P(default) of the test loans, float64."""
        return self.evidence["score"].to_numpy()

    @cached_property
    def champion_threshold(self) -> float:
        """The champion declines scores at or above it. It is of the model whose digest the evidence carries."""
        told = (self.evidence.schema.metadata or {}).get(b"champion_threshold", b"").decode()
        try:
            threshold = float(told)
        except ValueError:
            threshold = -1.0
        if not 0 <= threshold <= 1:
            raise Refused("evidence.parquet holds no threshold of the champion between 0 and 1", value=told,
                          remedy=_again("evidence.parquet"))
        return threshold

    @cached_property
    def baseline(self) -> np.ndarray:
        """P(default) of the test loans by the scorecard, float64."""
        theirs: np.ndarray = self.evidence["baseline"].to_numpy()
        if not np.all((theirs >= 0) & (theirs <= 1)):
            raise Refused("The scorecard gives predictions that are missing or no probability",
                          remedy=_again("model"))
        return theirs

    @cached_property
    def split(self) -> pa.Table:
        """Which loan went where."""
        return self.table("split.parquet", ("loan_id", "split"))

    @cached_property
    def features(self) -> pa.Table:
        """Raw features with the ``split`` of each row, in the order of the features file."""
        rows = self.table("features.parquet", ("loan_id", "applied_on", "label"))
        where = pc.index_in(rows["loan_id"], value_set=self.split["loan_id"])
        return rows.append_column("split", self.split["split"].take(where))

    @cached_property
    def _parts(self) -> dict[str, pa.Table]:
        return {part: self.features.filter(pc.equal(self.features["split"], part)) for part in PARTS}

    def features_of(self, part: str) -> pa.Table:
        """Raw features of one part of the split, at least one row."""
        rows = self._parts[part]
        if not rows.num_rows:
            raise Refused(f"split.parquet names no loan of features.parquet for {part}",
                          remedy="Run the split stage again, on a larger window if need be.")
        return rows

    @cached_property
    def feed(self) -> pa.Table:
        """What was counted of the feed of outcomes as of the run."""
        return self.table("feed.parquet", ("what", "booked", "known", "days", "count"))

    @cached_property
    def loans(self) -> pa.Table:
        """The snapshot's rows, as the lake had them, with their ``label``."""
        return self.table("snapshot.parquet", ("loan_id", "applied_on", "label"))

    @cached_property
    def histories(self) -> dict[str, pa.Table]:
        """What the aggregates of the snapshot's loans are made of, by the name of the table."""
        return {table.name: self.table(f"histories/{table.name}.parquet", ("known_on", "version", str(table.entity)))
                for table in self.book.histories}


def check_columns(name: str, rows: pa.Table, columns: tuple[str, ...]) -> None:
    """Raise ``Refused`` when the file ``name`` lacks one of ``columns``."""
    absent = [column for column in columns if column not in rows.column_names]
    if absent:
        raise Refused(f"{name} lacks the columns {', '.join(absent)}", remedy=_again(name))


def _again(name: str) -> str:
    """Which stage writes a file of the run."""
    return f"Run the {WRITTEN_BY[re.split('[./]', name)[0]]} stage again."


def _check_predictions(rows: pa.Table) -> None:
    """Refuse test rows on which no metric would mean anything."""
    score, label = rows["score"], rows["label"]
    defaults = pc.sum(label).as_py() or 0
    known = score.to_numpy()
    faults = {
        "has no test rows": rows.num_rows == 0,
        "has test rows without a label or a score": score.null_count + label.null_count > 0,
        "has labels other than 0 and 1": not set(label.drop_null().unique().to_pylist()) <= {0, 1},
        "has scores that are no probability": not np.all((known >= 0) & (known <= 1)),
        "names a test loan twice": pc.count_distinct(rows["loan_id"]).as_py() != rows.num_rows,
        "has fewer than two defaults or two paid loans in test": not 2 <= defaults <= rows.num_rows - 2,
    }
    for fault, found in faults.items():
        if found:
            raise Refused(f"evidence.parquet {fault}", remedy="Run the evaluate stage again, on a larger window "
                                                             "if need be.")
