"""Whether two samples are of one population: what is counted of either is enough."""

from __future__ import annotations

import numpy as np


def ks_test(distance: float, r: int, n: int, confidence: float) -> tuple[float, float]:
    """The p-value of a two-sample Kolmogorov-Smirnov distance, and the distance that luck explains at ``confidence``.

    As ``scipy.stats.ks_2samp(method="asymp")``: the one-sample distribution (Simard and L'Ecuyer, Journal of
    Statistical Software 39(11), 2011) of r n / (r + n) values. What luck explains
    is by Kolmogorov's limit of it, which is known at once and a little wider.
    """
    from scipy.special import kolmogi
    from scipy.stats import kstwo

    effective = max(1.0, float(np.round(r * n / (r + n))))
    p_value = float(np.clip(kstwo.sf(distance, effective), 0, 1))
    return p_value, min(1.0, float(kolmogi(1 - confidence) / np.sqrt(effective)))


def chi_square_test(before: np.ndarray, now: np.ndarray, confidence: float) -> tuple[float, float, float] | None:
    """Pearson's chi-square of two rows of counts, its p-value, and what luck explains of it; None with one bin alone.

    As ``scipy.stats.chi2_contingency(correction=False)`` without the bins that neither row fills.
    """
    from scipy.special import chdtrc, chdtri

    table = np.asarray([before, now], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return None
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic, freedom = float(np.sum((table - expected) ** 2 / expected)), table.shape[1] - 1
    return statistic, float(chdtrc(freedom, statistic)), float(chdtri(freedom, 1 - confidence))


def share_test(k: int, n: int, past_k: int, r: int, confidence: float) -> tuple[float, float]:
    """Whether ``k`` of ``n`` is another share than ``past_k`` of ``r``: the p-value, and the difference luck explains.

    Exact at every size, two-sided: given all hits, those among the ``n`` are hypergeometric (Fisher, Journal of the
    Royal Statistical Society 98, 1935), and the p-value is twice the smaller tail. The shares differ by more than luck
    explains, on the side on which they do, just where the p-value is below 1 - ``confidence``.
    """
    from scipy.stats import hypergeom

    hits = k + past_k
    if hits in (0, n + r):
        return 1.0, 0.0
    of = hypergeom(n + r, hits, n)
    above = k * r >= past_k * n
    p_value = min(1.0, 2 * min(float(of.cdf(k)), float(of.sf(k - 1))))
    most = int(of.ppf((1 + confidence) / 2 if above else (1 - confidence) / 2))
    return p_value, max(0.0, (1 if above else -1) * (most / n - (hits - most) / r))
