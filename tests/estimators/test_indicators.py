"""The regression over indicators that are not written out is scikit-learn's over indicators that are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tollgate.estimators.indicators import indicator_regression

STEPS = 1_000


def drawn(rows: int, bins: list[int]) -> tuple[list[np.ndarray], np.ndarray]:
    """The bin of each row in each input, the last bin of which is empty, and labels that follow the first."""
    rng = np.random.default_rng(rows)
    places = [rng.integers(0, count - 1, rows).astype(np.min_scalar_type(count)) for count in bins]
    return places, (rng.random(rows) < 0.1 + 0.6 * places[0] / bins[0]).astype(np.int8)


@pytest.mark.parametrize(("rows", "bins"), [(300, [5, 3]), (150_000, [22, 5, 300, 2])], ids=["few", "many"])
def test_it_is_scikit_learns_bit_for_bit(rows: int, bins: list[int]) -> None:
    places, label = drawn(rows, bins)
    columns = np.stack([place.astype(np.int64) for place in places], axis=1) + np.cumsum([0, *bins[:-1]])
    written = csr_matrix((np.ones(columns.size), columns.ravel(), np.arange(rows + 1) * len(bins)),
                         shape=(rows, sum(bins)))
    with threadpool_limits(1):
        theirs = LogisticRegression(max_iter=STEPS).fit(written, label)
    points, intercept = indicator_regression(places, bins, label, STEPS)
    assert [len(of) for of in points] == bins
    assert np.concatenate(points).tobytes() == theirs.coef_[0].tobytes() and intercept == theirs.intercept_[0]
