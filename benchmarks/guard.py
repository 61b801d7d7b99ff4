"""The guard after a promotion, on the consumer book with known truth: false rollbacks, and days to a right one.

A trial promotes a champion whose true AUC lies a set amount above or below that of the one before, or that is changed
in a known way. Nights follow day by day: applications are drawn, both models score them, and they are compared as the
guard does, with the labels that are mature by then (a loan defaults on a uniformly drawn day within 700, and that is
known 30 days later, as in the book). Prints the table of docs/guard.md.

    python -m benchmarks.guard [TRIALS]
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from benchmarks.gate_errors import rate, table
from benchmarks.known_truth import draws, logistic, world
from benchmarks.slide import error_at

from tollgate.config import load_params
from tollgate.monitoring.paired import BEYOND, PAIRED, Pair, compare

TRIALS = 200
PARAMS = load_params(book="consumer")
LIMITS = PARAMS.monitoring
SIZES = {2_000: 1, 6_000: 4}    # applications a month, and of how many trials one is made: a look at more costs more
FIRST_DEFAULT, LAST_DEFAULT, REPORTED, BOOKED = 30, 700, 30, 7  # days
MATURE = LIMITS.guard_months * 30 + 3 + REPORTED
DAYS = LIMITS.guard_days + MATURE + BOOKED + 1
EVERY = 30                      # days between two looks: the rate holds for any number of them, each costs time
DECLINED = 0.4                  # the share that either model declines
DIFFERENCES = (0.01, 0.0, -0.005, -0.01, -0.02, -0.04, -0.08)
DECLINES = {"as good, declines 55 %": 0.55, "declines 80 %": 0.80}
CHANGED = (*DECLINES, "scores over 5", "scores at random")


@dataclass(frozen=True)
class Case:
    """What is promoted, and where.

    Attributes:
        champion: how far its true AUC lies above that of the former one, or one of ``CHANGED``.
        monthly: applications a month. follows: whether the lender books what the champion approves, or everybody.
    """

    champion: float | str
    monthly: int
    follows: bool


def trial(case: Case, rng: np.random.Generator) -> tuple[int, str] | None:
    """The day from 1 on which the guard goes back, and by which measure; None where it never does."""
    daily, population = case.monthly // 30, world("consumer")
    n = daily * LIMITS.guard_days
    rows, night = rng.integers(0, len(population.probability), n), np.repeat(np.arange(LIMITS.guard_days), daily)
    difference = case.champion if isinstance(case.champion, float) else 0.0
    champion, former = (population.seen[rows] + error_at(population.name, level) * rng.standard_normal(n)
                        for level in (min(0.0, difference), min(0.0, -difference)))
    former_declines = former >= np.quantile(former, 1 - DECLINED)
    if case.champion == "scores at random":
        rng.shuffle(champion)
    champion_declines = champion >= np.quantile(champion, 1 - DECLINES.get(str(case.champion), DECLINED))
    scores = logistic(champion) / (5 if case.champion == "scores over 5" else 1)
    defaults = rng.random(n) < population.probability[rows]
    after = rng.integers(FIRST_DEFAULT, LAST_DEFAULT, n)
    booked = night + rng.integers(0, BOOKED, n)
    early = defaults & (after <= LIMITS.guard_months * 30 + 3)
    seen = ~champion_declines if case.follows else np.ones(n, bool)
    for day in range(EVERY - 1, DAYS + 1, EVERY):
        there = night <= day
        pair = Pair(scores[there], logistic(former[there]), champion_declines[there], former_declines[there],
                    early[there], (seen & (booked + MATURE < day))[there])
        beyond = [row["metric"] for row in compare(pair, PARAMS, all_booked=not case.follows) if row["level"] == BEYOND]
        if beyond:
            return day + 1, beyond[0]
    return None


def trials(case: Case, count: int) -> list[tuple[int, str] | None]:
    """What became of so many champions of a case."""
    return [trial(case, rng) for rng in draws(f"guard {case}", count)]


def told(found: list[tuple[int, str] | None]) -> list[str]:
    """Of a row of the table: how often it went, by what, and after how many days."""
    days = sorted(day for day, _ in filter(None, found))
    by = [metric for _, metric in filter(None, found)]
    return [rate(one is not None for one in found),
            ", ".join(f"{metric} {by.count(metric)}" for metric in PAIRED if metric in by) or "-",
            *(f"{np.quantile(days, share, method='nearest'):.0f}" if days else "-" for share in (0.5, 0.9))]


def main(count: int) -> None:
    """Print the table."""
    cases = [Case(champion, monthly, follows) for monthly in SIZES for champion in (*DIFFERENCES, *CHANGED)
             for follows in (False, True)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        found = {case: pool.submit(trials, case, max(count // SIZES[case.monthly], 1)) for case in cases}
        table("true difference of AUC, or what is changed | applications a month | booked | rolled back | by"
              " | days, half of them | nine of ten", (
                  [case.champion if isinstance(case.champion, str) else f"{case.champion:+.3f}", f"{case.monthly:,}",
                   "by the champion" if case.follows else "everybody", *told(one.result())]
                  for case, one in found.items()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS)
