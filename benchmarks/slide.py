"""Weekly trainings on nearly the same test loans: what the champion gates let through, by simulation.

Loans are drawn from a population whose truth is known (known_truth.py). The test window moves by a week at a time and
keeps 25 of its 26 weeks. Every week brings a challenger whose true AUC is set: a fit of its own, as unlike the
champion as two fits of docs/gate-errors.md are. Each look is the gate's own test (DeLong, paired, on the loans) at the
level that the gate uses. Prints the tables of docs/slow-slide.md.

    python -m benchmarks.slide [TRIALS]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context

import numpy as np
from benchmarks.gate_errors import rate, table
from benchmarks.known_truth import World, draws, true_auc, world

from tollgate.config import load_params
from tollgate.stats.intervals import normal_quantile
from tollgate.stats.looks import look_confidence
from tollgate.stats.ranking import area_under, delong

TRIALS = 300
WEEKS = 20                  # of looks at one champion
WINDOW_WEEKS = 26           # six months of test loans
STEP = -0.004               # what each challenger of a slide loses against the champion that it finds
LIMITS = load_params(book="consumer").gates
RULES = ("one level", "counted looks")
SIZES = (("consumer", 12_000), ("sba-like", 41_000))


@dataclass(frozen=True)
class Plan:
    """A slide of the consumer book: how often a challenger comes.

    Attributes:
        name: for people. every: weeks between two challengers. weeks: of the whole slide.
        sizes: how many test loans. rules: how looks are tested.
    """

    name: str
    every: int
    weeks: int
    sizes: tuple[int, ...]
    rules: tuple[str, ...]


WEEKLY = Plan("week, 2 years", 1, 104, (3_000, 12_000), RULES)
HALF_YEARLY = Plan("half-year, 10 years", WINDOW_WEEKS, 20 * WINDOW_WEEKS, (12_000, 40_000), RULES[1:])


@cache
def curve(name: str) -> tuple[np.ndarray, np.ndarray]:
    """True AUCs, rising, and the errors of a fit that have them."""
    w = world(name)
    errors, noise = np.geomspace(w.error, 4 * w.error + 3, 16), w.noise("curve")
    areas = np.array([true_auc(w.seen + error * noise, w.probability) for error in errors])
    return areas[::-1], errors[::-1]


def error_at(name: str, level: float) -> float:
    """The error of a fit whose true AUC is ``level`` (at most 0) above that of an ordinary one."""
    areas, errors = curve(name)
    return float(np.interp(areas[-1] + level, areas, errors))


@dataclass(frozen=True, eq=False)
class Stream:
    """The loans of one trial in the order of time: a validation window, then the test windows of all weeks.

    Attributes:
        rows: which loans of the world. label: who of them defaulted. window: how many loans a window has.
    """

    world: World
    rows: np.ndarray
    label: np.ndarray
    window: int

    @classmethod
    def draw(cls, name: str, window: int, weeks: int, rng: np.random.Generator) -> Stream:
        """Loans whose outcomes come up as the true probabilities say."""
        w, count = world(name), 2 * window + (weeks - 1) * (window // WINDOW_WEEKS)
        rows = rng.integers(0, len(w.probability), count)
        return cls(w, rows, rng.random(count) < w.probability[rows], window)

    def fit(self, level: float, rng: np.random.Generator) -> np.ndarray:
        """Scores of a new fit of this true AUC, of every loan of the stream."""
        return self.world.seen[self.rows] + error_at(self.world.name, level) * rng.standard_normal(len(self.rows))

    def test(self, week: int) -> slice:
        """The test loans of a week."""
        start = self.window + week * (self.window // WINDOW_WEEKS)
        return slice(start, start + self.window)

    def validation(self, week: int) -> slice:
        """The loans just before them."""
        return slice(self.test(week).start - self.window, self.test(week).start)


def surplus(stream: Stream, week: int, scores: Sequence[np.ndarray]) -> list[float]:
    """How many standard errors the first score's AUC lies above the margin below that of each other one."""
    rows = stream.test(week)
    areas, covariance = delong(stream.label[rows], np.stack([score[rows] for score in scores]))
    return [float((areas[0] - areas[other] + LIMITS.champion_margin)
                  / np.sqrt(covariance[0, 0] + covariance[other, other] - 2 * covariance[0, other]))
            for other in range(1, len(scores))]


