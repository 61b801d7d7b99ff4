"""The exact training rows of one as-of: the good and the bad loans of a window, as they were known then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute

from tollgate import features, labels, lake
from tollgate.books import DECLINED, LOAN, Book, BookTable
from tollgate.clock import months_before
from tollgate.config import Params
from tollgate.errors import BadInput

pc: Any = pyarrow.compute
FEED, ARRIVALS, HISTORY = "feed", "arrivals", "history/"  # beside the names of tables
Versions = dict[str, int]
Read = Callable[[Versions], pa.Table]  # a view at these Delta versions; of the other tables at the newest


@dataclass(frozen=True)
class Snapshot:
    """What a run trains on.

    Attributes:
        rows: the good and the bad loans, in order of ``loan_id``: every lake column of the applications, ``label``
            (int8, 1 is bad), and ``approval_probability`` where the book's decisions tell it.
        declined: the applications of the same window that the lender declined, which have no label; none where
            ``train.reject_inference`` supposes nothing of them.
        histories: what the aggregates of rows and declined are made of, by the name of the table.
        feed: what ``labels.feed_evidence`` counts of the whole book as of then.
        record: the content of ``snapshot.json``; its ``digest`` names the snapshot.
    """

    rows: pa.Table
    declined: pa.Table
    histories: dict[str, pa.Table]
    feed: pa.Table
    record: dict[str, Any]


def pin_lake(book: Book, params: Params) -> dict[str, Any]:
    """Counts and digests of what the lake shows as of now: the content of ``run/lake.json``.

    Two lakes that show the same rows give the same record, whatever else they hold and however it came in.
    """
    return {"book": book.name, "as_of": params.as_of.isoformat(),
            **{name: _content(rows) for name, rows in _views(book, params, lambda _, read: read({})).items()}}


def _window(book: Book, params: Params) -> tuple[date, date]:
    """Applications from the first of these days on, and before the second, may have matured."""
    until = labels.mature_before(book, params.as_of, params.snapshot.horizon_months)
    return months_before(until, params.snapshot.window_months), until


def _views(book: Book, params: Params, choose: Callable[[str, Read], pa.Table]) -> dict[str, pa.Table]:
    """The applications of the window, what was known of them, and the ``feed`` of the whole book.

    Args:
        choose: is told the name of each and how to read it, and returns its rows.
    """
    since, until = _window(book, params)

    def of_window(at: Versions) -> pa.Table:
        return lake.view(lake.applications(book), as_of=params.as_of, at=at.get("applications"),
                         filters=[("applied_on", ">=", since), ("applied_on", "<", until)])

    applications = choose("applications", of_window)
    loans = applications[LOAN].combine_chunks()

    def of_loans(name: str, at: Versions) -> pa.Table:
        rows = lake.view(lake.published(book, name), as_of=params.as_of, at=at.get(name))
        return rows.filter(pc.is_in(rows[LOAN], value_set=loans))

    others = [table.name for table in book.tables if table.name in labels.needed(book).keys() - {"applications"}]
    return {"applications": applications, **{name: choose(name, partial(of_loans, name)) for name in others},
            **_past(book, params, applications, choose),
            FEED: choose(FEED, partial(labels.feed_evidence, book, params.as_of))}


def _past(book: Book, params: Params, applications: pa.Table,
          choose: Callable[[str, Read], pa.Table]) -> dict[str, pa.Table]:
    """What aggregates are made of, and the day on which each application arrived; nothing of a book without any."""
    if not book.aggregates:
        return {}

    def of_table(table: BookTable, at: Versions) -> pa.Table:
        return features.history(book, table, applications, params.as_of, at)

    return {ARRIVALS: choose(ARRIVALS, lambda at: features.arrivals(book, applications[LOAN], at.get("applications"))),
            **{HISTORY + table.name: choose(HISTORY + table.name, partial(of_table, table))
               for table in book.histories}}


def _content(rows: pa.Table) -> dict[str, Any]:
    return {"rows": rows.num_rows, "digest": lake.digest(rows)}


def _as_pinned(name: str, read: Read, pinned: dict[str, Any], then: Versions) -> pa.Table:
    """The pinned rows: as the lake shows them now or, where late rows have come since, at the pin's Delta versions."""
    shown: dict[str, Any] = {}
    for at in ({}, then) if then else ({},):
        rows = read(at)
        shown = _content(rows)
        if shown == pinned.get(name):
            return rows
    raise BadInput("The lake no longer shows what run/lake.json pinned", value={name: shown},
                   remedy="Pin it again: dvc repro -f history.")


