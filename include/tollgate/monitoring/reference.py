"""What a model folder keeps of the rows that it was trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tollgate.errors import BadInput
from tollgate.stats.distributions import LAYOUT, frozen


def read_reference(folder: Path) -> pa.Table:
    """The reference rows of a model folder: raw features and ``score``."""
    with _readable(folder / "reference.parquet") as path:
        return pq.read_table(path)


def read_profile(folder: Path) -> dict[str, Any]:
    """The frozen profile of a model folder, as ``training.freeze`` makes it.

    That of an older Tollgate has other bins, of which some never see a change. It is made anew of the reference rows,
    which are fewer: what luck explains is wider then.

    Raises:
        BadInput: it cannot be read, or a newer Tollgate made it.
    """
    with _readable(folder / "profile.json") as path:
        profile: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    layout = profile.get("layout", 1)
    if layout == LAYOUT:
        return profile
    if layout > LAYOUT:
        raise BadInput(f"The profile of this model is laid out as a newer Tollgate does, {layout}", value=folder,
                       remedy=f"Monitor it with that version; this one reads layouts up to {LAYOUT}.")
    rows = read_reference(folder)
    made = {name: frozen("number" if pa.types.is_floating(rows[name].type) else "category", rows[name])
            for name in (*profile["features"], "score")}
    made["score"] = frozen("number", rows["score"].drop_null())
    return {"layout": LAYOUT, "score": made.pop("score"), "features": made}


@contextmanager
def _readable(path: Path) -> Iterator[Path]:
    try:
        yield path
    except (OSError, ValueError, pa.ArrowInvalid) as err:
        raise BadInput(f"The model's {path.name} cannot be read: {str(err).splitlines()[0]}", value=path.parent,
                       remedy="Fetch the model from the registry again.") from err
