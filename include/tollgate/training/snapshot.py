"""The exact training rows of one as-of: matured applications of a window, with the labels known by then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake
from tollgate.books import Book
from tollgate.config import Params
from tollgate.errors import BadInput


def add_months(days: np.ndarray, months: int) -> np.ndarray:
    """The same day ``months`` later (or earlier), clipped to the month's end; ``datetime64[D]`` in and out."""
    month = days.astype("datetime64[M]")
    into = (days - month.astype("datetime64[D]")).astype(int)
    target = month + months
    length = ((target + 1).astype("datetime64[D]") - target.astype("datetime64[D]")).astype(int)
    return target.astype("datetime64[D]") + np.minimum(into, length - 1)


def months_before(day: date, months: int) -> date:
    """The date ``months`` before ``day``."""
    moved: date = add_months(np.array([day], dtype="datetime64[D]"), -months)[0].item()
    return moved


def labels(applications: pa.Table, outcomes: pa.Table, horizon_months: int) -> np.ndarray:
    """1 where a loan defaulted within the horizon of its application, else 0; int8 of shape (applications,).

    Args:
        applications: with ``loan_id`` and ``applied_on``.
        outcomes: what is known of them; of several rows of a loan the latest ``known_on`` counts, and a null
            ``defaulted_on`` takes an earlier default back.
    """
    latest = outcomes.select(["loan_id", "known_on", "defaulted_on"]).sort_by([("known_on", "ascending")])
    defaulted = dict(zip(latest["loan_id"].to_pylist(), latest["defaulted_on"].to_numpy(zero_copy_only=False)
                         .astype("datetime64[D]"), strict=True))
    never = np.datetime64("NaT", "D")
    on = np.array([defaulted.get(loan, never) for loan in applications["loan_id"].to_pylist()],
                  dtype="datetime64[D]")
    applied = applications["applied_on"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
    # A comparison with NaT is false: a loan without a default is a 0.
    return (on <= add_months(applied, horizon_months)).astype(np.int8)


def pin_lake(book: Book, params: Params) -> dict[str, Any]:
    """Counts and digests of what the lake shows as of now: the content of ``run/lake.json``.

    Two lakes that show the same rows give the same record, whatever else they hold and however it came in.
    """
    applications = _applications(book, params)
    return {"book": book.name, "as_of": params.as_of.isoformat(), "applications": _content(applications),
            "outcomes": _content(_outcomes(book, params, applications))}


def _applications(book: Book, params: Params, at: int | None = None) -> pa.Table:
    """The matured applications of the window, as the Delta version ``at`` has them."""
    until = months_before(params.as_of, params.snapshot.horizon_months)
    since = months_before(until, params.snapshot.window_months)
    return lake.read(lake.applications(book), as_of=params.as_of, at=at,
                     filters=[("applied_on", ">=", since), ("applied_on", "<", until)])


def _outcomes(book: Book, params: Params, applications: pa.Table, at: int | None = None) -> pa.Table:
    """Every outcome of these applications that was known before the as-of."""
    outcomes = lake.read(lake.outcomes(book), as_of=params.as_of, at=at)
    return outcomes.filter(pc.is_in(outcomes["loan_id"], applications["loan_id"].combine_chunks()))


def _content(rows: pa.Table) -> dict[str, Any]:
    return {"rows": rows.num_rows, "digest": lake.digest(rows)}


def _as_pinned(read: Callable[[int | None], pa.Table], pinned: dict[str, Any], version: int) -> pa.Table:
    """The pinned rows: as the lake shows them now or, where late rows have come since, at the pin's Delta version."""
    now = read(None)
    shown = _content(now)
    if shown == pinned:
        return now
    if version >= 0:  # -1: the table was not there yet
        then = read(version)
        if _content(then) == pinned:
            return then
    raise BadInput("The lake no longer shows what run/lake.json pinned", value=shown,
                   remedy="Pin it again: dvc repro -f history.")


def take_snapshot(book: Book, params: Params, pinned: dict[str, Any],
                  versions: dict[str, int]) -> tuple[pa.Table, dict[str, Any]]:
    """The snapshot's rows and its record.

    Args:
        pinned: what the lake showed at the pin, ``run/lake.json``. versions: the Delta version of either table then,
            ``run/delta.json``; a pin outlives rows that come late and say that they were known before the as-of.

    Returns:
        Rows sorted by ``loan_id``: every lake column of the applications and ``label`` (int8); and
        ``snapshot.json``, whose ``digest`` names the snapshot.

    Raises:
        BadInput: the lake no longer shows what was pinned, or there is too little to train on.
    """
    applications = _as_pinned(lambda at: _applications(book, params, at), pinned["applications"],
                              versions["applications"])
    outcomes = _as_pinned(lambda at: _outcomes(book, params, applications, at), pinned["outcomes"],
                          versions["outcomes"])
    rows = applications.drop_columns(["month"]).append_column(
        pa.field("label", pa.int8()), pa.array(labels(applications, outcomes, params.snapshot.horizon_months)))
    defaults, needed = int(rows["label"].to_numpy().sum()), params.snapshot
    if rows.num_rows < needed.min_rows or defaults < needed.min_defaults:
        raise BadInput(f"As of {params.as_of} the lake holds {rows.num_rows:,} matured loans of {book.name} with "
                       f"{defaults:,} defaults; at least {needed.min_rows:,} with {needed.min_defaults:,} are needed",
                       remedy="Ingest the applications and outcomes that are missing, choose a later as-of, or lower "
                              "snapshot.min_rows and snapshot.min_defaults in params.yaml.")
    months = pc.min_max(pc.strftime(rows["applied_on"], format="%Y-%m")).as_py()
    return rows, {"book": book.name, "as_of": params.as_of.isoformat(), "rows": rows.num_rows, "defaults": defaults,
                  "label_rate": defaults / rows.num_rows, "first_month": months["min"], "last_month": months["max"],
                  "digest": lake.digest(rows), "lake": pinned}
