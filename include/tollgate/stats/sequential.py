"""How far an estimate may lie off by luck, where it is looked at again and again as its sample grows."""

from __future__ import annotations

import math


def always_valid_reach(error: float, n: int, confidence: float, tightest: int) -> float:
    """How far the truth may lie beyond an estimate, on one given side, at every sample size at once.

    The one-sided normal mixture (Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of
    Mathematical Statistics 41, 1970), in the closed form of Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform,
    nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49 (2021), section 3.2. It is theirs for a
    Brownian motion. A mean, or what behaves as one, such as an AUC, is near one once its sample is large enough to be
    about normal (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic
    confidence sequences", Annals of Statistics 52, 2024).

    Args:
        error: the estimate's standard error, which falls with the root of ``n``. n: the size of the sample, above 0.
        confidence: that the truth is within reach at all looks. tightest: the n at which the reach is least, in errors.
    """
    spent = -2 * math.log(2 * (1 - confidence))
    ahead = tightest / (spent + math.log1p(spent))
    grown = (n + ahead) / ahead
    return error * math.sqrt(2 * (1 + ahead / n) * math.log1p(math.sqrt(grown) / (2 * (1 - confidence))))
