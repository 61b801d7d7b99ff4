"""What a fault of a description is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault of a description; ``word`` is what stands in the line to change."""

    says: str
    word: str
