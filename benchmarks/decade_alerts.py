"""Every alert of the decade explained: what was measured, what followed, and whether it was true.

True is an alert that says what is so, and what lasts: a feature's move that the next night still sees, or of which a
known event is the cause; what became of loans, for labels say it. A complaint about the feed of outcomes is false, for
nothing is missing from this release. A request is true where the model that came of it ranked better than the one that
it replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Row = dict[str, Any]

OF_FEATURES = ("psi", "ks", "missing", "unseen", "request")
OF_LABELS = ("auc", "default_rate", "miss_rate")


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


# From the book's page, from the release itself, and from the programme's history.
CAUSES: tuple[Cause, ...] = ()


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
        return Explained(alert, followed, *_of_request(results.get(str(key)), nights))
    if kind == "feed":
        return Explained(alert, followed, False, "nothing is missing from the release: few were charged off")
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


def _of_request(request: Row | None, nights: Sequence[Row]) -> tuple[bool | None, str]:
    """Whether the model that came of it ranked better than its former over the nights that it scored."""
    if request is None or not str(request["result"]).startswith("promoted"):
        return None, "no model came of it"
    after = [night for night in nights if night["day"] > request["as_of"]]
    version = after[0]["version"] if after else None
    reign = [night for night in after if night["version"] == version and (night.get("former") or {}).get("ahead")
             is not None]
    if not reign:
        return None, "no night of the new model has labels of both kinds"
    ahead, low, high = together([night["former"] for night in reign])
    said = f"version {version} ranked {ahead:+.3f} AUC ({low:+.3f} to {high:+.3f}) from the model that it replaced"
    return (True if low > 0 else False if high < 0 else ahead > 0), said


def together(others: Sequence[Row]) -> tuple[float, float, float]:
    """The difference of AUC over several nights and its 95 % interval, each night weighted by its defaults."""
    total = sum(one["defaults"] for one in others)
    ahead = sum(one["defaults"] * one["ahead"] for one in others) / total
    error = sum((one["defaults"] * (one["high"] - one["low"]) / 2) ** 2 for one in others) ** 0.5 / total
    return ahead, ahead - error, ahead + error


def _of_features(alert: Row, night: Row | None, later: Row | None) -> tuple[bool | None, str]:
    """By a known cause, or by whether the next night of the same model still sees it."""
    subjects = alert["subject"].split("+") if night is None or alert["subject"] in night["psi"] or "+" in alert[
        "subject"] else list(night["psi"])
    causes = [cause.what for cause in CAUSES if cause.first <= alert["day"] <= cause.last
              and set(cause.subjects) & set(subjects)]
    if causes:
        return True, "; ".join(causes)
    if night is None or later is None:
        return None, "no later night tells"
    if later["version"] != night["version"]:
        return None, "the next night has another model"
    lasting = [one for one in subjects if later["psi"].get(one, 0.0) > alert["limit"]]
    return (True, f"the next night sees it too, its cause is not known: {', '.join(lasting)}") if lasting else (
        False, "gone the next night, and no cause is known")
