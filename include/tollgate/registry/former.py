"""Whom a challenger can be compared with: former champions, and a champion, that still are what they were."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tollgate.errors import BadInput, Refused
from tollgate.registry.standing import COMMITS, JUDGED, PROMOTION, Standing, version_in
from tollgate.registry.versions import Version

FORMER_MAX = 5      # each is scored on the whole validation window; the best so far is always among them
ROLLED_BACK = "a rollback ended its reign, and what was wrong with it may be why it ranks well"
Fetch = Callable[[str, str], Path]


def former_champions(now: Standing) -> list[tuple[Version, bool]]:
    """Former champions, and whether a promotion ended each's last reign rather than a rollback.

    The one that was the best when a run was last judged comes first, then the newest: the best is not forgotten
    because many came after it.
    """
    ended: dict[str, tuple[Version, bool]] = {}
    for reign, successor in pairwise(entry for entry in now.chain if entry.kind in COMMITS):
        model = version_in(reign)
        ended.pop(model.version, None)
        ended[model.version] = model, successor.kind == f"{PROMOTION}-committed"
    if now.champion is not None:
        ended.pop(now.champion.version, None)
    best = next((entry.payload["former_best"] for entry in reversed(now.chain)
                 if entry.kind == JUDGED and entry.payload["former_best"] in ended), None)
    return sorted(reversed(ended.values()), key=lambda found: found[0].version != best)


def comparable(now: Standing, fetch: Fetch) -> tuple[list[Version], list[dict[str, str]]]:
    """At most ``FORMER_MAX`` former champions that can be compared with; and of others the ``version`` and ``why`` not.

    Args:
        fetch: gives the folder of a book's version, and raises where it is not what it was (``fetch_to_compare``).
    """
    found: list[Version] = []
    left_out = []
    for model, promoted_over in former_champions(now):
        if len(found) == FORMER_MAX:
            break
        why = why_unscorable(model, fetch) if promoted_over else ROLLED_BACK
        if why is None:
            found.append(model)
        else:
            left_out.append({"version": model.version, "why": why})
    return found, left_out


def check_rivals(now: Standing, compared: dict[str, Any], fetch: Fetch) -> None:
    """Raise ``Refused`` unless ``champion.json`` names whom a model is to be compared with.

    These are the former champions, and the champion itself unless today's code no longer scores as it.
    """
    why = why_unscorable(now.champion, fetch) if now.champion else None
    if (why is None) != (compared["unproven"] is None):
        raise Refused("champion.json does not tell of the champion what is so: whether it can be compared with today",
                      value=compared["unproven"] or "that it can", remedy="Open the run again, by `dvc repro`, in "
                                                                          "Airflow by a new run.")
    named, due = {one["version"] for one in compared["former"]}, {model.version for model in comparable(now, fetch)[0]}
    if named != due:
        told, should = (", ".join(sorted(versions, key=int)) or "none" for versions in (named, due))
        raise Refused("The former champions that the gates compared with are not those that there are now",
                      value=f"{told} then, {should} now",
                      remedy="Open the run again, by `dvc repro`, in Airflow by a new run.")


def why_unscorable(model: Version, fetch: Fetch) -> str | None:
    """Why a model can score nothing today; None for one that can."""
    try:
        fetch(model.book, model.version)
    except (BadInput, Refused) as fault:
        return fault.cause
    return None
