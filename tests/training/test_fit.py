"""The operating point keeps its promise on the rows it was chosen on, whatever the scores."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from tollgate.training import operating_point

targets = st.floats(0.01, 0.99)
# Few distinct scores, so that ties are common.
rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda k: k / 20)), min_size=1, max_size=60)


def arrays(drawn: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    label, score = (np.array(column) for column in zip(*drawn, strict=True))
    assume(label.any())
    return label, score.astype(float)


@given(rows, targets)
def test_no_more_defaults_than_the_target_are_approved(drawn: list[tuple[int, float]], target: float) -> None:
    label, score = arrays(drawn)
    point = operating_point(label, score, target)
    missed = np.mean(score[label == 1] < point["threshold"])
    assert missed <= target
    assert point["false_negative_rate"] == missed


@given(rows, targets)
def test_any_higher_threshold_would_miss_more_than_the_target(drawn: list[tuple[int, float]], target: float) -> None:
    label, score = arrays(drawn)
    threshold = operating_point(label, score, target)["threshold"]
    for higher in np.unique(score[score > threshold]):
        assert np.mean(score[label == 1] < higher) > target


@given(rows, targets)
def test_what_it_costs_is_what_a_count_finds(drawn: list[tuple[int, float]], target: float) -> None:
    label, score = arrays(drawn)
    point = operating_point(label, score, target)
    assert point["decline_rate"] == np.mean(score >= point["threshold"])
    assert point["approval_rate"] + point["decline_rate"] == 1


@given(rows, targets, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(drawn: list[tuple[int, float]], target: float, random: object) -> None:
    label, score = arrays(drawn)
    random.shuffle(drawn)  # type: ignore[attr-defined]
    assert operating_point(*arrays(drawn), target) == operating_point(label, score, target)
