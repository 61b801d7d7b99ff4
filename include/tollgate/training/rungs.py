"""Pruning by successive halving: every point climbs a little, the best third of them climb three times as far.

A rung is a number of boosting rounds, and who goes on from it a function of what all points scored on it, so that
neither the order nor the number of workers decides anything. After Jamieson and Talwalkar, "Non-stochastic best arm
identification and hyperparameter optimization", 2016, with boosting rounds as the budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tollgate.config import Params, Sweep
from tollgate.training.fit import Parts, booster_settings

FACTOR = 3
STEP = 10  # rounds between two looks at the folds


def budgets(sweep: Sweep) -> list[int]:
    """Boosting rounds of each rung, the last of them ``rounds_max``."""
    found = []
    rounds = sweep.rounds_first
    while rounds * FACTOR <= sweep.rounds_max:
        found.append(rounds)
        rounds *= FACTOR
    return [*found, sweep.rounds_max]


def best_third(scores: Mapping[int, float]) -> list[int]:
    """The points that go on, in ascending order: the best third rounded up, the earlier point of equal ones."""
    ranked = sorted(scores, key=lambda point: (-scores[point], point))
    return sorted(ranked[:-(-len(ranked) // FACTOR)])


class Climb:
    """One point's boosters, one a fold, which can be boosted further at any time.

    Boosted in one go or with pauses at the rungs, in this process or in another, they are the same.

    Attributes:
        auc: the best mean over the folds of the area under the validation ROC curve, so far; not a number once a
            fold could not be scored.
        rounds: the number of rounds that reached it.
    """

    def __init__(self, folds: tuple[Parts, ...], params: Params, choice: dict[str, Any]) -> None:
        import xgboost

        self.auc, self.rounds = 0.0, 0
        self._folds, self._patience, self._done = folds, params.sweep.early_stopping, 0
        # The rungs among them, wherever the climb pauses: another look could find another best.
        self._looks = sorted({*range(STEP, params.sweep.rounds_max, STEP), *budgets(params.sweep)})
        self._boosters = [xgboost.Booster(booster_settings(parts, params, choice), [parts.train, parts.validation])
                          for parts in folds]

    def to(self, budget: int) -> None:
        """Boost up to the rung of ``budget`` rounds, or until ``early_stopping`` rounds have brought nothing better."""
        for upto in (look for look in self._looks if self._done < look <= budget):
            if self._done - self.rounds >= self._patience or math.isnan(self.auc):
                return
            for parts, booster in zip(self._folds, self._boosters, strict=True):
                for k in range(self._done, upto):
                    booster.update(parts.train, k)
            self._done = upto
            auc = sum(self._validated()) / len(self._folds)
            if auc > self.auc or math.isnan(auc):
                self.auc, self.rounds = auc, upto

    def _validated(self) -> list[float]:
        """The area under the validation ROC curve, a fold each; not a number where a row's score is none."""
        found = []
        for parts, booster in zip(self._folds, self._boosters, strict=True):
            log_loss, auc = (float(word.rpartition(":")[2])
                             for word in booster.eval_set([(parts.validation, "fold")], self._done).split()[1:])
            found.append(auc if math.isfinite(log_loss) else math.nan)
        return found
