"""A sender's manifest: ``NAME.manifest.json`` beside the file ``NAME``, ``{"rows": 1200, "sha256": "9f86d0..."}``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tollgate.ingest.reading.formats import Unfit
from tollgate.ingest.reading.landed import Landed

MANIFEST = ".manifest.json"
REMEDY = "Ask the lender which of the two is right; once mended, `tollgate ingest file` judges the file again."


@dataclass(frozen=True)
class Manifest:
    """What the sender says the file holds."""

    rows: int
    sha256: str

    def check_content(self, file: Landed) -> None:
        """Raise ``Unfit`` when the bytes are not those that were sent."""
        if file.sha256 != self.sha256:
            raise Unfit("manifest_hash", f"{file.name} is not the file that its manifest describes",
                        value=f"SHA-256 {file.sha256}, announced {self.sha256}", remedy=REMEDY)

    def check_rows(self, name: str, received: int) -> None:
        """Raise ``Unfit`` when there are more or fewer rows than were sent."""
        if received != self.rows:
            raise Unfit("manifest_rows", f"{name} does not hold as many rows as its manifest says", received=received,
                        value=f"{received:,} rows, announced {self.rows:,}", remedy=REMEDY)


def read_manifest(name: str, content: bytes) -> Manifest:
    """The manifest of the file ``name``. Raises ``Unfit`` when it says not what a manifest must say."""
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    rows, digest = (said.get("rows"), said.get("sha256")) if isinstance(said, dict) else (None, None)
    if type(rows) is not int or rows < 0 or not isinstance(digest, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise Unfit("manifest", f"{name}{MANIFEST} is no manifest", value=f"{len(content)} bytes",
                    remedy='It must be {"rows": 1200, "sha256": "the file\'s SHA-256 in hex"}.')
    return Manifest(rows, digest.lower())
