"""What a file is expected to be like, by the months before its own: every surprise is a finding with its numbers.

A finding that refuses is one that no honest month explains; any other is written down, and the file is published.
A share must be surprising twice: by its size, and beyond what luck explains.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute

from tollgate.books import LOAN, Column
from tollgate.config import Ingest
from tollgate.ingest.expectations.observation import Observation
from tollgate.stats.distributions import counts, frozen, psi_and_null

pc: Any = pyarrow.compute

MONTHS_MIN, ROWS_MIN = 3, 100  # with less history, or fewer rows, nothing is concluded
LUCK = 1e-4                    # a share this improbable by luck alone is surprising
FENCE = 3                      # interquartile ranges: Tukey's "far out"
UNIT = 10                      # a median this many times the old one is another unit
LEVELS = 20                    # the most frequent values of a category; the others are one bin
BURST = 20                     # fewer identical rows are no burst

Level = Literal["refused", "warning"]


@dataclass(frozen=True)
class Finding:
    """One surprise: the check, the column it is about (None: the rows), its value, its limit, and what to tell."""

    check: str
    column: str | None
    value: float
    limit: float
    level: Level
    sentence: str


def findings(columns: Sequence[Column], now: Observation, before: Observation, newest: Observation,
             params: Ingest) -> list[Finding]:
    """Everything that is surprising in a file's good rows.

    Args:
        columns: of the table. before: the months before the file's own, as ``surprise.surprises`` finds them.
        newest: the last of these months alone: what it showed already is no news, and no longer told.

    Of each column only the first surprise is told, the most telling first: its nulls, a constant, another unit, a
    moved median, outliers, unseen values, then its distribution.
    """
    if len(before.months) < MONTHS_MIN or not now.rows:
        return []
    found = [*_row_counts(now, before, params), *missing_months(now, before)]
    if min(now.rows, before.rows) < ROWS_MIN:
        return found
    kept = [c for c in columns if not c.personal and c.name != now.known]
    for column in kept:
        refusal = _null_share(column, now, before, params)
        surprise = refusal or _surprise(column, now, before, params)
        if refusal or (surprise and (newest.rows < ROWS_MIN or _surprise(column, now, newest, params))):
            found += [surprise] if surprise else []
    return [*found, *_identical([c.name for c in columns if not c.personal and c.name != LOAN], now, before, params)]


def freshness(now: Observation, newest_month: str | None, params: Ingest) -> list[Finding]:
    """Whether the file's newest row lies further behind the lake's newest month (``YYYY-MM``) than is usual."""
    if now.newest is None or newest_month is None:
        return []
    behind = (date.fromisoformat(f"{newest_month}-01") - now.newest).days
    if behind <= params.stale_days_max:
        return []
    return [Finding("freshness", None, behind, params.stale_days_max, "warning",
                    f"Its newest row is of {now.newest}, {behind} days before {newest_month}, which the lake "
                    f"already holds (limit {params.stale_days_max}): a stale file or late rows.")]


def missing_months(now: Observation, before: Observation) -> list[Finding]:
    """Whether months lie between the newest before the file and its first after that one, of which nothing came."""
    newest = max(before.months)
    first = min((month for month in now.months if month > newest), default=newest)
    skipped = (int(first[:4]) - int(newest[:4])) * 12 + int(first[5:]) - int(newest[5:]) - 1
    if skipped < 1:
        return []
    return [Finding("missing_months", None, skipped, 0, "warning",
                    f"Nothing came of the {skipped} month(s) between {newest}, the newest before this file, and "
                    f"{first}: a delivery is missing, or nothing happened in them.")]


def improbable(k: int, n: int, past_k: int, past_n: int, tests: int = 1) -> bool:
    """Whether ``k`` of ``n`` and ``past_k`` of ``past_n`` are of one share only by luck beyond ``LUCK / tests``.

    Pearson's chi-square of the two by two table, 1 degree of freedom, without a correction.
    """
    from scipy.special import chdtrc  # scipy.stats takes seconds to load

    hits, misses = k + past_k, n + past_n - k - past_k
    if not hits or not misses:
        return False
    statistic = (k * past_n - past_k * n) ** 2 * (n + past_n) / (n * past_n * hits * misses)
    return float(chdtrc(1, statistic)) < LUCK / tests


def recent(now: Observation, before: Observation, month: str, params: Ingest) -> list[int]:
    """Rows of the months that ``month`` of the file is held against, the newest last.

    A long extract brings months of its own before it: a book that grew over years is not held against its beginning.
    """
    counts = {**before.months, **{own: rows for own, rows in now.months.items() if own >= now.first_month()}}
    return [counts[other] for other in sorted(counts) if other < max(month, now.first_month())][-params.history_months:]


def _row_counts(now: Observation, before: Observation, params: Ingest) -> Iterator[Finding]:
    for month, rows in sorted(now.months.items()):
        counts = recent(now, before, month, params)
        most, usual = max(counts), median(counts)
        ratio = rows / most
        if ratio > params.rows_ratio_max and rows >= ROWS_MIN:
            yield Finding("row_count", None, ratio, params.rows_ratio_max, "refused",
                          f"{month} has {rows:,} rows, {ratio:.1f} times the largest of the {len(counts)} "
                          f"months before ({most:,}; limit {params.rows_ratio_max:g} times)")
        elif month >= now.first_month() and usual >= ROWS_MIN and rows < params.rows_ratio_min * usual:
            yield Finding("few_rows", None, rows / usual, params.rows_ratio_min, "warning",
                          f"{month} has {rows:,} rows, {rows / usual:.2f} of the usual {usual:,.0f} "
                          f"(limit {params.rows_ratio_min:g}).")


def _null_share(column: Column, now: Observation, before: Observation, params: Ingest) -> Finding | None:
    share, past = (o.nulls[column.name] / o.rows for o in (now, before))
    if share - past <= params.null_rise_max:
        return None
    return Finding("null_share", column.name, share, past + params.null_rise_max, "refused",
                   f"{column.name} is empty in {share:.1%} of the rows, {past:.1%} in the months before "
                   f"(limit {params.null_rise_max:.0%} more)")


def _missing(column: Column, now: Observation, before: Observation, params: Ingest) -> Finding | None:
    (k, n), (past_k, past_n) = ((o.nulls[column.name], o.rows) for o in (now, before))
    share, past = k / n, past_k / past_n
    if abs(share - past) <= params.missing_shift_max or not improbable(k, n, past_k, past_n):
        return None
    return Finding("missing", column.name, abs(share - past), params.missing_shift_max, "warning",
                   f"{column.name} is empty in {share:.1%} of the rows, {past:.1%} in the months before "
                   f"(limit {params.missing_shift_max:.0%} more or less).")


def _surprise(column: Column, now: Observation, before: Observation, params: Ingest) -> Finding | None:
    """The most telling surprise of one column's nulls or values, or None."""
    rows, past = (observed.sample()[column.name] for observed in (now, before))
    return _missing(column, now, before, params) or next(_surprises(column, rows, past, params), None)


