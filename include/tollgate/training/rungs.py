"""Pruning by successive halving: every point climbs a little, the best third of them climb three times as far.

The last rung is the one that leaves a single point.

A rung is a number of boosting rounds at the pace of the space's middle, and a point that learns half as fast climbs
twice as many: after equally many, fast learners would be ahead and better slow ones be left behind. Who goes on from a
rung is a function of what all points scored on it, so that neither the order nor the number of workers decides
anything. After Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", 2016,
with boosting rounds as the budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from tollgate.config import Params, Sweep
from tollgate.training.fit import Parts
from tollgate.training.space import pace

Each = Callable[..., Iterable[float]]
FACTOR = 3
STEP = 10  # rounds between two looks at the folds


def budgets(sweep: Sweep, points: int) -> list[int]:
    """The rounds of each rung for so many points, until one is left to go on; at the most ``rounds_max``."""
    found, standing = [min(sweep.rounds_first, sweep.rounds_max)], points
    while standing > FACTOR and found[-1] < sweep.rounds_max:
        found.append(min(found[-1] * FACTOR, sweep.rounds_max))
        standing = -(-standing // FACTOR)
    return found


def best_third(scores: Mapping[int, float]) -> list[int]:
    """The points that go on, in ascending order: the best third rounded up, the earlier point of equal ones."""
    ranked = sorted(scores, key=lambda point: (-scores[point], point))
    return sorted(ranked[:-(-len(ranked) // FACTOR)])


class Climb:
    """One point's fits, one a fold, which can be taken further at any time.

    Made in one go or with pauses at the rungs, in this process or in another, they are the same.

    Attributes:
        auc: the best mean over the folds of the area under the validation ROC curve, so far; not a number once a
            fold could not be scored.
        rounds: the number of rounds that reached it.
    """

    def __init__(self, folds: tuple[Parts, ...], params: Params, choice: Mapping[str, Any]) -> None:
        self.auc, self.rounds = 0.0, 0
        self._folds, self._patience, self._most = folds, params.sweep.early_stopping, params.sweep.rounds_max
        self._pace = min(max(pace(params, choice), 1 / FACTOR), FACTOR)  # a rung apart at the most
        self._done = self._best = 0
        # The rungs among them, wherever the climb pauses: another look could find another best.
        self._looks = sorted({*range(STEP, params.sweep.rounds_max, STEP), *budgets(params.sweep, params.sweep.trials)})
        self._fittings = [parts.start(choice) for parts in folds]

    def to(self, budget: int, each: Each = map) -> None:
        """Fit up to the rung of ``budget`` rounds, or until ``early_stopping`` rounds have brought nothing better.

        Args:
            each: ``map``, or another that does the folds side by side.
        """
        for upto in (look for look in self._looks if self._done < look <= budget):
            if self._done - self._best >= self._patience or math.isnan(self.auc):
                return
            rounds = min(max(round(upto * self._pace), 1), self._most)
            auc = sum(each(partial(Parts.auc, rounds=rounds), self._folds, self._fittings)) / len(self._folds)
            self._done = upto
            if auc > self.auc or math.isnan(auc):
                self.auc, self.rounds, self._best = auc, rounds, upto
