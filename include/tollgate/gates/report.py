"""The verdicts of one run, as JSON for machines, a Markdown table for the approval, and a page for people."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

from tollgate.gates.base import Verdict, listed, percent

DASH, NO_BREAK = "-", "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Meaning:
    """How people read a gate's number: its title, which side of the limit is good, its unit, and what must keep it."""

    title: str
    rule: str
    unit: str = "number"
    noun: str = ""
    judged: str = ""

    @property
    def above_is_good(self) -> bool:
        """Whether larger values are better."""
        return self.rule in (">", "≥")

    def shown(self, value: float) -> str:
        """A value in the gate's unit."""
        if self.unit == "share":
            return percent(value)
        if self.unit == "count":
            return f"{value:,.0f}"
        if self.unit == "times":
            return f"{value:.2f}"
        return f"{value:+.4f}" if self.unit == "difference" else f"{value:.4f}"


MEANINGS = {
    "auc": Meaning("Ranking (AUC)", ">"),
    "ks": Meaning("Separation (KS)", ">"),
    "false_negatives": Meaning("Missed defaults", "<", "share"),
    "approval_rate": Meaning("Approval rate", "within", "share"),
    "cost": Meaning("Cost of the decisions", "≤", "times"),
    "calibration": Meaning("Calibration", "<"),
    "expected_defaults": Meaning("Defaults over those expected", "within", "times"),
    "slices": Meaning("Worst slice", "≤", "difference", judged="lower end "),
    "baseline": Meaning("Against the scorecard", "≥", "difference", judged="lower end "),
    "champion": Meaning("Against the champion", "≥", "difference", judged="lower end "),
    "former_best": Meaning("Against the best former champion", "≥", "difference", judged="lower end "),
    "swap_set": Meaning("Against the champion's decisions", "≤", "difference", judged="upper end "),
    "fairness": Meaning("Fairness", "<", "share"),
    "behaviour": Meaning("Behaviour", "≤", "count", "faults"),
    "leakage": Meaning("Leakage", "≤"),
    "data": Meaning("Data", "≥", "count", "defaults"),
    # What is asked of a refit besides gates.
    "ahead": Meaning("The younger fit against the judged", ">", "difference", judged="lower end "),
    "agreement": Meaning("Agreement of both fits", "≥"),
}


@dataclass(frozen=True)
class Report:
    """All verdicts of one run, in the order of ``GATES``, and what they are about."""

    book: str
    title: str
    as_of: str
    model_digest: str | None
    snapshot_digest: str | None
    champion_version: str | None
    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether no gate refused."""
        return not self.refusals

    @property
    def refusals(self) -> list[str]:
        """Names of the gates that refused."""
        return [v.gate for v in self.verdicts if v.verdict == "refuse"]

    @property
    def summary(self) -> str:
        """The overall verdict in plain words."""
        asked, refusals = len(self.verdicts), self.refusals
        if refusals:
            return (f"The model is refused: {len(refusals)} of {asked} gates said no "
                    f"({listed([MEANINGS[g].title for g in refusals], asked)}). It does not go to approval.")
        silent = sum(v.verdict == "n/a" for v in self.verdicts)
        besides = f"; {silent} had nothing to judge" if silent else ""
        return f"The model passed {asked - silent} of {asked} gates{besides}. It may go to approval."

    def to_json(self) -> str:
        """One JSON object."""
        record = asdict(self) | {"passed": self.passed, "summary": self.summary,
                                 "verdicts": [{k: _finite(v) for k, v in asdict(verdict).items()}
                                              for verdict in self.verdicts]}
        return json.dumps(record, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        """The summary and one table line a gate."""
        lines = [self.summary, "", "| gate | measured | interval | limit | verdict | sentence |",
                 "|---|---|---|---|---|---|"]
        for v in self.verdicts:
            sentence = v.sentence.replace("|", "\\|")
            verdict = f"**{v.verdict}**" if v.verdict == "refuse" else v.verdict
            lines.append(f"| {' | '.join(cells(v))} | {verdict} | {sentence} |")
        return "\n".join(lines) + "\n"


def cells(verdict: Verdict) -> tuple[str, str, str, str]:
    """Title, measured value, interval and limit for a line of a table; a narrow column tears none of the numbers."""
    numbers = (shown(verdict, verdict.measured), interval(verdict), limit(verdict))
    measured, reach, allowed = (number.replace(" ", NO_BREAK) for number in numbers)
    return MEANINGS[verdict.gate].title, measured, reach, allowed


def shown(verdict: Verdict, value: float | None) -> str:
    """One of the verdict's numbers in the gate's unit, or a dash."""
    return DASH if value is None or not math.isfinite(value) else MEANINGS[verdict.gate].shown(value)


def interval(verdict: Verdict) -> str:
    """The interval in the gate's unit, or a dash."""
    if verdict.low is None or verdict.high is None:
        return DASH
    return f"{shown(verdict, verdict.low)} to {shown(verdict, verdict.high)}"


def limit(verdict: Verdict) -> str:
    """The limit with its direction, or a dash."""
    if verdict.limit is None:
        return DASH
    meaning = MEANINGS[verdict.gate]
    if verdict.limit_high is not None:
        return f"{meaning.shown(verdict.limit)} to {meaning.shown(verdict.limit_high)}"
    value = meaning.shown(verdict.limit) if meaning.unit in ("share", "count") else f"{verdict.limit:g}"
    return f"{meaning.rule} {value}"


def _finite(value: object) -> object:
    """The value, which JSON can tell, or nothing."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
