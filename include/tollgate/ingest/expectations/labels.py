"""What a file of outcomes does to the labels: how many defaults it reports, and whose."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute

from tollgate.config import Ingest
from tollgate.ingest.expectations.expect import MONTHS_MIN, ROWS_MIN, Finding, improbable, recent
from tollgate.ingest.expectations.observation import Observation

pc: Any = pyarrow.compute


def defaulted(day: str, outcomes: Observation) -> pa.ChunkedArray:
    """Numbers of the sampled loans that defaulted: their rows have a ``day``, which is the name of a column."""
    rows = outcomes.sample()
    return rows["loan_id"].filter(rows[day].is_valid())


def label_rate(day: str, now: Observation, before: Observation, params: Ingest) -> Iterator[Finding]:
    """Months that report far more or far fewer defaults than the median of the months before, and than the last."""
    if len(before.months) < MONTHS_MIN:
        return
    share, past = (1 - o.nulls[day] / o.rows for o in (now, before))
    for month in sorted(month for month in now.months if month >= now.first_month()):
        defaults, were = now.months[month] * share, recent(now, before, month, params)
        usual, latest = median(were) * past, were[-1] * past
        if min(usual, latest) < ROWS_MIN:
            continue
        ratio, since = defaults / usual, defaults / latest
        many, few = min(ratio, since) > params.label_ratio_max, max(ratio, since) < 1 / params.label_ratio_max
        if many or (few and ratio >= params.rows_ratio_min):  # below: told as few rows
            limit = params.label_ratio_max if many else 1 / params.label_ratio_max
            yield Finding("label_rate", day, ratio, limit, "warning",
                          f"{month} reports {defaults:,.0f} defaults, {ratio:.2f} times the usual {usual:,.0f} "
                          f"(limit {limit:g}).")


def label_flip(now: pa.Table, past: pa.Table, params: Ingest) -> Iterator[Finding]:
    """Values whose share of the defaults jumped.

    Args:
        now, past: the categories of the loans that defaulted, a column each: by the file, and by the months before.
    """
    n, past_n = now.num_rows, past.num_rows
    if min(n, past_n) < ROWS_MIN:
        return
    for name in now.column_names:
        counts, were = ({row["values"]: row["counts"] for row in pc.value_counts(rows[name].drop_null()).to_pylist()}
                        for rows in (now, past))
        for value, k in sorted(counts.items()):
            rise = k / n - were.get(value, 0) / past_n
            if rise > params.segment_rise_max and improbable(k, n, were.get(value, 0), past_n, tests=len(counts)):
                yield Finding("label_flip", name, rise, params.segment_rise_max, "warning",
                              f"{k / n:.1%} of the {n:,} defaults are of {name} {value}, "
                              f"{were.get(value, 0) / past_n:.1%} in the months before "
                              f"(limit {params.segment_rise_max:.0%} more): were labels flipped?")
