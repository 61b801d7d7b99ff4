"""The two measuring steps: read the lake as of a day, compute, replace that day's partition."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake
from tollgate.books import Book
from tollgate.config import Params
from tollgate.features import make_features
from tollgate.monitoring.drift import measure, watched, worst
from tollgate.monitoring.performance import decline_rates, matured, parity_gap
from tollgate.monitoring.window import (
    Window,
    is_declined,
    load_window,
    read_record,
    read_reference,
    scored_only,
)
from tollgate.training import labels, months_before

WATCHED_MONTHS = 12  # matured cohorts older than this have been reported long ago

Answer = dict[str, Any]


def drift_step(book: Book, as_of: date, params: Params) -> Answer:
    """Compare the scores published for ``as_of`` with their model's profile, into the lake's ``drift`` table.

    Raises:
        BadInput: nothing was scored for that as-of.
    """
    from tollgate.registry import fetch_model

    window = load_window(book, as_of)
    return record_drift(book, as_of, params, window, fetch_model(book.name, window.version))


def record_drift(book: Book, as_of: date, params: Params, window: Window, model: Path) -> Answer:
    """``drift_step`` once the window and the model folder are at hand."""
    rows = measure(read_record(model, "profile.json"), read_reference(model),
                   make_features(book, window.applications), window.score, params.monitoring)
    stamp = {"day": as_of.isoformat(), "as_of": as_of, "model_version": window.version}
    table = lake.drift(book.name)
    lake.replace_partitions(table, pa.Table.from_pylist([{**stamp, **row} for row in rows], table.schema),
                            [as_of.isoformat()])
    return {"book": book.name, "as_of": as_of.isoformat(), "model_version": window.version,
            "rows": window.scores.num_rows, "features": rows,
            "level": worst(row["level"] for row in rows if row["feature"] in watched(book))}


def performance_step(book: Book, as_of: date, params: Params) -> Answer:
    """How decisions fared, into the lake's ``performance`` table.

    One row for tonight's scores (decline rate, parity gap; no labels yet), and one for each scoring date of the last
    12 months of cohorts whose every label has matured. ``groups`` of the answer are tonight's decline rates by
    protected group.

    Raises:
        BadInput: nothing was scored for that as-of.
    """
    window = load_window(book, as_of)
    declined = is_declined(window.scores)
    groups = decline_rates(declined, window.applications.select(list(book.protected())))
    gap, null = parity_gap(groups, params.gates.group_min, params.monitoring.confidence)
    tonight = {"scored_as_of": as_of, "model_version": window.version, "rows": window.scores.num_rows,
               "decline_rate": float(declined.mean()) if len(declined) else None,
               "parity_gap": gap, "parity_null": null}
    cohorts = [tonight, *_matured_cohorts(book, as_of, params.snapshot.horizon_months)]
    table, stamp = lake.performance(book.name), {"day": as_of.isoformat(), "as_of": as_of}
    lake.replace_partitions(table, pa.Table.from_pylist([{**stamp, **row} for row in cohorts], table.schema),
                            [as_of.isoformat()])
    return {"book": book.name, "as_of": as_of.isoformat(), "model_version": window.version,
            "decline_rate": tonight["decline_rate"], "parity_gap": gap, "parity_null": null, "groups": groups,
            "cohorts": [{**row, "scored_as_of": row["scored_as_of"].isoformat()} for row in cohorts[1:]]}


def _matured_cohorts(book: Book, as_of: date, horizon_months: int) -> list[dict[str, Any]]:
    """One performance row for each scoring date whose loans' labels had all matured by ``as_of``.

    A loan was applied for before the date it was scored on, so that a cohort matures with its scoring date.
    """
    until = months_before(as_of, horizon_months)
    since = months_before(until, WATCHED_MONTHS)
    scores = scored_only(lake.read(lake.scores(book.name), filters=[
        ("day", ">=", since.isoformat()), ("day", "<=", until.isoformat()), ("role", "=", "champion")]))
    outcomes = lake.read(lake.outcomes(book), as_of=as_of)
    rows = []
    for scored in sorted(scores["as_of"].unique().to_pylist()):
        cohort = scores.filter(pc.equal(scores["as_of"], scored))
        declined = is_declined(cohort)
        rows.append({"scored_as_of": scored, "model_version": cohort["model_version"][0].as_py(),
                     "rows": cohort.num_rows, "decline_rate": float(declined.mean()),
                     **matured(labels(cohort, outcomes, horizon_months), cohort["score"].to_numpy(), declined)})
    return rows
