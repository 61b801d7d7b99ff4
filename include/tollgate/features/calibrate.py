"""From what an estimator says to a probability.

First the weight of defaults in training is taken back; then come a line in log-odds, or steps, learned on rows that no
fit saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tollgate.errors import BadInput
from tollgate.stats.calibration import calibration_line

NONE, PLATT, ISOTONIC = "none", "platt", "isotonic"
TINY = 1e-7             # a score of 0 or 1 has no log-odds


def unweighted(score: np.ndarray, default_weight: float) -> np.ndarray:
    """The probabilities that scores mean where each default was fitted to as so many loans.

    Their odds are divided by ``default_weight``: Elkan, "The foundations of cost-sensitive learning", IJCAI 2001,
    theorem 2, for a share of defaults that weights have changed and not a drawing.

    Args:
        score: P(default) by the estimator, of any shape, 0 and 1 among them. default_weight: above 0.

    Returns float64 of the same shape; the scores themselves where the weight is 1.
    """
    if default_weight == 1:
        return score
    wide = np.asarray(score, np.float64)
    with np.errstate(divide="ignore", over="ignore"):
        # Each step rounds by itself and keeps the order, so that no two loans are ever turned round.
        return np.asarray(1 / (1 + default_weight * ((1 - wide) / wide)))


@dataclass(frozen=True)
class Calibration:
    """One kind of it with what was learned; ``none`` leaves a score as it is.

    Attributes:
        intercept, slope: of ``platt``, in log-odds.
        score, probability: of ``isotonic``, knots between which it is linear, both ascending.
    """

    kind: str = NONE
    intercept: float = 0.0
    slope: float = 1.0
    score: tuple[float, ...] = ()
    probability: tuple[float, ...] = ()

    @classmethod
    def learn(cls, kind: str, label: np.ndarray, score: np.ndarray) -> Calibration:
        """Learn from rows of its own.

        ``platt`` is the logistic regression of the labels on the log-odds of the scores (Platt, "Probabilistic outputs
        for support vector machines", 1999); ``isotonic`` the closest steps that never fall (Zadrozny and Elkan,
        "Transforming classifier scores into accurate multiclass probability estimates", KDD 2002).

        Args:
            label: bool of shape (rows,), both kinds in it. score: float64 of the same shape, by the estimator.

        Raises:
            BadInput: the scores rank these rows backwards, so that calibrating would turn them round.
        """
        if kind == NONE:
            return cls()
        (intercept, slope), _ = calibration_line(label, score)
        if slope <= 0:
            raise BadInput("The model ranks the calibration months backwards, and calibrating would turn it round",
                           value=f"slope {slope:.2f} on {len(label):,} loans",
                           remedy="Look at the labels of these months, or set train.calibration to none.")
        if kind == PLATT:
            return cls(PLATT, float(intercept), float(slope))
        from sklearn.isotonic import IsotonicRegression

        least = 0.5 / len(label)  # half a loan: no score is certain
        steps = IsotonicRegression(y_min=least, y_max=1 - least).fit(score, label)
        return cls(ISOTONIC, score=tuple(steps.X_thresholds_.tolist()), probability=tuple(steps.y_thresholds_.tolist()))

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Calibration:
        """The calibration that ``to_json`` described. Raises ``TypeError`` or ``ValueError`` where it is none."""
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value
                                  for name, value in record.items()}
        found = cls(**values)
        if found.kind not in (NONE, PLATT, ISOTONIC):
            raise ValueError(f"there is no calibration {found.kind}")
        return found

    def to_json(self) -> dict[str, Any]:
        """What the model's spec holds."""
        match self.kind:
            case "platt":
                return {"kind": PLATT, "intercept": self.intercept, "slope": self.slope}
            case "isotonic":
                return {"kind": ISOTONIC, "score": list(self.score), "probability": list(self.probability)}
        return {"kind": NONE}

    def apply(self, score: np.ndarray) -> np.ndarray:
        """The probability that each score means, float64 of the same shape; a larger score never means less."""
        match self.kind:
            case "platt":
                from scipy.special import expit, logit

                return np.asarray(expit(self.intercept + self.slope * logit(np.clip(score, TINY, 1 - TINY))))
            case "isotonic":
                return np.interp(score, self.score, self.probability)
        return score