def _surprises(column: Column, rows: pa.ChunkedArray, past: pa.ChunkedArray, params: Ingest) -> Iterator[Finding]:
    present, was = rows.drop_null(), past.drop_null()
    if column.name == LOAN or column.kind == "date" or min(len(present), len(was)) < ROWS_MIN:
        return
    yield from _constant(column, present, was)
    if column.kind in ("integer", "number", "money", "percent"):
        yield from _numbers(column, present.to_numpy().astype(float), was.to_numpy().astype(float), params)
    elif column.kind == "text" and len(was.unique()) > len(was) / 2:
        return  # names or numbers of things, no category
    elif column.kind == "text" and not column.isin:
        yield from _unseen(column, present, was, params)
    yield from _distribution(column, present, was, params)


def _constant(column: Column, present: pa.ChunkedArray, was: pa.ChunkedArray) -> Iterator[Finding]:
    only = pc.unique(present)
    if len(only) > 1:
        return
    share = pc.sum(pc.equal(was, only[0])).as_py() / len(was)
    if len(present) * math.log(max(share, 0.5 / len(was))) < math.log(LUCK):
        yield Finding("constant", column.name, 1.0, share, "warning",
                      f"{column.name} is {only[0].as_py()} in every one of {len(present):,} rows, in {share:.1%} of "
                      "the months before.")


