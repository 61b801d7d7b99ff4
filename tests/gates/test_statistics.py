"""The statistics, held against scikit-learn, against plain resampling and against known truths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, norm
from sklearn.metrics import roc_auc_score

from tollgate.stats.calibration import calibration_error, quantile_bins
from tollgate.stats.intervals import around, widest, wilson
from tollgate.stats.ranking import area_under, auc_interval, delong, ks_interval

LABELLED = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=6, max_size=60).filter(
    lambda rows: 2 <= sum(label for label, _ in rows) <= len(rows) - 2)


def sample(seed: int, rows: int = 3_000) -> tuple[np.ndarray, np.ndarray]:
    """Labels and two correlated scores, of shape (2, rows)."""
    rng = np.random.default_rng(seed)
    label, shared = rng.random(rows) < 0.2, rng.normal(size=rows)
    return label, np.stack([label + shared + 0.5 * rng.normal(size=rows) for _ in range(2)])


@given(LABELLED)
@settings(max_examples=60)
def test_delongs_area_is_scikit_learns_with_ties_and_all(rows: list[tuple[bool, int]]) -> None:
    label, score = np.array([r[0] for r in rows]), np.array([float(r[1]) for r in rows])
    truth = pytest.approx(roc_auc_score(label, score))
    assert delong(label, score[None, :])[0][0] == truth
    assert area_under(label, score) == truth


@given(LABELLED, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_the_order_of_the_rows_and_the_units_of_the_score_change_nothing(rows: list, random: object) -> None:
    label, score = np.array([r[0] for r in rows]), np.array([float(r[1]) for r in rows])
    order = np.random.default_rng(random.getrandbits(32)).permutation(len(rows))  # type: ignore[attr-defined]
    plain, moved = auc_interval(label, score, 0.95), auc_interval(label[order], np.exp(score[order]) / 7, 0.95)
    assert moved == (pytest.approx(plain[0]), pytest.approx(plain[1]))


def test_delongs_interval_is_that_of_the_bootstrap() -> None:
    label, scores = sample(1, 1_500)
    rng, rows = np.random.default_rng(2), len(label)
    draws = np.array([[roc_auc_score(label[i], score[i]) for score in scores]
                      for i in rng.integers(0, rows, (300, rows))])
    _, covariance = delong(label, scores)
    assert np.sqrt(covariance[0, 0]) == pytest.approx(draws[:, 0].std(), rel=0.2)
    assert np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]) == pytest.approx(
        (draws[:, 0] - draws[:, 1]).std(), rel=0.2)
    assert auc_interval(label, scores[0], 0.95)[1] == pytest.approx(np.quantile(draws[:, 0], [0.025, 0.975]), abs=0.008)


def test_a_model_does_not_differ_from_itself() -> None:
    label, scores = sample(3)
    _, covariance = delong(label, np.stack([scores[0], scores[0]]))
    assert covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1] == pytest.approx(0, abs=1e-15)


@given(LABELLED)
@settings(max_examples=60)
def test_the_ks_distance_is_scipys_and_lies_in_its_interval(rows: list[tuple[bool, int]]) -> None:
    label, score = np.array([r[0] for r in rows]), np.array([float(r[1]) for r in rows])
    distance, (low, high) = ks_interval(label, score, 0.95)
    assert distance == pytest.approx(ks_2samp(score[label], score[~label], method="asymp").statistic)
    assert 0 <= low <= distance <= high <= 1
    assert ks_interval(label, -score, 0.95)[0] == pytest.approx(distance)


def test_the_ks_interval_holds_a_known_distance_about_as_often_as_it_says() -> None:
    rng, truth = np.random.default_rng(5), 2 * norm.cdf(0.5) - 1  # of two normals, one standard deviation apart
    label = np.arange(2_000) < 300
    held = 0
    for _ in range(200):
        low, high = ks_interval(label, label + rng.normal(size=len(label)), 0.95)[1]
        held += low <= truth <= high
    assert 176 <= held <= 197


def widest_ends(shares: list[float], rng: np.random.Generator, size: int = 2_000) -> tuple[float, tuple[float, float]]:
    """The widest gap that a sample of each group measures, and its ends."""
    measured = rng.binomial(size, shares) / size
    return float(np.ptp(measured)), widest(measured, rng.binomial(size, measured, (200, len(shares))) / size, 0.95)


@pytest.mark.parametrize("shares", [[0.6] * 4, [0.6, 0.55], [0.5, 0.6, 0.6, 0.62]])
def test_the_ends_of_the_widest_gap_hold_it_also_where_there_is_none(shares: list[float]) -> None:
    rng, truth = np.random.default_rng(11), max(shares) - min(shares)
    found = [widest_ends(shares, rng) for _ in range(200)]
    assert sum(low <= truth <= high for _, (low, high) in found) >= 182
    assert all(low <= measured <= high for measured, (low, high) in found)


def test_groups_that_are_all_approved_have_no_gap_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert widest(np.ones(3), np.ones((50, 3)), 0.95) == (0.0, 0.0)
    assert not recwarn.list


def test_calibrated_scores_have_a_small_error_and_doubled_ones_their_excess() -> None:
    rng = np.random.default_rng(8)
    truth = rng.beta(1, 6, 20_000) / 2
    label = rng.random(20_000) < truth
    honest, draws = calibration_error(label, truth, 50, np.random.default_rng(9))
    doubled, _ = calibration_error(label, 2 * truth, 1, np.random.default_rng(9))
    low, high = around(honest, draws, 0.95)
    assert honest < 0.006
    assert low <= honest <= high < 0.02
    assert doubled == pytest.approx(truth.mean(), abs=0.01)


def test_equal_scores_share_a_calibration_bin() -> None:
    assert len(np.unique(quantile_bins(np.repeat([0.1, 0.2], [70, 30])))) == 2
    assert len(np.unique(quantile_bins(np.full(50, 0.3)))) == 1


def test_an_interval_always_holds_its_estimate() -> None:
    low, high = around(0.01, np.random.default_rng(10).uniform(0.02, 0.1, 200), 0.95)
    assert 0 <= low <= 0.01 <= high


def test_wilsons_interval_of_nothing_missed_is_not_a_point() -> None:
    low, high = wilson(0, 40, 0.95)
    assert low == pytest.approx(0, abs=1e-12)
    assert high == pytest.approx(0.0876, abs=1e-3)
