"""Proof that a model still is the model it was: score the rows it scored and compare bit for bit."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollgate import lake, nights
from tollgate.books import load_book
from tollgate.errors import Refused
from tollgate.features import Model, gated_fit, make_features, with_histories
from tollgate.registry.known import registration
from tollgate.registry.registering import registered_file
from tollgate.registry.tracking import name_of
from tollgate.registry.versions import Version, kept, rehash

if TYPE_CHECKING:
    import pyarrow as pa


def last_scored(book: str) -> date | None:
    """The newest published scoring date of a book."""
    published = nights.publications(book)
    return published[0].attempt.day if published else None


def prove(model: Version) -> dict[str, Any]:
    """Score again what the model scored: its newest published night, or its test evidence if it never served.

    The night's rows are those that it pinned. Where they are kept no longer, the evidence proves it, on the rows as
    they were known to the training: what was corrected since is no fault of the model.

    Returns ``{"source", "rows", "max_difference"}``.

    Raises:
        Refused: there is nothing to compare with, a score differs in any bit, or a file that the night pinned changed.
    """
    folder = kept(model.digest) or rehash(model)
    served = next((night for night in nights.publications(model.book)
                   if night.version == model.version and night.scored and nights.was_pinned(night.attempt)), None)
    if served is not None:
        source, (found, of, difference) = f"scores of {served.attempt.day}", _scored_again(served, folder)
    else:
        source, before = _evidence(model)
        of = before.num_rows
        found, difference = _compare(model, gated_fit(folder), before)
    if found == 0 or found < of or difference != 0:
        raise Refused(f"Version {model.version} of {name_of(model.book)} does not reproduce its own scores",
                      value=f"{found} of {of} rows found in {source}, differing by up to {difference}",
                      remedy="Check that the applications in the lake are those that it scored.")
    return {"source": source, "rows": found, "max_difference": difference}


def _scored_again(night: nights.Publication, folder: Path) -> tuple[int, int, float]:
    """Of the rows of a night that were scored: how many were found, how many there are, the largest difference."""
    import numpy as np
    import pyarrow.compute as pc

    book, pin, model = load_book(night.attempt.book), nights.read_pin(night.attempt), Model.load(folder)
    published = lake.read(lake.scores(book.name), columns=["loan_id", "score"], filters=[
        ("day", "=", night.attempt.day.isoformat()), ("population", "=", night.attempt.population)])
    published = published.filter(pc.is_valid(published["score"]))
    found, difference = 0, 0.0
    for k in range(pin.shards):
        rows = nights.read_population(pin, k)
        place = pc.index_in(rows["loan_id"], value_set=published["loan_id"].combine_chunks())
        features = make_features(book, rows, nights.read_histories(pin, k, [one.name for one in book.histories]))
        scores = model.predict_features(features.filter(pc.is_valid(place)))
        then = published["score"].take(place.drop_null()).to_numpy()
        found += len(scores)
        difference = max(difference, float(np.abs(scores - then).max(initial=0)))
    return found, published.num_rows, difference


def _evidence(model: Version) -> tuple[str, pa.Table]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as folder:
        path = registered_file(registration(model.book, model.version), "evidence.parquet", folder)
        rows = pq.read_table(path, columns=["loan_id", "applied_on", "split", "score"])
    return "test evidence", rows.filter(pc.equal(rows["split"], "test"))


def _compare(model: Version, folder: Path, before: pa.Table) -> tuple[int, float]:
    """How many of the rows the lake still has as they were known to the model's training, and the largest difference
    of a score.
    """
    import numpy as np
    import pyarrow.compute as pc

    if before.num_rows == 0:
        return 0, 0.0
    span = pc.min_max(before["applied_on"]).as_py()
    book = load_book(model.book)
    rows = lake.view(lake.applications(book), as_of=model.as_of,
                     filters=[("applied_on", ">=", span["min"]), ("applied_on", "<=", span["max"])])
    rows = rows.filter(pc.is_in(rows["loan_id"], before["loan_id"].combine_chunks()))
    scored = Model.load(folder).predict(*with_histories(book, rows, model.as_of))
    then = dict(zip(before["loan_id"].to_pylist(), before["score"].to_pylist(), strict=True))
    expected = np.array([then[loan] for loan in rows["loan_id"].to_pylist()])
    return rows.num_rows, float(np.abs(scored - expected).max(initial=0))
