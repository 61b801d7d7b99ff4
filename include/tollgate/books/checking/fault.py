"""What a fault of a description is, and what names may be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

NAME = re.compile("[a-z][a-z0-9_]*")
# Columns that a run puts beside the features.
RUN = {"loan_id", "applied_on", "known_on", "label", "approval_probability", "weight", "split", "score"}


@dataclass(frozen=True)
class Fault:
    """One fault of a description; ``word`` is what stands in the line to change."""

    says: str
    word: str


def duplicates(names: Iterable[str]) -> list[tuple[str, int]]:
    """The names that are there more than once, and how often."""
    return [(name, n) for name, n in Counter(names).items() if n > 1]
