"""How a scorecard is learned: by weight of evidence over optimal bins, or by a free indicator a bin.

The first is the estimator. The second is the baseline that any other model must beat: it costs a second and nothing is
chosen in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tollgate.estimators.base import Inputs, Rows
from tollgate.estimators.indicators import indicator_regression
from tollgate.estimators.scorecard import Bins, Scorecard

SEARCHED = frozenset({"bins_max", "bin_share_min", "regularisation"})
BASELINE_BINS = 20  # finer than the customary 10: a little stronger out of time on sba and consumer, so harder to beat
STEPS_MAX = 1_000
TREND = {1: "ascending", -1: "descending", 0: "auto_asc_desc"}


class Learner:
    """The rows as they are, in memory."""

    def __init__(self, inputs: Inputs, train: Rows, validation: Rows, seed: int, threads: int) -> None:
        self._inputs, self._train, self._validation = inputs, replace(train, encoded=train.matrix), validation.matrix

    def start(self, choice: Mapping[str, Any]) -> _Fitting:
        """A fit with these hyperparameters."""
        return _Fitting(woe_scorecard(self._inputs, self._train, **choice), self._validation)


class _Fitting:
    ends = True

    def __init__(self, card: Scorecard, validation: np.ndarray) -> None:
        self._card, self._validation = card, validation

    def to(self, rounds: int) -> np.ndarray:
        return self._card.predict(self._validation)

    def at(self, rounds: int) -> Scorecard:
        return self._card


def woe_scorecard(inputs: Inputs, train: Rows, *, bins_max: int, bin_share_min: float,
                  regularisation: float) -> Scorecard:
    """Optimal bins of each input, their weights of evidence, and a logistic regression over these.

    The bins are those of most information value that follow the input's direction (Navas-Palencia, "Optimal binning:
    mathematical programming formulation", 2020). A bin's weight of evidence is the logarithm of its share of the
    defaults over its share of the paid loans. An input whose coefficient would turn its own evidence round is left out,
    the worst first (Siddiqi, "Credit Risk Scorecards", 2006, chapter 6), so that directions hold.

    Args:
        bins_max: of an input. bin_share_min: of the training rows in each. regularisation: of the squared coefficients;
            0.01 hardly, 10 strongly.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    label, weight = train.label == 1, train.weight
    each = np.ones(len(label)) if weight is None else weight
    counted = [_counted(_optimal_edges(values, label, weight, codes, direction, bins_max, bin_share_min), values, label,
                        each, codes)
               for values, codes, direction in zip(train.matrix.T, inputs.codes, inputs.directions, strict=True)]
    evidence = np.stack([bins.log_odds[bins.place(values)]
                         for bins, values in zip(counted, train.matrix.T, strict=True)], axis=1)
    kept = [k for k in range(len(counted)) if np.ptp(counted[k].log_odds) > 0]
    coefficients, intercept = np.zeros(len(counted)), float(np.log(each[label].sum() / each[~label].sum()))
    while kept:
        with threadpool_limits(1):  # sums in one order, whatever the machine
            fitted = LogisticRegression(C=1 / regularisation, max_iter=STEPS_MAX).fit(evidence[:, kept], label, weight)
        worst = int(np.argmin(fitted.coef_[0]))
        if fitted.coef_[0][worst] >= 0:
            coefficients[kept], intercept = fitted.coef_[0], float(fitted.intercept_[0])
            break
        del kept[worst]
    return Scorecard(intercept, tuple(Bins(bins.edges, bins.log_odds * slope + 0.0, bins.loans, bins.defaults)
                                      for bins, slope in zip(counted, coefficients, strict=True)))


def indicator_scorecard(inputs: Inputs, columns: Iterable[np.ndarray], label: np.ndarray) -> Scorecard:
    """Quantile bins, a category's levels, and a logistic regression over their indicators: what anyone could build.

    Args:
        columns: of the training rows, an input each, float32 of shape (rows,); each is let go before the next is asked
            for. label: 0 or 1, both among them.
    """
    counted, places = list[Bins](), list[np.ndarray]()
    for values, codes in zip(columns, inputs.codes, strict=True):
        cuts = np.arange(1, codes) - 0.5 if codes else _quantiles(values)
        bins = _counted([cuts], values, label == 1, np.ones(len(label)), 0)
        counted.append(bins)
        places.append(bins.place(values).astype(np.min_scalar_type(len(bins.loans) - 1)))
    points, intercept = indicator_regression(places, [len(bins.loans) for bins in counted], label, STEPS_MAX)
    return Scorecard(intercept, tuple(Bins(bins.edges, of, bins.loans, bins.defaults)
                                      for bins, of in zip(counted, points, strict=True)))


def _optimal_edges(values: np.ndarray, label: np.ndarray, weight: np.ndarray | None, codes: int, direction: int,
                   bins_max: int, share_min: float) -> list[np.ndarray]:
    """The cuts of a number, as one array; or of a category its groups of codes, an array each."""
    from optbinning import OptimalBinning  # type: ignore[import-untyped]

    there = ~np.isnan(values)
    known = values[there].astype(np.float64)
    if not len(known) or known.min() == known.max() or not 0 < label[there].sum() < there.sum():
        return [np.empty(0)] if not codes else [np.arange(codes, dtype=np.float64)]
    found = OptimalBinning(dtype="categorical" if codes else "numerical", solver="cp", max_n_bins=bins_max,
                           min_prebin_size=share_min, min_bin_size=share_min,
                           monotonic_trend=None if codes else TREND[direction])
    found.fit(known, label[there].astype(np.int64), sample_weight=None if weight is None else weight[there])
    if codes:
        return [np.asarray(group, dtype=np.float64) for group in found.splits]
    return [np.asarray(found.splits, dtype=np.float64)]


def _counted(cuts: list[np.ndarray], values: np.ndarray, label: np.ndarray, weight: np.ndarray,
             codes: int) -> Bins:
    """The bins with the training rows in each, and as log-odds the weight of evidence of each, by the weighted rows.

    Codes of one group share theirs; what no training row has, a missing value or a code, tells nothing: 0.
    """
    edges = np.arange(1, codes) - 0.5 if codes else cuts[0]
    bins = Bins(edges, np.zeros(len(edges) + 2), np.zeros(len(edges) + 2), np.zeros(len(edges) + 2))
    place = bins.place(values)
    loans = np.bincount(place, minlength=len(bins.loans)).astype(np.float64)
    defaults = np.bincount(place, label, minlength=len(bins.loans))
    group = np.arange(len(loans))
    if codes:
        for codes_of in cuts:
            group[codes_of.astype(int)] = int(codes_of.min(initial=0))
    bad, good = (np.bincount(group[place[kind]], weight[kind], minlength=len(loans))[group] for kind in (label, ~label))
    # Half a loan more of each kind keeps a bin of one kind finite.
    evidence = (np.log((bad + 0.5) / (weight[label].sum() + 0.5))
                - np.log((good + 0.5) / (weight[~label].sum() + 0.5)))
    return Bins(edges, np.where(loans > 0, evidence, 0.0), loans, defaults)


def _quantiles(values: np.ndarray) -> np.ndarray:
    """Quantiles of the values that are there, each once; none where none is there."""
    there = values[~np.isnan(values)]
    if not len(there):
        return np.empty(0)
    return np.unique(np.quantile(there, np.arange(1, BASELINE_BINS) / BASELINE_BINS, method="lower")).astype(np.float64)
