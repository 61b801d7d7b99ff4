"""Texts and lists where a book is to give tuples: ``("a")`` is a text, whose letters would be taken for its values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from tollgate.books.checking.fault import Fault

TUPLE = re.compile(r"(?P<text>str \| )?tuple\[(?P<of>\w+)")


def faults_of_shapes(part: Any, where: str = "") -> Iterator[Fault]:
    """What in a book, or in a part of one, is no tuple or holds what it may not; ``where`` is the part, in words."""
    for field in fields(part):
        value, here = getattr(part, field.name), f"{where}.{field.name}" if where else field.name
        asked = TUPLE.match(str(field.type))
        if asked is None:
            if is_dataclass(value):
                yield from faults_of_shapes(value, here)
        elif isinstance(value, tuple):
            yield from (Fault(f"{here}: holds {one!r}, which is no {asked['of']}", field.name) for one in value
                        if type(one).__name__ != asked["of"])
            for one in value:
                if is_dataclass(one):
                    name = getattr(one, "name", None) or getattr(one, "begins", None) or field.name
                    yield from faults_of_shapes(one, f"{where}.{name}" if where else name)
        elif not isinstance(value, str):
            yield Fault(f"{here}: is a {type(value).__name__}, and must be a tuple: (..., )", field.name)
        elif not asked["text"]:
            yield Fault(f"{here}: {value!r} is a text, and must be a tuple: ({value!r},)", value)
