"""Each rule of the operating point keeps its promise on the rows it was chosen on, whatever the scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tollgate.config import PROJECT, Train, load_params
from tollgate.training import decision_costs, operating_point

targets = st.floats(0.01, 0.99)
# Few distinct scores, so that ties are common.
rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda k: k / 20)), min_size=1, max_size=60)


def by(rule: str, **values: float) -> Train:
    """The section train of the consumer book with this rule."""
    return load_params(PROJECT / "params.yaml", book="consumer").train.model_copy(
        update={"operating_rule": rule, **values})


def arrays(drawn: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    label, score = (np.array(column) for column in zip(*drawn, strict=True))
    assume(label.any())
    return label, score.astype(float)


BASE = by("false_negative_target")


def missing(target: float) -> Train:
    """The rule that misses at most this share of the defaults."""
    return BASE.model_copy(update={"false_negative_target": target})


@given(rows, targets)
def test_no_more_defaults_than_the_target_are_approved(drawn: list[tuple[int, float]], target: float) -> None:
    label, score = arrays(drawn)
    point = operating_point(label, score, missing(target))
    missed = np.mean(score[label == 1] < point["threshold"])
    assert missed <= target
    assert point["false_negative_rate"] == missed


@given(rows, targets)
def test_any_higher_threshold_would_miss_more_than_the_target(drawn: list[tuple[int, float]], target: float) -> None:
    label, score = arrays(drawn)
    threshold = operating_point(label, score, missing(target))["threshold"]
    for higher in np.unique(score[score > threshold]):
        assert np.mean(score[label == 1] < higher) > target


@given(rows, targets)
def test_by_approval_rate_the_threshold_is_the_highest_that_approves_no_more_than_the_target(
        drawn: list[tuple[int, float]], target: float) -> None:
    label, score = arrays(drawn)
    point = operating_point(label, score, BASE.model_copy(update={"operating_rule": "approval_rate",
                                                                  "approval_rate_target": target}))
    assert point["approval_rate"] == pytest.approx(np.mean(score < point["threshold"]))
    assert point["approval_rate"] <= target
    assert all(np.mean(score < higher) > target for higher in np.unique(score[score > point["threshold"]]))


@given(rows, st.integers(1, 100).map(lambda halves: halves / 2))
def test_by_cost_ratio_no_other_threshold_is_cheaper_and_of_equal_ones_it_is_the_highest(
        drawn: list[tuple[int, float]], of_default: float) -> None:
    label, score = arrays(drawn)
    assume(score.max() < 1)
    point = operating_point(label, score, BASE.model_copy(update={"operating_rule": "cost_ratio",
                                                                  "cost_of_default": of_default}))

    def cost(threshold: float) -> float:
        return float(decision_costs(label == 1, score < threshold, of_default).sum())

    cheapest = cost(point["threshold"])
    for other in (*np.unique(score), 1.0):
        assert cost(other) >= cheapest
        assert other <= point["threshold"] or cost(other) > cheapest


def test_by_cost_ratio_calibrated_scores_are_declined_from_where_a_default_costs_what_it_brings() -> None:
    rng = np.random.default_rng(5)
    score = rng.beta(1, 6, 400_000)
    label = rng.random(len(score)) < score
    for of_default in (3.0, 10.0):
        threshold = operating_point(label, score, by("cost_ratio", cost_of_default=of_default))["threshold"]
        assert threshold == pytest.approx(1 / (1 + of_default), abs=0.02)


def test_by_cost_ratio_everybody_is_approved_where_declining_never_pays() -> None:
    label, score = np.array([0, 0, 0, 1]), np.array([0.4, 0.3, 0.2, 0.1])
    point = operating_point(label, score, by("cost_ratio", cost_of_default=2.0))
    assert (point["threshold"], point["approval_rate"]) == (1.0, 1.0)


@pytest.mark.parametrize(("rule", "values", "target"), [
    ("false_negative_target", {"false_negative_target": 0.2}, 0.2),
    ("approval_rate", {"approval_rate_target": 0.7}, 0.7),
    ("cost_ratio", {"cost_of_default": 8.0}, 8.0)])
def test_the_point_says_by_which_rule_and_at_which_target_it_was_chosen(rule: str, values: dict[str, Any],
                                                                       target: float) -> None:
    point = operating_point(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4]), by(rule, **values))
    assert (point["rule"], point["target"]) == (rule, target)


@given(rows, targets)
def test_what_it_does_is_what_a_count_finds(drawn: list[tuple[int, float]], target: float) -> None:
    label, score = arrays(drawn)
    point = operating_point(label, score, missing(target))
    assert point["decline_rate"] == np.mean(score >= point["threshold"])
    assert point["approval_rate"] + point["decline_rate"] == 1


@given(rows, targets, st.sampled_from(["false_negative_target", "approval_rate", "cost_ratio"]),
       st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(drawn: list[tuple[int, float]], target: float, rule: str,
                                               random: object) -> None:
    label, score = arrays(drawn)
    train = missing(target).model_copy(update={"operating_rule": rule})
    random.shuffle(drawn)  # type: ignore[attr-defined]
    assert operating_point(*arrays(drawn), train) == operating_point(label, score, train)
