"""Default rates are compared at equal age: the newest loans with those before them, matured ones with the test."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.monitoring.conftest import _world
from tests.published import publish

from tollgate import lake
from tollgate.config import Rule
from tollgate.labels import feed_evidence, vintages
from tollgate.monitoring.baselines import Baseline, promised
from tollgate.monitoring.label_drift import DEFAULT_RATE_AT_AGE, EARLIER, at_ages, at_maturity
from tollgate.monitoring.rules import signals
from tollgate.stats.two_samples import share_test

if TYPE_CHECKING:
    from conftest import Night

TESTED = Baseline(0.2, 0.85, 0.01, 10_000, 0.10)
AT_AGE = Rule.model_validate({"measure": DEFAULT_RATE_AT_AGE, "condition": "moves", "limit": 0.25, "relative": True,
                              "severity": "warning", "action": "review"})


def vintage(booked: str, loans: int, *bad: int) -> dict[str, Any]:
    """One month of booking: how many were known to be bad by each month on book, from 0 on."""
    return {"booked": booked, "loans": loans, "months_on_book": len(bad) - 1, "by_month": [k / loans for k in bad]}


def test_matured_loans_are_held_against_the_test_months_which_are_as_old() -> None:
    bad = np.arange(2_000) < 300
    (row,) = at_maturity(bad, TESTED, 0.99)
    assert (row["value"], row["reference"], row["n"], row["reference_n"]) == (0.15, 0.1, 2_000, 10_000)
    assert (row["p_value"], row["null_value"]) == share_test(300, 2_000, 1_000, 10_000, 0.99)
    assert 0.01 < row["null_value"] < 0.03 < row["value"] - row["reference"]
    for unknown in (None, Baseline(0.2, 0.85, 0.01, 10_000)):
        (row,) = at_maturity(bad, unknown, 0.99)
        assert row["value"] == 0.15 and row["reference"] is row["null_value"] is row["p_value"] is None
    assert at_maturity(bad[:0], TESTED, 0.99) == []


def test_the_ledger_tells_the_default_rate_of_the_test_months_where_it_was_kept() -> None:
    metrics = {"auc": 0.85, "auc_low": 0.83, "auc_high": 0.87, "rows": 12_000.0, "approval_rate": 0.8}
    told = promised([{"version": "1", "metrics": metrics, "decline_rate": 0.2},
                     {"version": "2", "metrics": metrics | {"label_rate": 0.12}, "decline_rate": 0.2}])
    assert (told["1"].default_rate, told["2"].default_rate) == (None, 0.12)


def test_at_six_months_on_book_the_newest_loans_are_held_against_the_year_before_at_six_months() -> None:
    old = [vintage(f"2005-{month:02d}", 1_000, *(month for _ in range(12))) for month in range(1, 13)]
    young = [vintage("2006-01", 1_000, *(3 * month for month in range(8))), vintage("2006-02", 1_000, 0, 99)]
    (row,) = at_ages([*old, *young], 500, 0.99)
    assert (row["value"], row["reference"], row["n"], row["reference_n"]) == (
        0.018, pytest.approx(0.0065), 1_000, 12_000)
    assert row["segment"] == "booked 2006-01, 6 months on book"
    assert row["value"] - row["reference"] > row["null_value"]


def test_months_of_few_loans_are_taken_together_and_what_is_held_against_is_a_year() -> None:
    months = [vintage(f"{2000 + k // 12}-{k % 12 + 1:02d}", 200, *(k for _ in range(13))) for k in range(30)]
    by_age = {row["segment"]: row for row in at_ages(months, 500, 0.99)}
    booked = "booked 2002-04 to 2002-06"
    assert list(by_age) == [f"{booked}, 6 months on book", f"{booked}, 12 months on book"]
    row = by_age[f"{booked}, 12 months on book"]
    assert row["n"] == 600 and row["reference_n"] == EARLIER * 200
    assert row["value"] == pytest.approx((27 + 28 + 29) / 600)
    assert row["reference"] == pytest.approx(sum(range(15, 27)) / (EARLIER * 200))
    assert at_ages(months[:3], 500, 0.99) == [], "nobody was booked before them"
    assert at_ages([], 500, 0.99) == []


def test_a_lender_that_paused_is_not_held_against_a_year_that_was_long_before() -> None:
    def months(year: int, bad: int) -> list[dict[str, Any]]:
        return [vintage(f"{year}-{month:02d}", 1_000, *[bad] * 7) for month in range(1, 7)]

    assert at_ages([*months(2002, 10), *months(2006, 90)[:1]], 500, 0.99) == [], "nobody was booked in the year before"
    (row,) = at_ages([*months(2002, 10), *months(2006, 90)], 500, 0.99)
    assert (row["segment"], row["reference"], row["reference_n"]) == (
        "booked 2006-06, 6 months on book", pytest.approx(0.09), 5_000)


@pytest.mark.parametrize(("scenario", "moves"), [
    ("stationary", False), ("prior_shift", True), ("concept_shift", False)])
def test_labels_drift_is_seen_long_before_they_are_mature(night: Night, scenario: str, moves: bool) -> None:
    """Nine months after the onset, of loans that take two years."""
    as_of = date(2007, 9, 1)
    world = _world(scenario, night.book)
    publish(night.book, "applications", world.drop_columns("true_probability"), number=1)
    night.decide(world, np.zeros(world.num_rows, bool)) if not night.book.all_booked else None
    night.outcomes(scenario)
    night.publish(scenario, as_of)
    night.performance(as_of)
    rows = lake.read(lake.measures("consumer"), filters=[("kind", "=", "label")]).to_pylist()
    assert {row["segment"].split(", ")[1] for row in rows} == {"6 months on book", "12 months on book"}
    assert all(json.loads(row["parameters"]) == {"confidence": 0.99} for row in rows)
    params = night.params.monitoring.model_copy(update={"rules": [AT_AGE]})
    (signal,) = signals(night.book, params, rows)
    assert bool(signal.rank) is moves, signal.text
    young = next(row for row in vintages(feed_evidence(night.book, as_of), as_of) if row["booked"] == "2007-02")
    assert [row["value"] for row in rows if "2007-02, 6 months" in row["segment"]] == [
        pytest.approx(young["by_month"][6])]
