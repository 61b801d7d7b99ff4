"""What scores promise of loans whose outcome nobody knows yet, were the scores the probabilities of default.

Confidence-based performance estimation (NannyML's documentation, "CBPE"; after Guillory et al., "Predicting with
confidence on unseen distributions", ICCV 2021). It follows whatever moves the scores. It is blind to a change in how
likely loans of the same features default: then the scores are no probabilities any more, and nothing here would know.
"""

from __future__ import annotations

import numpy as np

from tollgate.stats.ranking import places


def expected_auc(score: np.ndarray) -> float | None:
    """The AUC that these scores have of their own labels, in expectation; None where there is no pair to rank.

    The expected number of pairs of a default and a paid loan that are ranked rightly, ties counted half, over the
    expected number of such pairs.

    Args:
        score: P(default), float64 of shape (rows,).
    """
    if len(score) < 2:
        return None
    place = places(score)
    bad, good = (np.bincount(place, weights=weight) for weight in (score, 1 - score))
    itself = np.bincount(place, weights=score * (1 - score))  # a loan is no pair with itself
    pairs = bad.sum() * good.sum() - itself.sum()
    below = good.cumsum() - good
    right = np.sum(bad * below) + np.sum(bad * good - itself) / 2
    return float(right / pairs) if pairs > 0 else None


def expected_miss_rate(score: np.ndarray, declined: np.ndarray) -> float | None:
    """The share of the defaults that is approved, in expectation; None where no default is expected.

    Args:
        score: P(default), float64 of shape (rows,). declined: the decisions, bool of that shape.
    """
    expected = score.sum()
    return float(score[~declined].sum() / expected) if expected > 0 else None
