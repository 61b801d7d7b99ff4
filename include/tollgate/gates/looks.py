"""How often a model was compared with already, on test loans of the same months."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake


def window_of(test: pa.Table) -> dict[str, Any]:
    """What a look was at: the first and the last day of its test loans, how many they are, and a digest of their ids.

    Args:
        test: test rows with ``loan_id`` and ``applied_on``, at least one.
    """
    span = pc.min_max(test["applied_on"]).as_py()
    return {"first": str(span["min"]), "last": str(span["max"]), "rows": test.num_rows,
            "loans": lake.digest(test.select(["loan_id"]).sort_by("loan_id"))}


def earlier_looks(looks: Iterable[dict[str, Any]], version: str, digest: str, window: dict[str, Any]) -> int:
    """How many other models were compared with this version on a window that this one overlaps.

    The same model is the same look, however often it is judged: its numbers do not change.

    Args:
        looks: each with ``digest`` of the model, ``against``, the versions that it was compared with, and ``window``.
        version: of the model compared with. digest: of the model that is judged now. window: its ``window_of``.
    """
    return len({look["digest"] for look in looks
                if version in look["against"] and look["digest"] != digest
                and look["window"]["first"] <= window["last"] and window["first"] <= look["window"]["last"]})
