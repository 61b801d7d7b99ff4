"""The two measuring steps: read the lake as of a day, compute, replace that day's partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake, nights, registry
from tollgate.books import Book
from tollgate.clock import months_before
from tollgate.config import Params
from tollgate.labels import (
    BAD,
    GOOD,
    IMMATURE,
    INDETERMINATE,
    UNBOOKED,
    feed_evidence,
    findings,
    label_of,
    mature_before,
    read_labels,
)
from tollgate.monitoring.baselines import Baseline, promised
from tollgate.monitoring.measures import FEATURE, PREDICTION, PSI, Comparison, watched, worst
from tollgate.monitoring.performance import (
    DECISION,
    FAIRNESS,
    PERFORMANCE,
    decided,
    decline_rates,
    expected,
    matured,
    of_cohort,
    parity_gaps,
    widest,
)
from tollgate.monitoring.reference import read_profile, read_reference
from tollgate.monitoring.shadows import matured_shadows
from tollgate.monitoring.window import Window, is_declined, load_window, scored_only

WATCHED_MONTHS = 12  # matured cohorts older than this have been reported long ago

Answer = dict[str, Any]


def drift_step(book: Book, as_of: date, params: Params) -> Answer:
    """Compare the scores published for ``as_of`` with their model's profile, into the lake's ``measures``.

    Raises:
        BadInput: nothing was scored for that as-of.
    """
    window = load_window(book, as_of, params.monitoring)
    return record_drift(book, as_of, params, window, registry.fetch_model(book.name, window.version))


def record_drift(book: Book, as_of: date, params: Params, window: Window, model: Path) -> Answer:
    """``drift_step`` once the window and the model folder are at hand."""
    comparison = Comparison(read_profile(model), read_reference(model))
    comparison.add(window.features, window.score)
    in_order = pc.sort_indices(window.scores, [("applied_on", "ascending"), ("loan_id", "ascending")])
    comparison.follow(window.score[in_order.to_numpy()])
    rows = comparison.measures(params.monitoring)
    record_measures(book, as_of, window.first, window.version, rows, (FEATURE, PREDICTION))
    return {"book": book.name, "as_of": as_of.isoformat(), "model_version": window.version,
            "rows": window.scores.num_rows, "measures": rows,
            "level": worst(row["level"] for row in rows if row["metric"] == PSI and row["subject"] in watched(book))}


def record_measures(book: Book, as_of: date, first: date, version: str, rows: list[Answer],
                    kinds: tuple[str, ...]) -> None:
    """Replace a day's measures of these kinds; those of others are of a step that may run at this very time.

    Args:
        first: the day on which the window begins. version: of the model. rows: may tell of another window or model.
    """
    stamp = {"day": as_of.isoformat(), "as_of": as_of, "window_from": first, "window_to": as_of,
             "model_version": version}
    table = lake.measures(book.name)
    new = pa.Table.from_pylist([{**stamp, **row} for row in rows], table.schema)
    lake.change_partitions(table, [as_of.isoformat()], lambda there: pa.concat_tables(
        [there.filter(pc.invert(pc.is_in(there["kind"], pa.array(kinds)))), new]))


def performance_step(book: Book, as_of: date, params: Params) -> Answer:
    """How decisions fared, into the lake's ``measures``, and whether outcomes still arrive, into ``feeds``.

    Of tonight: the shares that are declined and that could not be scored, the gaps between the decline rates of
    protected groups, each pair with its own null, and what the scores promise of their loans. Of each scoring date of
    the last 12 months whose every label has matured: what came true, beside what its scores had promised and what
    the model had when it was registered. Shadows of these dates go into ``shadow_performance``.

    ``groups`` of the answer are tonight's decline rates by protected group, ``cohorts`` the matured ones in brief,
    ``feed`` what was found of the feed of outcomes.

    Raises:
        BadInput: nothing was scored for that as-of.
    """
    return record_performance(book, as_of, params, promised(registry.models(book.name)))


def record_performance(book: Book, as_of: date, params: Params, baselines: Mapping[str, Baseline]) -> Answer:
    """``performance_step`` once it is known what the model versions concerned have promised."""
    window, confidence = load_window(book, as_of, params.monitoring), params.monitoring.confidence
    declined = is_declined(window.scores)
    groups = decline_rates(declined, window.applications.select(list(book.protected())))
    gaps = parity_gaps(groups, params.gates.group_min, confidence)
    gap, null = widest(gaps)
    tonight = decided(declined, window.refused, baselines.get(window.version), confidence)
    cohorts, kept, shadows = _matured_cohorts(book, as_of, params, baselines)
    record_measures(book, as_of, window.first, window.version,
                    [*gaps, *tonight, *expected(window.score, declined, confidence), *kept],
                    (FAIRNESS, DECISION, PERFORMANCE))
    beside, stamp = lake.shadow_performance(book.name), {"day": as_of.isoformat(), "as_of": as_of}
    lake.replace_partitions(beside, pa.Table.from_pylist([{**stamp, **row} for row in shadows], beside.schema),
                            [as_of.isoformat()])
    return {"book": book.name, "as_of": as_of.isoformat(), "model_version": window.version,
            "feed": record_feed(book, as_of, params), "decline_rate": tonight[0]["value"], "parity_gap": gap,
            "parity_null": null, "groups": groups,
            "cohorts": [{**row, "scored_as_of": row["scored_as_of"].isoformat()} for row in cohorts]}


def record_feed(book: Book, as_of: date, params: Params) -> list[Answer]:
    """What the outcomes that were known by then say of their feed, into the lake's ``feeds`` table."""
    found = [asdict(one) for one in findings(feed_evidence(book, as_of), book, as_of, params.labels)]
    table, stamp = lake.feeds(book.name), {"day": as_of.isoformat(), "as_of": as_of}
    lake.replace_partitions(table, pa.Table.from_pylist([{**stamp, **row} for row in found], table.schema),
                            [as_of.isoformat()])
    return found


