"""Data files that no commit of a table names: of a writer that was killed before it, or lost its race."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from tollgate.config import settings
from tollgate.lake.schemas import Table
from tollgate.lake.store import Entry, Store

LOG = "_delta_log"
YOUNG_SECONDS = 86_400  # a file that no commit names may be one that a run is about to commit


def delete_strays(table: Table, now: float, dry_run: bool = False) -> list[str]:
    """Delete the data files that no commit has named in a day; their paths in the lake.

    Every writer gives its files names of their own, so that none is named by a commit later on.

    Args:
        now: the moment, in seconds since 1970. dry_run: tell, and delete nothing.

    Raises:
        PassingFault: the lake did not answer.
    """
    store, home = Store(settings().lake), f"{table.book}/{table.name}/"
    every = store.list(home.rstrip("/"))
    old = [entry for entry in every if is_data(entry, home) and entry.written < now - YOUNG_SECONDS]
    named = named_files(store, commits_among(every, home)) if old else set()
    strays = [entry.path for entry in old if entry.path.removeprefix(home) not in named]
    for path in strays if not dry_run else []:
        store.delete(path)
    return strays


def is_data(entry: Entry, home: str) -> bool:
    """Whether a file of the table at ``home`` holds rows."""
    return entry.path.endswith(".parquet") and not entry.path.startswith(f"{home}{LOG}/")


def commits_among(every: Iterable[Entry], home: str) -> list[Entry]:
    """The commits among the files of the table at ``home``."""
    return [entry for entry in every if entry.path.startswith(f"{home}{LOG}/") and entry.path.endswith(".json")]


def named_files(store: Store, commits: Iterable[Entry]) -> set[str]:
    """Every file that some commit added."""
    return {unquote(str(action["add"]["path"])) for entry in commits for action in actions_of(store, entry)
            if "add" in action}


def actions_of(store: Store, commit: Entry) -> list[dict[str, dict[str, Any]]]:
    """What a commit says."""
    return [json.loads(line) for line in store.read(commit.path).splitlines() if line.strip()]
