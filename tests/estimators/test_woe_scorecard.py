"""A scorecard is a table that a person can read and add up."""

from __future__ import annotations

import numpy as np
import pytest
from estimators.test_estimators import INPUTS, fitted, loans
from scipy.special import logit
from small_model import CHOICES

from tollgate.estimators import Scorecard, estimator
from tollgate.estimators.scorecard import FACTOR, POINTS_BASE

LEVELS = (None, None, ("car", "house", "study"), None)


@pytest.fixture(scope="module")
def card() -> Scorecard:
    made = fitted(estimator("scorecard"), CHOICES["scorecard"], loans(1))
    assert isinstance(made, Scorecard)
    return made


def test_every_training_loan_stands_in_one_bin_of_each_input(card: Scorecard) -> None:
    rows = loans(1)
    for bins in card.inputs:
        assert (bins.loans.sum(), bins.defaults.sum()) == (len(rows.label), rows.label.sum())


def test_the_points_of_a_loans_bins_add_up_to_its_odds(card: Scorecard) -> None:
    rows = loans(4, 50).matrix
    points = card.base_points - FACTOR * sum(bins.log_odds[bins.place(values)]
                                             for bins, values in zip(card.inputs, rows.T, strict=True))
    # Siddiqi: points = offset + factor ln(odds of being paid), and 600 points at odds of 50 to 1.
    assert np.allclose(points, POINTS_BASE + FACTOR * (-logit(card.predict(rows)) - np.log(50)))


def test_the_table_names_every_bin_with_its_loans_rate_and_points(card: Scorecard) -> None:
    lines = list(card.table(INPUTS.names, LEVELS))
    arrears = [line for line in lines if line["feature"] == "arrears"]
    assert arrears[0]["bin"].startswith("below ") and arrears[-2]["bin"].startswith("from ")
    assert arrears[-1]["bin"] == "missing"
    points = [line["points"] for line in arrears[:-1]]
    assert points == sorted(points, reverse=True) and len(set(points)) > 2  # more arrears, fewer points
    rates = [line["default_rate"] for line in arrears[:-1]]
    assert rates == sorted(rates)
    purposes = ", ".join(line["bin"] for line in lines if line["feature"] == "purpose")
    assert {"car", "house", "study", "any other", "missing"} == set(purposes.split(", "))
    assert sum(line["loans"] for line in arrears) == len(loans(1).label)


def test_a_bin_of_one_kind_of_loan_has_finite_points() -> None:
    rows = loans(1)
    rows.label[rows.matrix[:, 1] > 2] = 1
    made = fitted(estimator("scorecard"), CHOICES["scorecard"], rows)
    assert isinstance(made, Scorecard)
    assert all(np.isfinite(bins.log_odds).all() for bins in made.inputs)


def test_bins_are_at_most_as_many_and_at_least_as_large_as_was_asked(card: Scorecard) -> None:
    asked = CHOICES["scorecard"]
    for bins, codes in zip(card.inputs, INPUTS.codes, strict=True):
        if not codes:
            assert len(bins.edges) + 1 <= asked["bins_max"]
            assert bins.loans[:-1].min() >= asked["bin_share_min"] * 0.9 * bins.loans.sum()
