"""What a model can be: each estimator fits, scores, explains and is kept by one protocol."""

from tollgate.estimators.base import Estimator, Fitted, Fitting, Inputs, Learner, Rows
from tollgate.estimators.choose import ESTIMATORS, estimator
from tollgate.estimators.scorecard import Scorecard
from tollgate.estimators.scorecard_learning import indicator_scorecard

__all__ = ["ESTIMATORS", "Estimator", "Fitted", "Fitting", "Inputs", "Learner", "Rows", "Scorecard", "estimator",
           "indicator_scorecard"]
