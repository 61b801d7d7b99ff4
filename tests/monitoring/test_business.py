"""What the decisions are worth: volume, approvals, and what the approved lose and earn, promised and come true."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.scored import publish_night

from tollgate import lake
from tollgate.monitoring.baselines import Baseline
from tollgate.monitoring.business import (
    FEWEST_NIGHTS,
    LOSS,
    LOSS_AMOUNT,
    NIGHTS,
    PROFIT,
    approvals,
    loss_amount,
    loss_and_profit,
    volume,
)
from tollgate.training import decision_costs

if TYPE_CHECKING:
    from conftest import Night

FEB, MAR, LATER = date(2007, 2, 1), date(2007, 3, 1), date(2009, 3, 5)


def test_a_nights_volume_is_held_against_the_nights_before_it_weekends_and_all() -> None:
    week = [900, 1_100, 1_000, 1_050, 950, 300, 250]
    row = volume([400, *week * 5], 0.99)
    assert (row["value"], row["reference"]) == (400, pytest.approx(np.mean(week)))
    assert (row["reference_n"], row["n"]) == (sum(week) * 4, sum(week) * 4 + 400), "four weeks and no more"
    assert NIGHTS == 28 and row["reference"] - row["value"] < row["null_value"], "as on any Sunday"
    steady = volume([400, *[1_000, 1_010, 990] * 9], 0.99)
    assert steady["reference"] - steady["value"] > 10 * steady["null_value"]
    few = volume([400] * FEWEST_NIGHTS, 0.99)
    assert few["value"] == 400 and few["reference"] is few["null_value"] is None


def test_a_prediction_interval_holds_the_next_night_as_often_as_it_says() -> None:
    rng = np.random.default_rng(6)
    inside = 0
    for _ in range(1_000):
        row = volume(rng.normal(1_000, 50, 8).round().astype(int).tolist(), 0.9)
        inside += abs(row["value"] - row["reference"]) <= row["null_value"]
    assert inside / 1_000 == pytest.approx(0.9, abs=0.03)


def test_what_could_not_be_scored_is_not_approved() -> None:
    declined, baseline = np.arange(800) < 200, Baseline(0.25, 0.85, 0.01, 10_000)
    row = approvals(declined, 200, baseline, 0.99)
    assert (row["value"], row["reference"], row["n"]) == (0.6, 0.75, 1_000)
    assert row["reference"] - row["value"] > row["null_value"] > 0.03
    assert approvals(declined, 0, baseline, 0.99)["value"] == 0.75
    assert approvals(declined, 0, None, 0.99)["reference"] is None
    assert approvals(declined[:0], 0, baseline, 0.99)["value"] is None


def test_worth_by_hand_and_as_the_gate_on_cost_counts_it() -> None:
    score, declined = np.array([0.1, 0.2, 0.9]), np.array([False, False, True])
    bad = np.array([False, True, True])
    loss, profit = loss_and_profit(score, declined, 10.0, 0.99, bad)
    assert (loss["metric"], profit["metric"]) == (LOSS, PROFIT)
    assert loss["reference"] == pytest.approx(10 * 0.3 / 3) and loss["value"] == pytest.approx(10 / 3)
    assert profit["reference"] == pytest.approx((1.7 - 3) / 3) and profit["value"] == pytest.approx((1 - 10) / 3)
    cost = decision_costs(bad, ~declined, 10.0).mean()
    assert profit["value"] == pytest.approx((~bad).mean() - cost), "what is earned at best, less what decisions cost"
    assert loss_and_profit(score, declined, 10.0, 0.99)[0]["value"] is None
    assert loss_and_profit(score[:0], declined[:0], 10.0, 0.99)[0]["reference"] is None


def test_loans_whose_scores_are_right_earn_what_was_promised_but_for_luck() -> None:
    rng = np.random.default_rng(5)
    score = rng.beta(1, 6, 2_000)
    declined = score >= 0.3
    inside = {LOSS: 0, PROFIT: 0}
    for _ in range(500):
        for row in loss_and_profit(score, declined, 10.0, 0.95, rng.random(len(score)) < score):
            inside[row["metric"]] += abs(row["value"] - row["reference"]) <= row["null_value"]
    assert all(share / 500 >= 0.92 for share in inside.values()), inside


def test_the_money_that_is_due_to_be_lost_by_hand_and_but_for_luck() -> None:
    score, declined = np.array([0.1, 0.2, 0.9, 0.5]), np.array([False, False, True, False])
    row = loss_amount(score, declined, np.array([1_000.0, 500.0, 9_000.0, np.nan]), 0.99)
    assert (row["metric"], row["reference"], row["n"]) == (LOSS_AMOUNT, pytest.approx(200), 2)
    assert json.loads(row["parameters"])["lent"] == 1_500 and row["value"] is None
    bad = np.array([False, True, True, True])
    assert loss_amount(score, declined, np.array([1_000.0, 500.0, 9_000.0, np.nan]), 0.99, bad)["value"] == 500
    rng = np.random.default_rng(8)
    score, amount = rng.beta(1, 6, 2_000), rng.lognormal(9, 1, 2_000)
    row = loss_amount(score, np.zeros(2_000, bool), amount, 0.95)
    lost = np.array([amount[rng.random(2_000) < score].sum() for _ in range(500)])
    assert np.mean(np.abs(lost - row["reference"]) <= row["null_value"]) == pytest.approx(0.95, abs=0.03)


def test_a_night_promises_and_its_loans_are_held_to_it_once_they_have_matured(night: Night) -> None:
    night.outcomes("stationary")
    loans = night.publish("stationary", FEB, refused=20)
    night.performance(FEB)
    rows = {row["metric"]: row for row in lake.read(lake.measures("consumer"), filters=[
        ("kind", "=", "business")]).to_pylist()}
    assert rows["volume"]["value"] == 1_000 and rows["volume"]["reference"] is None
    assert rows["approval_rate"]["n"] == 1_000
    asked = night.book.amount
    assert rows["loss_amount"]["n"] == round(1_000 * rows["approval_rate"]["value"]) and asked == "loan_amount"
    lent = json.loads(rows["loss_amount"]["parameters"])["lent"]
    assert 0 < rows["loss_amount"]["reference"] < lent
    promised = rows["profit"]["reference"]
    assert rows["profit"]["value"] is None and rows["profit"]["segment"] is None
    publish_night(night.book, LATER, loans.slice(0, 0), np.array([]), 0.5)
    night.performance(LATER)
    came = {row["metric"]: row for row in lake.read(lake.measures("consumer"), filters=[
        ("day", "=", LATER.isoformat()), ("kind", "=", "business")]).to_pylist() if row["segment"]}
    assert set(came) == {LOSS, PROFIT, LOSS_AMOUNT} and came["profit"]["segment"] == "scored 2007-02-01"
    assert came["profit"]["reference"] == promised
    assert abs(came["profit"]["value"] - promised) <= came["profit"]["null_value"]
    money = came[LOSS_AMOUNT]
    assert money["reference"] == pytest.approx(rows[LOSS_AMOUNT]["reference"])
    assert money["value"] > 0 and abs(money["value"] - money["reference"]) <= money["null_value"]


def test_a_book_that_names_no_amount_has_the_rest_of_what_came_true(night: Night) -> None:
    night = replace(night, book=replace(night.book, amount=""))
    night.outcomes("stationary")
    night.publish("stationary", FEB)
    night.publish("stationary", LATER, rows=0)
    night.performance(LATER)
    rows = lake.read(lake.measures("consumer"), filters=[("kind", "=", "business")]).to_pylist()
    assert {row["metric"] for row in rows if row["segment"] == "scored 2007-02-01"} == {LOSS, PROFIT}
    assert LOSS_AMOUNT not in {row["metric"] for row in rows}