def _matured_cohorts(book: Book, as_of: date, params: Params, baselines: Mapping[str, Baseline],
                     ) -> tuple[list[Answer], list[Answer], list[Answer]]:
    """Each scoring date of which every booked loan's label had matured by ``as_of``, in brief.

    And the ``measures`` of what came true of it; and one row of ``shadow_performance`` for each shadow of these dates.

    A loan was applied for before the date it was scored on. Where loans are booked later than that, their cohort waits
    for the last of them.
    """
    horizon_months = params.snapshot.horizon_months
    until = mature_before(book, as_of, horizon_months)
    since = months_before(until, WATCHED_MONTHS)
    scores = scored_only(lake.read(lake.scores(book.name), columns=[
        "as_of", "attempt", "loan_id", "applied_on", "model_version", "score", "decision"], filters=[
        ("day", ">=", since.isoformat()), ("day", "<=", until.isoformat()), ("population", "=", nights.NEW)]))
    if not scores.num_rows:
        return [], [], []
    first, last = pc.min_max(scores["applied_on"]).as_py().values()
    labels = read_labels(book, as_of, horizon_months, since=first, until=last + timedelta(days=1))
    label = label_of(scores["loan_id"], labels)
    day = scores["as_of"].to_numpy()
    order = np.argsort(day, kind="stable")
    starts = np.flatnonzero(np.diff(day[order], prepend=day[order][:1] - 1))
    score, declined = scores["score"].to_numpy(), is_declined(scores)
    ripe = [cohort for cohort in np.split(order, starts[1:]) if not np.any(label[cohort] == IMMATURE)]
    judged = [cohort[(label[cohort] == GOOD) | (label[cohort] == BAD)] for cohort in ripe]
    cohorts = [_cohort(scores, cohort, label, score, declined) for cohort in ripe]
    confidence = params.monitoring.confidence
    kept = [{**row, "model_version": told["model_version"], "window_from": told["scored_as_of"],
             "window_to": told["scored_as_of"], "segment": f"scored {told['scored_as_of']}"}
            for told, of in zip(cohorts, judged, strict=True)
            for row in of_cohort(score[of], declined[of], told, baselines.get(told["model_version"]), confidence)]
    return (cohorts, kept,
            [row for cohort in judged for row in matured_shadows(
                book.name, scores.take(cohort), label[cohort] == BAD, confidence)])


def _cohort(scores: pa.Table, cohort: np.ndarray, label: np.ndarray, score: np.ndarray,
            declined: np.ndarray) -> Answer:
    """A matured scoring date: power and error on its good and bad loans, the decline rate of all that were scored."""
    judged = cohort[(label[cohort] == GOOD) | (label[cohort] == BAD)]
    counts = {name: int(np.sum(label[cohort] == name)) for name in (UNBOOKED, INDETERMINATE)}
    of = int(cohort[0])
    return {"scored_as_of": scores["as_of"][of].as_py(), "model_version": scores["model_version"][of].as_py(),
            "rows": len(cohort), "labelled": len(judged), **counts, "decline_rate": float(declined[cohort].mean()),
            **matured((label[judged] == BAD).astype(np.int8), score[judged], declined[judged])}
