"""Every alert of the decade explained: what was measured, what followed, and whether it was true.

True is an alert that says what is so, and what lasts: a feature's move of which a cause is known, or that the next
night still sees; what became of loans, for labels say it. A complaint about the feed of outcomes is false, for nothing
is missing from this release. The guard is right where the former champion fared better on the same loans, in rank and
in calibration, and cannot be told where the two disagree. A request is true where the model that came of it ranked
better than the one that it replaced; where none came of it, as the drift is that it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import Any

Row = dict[str, Any]

OF_FEATURES = ("psi", "ks", "missing", "unseen", "request")
OF_LABELS = ("auc", "default_rate", "miss_rate")
TOGETHER = {"ks": ("ks", 0.10), "request": ("psi", 0.25)}  # the measure and the limit of their rules


@dataclass(frozen=True)
class Cause:
    """Something that is known to have happened.

    Attributes:
        subjects: features that it moves. first, last: nights that see it, as ISO days. what: in a sentence.
    """

    subjects: tuple[str, ...]
    first: str
    last: str
    what: str


# Shares and medians are counted in the release, by the year of approval.
CAUSES = (
    Cause(("sector",), "2001-01-01", "2005-01-01",
          "no industry code in 52-57 % of the loans of 1995-1998, in 35 % of 2000, in none from 2001 on"),
    Cause(("urban_rural",), "2001-01-01", "2004-01-01",
          "undefined for 99 % of the loans until 1998, 41 % in 1999, 1 % from 2000 on"),
    Cause(("guaranteed_share", "approved", "revolving", "employees"), "2001-01-01", "2008-10-01",
          "small lines of credit of which the SBA guarantees half: 18 % of the loans of 1999, 38 % of 2002, 72 % of "
          "2006; the median loan falls from $136,000 to $41,000"),
    Cause(("guaranteed_share",), "2009-03-01", "2011-01-01",
          "the Recovery Act of February 2009 lets the SBA guarantee 90 %: 5 % of the loans of 2008, 45 % of 2009"),
    Cause(("approved", "revolving", "employees"), "2008-10-02", "2011-01-01",
          "after the crash lenders grant a quarter as many loans as in 2006, and larger ones: lines of credit fall "
          "from 46 % to 28 %, the median loan rises from $41,000 to $75,000"),
)


@dataclass(frozen=True)
class Explained:
    """One alert: ``true`` is None where it cannot be told; ``why`` says why so."""

    alert: Row
    followed: str
    true: bool | None
    why: str


def explain(told: Row) -> list[Explained]:
    """Each alert of a replay, as ``decade_told.told`` has it, in the order of time."""
    nights = {night["day"]: night for night in told["nights"]}
    order = sorted(nights)
    following = {day: nights[later] for day, later in pairwise(order)}
    results = {one["key"]: one for one in told["requests"]}
    return [_explained(alert, nights.get(alert["day"]), following.get(alert["day"]), results, told["nights"])
            for alert in sorted(told["alerts"], key=lambda alert: (alert["day"], alert["key"]))]


def _explained(alert: Row, night: Row | None, later: Row | None, results: Mapping[str, Row],
               nights: Sequence[Row]) -> Explained:
    kind = alert["key"].split(":")[0]
    key = alert["key"].split(":", 1)[1] if kind == "request" else (night or {}).get("request")
    followed = _followed(alert, results.get(key) if key else None)
    if kind == "request":
        answered = _of_model(results.get(str(key)), nights)
        return Explained(alert, followed, *(answered or _of_features(alert, night, later)))
    if kind == "feed":
        return Explained(alert, followed, False, "nothing is missing from the release: few were charged off")
    if kind == "guard" and night is not None:
        return Explained(alert, followed, *_of_guard(night))
    if kind in OF_LABELS:
        return Explained(alert, followed, True, "the labels of these loans say so")
    if kind in OF_FEATURES:
        return Explained(alert, followed, *_of_features(alert, night, later))
    return Explained(alert, followed, True, "counted, not estimated")


def _followed(alert: Row, request: Row | None) -> str:
    kind = alert["key"].split(":")[0]
    if request is not None and kind in OF_FEATURES:
        return f"retrain: {_result(request)}"
    if "is still open, or its cool-down" in alert["message"]:
        return "told; a cool-down held"
    if "are needed" in alert["message"]:
        return "told; it had not lasted yet"
    return "review" if "Somebody is asked" in alert["message"] else "told"


def _result(request: Row) -> str:
    return str(request["result"] or request["state"]).split(" by ")[0]


def _of_model(request: Row | None, nights: Sequence[Row]) -> tuple[bool | None, str] | None:
    """Whether the model that came of it ranked better than its former on the nights that it scored; None of none."""
    if request is None or not str(request["result"]).startswith("promoted"):
        return None
    after = [night for night in nights if night["day"] > request["as_of"]]
    reign = [night for night in after if night["version"] == after[0]["version"]
             and (night.get("former") or {}).get("ahead") is not None]
    if not reign:
        return None, "no night of the new model has defaults yet"
    ahead, low, high = together([night["former"] for night in reign])
    said = (f"on its {len(reign)} nights version {reign[0]['version']} is {ahead:+.3f} AUC ({low:+.3f} to {high:+.3f}) "
            f"from version {reign[0]['former_version']}, which it replaced")
    return (None if low <= 0 <= high else ahead > 0), said


def _of_guard(night: Row) -> tuple[bool | None, str]:
    """Whether the champion that was taken back fared worse than the former on that night's loans, once it was known."""
    own, former = night["own"], night.get("former")
    if former is None or not own["rate"] or former["ahead"] is None:
        return None, "not known in the end"
    apart = [abs(log(one["rate"] / one["expected_rate"])) for one in (own, former)]
    said = (f"{own['rate']:.1%} defaulted: version {night['version']} had promised {own['expected_rate']:.1%}, version "
            f"{night['former_version']} {former['expected_rate']:.1%}; their AUC were {own['auc']:.3f} and "
            f"{former['auc']:.3f}")
    if former["low"] > 0 or former["high"] < 0:
        worse = former["high"] < 0
        return (worse if worse == (apart[0] > apart[1]) else None), said
    return apart[0] > apart[1], said


