"""What a test reads of an examination."""

from __future__ import annotations

from tollgate import doctor


def said(*only: str) -> dict[str, str]:
    """What is not well: the level, what was found and its remedy, by check; several findings are put together."""
    found: dict[str, str] = {}
    for one in doctor.examine(only)["findings"]:
        if one["level"] != "ok":
            assert one["remedy"]
            found[one["check"]] = f"{found.get(one['check'], '')}{one['level']}: {one['found']}. {one['remedy']}\n"
    return found
