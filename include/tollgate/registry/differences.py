"""What differs between two models that should be the same one. Empty where nothing does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tollgate.features import Model, digest_of
from tollgate.registry.runs import flat

LONGEST = 60  # characters of a value that are shown


def of_models(then: Path, now: Path) -> list[str]:
    """Sentences on two model folders: settings first, then what they sum, then the files beside them."""
    if digest_of(then) == digest_of(now):
        return []
    old, new = Model.load(then), Model.load(now)
    told = [*_of_settings(old.about, new.about), *_of_parts(old, new)]
    names = sorted({p.relative_to(folder).as_posix() for folder in (then, now) for p in folder.rglob("*")
                    if p.is_file()})
    told += [f"the model's file {name} differs" for name in names if _bytes(then / name) != _bytes(now / name)]
    return told


def _of_settings(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    old, new = dict(flat(then)), dict(flat(now))
    return [f"{key} is {_shown(new.get(key))}, and was {_shown(old.get(key))}" for key in sorted({*old, *new})
            if old.get(key) != new.get(key)]


def _of_parts(then: Model, now: Model) -> list[str]:
    old, new = then.fitted.parts(), now.fitted.parts()
    told = [] if len(old) == len(new) else [f"the scores are summed from {len(new)} parts, and were from {len(old)}"]
    first = next((k for k, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), None)
    if first is not None:
        differ = sum(a != b for a, b in zip(old, new, strict=False))
        told.append(f"part {first + 1} of {len(old)} (a tree, or an input's points) is the first of {differ} that "
                    "differ")
    return told


def of_predictions(then: Path, now: Path) -> tuple[int, float, list[str]]:
    """Rows that two files of evidence share, the largest difference of a score (max |Δp|), and sentences on both."""
    import numpy as np
    import pyarrow.parquet as pq

    old, new = (pq.read_table(path, columns=["split", "loan_id", "applied_on", "score"]) for path in (then, now))
    keys = [list(zip(*(rows[c].to_pylist() for c in ("split", "loan_id", "applied_on")), strict=True))
            for rows in (old, new)]
    before = dict(zip(keys[0], old["score"].to_pylist(), strict=True))
    pairs = np.array([(before[key], score) for key, score in zip(keys[1], new["score"].to_pylist(), strict=True)
                      if key in before]).reshape(-1, 2)
    moved = np.abs(pairs[:, 0] - pairs[:, 1])
    told = [] if len(pairs) == old.num_rows == new.num_rows else [
        f"{new.num_rows} rows were judged, and were {old.num_rows}; {len(pairs)} are the same loans"]
    if moved.any():
        told.append(f"{np.count_nonzero(moved)} of {len(pairs)} predictions differ, by up to {moved.max():.3g}")
    return len(pairs), float(moved.max(initial=0)), told


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