def together(others: Sequence[Row]) -> tuple[float, float, float]:
    """The difference of AUC over several nights and its 95 % interval, each night weighted by its defaults."""
    total = sum(one["defaults"] for one in others)
    ahead = sum(one["defaults"] * one["ahead"] for one in others) / total
    error = sum((one["defaults"] * (one["high"] - one["low"]) / 2) ** 2 for one in others) ** 0.5 / total
    return ahead, ahead - error, ahead + error


def _of_features(alert: Row, night: Row | None, later: Row | None) -> tuple[bool | None, str]:
    """By a known cause, or by whether the next night of the same model still sees it."""
    metric, subjects, limit = alert["key"].split(":")[0], alert["subject"].split("+"), alert["limit"]
    if night is not None and metric in TOGETHER:  # told of several features at once, which its subject does not name
        metric, limit = TOGETHER[metric]
        subjects = [name for name, value in night["measured"][metric].items() if value > limit]
    known = causes(alert["day"], subjects)
    if known:
        return True, f"cause {' and '.join(str(place) for place in known)}"
    if night is None or later is None:
        return None, "no later night tells"
    if later["version"] != night["version"]:
        return None, "the next night has another model"
    found = later["measured"].get(metric, {})
    above = metric in ("psi", "ks") or alert["value"] > limit
    lasting = [one for one in subjects if one in found and (found[one] > limit) is above]
    return (True, f"the next night sees it too, for no cause that is known: {', '.join(lasting)}") if lasting else (
        False, "gone the next night, and no cause is known")


def causes(day: str, subjects: Sequence[str]) -> list[int]:
    """The places in ``CAUSES``, from 1 on, of what is known to move one of these features at that time."""
    return [place for place, cause in enumerate(CAUSES, 1) if cause.first <= day <= cause.last
            and set(cause.subjects) & set(subjects)]
