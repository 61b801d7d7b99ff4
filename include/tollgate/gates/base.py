"""What a gate answers: a measured value, its interval, a limit, a verdict and a sentence a person can act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tollgate.stats.intervals import Interval

Table = tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Verdict:
    """One gate's answer.

    Attributes:
        gate: its name, one of ``GATES``.
        verdict: ``refuse`` stops the model; ``n/a`` says why the gate has nothing to judge, and does not.
        measured: the value that was held against ``limit``; None when nothing could be measured.
        low, high: ends of the interval around ``measured``; None for a count.
        limit: what ``measured`` must exceed or stay below.
        limit_high: where ``measured`` must lie between two limits, the upper of them.
        sentence: the verdict in words, the cause and the remedy of a refusal included.
        table: what stands behind the sentence, one mapping a row, as people read it; possibly empty.
    """

    gate: str
    verdict: Literal["pass", "refuse", "n/a"]
    measured: float | None
    low: float | None
    high: float | None
    limit: float | None
    sentence: str
    table: Table = ()
    limit_high: float | None = None


def judged(gate: str, passed: bool, *, measured: float, limit: float, sentence: str,
           interval: Interval | None = None, table: Table = (), limit_high: float | None = None) -> Verdict:
    """A verdict on a measured value."""
    low, high = interval or (None, None)
    return Verdict(gate, "pass" if passed else "refuse", measured, low, high, limit, sentence, table, limit_high)


def refused(gate: str, sentence: str) -> Verdict:
    """A refusal for want of anything to measure."""
    return Verdict(gate, "refuse", None, None, None, None, sentence)


def not_applicable(gate: str, sentence: str) -> Verdict:
    """A gate that has nothing to judge here."""
    return Verdict(gate, "n/a", None, None, None, None, sentence)


def percent(share: float) -> str:
    """A share as people write it: ``12.3 %``."""
    return f"{100 * share:.1f} %"


def listed(items: list[str], limit: int = 5) -> str:
    """The first few of ``items`` in one line, and how many more there are."""
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more
