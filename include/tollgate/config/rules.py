"""The alert rules of params.yaml: which move of a measure matters, how grave it is, and what is done about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator

from tollgate.config.severities import SEVERITIES, Severity

EITHER_WAY = ("rises", "falls", "moves")


@dataclass(frozen=True)
class Measure:
    """What a rule may be about.

    Attributes:
        about: what it is. conditions: what of it may be asked.
        features: whether it is measured of every feature, or once. share: whether it lies within 0 and 1.
        relative: whether a limit may be a share of what it is held against.
    """

    about: str
    conditions: tuple[str, ...]
    features: bool = False
    share: bool = True
    relative: bool = False


MEASURES = {
    "psi": Measure("population stability index, of the window from the training", ("above",), True, False),
    "kl": Measure("relative entropy, in nats", ("above",), True, False),
    "js": Measure("Jensen-Shannon distance, base 2", ("above",), True),
    "ks": Measure("Kolmogorov-Smirnov distance, of a number", ("above",), True),
    "chi_square": Measure("Pearson's chi-square, of a category", ("above",), True, False),
    "missing": Measure("share of the rows that have no value, from that of the training", EITHER_WAY, True),
    "unseen": Measure("share of the values that the training did not have, from that to be expected", EITHER_WAY, True),
    "page_hinkley": Measure("change of the mean score within the window", ("above",), share=False),
    "refused_share": Measure("share of the applications that could not be scored", ("above", "surely_above")),
    "decline_rate": Measure("share that is declined, from that which was approved with the model", EITHER_WAY,
                            relative=True),
    "decline_rate_gap": Measure("difference of the decline rates of two protected groups", ("above",)),
    "matured_auc": Measure("AUC of the newest matured loans, from that of the model's test months", EITHER_WAY,
                           relative=True),
    "estimated_auc": Measure("AUC that the scores of the window promise, from that of the model's test months",
                             EITHER_WAY, relative=True),
    "auc": Measure("AUC of the newest matured loans, from that which their scores had promised", EITHER_WAY,
                   relative=True),
    "default_rate": Measure("default rate of these loans, from that which their scores had promised", EITHER_WAY,
                            relative=True),
    "miss_rate": Measure("share of these loans' defaults that had been approved, from that promised", EITHER_WAY,
                         relative=True),
    "calibration": Measure("default rate of the newest matured loans, of all and of each fifth of the scores, from the "
                           "mean score", EITHER_WAY, relative=True),
    "residual": Measure("default rate of a part of these loans (a category, a protected group, a quarter of a critical "
                        "number), from the mean score", EITHER_WAY, relative=True),
    "matured_default_rate": Measure("default rate of these loans, from that of the model's test months", EITHER_WAY,
                                    relative=True),
    "default_rate_at_age": Measure("share known to be bad of the newest loans that are 6, 12 and 24 months old, from "
                                   "that of the loans booked in the year before them at the same age", EITHER_WAY,
                                   relative=True),
    "volume": Measure("applications of a night, from the mean of the 28 nights before it", EITHER_WAY, share=False,
                      relative=True),
    "approval_rate": Measure("share of all applications that is approved, from that which was approved with the model",
                             EITHER_WAY, relative=True),
    "loss": Measure("what the newest matured loans cost by defaults, in paid loans an application, from that promised",
                    EITHER_WAY, share=False, relative=True),
    "loss_amount": Measure("what these loans cost by defaults in money, were nothing recovered, from that promised",
                           EITHER_WAY, share=False, relative=True),
    "profit": Measure("what these loans earned less that loss, from that which their scores had promised", EITHER_WAY,
                      share=False, relative=True),
}


def _known(measure: str) -> str:
    if measure not in MEASURES:
        raise ValueError(f"there is no such measure; they are {', '.join(MEASURES)}")
    return measure


class Rule(BaseModel):
    """One rule: it holds where ``measure`` moves by more than ``limit`` and by more than luck explains.

    Attributes:
        of: the features it looks at: the ``critical`` ones and the score, or all ``features``.
        condition: ``above``: the value itself; ``surely_above``: still where luck is taken off it; ``rises``, ``falls``
            or ``moves`` (either way): from what it is held against.
        limit: in the measure's own unit; where ``relative`` as a share of what it is held against.
        together: so many features must pass it in one window, which is one event then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    measure: Annotated[str, AfterValidator(_known)]
    of: Literal["critical", "features"] | None = None
    condition: Literal["above", "surely_above", "rises", "falls", "moves"]
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    relative: bool = False
    together: PositiveInt = 1
    severity: Severity
    action: Literal["tell", "review", "request", "page"]

    @model_validator(mode="after")
    def _can_be(self) -> Rule:
        if faults := list(_faults(self)):
            raise ValueError(f"the rule on {self.measure} cannot be: {'; '.join(faults)}")
        return self


def _faults(rule: Rule) -> Iterator[str]:
    of = MEASURES[rule.measure]
    if rule.condition not in of.conditions:
        yield f"its condition is {rule.condition}, and of {rule.measure} can be asked: {', '.join(of.conditions)}"
    if of.features and rule.of is None:
        yield "it lacks `of`, the features it looks at: critical or features"
    if not of.features and (rule.of is not None or rule.together > 1):
        yield f"{rule.measure} is measured once, and no feature's: leave `of` and `together` out"
    if rule.relative and not of.relative:
        yield f"a limit of {rule.measure} is never relative"
    if of.share and rule.limit >= 1 and not (rule.relative and rule.condition != "falls"):
        yield f"nothing passes its limit {rule.limit:g}, which is a share and stays below 1"
    if (rule.action == "page") != (rule.severity == "page"):
        yield f"its severity is {rule.severity} and its action {rule.action}: whoever is paged, is so by both"


def contradictions(rules: Sequence[Rule]) -> Iterator[str]:
    """What two rules of a list say against each other."""
    for k, one in enumerate(rules):
        for other in rules[k + 1:]:
            if any(getattr(one, name) != getattr(other, name)
                   for name in ("measure", "of", "condition", "relative", "together")):
                continue
            low, high = sorted((one, other), key=lambda rule: rule.limit)
            if low.limit == high.limit:
                yield f"two rules on {one.measure} {one.condition} {one.limit:g} are one"
            elif SEVERITIES.index(high.severity) < SEVERITIES.index(low.severity):
                yield (f"{one.measure} {one.condition} {high.limit:g} is {high.severity}, and from {low.limit:g} on "
                       f"{low.severity}: what is worse is no less grave")
