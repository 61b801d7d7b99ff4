"""The reign that a promotion began: which champion it replaced, since when, and who ended it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from tollgate.registry import ledger
from tollgate.registry.standing import COMMITS, PROMOTION, registrations, version_in


@dataclass(frozen=True)
class Reign:
    """A version's service since its promotion.

    Attributes:
        former: the champion that it replaced. since: its scores count from this day on.
        ended_by: who made the next champion; None while it is the champion.
        expected: what its scores and the former's added up to on the rows that its gates judged (``beside_champion``
            of its registration); None where its gates compared with another champion, or an older Tollgate registered.
    """

    version: str
    former: str
    since: date
    ended_by: str | None
    expected: dict[str, float] | None


def reign(book: str, version: str) -> Reign | None:
    """The reign of a version, by the ledger alone; None where it replaced nobody, or a rollback put it there.

    Raises:
        Refused: the ledger is broken.
    """
    chain = ledger.trusted(book)
    commits = [entry for entry in chain if entry.kind in COMMITS]
    last = max((k for k, entry in enumerate(commits) if version_in(entry).version == version), default=None)
    if last is None or commits[last].kind != f"{PROMOTION}-committed" or commits[last].payload["previous"] is None:
        return None
    told, after = commits[last].payload, commits[last + 1:]
    judged = next(e.payload for e in registrations(chain) if version_in(e).version == version)
    same = judged["compared_with"] == told["previous"]
    return Reign(version, told["previous"], date.fromisoformat(told["effective_on"]),
                 after[0].payload["by"] if after else None, judged.get("beside_champion") if same else None)