def take_snapshot(book: Book, params: Params, pinned: dict[str, Any], versions: dict[str, int]) -> Snapshot:
    """The rows to train on, and the record of them.

    Args:
        pinned: what the lake showed at the pin, ``run/lake.json``. versions: the Delta version of each table then,
            ``run/delta.json``; a pin outlives rows that come late and say that they were known before the as-of.

    Raises:
        BadInput: the lake no longer shows what was pinned, or there is too little to train on.
    """
    then = {name: version for name, version in versions.items() if version >= 0}  # -1: the table was not there yet
    views = _views(book, params, partial(_as_pinned, pinned=pinned, then=then))
    applications = views["applications"]
    if ARRIVALS in views:
        applications = features.arrived(applications, views[ARRIVALS])
    found = labels.label(book, params.as_of, params.snapshot.horizon_months, views)
    if found[LOAN] != applications[LOAN]:
        raise RuntimeError("labels and applications are not of the same loans")
    label = found["label"].combine_chunks().dictionary_decode()
    counts = {name: pc.sum(pc.equal(label, name)).as_py() or 0 for name in labels.LABELS}
    told = pc.is_in(label, value_set=pa.array([labels.GOOD, labels.BAD]))
    bad = pc.equal(label, labels.BAD).cast(pa.int8())
    rows = _with_probability(book, applications, views).append_column(pa.field("label", pa.int8()), bad).filter(told)
    defaults, needed = counts[labels.BAD], params.snapshot
    if rows.num_rows < needed.min_rows or defaults < needed.min_defaults:
        raise BadInput(f"As of {params.as_of} the lake holds {rows.num_rows:,} matured loans of {book.name} with "
                       f"{defaults:,} defaults; at least {needed.min_rows:,} with {needed.min_defaults:,} are needed "
                       f"(of {applications.num_rows:,} applications {counts[labels.UNBOOKED]:,} were not booked)",
                       remedy="Ingest the applications, decisions and outcomes that are missing, choose a later as-of, "
                              "or lower snapshot.min_rows and snapshot.min_defaults in params.yaml.")
    months = pc.min_max(pc.strftime(rows["applied_on"], format="%Y-%m")).as_py()
    past = {name.removeprefix(HISTORY): rows for name, rows in views.items() if name.startswith(HISTORY)}
    return Snapshot(rows, _declined(params, applications, views), past, views[FEED], {
        "book": book.name, "as_of": params.as_of.isoformat(), "rows": rows.num_rows, "defaults": defaults,
        "label_rate": defaults / rows.num_rows, "first_month": months["min"], "last_month": months["max"],
        "labels": counts, "feed": pinned[FEED]["digest"], "digest": lake.digest(rows), "lake": pinned})


def _declined(params: Params, applications: pa.Table, views: dict[str, pa.Table]) -> pa.Table:
    if "decisions" not in views or params.train.reject_inference not in labels.SUPPOSING:
        return applications.slice(0, 0)
    decided = views["decisions"]
    declined = decided.filter(pc.equal(decided["decision"], DECLINED))[LOAN].combine_chunks()
    return applications.filter(pc.is_in(applications[LOAN], value_set=declined))


def _with_probability(book: Book, applications: pa.Table, views: dict[str, pa.Table]) -> pa.Table:
    """The applications with the probability at which the policy approved each, where the decisions tell it."""
    name = labels.PROBABILITY
    if name not in {column.name for table in book.tables if table.name == "decisions" for column in table.columns}:
        return applications
    place = pc.index_in(applications[LOAN], value_set=views["decisions"][LOAN].combine_chunks())
    told = views["decisions"][name].combine_chunks().take(place.combine_chunks())
    return applications.append_column(name, pc.fill_null(told, 1.0))
