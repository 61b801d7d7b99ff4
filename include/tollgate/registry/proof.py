"""Proof that a model still is the model it was: score the rows it scored and compare bit for bit."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollgate import lake
from tollgate.books import load_book
from tollgate.errors import Refused
from tollgate.features import Model, gated_fit, with_histories
from tollgate.registry.models import registered_file, registration
from tollgate.registry.tracking import name_of
from tollgate.registry.versions import Version, kept, rehash

if TYPE_CHECKING:
    import pyarrow as pa


def last_scored(book: str) -> date | None:
    """The newest published scoring date of a book."""
    days = lake.partitions(lake.scores(book))
    return date.fromisoformat(days[-1]) if days else None


def prove(model: Version) -> dict[str, Any]:
    """Score again what the model scored: its newest published night, or its test evidence if it never served.

    Returns ``{"source", "rows", "max_difference"}``.

    Raises:
        Refused: there is nothing to compare with, or a score differs in any bit.
    """
    folder = kept(model.digest) or rehash(model)
    source, before = _published(model)
    if before.num_rows == 0:
        source, before = _evidence(model)
        folder = gated_fit(folder)
    rows, difference = _compare(model.book, folder, before)
    if rows == 0 or rows < before.num_rows or difference != 0:
        raise Refused(f"Version {model.version} of {name_of(model.book)} does not reproduce its own scores",
                      value=f"{rows} of {before.num_rows} rows found in {source}, differing by up to {difference}",
                      remedy="Check that the applications in the lake are those that it scored.")
    return {"source": source, "rows": rows, "max_difference": difference}


def _published(model: Version) -> tuple[str, pa.Table]:
    import pyarrow.compute as pc

    rows = lake.read(lake.scores(model.book), columns=["day", "loan_id", "applied_on", "score"],
                     filters=[("model_version", "=", model.version), ("role", "=", "champion")])
    rows = rows.filter(pc.is_valid(rows["score"]))
    day = pc.max(rows["day"]).as_py()
    return f"scores of {day}", rows.filter(pc.equal(rows["day"], day)) if day else rows


def _evidence(model: Version) -> tuple[str, pa.Table]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as folder:
        path = registered_file(registration(model.book, model.version), "evidence.parquet", folder)
        rows = pq.read_table(path, columns=["loan_id", "applied_on", "split", "score"])
    return "test evidence", rows.filter(pc.equal(rows["split"], "test"))


def _compare(of: str, folder: Path, before: pa.Table) -> tuple[int, float]:
    """How many of the rows the lake still has, and the largest difference of a score."""
    import numpy as np
    import pyarrow.compute as pc

    if before.num_rows == 0:
        return 0, 0.0
    span = pc.min_max(before["applied_on"]).as_py()
    book = load_book(of)
    rows = lake.view(lake.applications(book),
                     filters=[("applied_on", ">=", span["min"]), ("applied_on", "<=", span["max"])])
    rows = rows.filter(pc.is_in(rows["loan_id"], before["loan_id"].combine_chunks()))
    scored = Model.load(folder).predict(*with_histories(book, rows))
    then = dict(zip(before["loan_id"].to_pylist(), before["score"].to_pylist(), strict=True))
    expected = np.array([then[loan] for loan in rows["loan_id"].to_pylist()])
    return rows.num_rows, float(np.abs(scored - expected).max(initial=0))
