"""The interval that holds at every look, and the influence of each loan on an AUC."""

from __future__ import annotations

import numpy as np
import pytest

from tollgate.stats.expected import expected_auc
from tollgate.stats.intervals import normal_quantile
from tollgate.stats.ranking import area_under, auc_influence, delong
from tollgate.stats.sequential import always_valid_reach

WALKS, LOOKS, AT_A_LOOK = 2_000, 300, 20
CONFIDENCE = 0.95


def _ever_beyond(truth: float, reaches: np.ndarray, sizes: np.ndarray) -> float:
    """The share of means, of draws of a variance of 1, that lie above 0 by more than the reach at any look."""
    sums = np.random.default_rng(7).normal(truth * AT_A_LOOK, np.sqrt(AT_A_LOOK), (WALKS, LOOKS)).cumsum(axis=1)
    return float(np.mean((sums / sizes > reaches).any(axis=1)))


def test_all_looks_together_err_at_most_at_the_stated_rate_where_one_quantile_for_each_errs_far_more() -> None:
    sizes = AT_A_LOOK * np.arange(1, LOOKS + 1)
    at_every_look = np.array([always_valid_reach(1 / np.sqrt(n), int(n), CONFIDENCE, 500) for n in sizes])
    found = _ever_beyond(0.0, at_every_look, sizes)
    assert 0.01 < found <= 0.05
    assert _ever_beyond(0.0, normal_quantile(CONFIDENCE) / np.sqrt(sizes), sizes) > 0.3


def test_what_is_truly_there_is_found_as_the_sample_grows() -> None:
    sizes = AT_A_LOOK * np.arange(1, LOOKS + 1)
    reaches = np.array([always_valid_reach(1 / np.sqrt(n), int(n), CONFIDENCE, 500) for n in sizes])
    assert _ever_beyond(0.1, reaches, sizes) > 0.99


def test_the_reach_is_least_in_errors_where_it_was_asked_to_be() -> None:
    sizes = np.arange(50, 5_000, 10)
    found = [always_valid_reach(1.0, int(n), 0.99, 1_000) for n in sizes]
    assert abs(sizes[int(np.argmin(found))] - 1_000) < 200
    assert min(found) > normal_quantile(0.99)


def test_an_auc_and_its_influences_are_delongs() -> None:
    rng = np.random.default_rng(3)
    bad = rng.random(4_000) < 0.2
    one, other = (np.round(rng.normal(bad * 0.8, 1), 1) for _ in range(2))  # with ties
    (area, moved), (_, moved_other) = auc_influence(bad.astype(float), one), auc_influence(bad.astype(float), other)
    areas, covariance = delong(bad, np.stack([one, other]))
    assert area == pytest.approx(area_under(bad, one)) == pytest.approx(areas[0])
    assert abs(moved.mean()) < 1e-12
    apart = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert np.var(moved - moved_other) / len(bad) == pytest.approx(apart, rel=0.01)


def test_an_auc_of_probabilities_is_the_one_that_the_scores_promise() -> None:
    score = np.random.default_rng(4).beta(2, 8, 3_000)
    assert auc_influence(score, score)[0] == pytest.approx(expected_auc(score), abs=0.001)
