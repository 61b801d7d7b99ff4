"""The guard in a process of its own that is killed before one of its writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from typing import Any

from registry.killing import WRITES
from registry.world import params_of
from tests.processes import die_before, move_to

from tollgate import lake, monitoring
from tollgate.books import load_book
from tollgate.config import Params

BOOK = "consumer"
FIRST, SECOND = date(2006, 9, 1), date(2006, 10, 1)


def params_with(**monitoring_changes: object) -> Params:
    """Those of the small world, with other parameters of monitoring."""
    params = params_of("b")
    return params.model_copy(update={"monitoring": params.monitoring.model_copy(update=monitoring_changes)})


def guard(day: date, **changes: object) -> dict[str, Any]:
    """The guard's answer of a night."""
    return monitoring.guard_step(load_book(BOOK), day, params_with(**changes))


def guard_and_die(where: Mapping[str, str], day: date, nth: int) -> None:
    """Guard a night, and be killed before the ``nth`` write, which is as well after the one before it."""
    move_to(where)
    die_before((*WRITES, (lake, "change_partitions")), nth)
    guard(day)
    os._exit(0)  # Arrow's threads may abort an ordinary exit
