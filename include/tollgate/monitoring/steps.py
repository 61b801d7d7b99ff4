"""The two measuring steps: read the lake as of a day, compute, replace that day's partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake, nights, registry
from tollgate.books import Book
from tollgate.config import Params
from tollgate.labels import INDETERMINATE, UNBOOKED, feed_evidence, findings, vintages
from tollgate.monitoring.baselines import Baseline, promised
from tollgate.monitoring.business import BUSINESS, approvals, loss_amount, loss_and_profit, volume
from tollgate.monitoring.cohorts import Cohort, matured_cohorts, newest_judged, parted_by
from tollgate.monitoring.concept import BANDS, CONCEPT, calibration, residuals
from tollgate.monitoring.label_drift import LABEL, at_ages, at_maturity
from tollgate.monitoring.measures import FEATURE, PREDICTION, PSI, Comparison, watched, worst
from tollgate.monitoring.performance import (
    DECISION,
    FAIRNESS,
    PERFORMANCE,
    decided,
    decline_rates,
    estimated,
    expected,
    matured,
    of_cohort,
    parity_gaps,
    widest,
)
from tollgate.monitoring.reference import read_profile, read_reference
from tollgate.monitoring.shadows import matured_shadows
from tollgate.monitoring.window import Window, is_declined, load_window

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
    protected groups, each pair with its own null, how many applied, and what the scores promise of their loans. Of each
    scoring date of the last 12 months whose every label has matured: what came true, beside what its scores had
    promised and what the model had when it was registered. Of the newest of these: whether the scores held in every
    band and part of the book, and the default rate beside that of loans before them, at equal age. Shadows of these
    dates go into ``shadow_performance``.

    ``groups`` of the answer are tonight's decline rates by protected group, ``cohorts`` the matured ones in brief,
    ``feed`` what was found of the feed of outcomes.

    Raises:
        BadInput: nothing was scored for that as-of.
    """
    return record_performance(book, as_of, params, promised(registry.models(book.name)))


def record_performance(book: Book, as_of: date, params: Params, baselines: Mapping[str, Baseline]) -> Answer:
    """``performance_step`` once it is known what the model versions concerned have promised."""
    window, confidence = load_window(book, as_of, params.monitoring), params.monitoring.confidence
    declined, baseline = is_declined(window.scores), baselines.get(window.version)
    pinned = window.applications.column_names  # nights may be of before the book had a column
    groups = decline_rates(declined, window.applications.select([one for one in book.protected() if one in pinned]))
    gaps = parity_gaps(groups, params.gates.group_min, confidence)
    gap, null = widest(gaps)
    tonight = decided(declined, window.refused, baseline, confidence)
    applications = [one.rows for one in nights.publications(book.name, until=as_of)]
    business = [volume(applications, confidence), approvals(declined, window.refused, baseline, confidence),
                *loss_and_profit(window.score, declined, params.train.cost_of_default, confidence)]
    if book.amount in pinned:
        amount = window.applications[book.amount].cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        business.append(loss_amount(window.score, declined, amount, confidence))
    cohorts = matured_cohorts(book, as_of, params.snapshot.horizon_months)
    brief = [_in_brief(cohort) for cohort in cohorts]
    came_true = [row for cohort, told in zip(cohorts, brief, strict=True)
                 for row in _of_cohort(cohort, told, params, baselines.get(cohort.version))]
    evidence = feed_evidence(book, as_of)
    aged = at_ages(vintages(evidence, as_of) if book.dated else [], params.monitoring.min_sample, confidence)
    record_measures(book, as_of, window.first, window.version,
                    [*gaps, *tonight, *business, *expected(window.score, declined, confidence),
                     estimated(window.score, baseline, confidence), *came_true,
                     *_of_small_nights(cohorts, params, baselines),
                     *_of_newest(book, cohorts, params, baselines), *aged],
                    (FAIRNESS, DECISION, BUSINESS, PERFORMANCE, CONCEPT, LABEL))
    shadows = [row for cohort in (one.judged() for one in cohorts)
               for row in matured_shadows(book.name, cohort.scores, cohort.bad, confidence)]
    beside, stamp = lake.shadow_performance(book.name), {"day": as_of.isoformat(), "as_of": as_of}
    lake.replace_partitions(beside, pa.Table.from_pylist([{**stamp, **row} for row in shadows], beside.schema),
                            [as_of.isoformat()])
    return {"book": book.name, "as_of": as_of.isoformat(), "model_version": window.version,
            "feed": record_feed(book, as_of, params, evidence), "decline_rate": tonight[0]["value"], "parity_gap": gap,
            "parity_null": null, "groups": groups,
            "cohorts": [{**row, "scored_as_of": row["scored_as_of"].isoformat()} for row in brief]}


