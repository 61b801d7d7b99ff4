"""Rooms of which a part is loaded when somebody asks for it (PEP 562), so that what sensors poll starts quickly."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def found_in(room: str, *modules: str) -> Callable[[str], Any]:
    """A room's ``__getattr__``: what its ``__init__`` names for type checkers alone stands in one of these modules.

    They are imported in this order until one has the name. None of them may have the name of something that it holds:
    once imported, a module is itself an attribute of its room.
    """
    def asked_for(name: str) -> Any:
        for module in modules if not name.startswith("__") else ():
            inside = vars(import_module(f"{room}.{module}"))
            if name in inside:
                return inside[name]
        raise AttributeError(f"module {room!r} has no attribute {name!r}")

    return asked_for
