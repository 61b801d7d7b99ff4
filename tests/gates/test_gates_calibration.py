"""The gates on calibration bite on a book of 2 % too, and let an honest model through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.gate_errors import expected_trials, slope_trials
from benchmarks.known_truth import world
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, poisson

from tollgate.stats.calibration import observed_over_expected
from tollgate.stats.intervals import garwood

if TYPE_CHECKING:
    from tests.gates.conftest import Run

TRIALS = 20
CONFIDENCES = st.sampled_from([0.5, 0.9, 0.95, 0.99])


@given(st.integers(0, 3_000), CONFIDENCES)
def test_garwoods_ends_are_the_means_of_which_the_count_is_just_in_the_tail(count: int, confidence: float) -> None:
    low, high = garwood(count, confidence)
    tail = (1 - confidence) / 2
    assert high == pytest.approx(chi2.ppf(1 - tail, 2 * count + 2) / 2)
    assert poisson.cdf(count, high) == pytest.approx(tail)
    if count:
        assert poisson.sf(count - 1, low) == pytest.approx(tail)
    assert low < high
    assert low <= count <= high or confidence == 0.5


@given(st.integers(1, 3_000), CONFIDENCES)
def test_a_larger_count_and_a_higher_confidence_move_the_ends_outwards(count: int, confidence: float) -> None:
    low, high = garwood(count, confidence)
    assert garwood(count + 1, confidence) > (low, high)
    wider = garwood(count, (1 + confidence) / 2)
    assert wider[0] < low
    assert wider[1] > high


@pytest.mark.parametrize("level", [0.005, 0.02, 0.3])
def test_the_interval_of_a_calibrated_models_ratio_holds_one_at_least_as_often_as_it_says(level: float) -> None:
    rng = np.random.default_rng(7)
    score = np.clip(rng.gamma(0.7, level / 0.7, 1_500), 0, 0.95)
    held = 0
    for label in rng.random((2_000, len(score))) < score:
        ratio, (low, high) = observed_over_expected(label, score, 0.9)
        assert low <= ratio <= high
        held += low <= 1 <= high
    assert held / 2_000 > 0.9 - 0.015


def test_scores_that_expect_nothing_are_infinitely_wrong_and_not_a_fault() -> None:
    ratio, (low, _) = observed_over_expected(np.array([1, 0, 1]), np.zeros(3), 0.95)
    assert ratio > low > 1e6


def test_scores_a_thousand_times_too_low_are_refused_on_a_book_of_two_per_cent() -> None:
    assert world("sba-like").probability.mean() == pytest.approx(0.022, abs=0.002)
    found = expected_trials("sba-like", 10_000, 1_000.0, 3)
    assert all(v.verdict == "refuse" and v.low > 500 for v in found)


def test_a_perfectly_calibrated_model_passes_however_few_its_defaults() -> None:
    for rows in (2_000, 10_000):
        assert all(v.verdict == "pass" for v in expected_trials("sba-like", rows, 1.0, TRIALS))


def test_a_model_just_at_the_limit_is_hardly_ever_refused_and_one_well_past_it_is() -> None:
    at, past = (expected_trials("consumer", 12_000, ratio, TRIALS) for ratio in (1.5, 2.0))
    assert sum(v.verdict == "refuse" for v in at) <= 4
    assert all(v.verdict == "refuse" for v in past)


def test_scores_twice_as_far_apart_as_they_should_be_are_refused_by_their_slope_and_right_ones_are_not() -> None:
    assert all(slope_trials("sba-like", 41_000, 0.5, 3))
    assert not any(slope_trials("sba-like", 5_000, 1.0, TRIALS))


def test_one_band_that_is_wrong_is_named_although_the_whole_adds_up(run: Run) -> None:
    rows = run.rows("evidence")
    label, score = rows["label"].to_numpy().copy(), rows["score"].to_numpy()
    test = np.flatnonzero(np.array(rows["split"].to_pylist()) == "test")
    seventh, ninth = (test[(score[test] >= low) & (score[test] < high)]
                      for low, high in (np.quantile(score[test], ends) for ends in ((0.6, 0.7), (0.8, 0.9))))
    moved = ninth[label[ninth] == 1]
    label[moved] = 0
    label[seventh[label[seventh] == 0][:len(moved)]] = 1
    run.write("evidence", rows.set_column(rows.column_names.index("label"), "label", pa.array(label, pa.int8())))
    found = run.verdict("expected_defaults")
    assert found.verdict == "refuse"
    assert "Tenth 7 does: " in found.sentence or "Tenth 9 does: 0 defaulted" in found.sentence
    assert float(found.sentence.split(": ")[1].split(" times")[0]) == pytest.approx(1, abs=0.15)
    assert found.measured > found.limit_high or found.measured < found.limit


def test_the_table_adds_up_to_the_whole_test(run: Run) -> None:
    found = run.verdict("expected_defaults")
    rows = run.rows("evidence")
    defaults = rows["label"].to_numpy()[np.array(rows["split"].to_pylist()) == "test"].sum()
    assert sum(int(row["defaults"].replace(",", "")) for row in found.table) == defaults
    assert len(found.table) == 10
    assert {row["judged"] for row in found.table} <= {"yes", "too few"}


def test_a_book_whose_default_rate_moved_may_say_how_far(run: Run) -> None:
    run.predict(lambda rows: rows["score"].to_numpy() / 2.2)
    assert run.verdict("expected_defaults").verdict == "refuse"
    assert run.verdict("expected_defaults", defaults_ratio_max=2.5).verdict == "pass"


def test_an_overfit_is_told_by_its_slope(run: Run) -> None:
    def change(rows: pa.Table) -> np.ndarray:
        score = np.clip(rows["score"].to_numpy(), 1e-6, 1 - 1e-6)
        odds = np.log(score / (1 - score))
        return 1 / (1 + np.exp(-(odds.mean() + 2 * (odds - odds.mean()))))

    run.predict(change)
    found = run.verdict("calibration", calibration_gap_max=0.9)
    assert found.verdict == "refuse"
    assert "The slope is surely outside 0.67 to 1.5: the scores lie too far apart" in found.sentence
