"""A night in a process of its own: killed before one of its writes, or in a race with others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from scoring.nightly import pin, score_shards
from tests.processes import die_before, move_to

from tollgate import lake, scoring
from tollgate.errors import TollgateError
from tollgate.lake import Store

# Every call that changes anything: files of the store, and commits to the lake.
WRITES = ((Store, "write"), (Store, "create"), (lake, "publish_turn"), (lake, "change_partitions"))


def whole_night(run: str) -> str:
    """All tasks of a night, its shadow with it; the attempt's key."""
    key = score_shards(pin(run))
    scoring.publish(key)
    scoring.score_shadows(key)
    scoring.compare_shadows(key)
    return key


def score_and_die(where: Mapping[str, str], run: str, nth: int) -> None:
    """Score a night, and be killed before the ``nth`` write, which is as well after the one before it."""
    move_to(where)
    die_before(WRITES, nth)
    whole_night(run)
    os._exit(0)  # Arrow's threads may abort an ordinary exit


def score_in_a_race(where: Mapping[str, str], run: str, start: Any, told: Any) -> None:
    """Score a night with the others that wait at ``start``; tell the attempt that was published, or why none was."""
    move_to(where)
    start.wait()
    try:
        told.put((run, scoring.publish(score_shards(pin(run)))["attempt"]))
    except TollgateError as fault:
        told.put((run, str(fault)))
