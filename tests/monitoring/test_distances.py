from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollgate.stats.distributions import psi, psi_null


@st.composite
def two_counts(draw: st.DrawFn) -> list[np.ndarray]:
    bins = draw(st.integers(2, 12))
    return [np.array(draw(st.lists(st.integers(1, 500), min_size=bins, max_size=bins))) for _ in range(2)]


def test_psi_of_a_known_example() -> None:
    by_hand = -0.1 * math.log(0.4 / 0.5) + 0.1 * math.log(0.3 / 0.2)
    assert psi(np.array([500, 300, 200]), np.array([40, 30, 30])) == pytest.approx(by_hand)


def test_a_bin_that_is_empty_now_counts_as_half_a_row_and_one_that_the_reference_never_filled_says_nothing() -> None:
    found = psi(np.array([90, 10, 0]), np.array([50, 0, 30]))
    assert found == pytest.approx(0.1 * math.log(1 / 0.9) + (0.01 - 0.1) * math.log(0.01 / 0.1))
    assert psi(np.array([5, 0]), np.array([0, 5])) is None


@given(two_counts())
def test_psi_is_never_negative_and_does_not_mind_which_side_is_which(case: list[np.ndarray]) -> None:
    before, now = case
    value = psi(before, now)
    assert value is not None and value >= 0
    assert value == pytest.approx(psi(now, before))
    assert psi(before, before * 7) == pytest.approx(0)


@given(two_counts(), st.randoms())
def test_psi_does_not_mind_the_order_of_the_bins(case: list[np.ndarray], random: object) -> None:
    before, now = case
    order = np.argsort([random.random() for _ in before])  # type: ignore[attr-defined]
    assert psi(before[order], now[order]) == pytest.approx(psi(before, now))


def test_the_null_shrinks_with_rows_and_grows_with_bins() -> None:
    assert psi_null(10, 10_000, 200, 0.99) > psi_null(10, 10_000, 2_000, 0.99) > psi_null(5, 10_000, 2_000, 0.99)
    assert psi_null(10, 1000, 1000, 0.95) == pytest.approx(2 / 1000 * 16.919, rel=1e-4)
    assert psi_null(1, 10, 10, 0.99) == 0
