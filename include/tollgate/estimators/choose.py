"""Which estimators there are."""

from __future__ import annotations

from tollgate.errors import BadInput
from tollgate.estimators import lightgbm_trees, scorecard, scorecard_learning, xgboost_trees
from tollgate.estimators.base import Estimator

ESTIMATORS = {
    "xgboost": Estimator(xgboost_trees.Learner, xgboost_trees.load, xgboost_trees.SEARCHED, "xgboost-cpu"),
    "lightgbm": Estimator(lightgbm_trees.Learner, lightgbm_trees.load, lightgbm_trees.SEARCHED, "lightgbm"),
    "scorecard": Estimator(scorecard_learning.Learner, scorecard.load, scorecard_learning.SEARCHED, "optbinning"),
}


def estimator(name: str) -> Estimator:
    """The estimator called ``name``. Raises ``BadInput`` where there is none."""
    if name not in ESTIMATORS:
        raise BadInput("There is no such estimator", value=name, remedy=f"Use one of: {', '.join(ESTIMATORS)}.")
    return ESTIMATORS[name]
