"""The shared small world of the registry's and the scoring room's tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from registry.world import made, world

__all__ = ["made", "world"]
