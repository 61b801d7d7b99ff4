"""How far a PSI has gone, in the field's words, the mildest first."""

from __future__ import annotations

LEVELS = ("stable", "minor", "moderate", "major")