def needed(rule: str, look: int) -> float:
    """How many standard errors a look asks for."""
    return normal_quantile(LIMITS.confidence if rule == RULES[0] else look_confidence(LIMITS.confidence, look))


def first_promotions(name: str, window: int, difference: float, trials: int) -> dict[str, list[int]]:
    """By rule and trial, the week from 1 in which a challenger replaced the champion; 0 where none did.

    Every challenger is truly ``difference`` above the one champion.
    """
    found: dict[str, list[int]] = {rule: [] for rule in RULES}
    for rng in draws(f"slide {name} {window} {difference}", trials):
        stream = Stream.draw(name, window, WEEKS, rng)
        champion = stream.fit(min(0.0, -difference), rng)
        seen = [surplus(stream, week, (stream.fit(min(0.0, difference), rng), champion))[0] for week in range(WEEKS)]
        for rule, weeks in found.items():
            weeks.append(next((week + 1 for week, value in enumerate(seen) if value >= needed(rule, week + 1)), 0))
    return found


def slid(plan: Plan, window: int, rule: str, former_best: bool, trials: int) -> list[int]:
    """How many champions in a row each trial let through, each .004 worse than the one before.

    A look counts those of the last 26 weeks: the windows before have no loan in common with this one.

    Args:
        window: how many test loans. rule: how a look is tested.
        former_best: whether the best former champion is compared with too.
    """
    found = []
    for rng in draws(f"slid consumer {window}", trials):
        stream = Stream.draw("consumer", window, plan.weeks, rng)
        champions: list[np.ndarray] = [stream.fit(0.0, rng)]
        looks: list[list[int]] = [[]]
        for week in range(0, plan.weeks, plan.every):
            challenger = stream.fit(STEP * len(champions), rng)
            against = [len(champions) - 1]
            if former_best and len(champions) > 1:
                rows = stream.validation(week)
                against.append(int(np.argmax([area_under(stream.label[rows], score[rows])
                                              for score in champions[:-1]])))
            for place in against:
                looks[place].append(week)
            numbers = [sum(week - earlier < WINDOW_WEEKS for earlier in looks[place]) for place in against]
            values = surplus(stream, week, (challenger, *(champions[place] for place in against)))
            if all(value >= needed(rule, number) for value, number in zip(values, numbers, strict=True)):
                champions, looks = [*champions, challenger], [*looks, []]
        found.append(len(champions) - 1)
    return found


def main(trials: int) -> None:
    """Print both tables."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        weekly = {(name, window, difference): pool.submit(first_promotions, name, window, difference, trials)
                  for name, window in SIZES for difference in (-LIMITS.champion_margin, 0.0)}
        slides = {(plan.name, window, rule, best): pool.submit(slid, plan, window, rule, best, trials // 3)
                  for plan in (WEEKLY, HALF_YEARLY) for window in plan.sizes for rule in plan.rules
                  for best in (False, True)}
        table("book, test loans | true difference | level | promoted at the first look | within 4 | within 20", (
            [f"{name}, {window:,}", f"{difference:+.3f}", rule,
             *(rate(0 < week <= last for week in weeks) for last in (1, 4, WEEKS))]
            for (name, window, difference), told in weekly.items() for rule, weeks in told.result().items()))
        table("a challenger every | test loans | level | gates | generations let through, mean | most"
              " | AUC lost, mean | in the worst trial | lost more than .010", (
            [plan, f"{window:,}", rule, "champion, former_best" if best else "champion",
             f"{np.mean(told.result()):.2f}", max(told.result()),
             *(f"{-STEP * lost:.4f}" for lost in (np.mean(told.result()), max(told.result()))),
             rate(-STEP * lost > 0.010 for lost in told.result())]
            for (plan, window, rule, best), told in slides.items()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS)
