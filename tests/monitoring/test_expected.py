"""What scores promise before any label is known, and what came true of it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.scored import publish_night

from tollgate import lake
from tollgate.monitoring import performance_step
from tollgate.monitoring.performance import AUC, DEFAULT_RATE, ESTIMATED, MISS_RATE, PERFORMANCE, expected
from tollgate.stats.expected import expected_auc, expected_miss_rate
from tollgate.stats.ranking import area_under

if TYPE_CHECKING:
    from conftest import Night

FEB, LATER = date(2007, 2, 1), date(2009, 3, 31)


def test_the_expected_auc_is_that_of_all_pairs_weighted_by_hand() -> None:
    score = np.array([0.1, 0.4, 0.4, 0.8])
    right = pairs = 0.0
    for i, mine in enumerate(score):
        for k, other in enumerate(score):
            if i != k:
                weight = mine * (1 - other)
                pairs += weight
                right += weight * (1.0 if mine > other else 0.5 if mine == other else 0.0)
    assert expected_auc(score) == pytest.approx(right / pairs, rel=1e-12)


@pytest.mark.parametrize("score", [np.array([]), np.array([0.3]), np.zeros(5), np.ones(5)])
def test_what_no_pair_can_tell_is_not_told(score: np.ndarray) -> None:
    assert expected_auc(score) is None


def test_the_share_of_missed_defaults_follows_from_who_is_declined() -> None:
    score = np.array([0.1, 0.2, 0.7])
    assert expected_miss_rate(score, score >= 0.5) == pytest.approx(0.3)
    assert expected_miss_rate(np.zeros(3), score >= 0.5) is None


def test_where_scores_are_probabilities_the_truth_lies_within_the_interval_as_often_as_it_says() -> None:
    rng, score, inside = np.random.default_rng(1), np.random.default_rng(0).beta(1, 6, 4_000), {}
    declined = score >= 0.2
    told = {row["metric"]: row for row in expected(score, declined, 0.95)}
    for _ in range(400):
        bad = rng.random(len(score)) < score
        truth = {AUC: area_under(bad, score), DEFAULT_RATE: bad.mean(), MISS_RATE: (~declined)[bad].mean()}
        for metric, value in truth.items():
            near = abs(value - told[metric]["reference"]) <= told[metric]["null_value"]
            inside[metric] = inside.get(metric, 0) + near / 400
    assert all(share >= 0.92 for share in inside.values()), inside


def test_a_night_promises_at_once_and_is_held_against_what_came_true_when_its_loans_have_matured(night: Night) -> None:
    night.outcomes("stationary")
    night.publish("stationary", FEB)
    performance_step(night.book, FEB, night.params)
    promised = _performance(FEB)
    assert all(promised[metric]["value"] is None and promised[metric]["segment"] is None for metric in ESTIMATED)
    assert 0.7 < promised[AUC]["reference"] < 1 and promised[DEFAULT_RATE]["n"] == 1_000
    nobody = lake.view(lake.applications(night.book)).slice(0, 0)
    publish_night(night.book, LATER, nobody, np.array([]), 0.5)
    performance_step(night.book, LATER, night.params)
    kept = {metric: row for metric, row in _performance(LATER).items()
            if row["segment"] == "scored 2007-02-01" and metric in ESTIMATED}
    assert set(kept) == set(ESTIMATED)
    for metric, row in kept.items():
        assert row["reference"] == promised[metric]["reference"], "of a book where every loan is booked"
        assert abs(row["value"] - row["reference"]) < row["null_value"], "the simulated scores are the probabilities"
        assert (row["model_version"], row["window_to"]) == ("1", FEB)


def test_a_change_in_what_the_features_mean_is_seen_when_the_loans_mature_and_not_before() -> None:
    """The page says so: an estimate from scores alone is blind to it."""
    score = np.full(2_000, 0.1)
    bad = np.arange(2_000) < 500  # a quarter defaults, and the scores still say a tenth
    told = {row["metric"]: row for row in expected(score, score >= 0.5, 0.99)}[DEFAULT_RATE]
    assert told["reference"] == pytest.approx(0.1)
    assert bad.mean() - told["reference"] > 5 * told["null_value"]


def _performance(day: date) -> dict[str, dict]:
    """By metric; of a matured cohort where there is one."""
    rows = lake.read(lake.measures("consumer"), filters=[("day", "=", day.isoformat()), ("kind", "=", PERFORMANCE)])
    return {row["metric"]: row for row in sorted(rows.to_pylist(), key=lambda row: row["segment"] or "")}
