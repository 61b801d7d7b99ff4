"""A night of the small consumer book, step by step."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from registry.world import BOOK, params_of

from tollgate import lake, nights, scoring
from tollgate.books import load_book
from tollgate.config import Params, settings

NIGHT = date(2006, 10, 1)
KEY = f"{BOOK}/new/{NIGHT}/1"
ROWS = 250


def params_with(shards: int = 2, **scoring_changes: object) -> Params:
    params = params_of("a")
    return params.model_copy(update={"scoring": params.scoring.model_copy(
        update={"shards": shards, **scoring_changes})})


def pin(run: str = "night", shards: int = 2, as_of: date = NIGHT, population: str = nights.NEW,
        **scoring_changes: object) -> dict[str, Any]:
    return scoring.pin(load_book(BOOK), as_of, run, params_with(shards, **scoring_changes), population)


def score_shards(pinned: dict[str, Any], order: int = 1) -> str:
    """Every shard of a pinned night; its key."""
    for shard in pinned["shards"][::order]:
        scoring.score_shard(pinned["attempt"], shard["shard"])
    return str(pinned["attempt"])


def score(pinned: dict[str, Any] | None = None, order: int = 1) -> dict[str, Any]:
    """Every shard of a pinned night, and its publication."""
    return scoring.publish(score_shards(pinned or pin(), order))


def scores(**equal: str) -> pa.Table:
    return lake.read(lake.scores(BOOK), filters=[(column, "=", value) for column, value in equal.items()])


def files(attempt: str = KEY) -> dict[str, bytes]:
    folder = Path(settings().store) / "nights" / attempt
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def versions() -> list[int]:
    """Of what a publication writes."""
    return [lake.version(table(BOOK)) for table in (lake.scores, lake.nights, lake.superseded)]


def restate(month: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change the applications of a month in the lake."""
    lake.change_partitions(lake.applications(load_book(BOOK)), [month], change)
