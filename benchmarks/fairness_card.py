"""Fairness on real people: the card book's decisions by sex and age, beside fairlearn's own numbers.

Trains on the card book from nothing and prints docs/fairness-card.md:

    TOLLGATE_DATA=$(mktemp -d) .venv/bin/python benchmarks/fairness_card.py > docs/fairness-card.md
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from tollgate import services, stages
from tollgate.config import load_params
from tollgate.gates.evidence import Case
from tollgate.gates.fairness import Measure, Parity, parity

AS_OF = date(2007, 1, 1)
STAGES = ("fetch", "history", "snapshot", "features", "split", "sweep", "train", "evaluate")
ATTRIBUTES = ("sex", "age_band")
INTRODUCTION = """\
# Fairness on the card book

<!-- Printed by benchmarks/fairness_card.py. -->

The 30,000 clients of the [card book](books/card.md) are real people. This is what its model decides about those it was
not trained on, and what the fairness gate makes of it. The model knows neither sex nor age; exchanging them changes no
score, which the behaviour gate checks. Made by

    TOLLGATE_DATA=$(mktemp -d) .venv/bin/python benchmarks/fairness_card.py > docs/fairness-card.md
"""
READING = """\
**How to read it.** Intervals hold with {confidence:.0%} confidence: Wilson's for a share; for a comparison the
bootstrap within each group ({draws} draws), wide enough to hold for all groups and attributes together. The gate counts
the loans as weights before it asks fairlearn; *fairlearn* here is asked about the loans one by one, so that the last
column would show it if the counting were wrong. The demographic-parity difference must be below {limit:.0%}; the other
two stand beside it and decide nothing.
"""


@dataclass(frozen=True)
class Theirs:
    """Fairlearn's own numbers of one attribute, from one row a loan."""

    selection: dict[str, float]
    difference: float
    ratio: float
    odds: float


def fairlearns(case: Case, attribute: str, groups: list[str]) -> Theirs:
    """Ask fairlearn directly; approved is its selected, paid its true outcome."""
    from fairlearn.metrics import (
        MetricFrame,
        demographic_parity_difference,
        demographic_parity_ratio,
        equalized_odds_difference,
        selection_rate,
    )

    values = case.evidence[attribute].to_numpy(zero_copy_only=False)
    kept = np.isin(values, groups)
    rows = {"y_true": ~case.label[kept], "y_pred": (case.score < case.threshold)[kept],
            "sensitive_features": values[kept]}
    frame = MetricFrame(metrics=selection_rate, **rows)
    return Theirs({str(name): float(rate) for name, rate in frame.by_group.items()},
                  *(float(metric(**rows)) for metric in (
                      demographic_parity_difference, demographic_parity_ratio, equalized_odds_difference)))


def told(case: Case, found: Parity) -> Iterator[str]:
    """The lines of one attribute."""
    theirs = fairlearns(case, found.attribute, list(found.rates))
    yield f"## By {found.attribute}\n"
    names = list(found.table[0])
    yield f"| {' | '.join(names)} | fairlearn's selection rate |"
    yield "|---" * (len(names) + 1) + "|"
    for row, group in zip(found.table, found.rates, strict=True):
        yield f"| {' | '.join(row.values())} | {100 * theirs.selection[group]:.1f} % |"
    yield "\n| comparison | the gate's, with its interval | fairlearn's |\n|---|---|---|"
    pairs: list[tuple[str, Measure | None, float]] = [
        ("demographic-parity difference", found.gap, theirs.difference),
        ("demographic-parity ratio (four fifths: 0.8)", found.ratio, theirs.ratio),
        ("equalised-odds difference", found.odds, theirs.odds)]
    for name, ours, other in pairs:
        yield f"| {name} | {ours} | {other:.3f} |"
    if found.small:
        yield f"\nToo small to judge: {', '.join(found.small)}."
    yield ""


def main() -> None:
    """Train, then print the page."""
    params = load_params(book="card", as_of=AS_OF)
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        try:
            for stage in STAGES:
                stages.STAGES[stage](run, params)
        finally:
            services.stop_embedded()  # the sweep's database
        case = Case(run, params)
        found = [parity(case, attribute) for attribute in ATTRIBUTES]
        print(INTRODUCTION)
        print(f"{len(case.label):,} test clients, {case.label.mean():.1%} of whom defaulted; at the model's threshold "
              f"{np.mean(case.score < case.threshold):.1%} are approved.\n")
        for one in found:
            print("\n".join(told(case, one)))
        print(READING.format(confidence=params.gates.confidence, draws=params.gates.bootstrap_draws,
                             limit=params.gates.parity_gap_max))
        worst = max(found, key=lambda one: one.gap.value)
        verdict = "refuses" if worst.gap.value >= params.gates.parity_gap_max else "passes"
        low, high = worst.gap.interval
        print(f"**What the gate makes of it.** It {verdict} this model: the widest gap is {worst.gap.value:.2%} "
              f"({low:.1%} to {high:.1%}), by {worst.attribute}.")


if __name__ == "__main__":
    main()
