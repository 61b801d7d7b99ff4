"""The space of hyperparameters that a sweep searches: its check, a draw from it, its middle, and the pace of a draw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tollgate.config import Params, Range
from tollgate.errors import BadInput
from tollgate.estimators import estimator

if TYPE_CHECKING:
    import optuna


RATE = "learning_rate"  # what XGBoost and LightGBM both call it
LOOKBACK = "lookback_months"  # of a point: the training loans' newest months, 0 for all of them


def suggest(trial: optuna.trial.BaseTrial, params: Params) -> dict[str, Any]:
    """A point of the estimator's search space, whose names have no order: that of a file must not decide the draw.

    Where shorter look-backs compete, a point has one of them or the whole window too.
    """
    point = {name: (trial.suggest_int(name, of.low, of.high, log=of.log)
                    if isinstance(of.low, int) and isinstance(of.high, int) else
                    trial.suggest_float(name, of.low, of.high, log=of.log)) for name, of in _space(params)}
    if shorter := sorted(set(params.sweep.lookback_months)):
        point[LOOKBACK] = trial.suggest_categorical(LOOKBACK, [0, *shorter])
    return point


def middle(params: Params) -> dict[str, Any]:
    """The middle of the estimator's search space, of a range on a log scale the geometric one."""
    found = {}
    for name, of in _space(params):
        value = math.sqrt(of.low * of.high) if of.log else (of.low + of.high) / 2
        found[name] = round(value) if isinstance(of.low, int) and isinstance(of.high, int) else value
    return found


def pace(params: Params, choice: Mapping[str, Any]) -> float:
    """How many rounds bring a fit with these hyperparameters as far as one brings that in the middle of the space.

    What a round adds is shrunk by the learning rate: half the rate takes twice the rounds. 1 where none is drawn.
    """
    usual = middle(params)
    return float(usual[RATE] / choice[RATE]) if RATE in usual else 1.0


def check_space(params: Params) -> None:
    """Raise ``BadInput`` where the space names what the estimator does not know: it would be drawn and not used."""
    name = params.train.estimator
    searched = estimator(name).searched
    if strangers := sorted(set(getattr(params.space, name)) - searched):
        raise BadInput(f"space.{name} of params.yaml names what no sweep of it draws", value=", ".join(strangers),
                       remedy=f"It may draw {', '.join(sorted(searched))}.")


def _space(params: Params) -> list[tuple[str, Range]]:
    space: dict[str, Range] = getattr(params.space, params.train.estimator)
    return sorted(space.items())
