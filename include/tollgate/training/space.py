"""The space of hyperparameters that a sweep searches: its check, a draw from it, and its middle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tollgate.config import Params, Range
from tollgate.errors import BadInput
from tollgate.estimators import estimator

if TYPE_CHECKING:
    import optuna


def suggest(trial: optuna.trial.BaseTrial, params: Params) -> dict[str, Any]:
    """A point of the estimator's search space, whose names have no order: that of a file must not decide the draw."""
    return {name: (trial.suggest_int(name, of.low, of.high, log=of.log)
                   if isinstance(of.low, int) and isinstance(of.high, int) else
                   trial.suggest_float(name, of.low, of.high, log=of.log)) for name, of in _space(params)}


def middle(params: Params) -> dict[str, Any]:
    """The middle of the estimator's search space, of a range on a log scale the geometric one."""
    found = {}
    for name, of in _space(params):
        value = math.sqrt(of.low * of.high) if of.log else (of.low + of.high) / 2
        found[name] = round(value) if isinstance(of.low, int) and isinstance(of.high, int) else value
    return found


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
