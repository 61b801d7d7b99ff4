"""What was going on, of nights and of operation alike, as the picture of alerts reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from tollgate.incidents import ENDED, LASTS

Row = dict[str, Any]


def with_incidents(events: Iterable[Row], lives: Iterable[Sequence[Row]], book: str, first: date,
                   last: date) -> list[Row]:
    """The rows of ``events``, and of each incident whatever was heard of it from ``first`` to ``last``.

    An incident has a line only when something is heard of it: one that is under way has one more, of ``last``. Its name
    leaves out the book's, which ends the names of its DAGs.

    Args:
        events: every night's rows. lives: of incidents, as ``incidents.lives`` answers.
    """
    told = list(events)
    for life in lives:
        heard = [line for line in life if line["as_of"] <= last]
        if heard and heard[-1]["status"] != ENDED:
            heard.append({**heard[-1], "as_of": last, "status": LASTS})
        told += [{**line, "event": line["event"].replace(f"__{book}", ""), "model_version": ""} for line in heard
                 if heard[-1]["as_of"] >= first]
    return told
