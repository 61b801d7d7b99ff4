"""What the last night published for the Board, read: nothing of it is made here."""

from __future__ import annotations

from typing import Any

from tollgate import lake
from tollgate.config import settings

Row = dict[str, Any]
NOTHING: Row = {"title": None, "as_of": None, "nights": [], "alerts": [], "shadows": [], "feeds": [], "guard": [],
                "kinds": [], "pictures": []}


def read_board(book: str) -> Row:
    """What was published last; its ``as_of`` is None where nothing was, and empty what an older Tollgate left out.

    Raises:
        PassingFault: the store did not answer.
    """
    store = lake.Store(settings().store)
    return {**NOTHING, **(store.read_json(path_of(book)) if store.exists(path_of(book)) else {})}


def path_of(book: str) -> str:
    """Where it is in the store."""
    return f"board/{book}.json"
