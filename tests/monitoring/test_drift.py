from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.config import PROJECT, load_params
from tollgate.monitoring.drift import level_of, measure, worst
from tollgate.stats.distributions import psi, psi_null, shares

PARAMS = load_params(PROJECT / "params.yaml", book="consumer").monitoring


@st.composite
def two_shares(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, int]:
    bins = draw(st.integers(2, 12))
    counts = [np.array(draw(st.lists(st.integers(0, 500), min_size=bins, max_size=bins))) + (np.arange(bins) == 0)
              for _ in range(2)]
    r, n = (int(c.sum()) for c in counts)
    return counts[0] / r, counts[1] / n, r, n


def test_psi_of_a_known_example() -> None:
    expected, actual = np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.3, 0.3])
    by_hand = -0.1 * math.log(0.4 / 0.5) + 0.1 * math.log(0.3 / 0.2)
    assert psi(expected, actual, 1000, 1000) == pytest.approx(by_hand)


def test_an_empty_bin_counts_as_half_a_row_and_one_empty_on_both_sides_as_nothing() -> None:
    found = psi(np.array([0.9, 0.1, 0.0]), np.array([1.0, 0.0, 0.0]), 100, 50)
    assert found == pytest.approx(0.1 * math.log(1 / 0.9) + (0.01 - 0.1) * math.log(0.01 / 0.1))


@given(two_shares())
def test_psi_is_never_negative_and_does_not_mind_which_side_is_which(case: tuple) -> None:
    e, a, r, n = case
    assert psi(e, a, r, n) >= 0
    assert psi(e, a, r, n) == pytest.approx(psi(a, e, n, r))
    assert psi(e, e, r, r) == 0


@given(two_shares(), st.randoms())
def test_psi_does_not_mind_the_order_of_the_bins(case: tuple, random: object) -> None:
    e, a, r, n = case
    order = np.argsort([random.random() for _ in e])  # type: ignore[attr-defined]
    assert psi(e[order], a[order], r, n) == pytest.approx(psi(e, a, r, n))


def test_the_null_shrinks_with_rows_and_grows_with_bins() -> None:
    assert psi_null(10, 10_000, 200, 0.99) > psi_null(10, 10_000, 2_000, 0.99) > psi_null(5, 10_000, 2_000, 0.99)
    assert psi_null(10, 1000, 1000, 0.95) == pytest.approx(2 / 1000 * 16.919, rel=1e-4)
    assert psi_null(1, 10, 10, 0.99) == 0


def _number_world(rng: np.random.Generator, shift: float, n: int) -> tuple[dict, pa.Table, pa.Table, np.ndarray]:
    base = rng.normal(size=20_000)
    edges = np.quantile(base, np.arange(1, 10) / 10).tolist()
    entry = {"kind": "number", "edges": edges}
    entry = {**entry, "shares": shares(entry, base).tolist(), "rows": 20_000}
    profile = {"features": {"x": entry}, "score": entry}
    now = rng.normal(shift, 1, n)
    return profile, pa.table({"x": base, "score": base}), pa.table({"x": now}), now


def test_of_200_stable_windows_of_200_rows_about_the_stated_share_exceeds_the_null() -> None:
    rng, over, alarms = np.random.default_rng(11), 0, 0
    for _ in range(200):
        profile, reference, features, scores = _number_world(rng, 0.0, 200)
        row = measure(profile, reference, features, scores, PARAMS.model_copy(update={"confidence": 0.9}))[0]
        over += row["psi"] > row["psi_null"]
        alarms += row["level"] != "stable"
    assert 8 <= over <= 32, "a tenth of 200 windows, give or take three standard errors"
    assert alarms <= over


def test_a_planted_shift_is_caught_in_a_window_of_200_rows() -> None:
    profile, reference, features, scores = _number_world(np.random.default_rng(12), 0.7, 200)
    feature, score = measure(profile, reference, features, scores, PARAMS)
    assert feature["level"] == score["level"] == "major"
    assert feature["ks"] > 0.2 and feature["p_value"] < 1e-6
    assert 0 < feature["js"] < 1


def test_a_million_rows_with_a_tiny_shift_are_stable_however_small_the_p_value() -> None:
    profile, reference, features, scores = _number_world(np.random.default_rng(13), 0.05, 1_000_000)
    row = measure(profile, reference, features, scores, PARAMS)[0]
    assert row["p_value"] < 1e-6
    assert row["psi"] > row["psi_null"]
    assert row["level"] == "stable"


def test_an_effect_that_luck_explains_is_stable_however_large() -> None:
    assert level_of(0.30, 0.35, PARAMS) == "stable"
    assert [level_of(value, 0.01, PARAMS) for value in (0.1, 0.11, 0.21, 0.26)] == [
        "stable", "minor", "moderate", "major"]


def test_a_small_or_empty_window_is_unknown_and_its_numbers_are_still_shown() -> None:
    profile, reference, features, scores = _number_world(np.random.default_rng(14), 3.0, PARAMS.min_sample - 1)
    small = measure(profile, reference, features, scores, PARAMS)[0]
    assert small["level"] == "unknown" and small["psi"] > 1
    empty = measure(profile, reference, features.slice(0, 0), scores[:0], PARAMS)[0]
    assert empty["level"] == "unknown" and empty["rows"] == 0 and empty["psi"] is None


def test_a_category_is_tested_by_chi_square_and_an_unseen_level_moves_it() -> None:
    entry = {"kind": "category", "levels": ["a", "b"], "shares": [0.5, 0.5, 0.0, 0.0], "rows": 10_000}
    score = {"kind": "number", "edges": [], "shares": [1.0, 0.0], "rows": 10_000}
    profile = {"features": {"c": entry}, "score": score}
    reference = pa.table({"c": ["a", "b"], "score": [0.1, 0.1]})
    same = measure(profile, reference, pa.table({"c": ["a", "b"] * 500}), np.full(1000, 0.1), PARAMS)
    assert same[0]["ks"] is None and same[0]["p_value"] > 0.9 and same[0]["level"] == "stable"
    moved = measure(profile, reference, pa.table({"c": ["a", "z"] * 500}), np.full(1000, 0.1), PARAMS)
    assert moved[0]["p_value"] < 1e-6 and moved[0]["level"] == "major"


def test_the_worst_level_ignores_the_unknown() -> None:
    assert worst(["stable", "unknown", "moderate"]) == "moderate"
    assert worst(["unknown"]) == "unknown"