def _numbers(column: Column, present: np.ndarray, was: np.ndarray, params: Ingest) -> Iterator[Finding]:
    middle, past = float(np.median(present)), float(np.median(was))
    if past > 0 and middle > 0 and not 1 / UNIT < (ratio := middle / past) < UNIT:
        yield Finding("unit", column.name, ratio, UNIT if ratio > 1 else 1 / UNIT, "warning",
                      f"The median of {column.name} is {middle:,.6g}, {ratio:,.4g} times that of the months before "
                      f"({past:,.6g}): another unit?")
    spread = float(np.median(np.abs(was - past)))
    if spread > 0 and (shift := abs(middle - past) / spread) > params.median_shift_max:
        yield Finding("median", column.name, shift, params.median_shift_max, "warning",
                      f"The median of {column.name} moved from {past:,.6g} to {middle:,.6g}, {shift:.1f} median "
                      f"absolute deviations (limit {params.median_shift_max:g}).")
    low, high = (float(q) for q in np.quantile(was, (0.25, 0.75)))
    if high > low:
        fences = low - FENCE * (high - low), high + FENCE * (high - low)
        out, far = (int(np.sum((x < fences[0]) | (x > fences[1]))) for x in (present, was))
        rise = out / len(present) - far / len(was)
        if rise > params.outlier_rise_max and improbable(out, len(present), far, len(was)):
            yield Finding("outliers", column.name, rise, params.outlier_rise_max, "warning",
                          f"{out / len(present):.1%} of {column.name} lie outside {fences[0]:,.6g} to "
                          f"{fences[1]:,.6g}, {far / len(was):.1%} in the months before "
                          f"(limit {params.outlier_rise_max:.0%} more).")


def _unseen(column: Column, present: pa.ChunkedArray, was: pa.ChunkedArray, params: Ingest) -> Iterator[Finding]:
    """New values beyond those that Good and Turing expect: the share of the values that were seen only once."""
    counts = pc.value_counts(was)
    once = pc.sum(pc.equal(counts.field("counts"), 1)).as_py()
    new = present.filter(pc.invert(pc.is_in(present, value_set=counts.field("values"))))
    rise = len(new) / len(present) - once / len(was)
    if rise > params.unseen_rise_max and improbable(len(new), len(present), once, len(was)):
        yield Finding("unseen", column.name, len(new) / len(present), once / len(was) + params.unseen_rise_max,
                      "warning", f"{len(new) / len(present):.1%} of the rows carry one of {len(new.unique()):,} values "
                      f"of {column.name} that the months before did not; {once / len(was):.1%} were to be expected "
                      f"(limit {params.unseen_rise_max:.0%} more).")


def _distribution(column: Column, present: pa.ChunkedArray, was: pa.ChunkedArray, params: Ingest) -> Iterator[Finding]:
    if column.kind == "text":
        entry = _frequent(was)
        before, now = (np.append(of.bins, of.unseen) for of in (counts(entry, side) for side in (was, present)))
    else:
        entry = frozen("number", was)
        before, now = (counts(entry, side).bins for side in (was, present))
    value, null = psi_and_null(before, now, 1 - LUCK) or (0.0, 0.0)
    if value > max(null, params.psi_max):
        yield Finding("distribution", column.name, value, params.psi_max, "warning",
                      f"The distribution of {column.name} moved by PSI {value:.2f} against the months before "
                      f"(limit {params.psi_max:g}; luck explains {null:.3f}).")


def _frequent(values: pa.ChunkedArray) -> dict[str, Any]:
    counts = pc.value_counts(values.drop_null())
    table = pa.table({"value": counts.field("values"), "rows": counts.field("counts")})
    return {"kind": "category", "levels": table.sort_by([("rows", "descending"), ("value", "ascending")])["value"]
            .slice(0, LEVELS).to_pylist()}


def _identical(names: list[str], now: Observation, before: Observation, params: Ingest) -> Iterator[Finding]:
    most, past = (_largest_group(names, o) * o.step for o in (now, before))
    share = most / now.rows
    if most >= BURST and most > 2 * past and share > params.identical_share_max:
        yield Finding("identical_rows", None, share, params.identical_share_max, "warning",
                      f"{most:,} rows ({share:.1%}) are equal in everything but their key; {past:,} at the most in "
                      f"the months before (limit {params.identical_share_max:.0%}).")


def _largest_group(names: list[str], observed: Observation) -> int:
    groups = observed.sample().group_by(names, use_threads=False).aggregate([([], "count_all")])
    return int(pc.max(groups["count_all"]).as_py() or 0)
