"""A logistic regression over indicators that are never written out: a byte or two an input and row, and not twelve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PIECE_ROWS = 2**16  # of which the log-odds are summed while they lie in the processor's cache
PENALTY, TOLERANCE, SEARCHES = 1.0, 1e-4, 50  # scikit-learn's own


def indicator_regression(places: Sequence[np.ndarray], bins: Sequence[int], label: np.ndarray, steps_max: int,
                         ) -> tuple[list[np.ndarray], float]:
    """What each bin of each input adds to the log-odds, and the intercept.

    It is ``LogisticRegression`` of scikit-learn by ``lbfgs`` over one column a bin and one 1 an input and row, bit for
    bit: the same loss, minimised by the same steps, with every sum in the same order.

    Args:
        places: the bin of each row, whole numbers of shape (rows,), an input each. bins: how many each input has.
        label: 0 or 1, both among them.
    """
    from scipy.optimize import minimize
    from sklearn._loss import HalfBinomialLoss  # scikit-learn's public losses are means, without a gradient
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rows, ends, pointwise = len(label), np.cumsum(bins), HalfBinomialLoss()
    truth, penalty = (label == 1).astype(np.float64), 1 / (PENALTY * rows)

    def loss_and_gradient(point: np.ndarray) -> tuple[float, np.ndarray]:
        points, intercept = point[:-1], point[-1]
        of_input = np.split(points, ends[:-1])
        odds = np.zeros(rows)
        for start in range(0, rows, PIECE_ROWS):
            here = slice(start, start + PIECE_ROWS)
            for of, place in zip(of_input, places, strict=True):
                odds[here] += of[place[here]]
        loss, slope = pointwise.loss_gradient(truth, odds + intercept, n_threads=1)
        slope /= rows
        fall = np.concatenate([np.bincount(place, slope, minlength=count)
                               for place, count in zip(places, bins, strict=True)])
        return (float(np.sum(loss) / rows) + float(0.5 * penalty * (points @ points)),
                np.append(fall + penalty * points, np.sum(slope)))

    with threadpool_limits(1):  # sums in one order, whatever the machine
        found = minimize(loss_and_gradient, np.zeros(ends[-1] + 1), method="L-BFGS-B", jac=True,
                         options={"maxiter": steps_max, "maxls": SEARCHES, "gtol": TOLERANCE,
                                  "ftol": 64 * np.finfo(float).eps}).x
    return np.split(found[:-1], ends[:-1]), float(found[-1])