def record_feed(book: Book, as_of: date, params: Params, evidence: pa.Table) -> list[Answer]:
    """What the outcomes that were known by then, ``labels.feed_evidence``, say of their feed, into ``feeds``."""
    found = [asdict(one) for one in findings(evidence, book, as_of, params.labels)]
    table, stamp = lake.feeds(book.name), {"day": as_of.isoformat(), "as_of": as_of}
    lake.replace_partitions(table, pa.Table.from_pylist([{**stamp, **row} for row in found], table.schema),
                            [as_of.isoformat()])
    return found


def _in_brief(cohort: Cohort) -> Answer:
    """A matured scoring date: power and error on its good and bad loans, the decline rate of all that were scored."""
    judged = cohort.judged()
    counts = {name: int(np.sum(cohort.label == name)) for name in (UNBOOKED, INDETERMINATE)}
    return {"scored_as_of": cohort.day, "model_version": cohort.version, "rows": len(cohort), "labelled": len(judged),
            **counts, "decline_rate": float(cohort.declined.mean()),
            **matured(judged.bad.astype(np.int8), judged.score, judged.declined)}


def _of_cohort(cohort: Cohort, told: Answer, params: Params, baseline: Baseline | None) -> list[Answer]:
    """What came true of a matured scoring date, beside what its scores had promised."""
    judged, confidence = cohort.judged(), params.monitoring.confidence
    rows = [*of_cohort(judged.score, judged.declined, told, baseline, confidence),
            *loss_and_profit(judged.score, judged.declined, params.train.cost_of_default, confidence, judged.bad)]
    if judged.amount is not None:
        rows.append(loss_amount(judged.score, judged.declined, judged.amount, confidence, judged.bad))
    return _on(cohort, rows, segment=f"scored {cohort.day}")


def _of_small_nights(cohorts: list[Cohort], params: Params, baselines: Mapping[str, Baseline]) -> list[Answer]:
    """What came true of the newest nights together, until they have as many loans as a rule asks for; none where the
    newest has by itself.
    """
    limits = params.monitoring
    newest = newest_judged(cohorts, limits.min_sample, limits.window_days)
    if newest is None or newest.day == newest.last_day:
        return []
    rows = of_cohort(newest.score, newest.declined, _in_brief(newest), baselines.get(newest.version), limits.confidence)
    return _on(newest, [row for row in rows if row["kind"] == PERFORMANCE],
               segment=f"scored {newest.day} to {newest.last_day}")


def _of_newest(book: Book, cohorts: list[Cohort], params: Params, baselines: Mapping[str, Baseline]) -> list[Answer]:
    """What the newest loans whose labels have matured say of the concept and of the default rate."""
    limits = params.monitoring
    newest = newest_judged(cohorts, BANDS * limits.min_sample, limits.window_days)
    if newest is None:
        return []
    columns, known = parted_by(book, newest)
    parted = newest.take(known)
    rows = [*calibration(newest.score, newest.bad, limits.confidence),
            *residuals(book, columns, parted.score, parted.bad, limits.confidence, limits.min_sample),
            *at_maturity(newest.bad, baselines.get(newest.version), limits.confidence)]
    return _on(newest, rows)


def _on(cohort: Cohort, rows: list[Answer], **more: str) -> list[Answer]:
    """Rows of ``measures`` with whose and of which days they are."""
    return [{**row, "model_version": cohort.version, "window_from": cohort.day, "window_to": cohort.last_day, **more}
            for row in rows]
