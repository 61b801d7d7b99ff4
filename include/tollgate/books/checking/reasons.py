"""What is wrong in the words in which a book tells its reasons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tollgate.books.checking.fault import Fault
from tollgate.books.description.reasons import VALUE

if TYPE_CHECKING:
    from tollgate.books.description.features import Feature

PLACE = re.compile(r"\{.*?\}|[{}]")


def faults_of_reason(feature: Feature) -> Iterator[Fault]:
    """A text that is empty, that its feature cannot use, or with a place in it that nothing is put into."""
    told, where = feature.reason, f"the reason of the feature {feature.name}"
    texts = {part: getattr(told, part) for part in ("what", "high", "low", "missing", "value")
             if getattr(told, part) is not None}
    for part, text in texts.items():
        if not text.strip():
            yield Fault(f"{where}: {part} is empty; say it, or leave it out", feature.name)
        yield from (Fault(f"{where}: {part} holds {place}, which nothing is put into", feature.name)
                    for place in PLACE.findall(text) if part != "value" or place != VALUE)
    yield from (Fault(f"{where}: the words of {level} are empty", feature.name)
                for level, text in told.words.items() if not text.strip())
    if feature.kind == "category":
        yield from (Fault(f"{where}: a category is not {part}; say value, a sentence with {VALUE} in it", feature.name)
                    for part in ("high", "low") if part in texts)
        if texts.get("value", VALUE).strip() and VALUE not in texts.get("value", VALUE):
            yield Fault(f"{where}: value does not say where the level stands, {VALUE}", feature.name)
        return
    if "value" in texts or told.words:
        yield Fault(f"{where}: value and words are of a category, and it is a number; say high and low", feature.name)
    for part, never in (("low", 1), ("high", -1)):
        if part in texts and feature.monotone == never:
            way = "raises" if never > 0 else "lowers"
            yield Fault(f"{where}: {part} is never told, for a larger value only {way} the risk (monotone)",
                        feature.name)
