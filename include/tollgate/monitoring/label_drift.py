"""Whether another share of the loans defaults than of those before them, both at the same age.

Rows are measured columns of the lake's ``measures``. What the model says of these loans has no part in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tollgate.monitoring.baselines import Baseline
from tollgate.stats.two_samples import share_test

LABEL, MATURED_DEFAULT_RATE, DEFAULT_RATE_AT_AGE = "label", "matured_default_rate", "default_rate_at_age"
AGES = (6, 12, 24)  # months on book
EARLIER = 12        # months of booking that one is held against

Row = dict[str, Any]


def at_maturity(bad: np.ndarray, baseline: Baseline | None, confidence: float) -> list[Row]:
    """The default rate of loans that have had their horizon, beside that of the model's test months, which had it too.

    What luck explains is exact: see ``share_test``.

    Args:
        bad: whether each turned out bad, bool of shape (loans,).
    """
    n, k = len(bad), int(bad.sum())
    if not n:
        return []
    past = None
    if baseline is not None and baseline.default_rate is not None:
        past = round(baseline.default_rate * baseline.rows), baseline.rows
    return [_row(MATURED_DEFAULT_RATE, None, k, n, past, confidence)]


def at_ages(vintages: Sequence[Row], loans_min: int, confidence: float) -> list[Row]:
    """The share known to be bad of the newest loans that are 6, 12 and 24 months old, beside that of the loans booked
    in the 12 months before them, when they were as old.

    Of each age it is the newest month of booking that has it, with those before it until there are ``loans_min`` loans.

    Args:
        vintages: as ``labels.vintages`` answers, oldest first.
    """
    found = []
    for age in AGES:
        grown = [row for row in vintages if row["months_on_book"] >= age]
        newest: list[Row] = []
        while grown and sum(row["loans"] for row in newest) < loans_min:
            newest.insert(0, grown.pop())
        if not newest:
            continue
        first, last = newest[0]["booked"], newest[-1]["booked"]
        # Months in which nobody was booked have no vintage, so that they are not told by counting rows.
        earlier = [row for row in grown if np.datetime64(row["booked"]) >= np.datetime64(first) - EARLIER]
        if not earlier:
            continue
        booked = first if first == last else f"{first} to {last}"
        found.append(_row(DEFAULT_RATE_AT_AGE, f"booked {booked}, {age} months on book", *_known_bad(newest, age),
                          _known_bad(earlier, age), confidence))
    return found


def _known_bad(vintages: Sequence[Row], age: int) -> tuple[int, int]:
    """How many loans of these months were known to be bad at an age, and how many there are."""
    return (sum(round(row["by_month"][age] * row["loans"]) for row in vintages),
            sum(row["loans"] for row in vintages))


def _row(metric: str, segment: str | None, k: int, n: int, past: tuple[int, int] | None, confidence: float) -> Row:
    reference = null = p_value = past_n = None
    if past is not None:
        past_k, past_n = past
        reference, (p_value, null) = past_k / past_n, share_test(k, n, past_k, past_n, confidence)
    return {"kind": LABEL, "subject": "default", "segment": segment, "metric": metric, "value": k / n,
            "reference": reference, "null_value": null, "p_value": p_value, "n": n, "reference_n": past_n,
            "level": None, "parameters": json.dumps({"confidence": confidence})}
