"""How sure one of many tests must be, when they are asked one after the other of nearly the same rows."""

from __future__ import annotations

import math


def look_confidence(confidence: float, look: int) -> float:
    """The one-sided confidence of the ``look``-th test, so that all of them together hold with ``confidence``.

    The k-th test may err with (1 - confidence) * 6 / (pi * k)^2, and these shares sum to 1 - confidence however many
    follow: alpha spending (Tian and Ramdas, "Online control of the familywise error rate", Statistical Methods in
    Medical Research 30, 2021, section 2). By Bonferroni's inequality this holds whatever the tests have in common,
    as tests of nearly the same loans and models do.

    Args:
        look: its number, from 1.
    """
    return 1 - (1 - confidence) * 6 / (math.pi * look) ** 2
