"""The exact training rows of one as-of: matured applications of a window, with the labels known by then."""

from __future__ import annotations

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


def visible(book: Book, params: Params) -> tuple[pa.Table, pa.Table]:
    """The matured applications of the window, and every outcome of theirs, as known before the as-of."""
    until = months_before(params.as_of, params.snapshot.horizon_months)
    since = months_before(until, params.snapshot.window_months)
    applications = lake.read(lake.applications(book), as_of=params.as_of,
                             filters=[("applied_on", ">=", since), ("applied_on", "<", until)])
    outcomes = lake.read(lake.outcomes(book), as_of=params.as_of, filters=[("known_on", ">=", since)])
    return applications, outcomes.filter(pc.is_in(outcomes["loan_id"], applications["loan_id"].combine_chunks()))


def pin_lake(book: Book, params: Params) -> dict[str, Any]:
    """Counts and digests of what the lake shows as of now: the content of ``run/lake.json``.

    Two lakes that show the same rows give the same record, whatever else they hold and however it came in.
    """
    return _record(book, params, *visible(book, params))


def _record(book: Book, params: Params, applications: pa.Table, outcomes: pa.Table) -> dict[str, Any]:
    return {"book": book.name, "as_of": params.as_of.isoformat(),
            "applications": {"rows": applications.num_rows, "digest": lake.digest(applications)},
            "outcomes": {"rows": outcomes.num_rows, "digest": lake.digest(outcomes)}}


def take_snapshot(book: Book, params: Params, pinned: dict[str, Any]) -> tuple[pa.Table, dict[str, Any]]:
    """The snapshot's rows and its record.

    Returns:
        Rows sorted by ``loan_id``: every lake column of the applications and ``label`` (int8); and
        ``snapshot.json``, whose ``digest`` names the snapshot.

    Raises:
        BadInput: the lake no longer shows what was pinned, or there is too little to train on.
    """
    applications, outcomes = visible(book, params)
    found = _record(book, params, applications, outcomes)
    if found != pinned:
        raise BadInput("The lake no longer shows what run/lake.json pinned", value=found["applications"],
                       remedy="Pin it again: dvc repro -f history.")
    rows = applications.drop_columns(["month"]).append_column(
        pa.field("label", pa.int8()), pa.array(labels(applications, outcomes, params.snapshot.horizon_months)))
    defaults = int(rows["label"].to_numpy().sum())
    for what, count, least in (("matured rows", rows.num_rows, params.snapshot.min_rows),
                               ("defaults among them", defaults, params.snapshot.min_defaults)):
        if count < least:
            raise BadInput(f"As of {params.as_of} the lake holds {count} {what} of {book.name}; "
                           f"{least} are needed", value=count,
                           remedy="Ingest more history, choose a later as-of, or lower snapshot.min_* in params.yaml.")
    months = pc.min_max(pc.strftime(rows["applied_on"], format="%Y-%m")).as_py()
    return rows, {"book": book.name, "as_of": params.as_of.isoformat(), "rows": rows.num_rows, "defaults": defaults,
                  "label_rate": defaults / rows.num_rows, "first_month": months["min"], "last_month": months["max"],
                  "digest": lake.digest(rows), "lake": pinned}
