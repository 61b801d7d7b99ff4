"""What a run's ``dvc.lock`` says: which outputs its stages have made, and by which hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Output:
    """One output of a stage that has run; a folder's hash is DVC's own, over the list of its files."""

    path: str
    md5: str
    size: int

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of files."""
        return self.md5.endswith(".dir")


def outputs(lock: bytes | None) -> dict[str, Output]:
    """The outputs of the stages that have run, by path; none where there is no lock yet."""
    return {out["path"]: Output(out["path"], out["md5"], out["size"])
            for stage in _stages(lock).values() for out in stage.get("outs", [])}


def differing(folder: Path, wanted: Sequence[Output]) -> list[Output]:
    """Those of ``wanted`` that do not lie in ``folder`` with the content that their hash names.

    A folder always differs: only DVC knows how to compare it, and it takes a second to ask.
    """
    return [out for out in wanted if out.is_folder or not _is_there(folder / out.path, out)]


def merge_stage(lock: bytes | None, mine: bytes, stage: str) -> bytes:
    """``lock`` with what ``mine`` says of one stage: what others recorded meanwhile stays."""
    import yaml

    ours = _read(mine)
    stages = {**_stages(lock), stage: ours["stages"][stage]}
    return mine if stages == ours["stages"] else yaml.safe_dump({**ours, "stages": stages}, sort_keys=False).encode()


def _stages(lock: bytes | None) -> dict[str, Any]:
    return (_read(lock) or {}).get("stages", {}) if lock else {}


def _read(lock: bytes) -> Any:
    import yaml

    return yaml.load(lock, Loader=yaml.CSafeLoader)  # ten times as fast as in Python


def _is_there(path: Path, out: Output) -> bool:
    if not path.is_file() or path.stat().st_size != out.size:
        return False
    with path.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == out.md5
