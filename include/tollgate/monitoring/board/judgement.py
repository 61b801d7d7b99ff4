"""Is the model all right, and if not, since when and why: one judgement, from what each night left behind. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from tollgate.monitoring.events import ENDED
from tollgate.monitoring.levels import LEVELS

ACT, WATCH, WELL, BLIND, NONE = "act", "watch", "all right", "cannot tell", "no champion"
WHYS = 3  # reasons that are told in the sentence itself; the table of alerts has them all

Row = dict[str, Any]


@dataclass(frozen=True)
class Judgement:
    """What a person reads first.

    Attributes:
        level: one of ``ACT``, ``WATCH``, ``WELL``, ``BLIND`` and ``NONE``.
        since: the first of the nights in a row, up to the newest, on which this model was of this level (ISO); None
            where none of its nights was judged.
        sentence: what it is about. why: the gravest reasons in words, possibly none.
    """

    level: str
    since: str | None
    sentence: str
    why: tuple[str, ...] = ()


def level_of_night(verdict: Row, events: Iterable[Row]) -> str:
    """The level of one night, by its row of ``verdicts`` and its rows of ``events``."""
    severities = {event["severity"] for event in events if event["status"] != ENDED}
    if severities & {"warning", "page"}:
        return ACT
    if verdict["level"] not in LEVELS:
        return BLIND
    return WATCH if severities or verdict["level"] != LEVELS[0] else WELL


def judge(models: Sequence[Row], nights: Sequence[Row], under_way: Sequence[Row]) -> Judgement:
    """The judgement as of the newest verdict.

    Args:
        models: as ``registry.models`` answers. nights: ``as_of`` (ISO), ``model_version``, ``sentence``, the ``level``
            of drift and the ``judged`` level of each verdict, the newest first. under_way: as ``events.alerts``
            answers, the gravest first.
    """
    champion = next((model["version"] for model in models if model["state"] == "champion"), None)
    if champion is None:
        done = "was promoted" if models else "is registered"
        return Judgement(NONE, None, f"No model {done} yet: nothing scores this book.")
    why = tuple(alert["message"] for alert in under_way[:WHYS])
    if not nights:
        return Judgement(BLIND, None, f"Version {champion} is the champion, and no night of its scores was judged yet.")
    newest = nights[0]
    if newest["model_version"] != champion:
        by = newest["model_version"]
        return Judgement(BLIND, None, f"Version {champion} is the champion since the newest night that was judged, "
                                      f"which version {by} scored.", why)
    alike = list(takewhile(lambda night: (night["model_version"], night["judged"]) == (champion, newest["judged"]),
                           nights))
    since = alike[-1]["as_of"]
    return Judgement(newest["judged"], since, _sentence(since, newest, under_way), why)


def _sentence(since: str, newest: Row, under_way: Sequence[Row]) -> str:
    version, level = newest["model_version"], newest["judged"]
    if level == BLIND:
        return f"Whether version {version} is all right cannot be told since {since}: {newest['sentence']}"
    if level == WELL:
        return f"Version {version} is all right. No night since {since} showed anything beyond luck and the limits."
    what = f"{len(under_way)} alerts are under way" if len(under_way) != 1 else "One alert is under way"
    if not under_way:
        what = f"drift is {newest['level']}"
    asks = "needs a person" if level == ACT else "is to be watched"
    return f"Version {version} {asks}, since {since}: {what}."
