"""How often the gates are wrong: false promotions, false refusals and interval coverage, by simulation.

Every row is a number of trials on fresh test sets from a population whose truth is known (known_truth.py), judged by
the real gates under the book's own limits. Prints the tables of docs/gate-errors.md.

    python -m benchmarks.gate_errors [TRIALS]
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

import numpy as np
from benchmarks.known_truth import SEED, Bench, Sample, draws, logistic, solve, true_auc, true_ks, world
from scipy.stats import binomtest

from tollgate.gates import Verdict
from tollgate.training import operating_point

TRIALS = 200
DIFFERENCES = (-0.02, -0.01, -0.005, 0.0, 0.005, 0.01, 0.02)
SIZES = {"consumer": (500, 1_000, 2_000, 4_000, 12_000), "sba-like": (5_000, 10_000, 20_000, 41_000)}
PARITY_SIZES = (1_500, 12_000)
GAPS = (0.0, 0.05, 0.10, 0.15)
HONEST_SIZES = {"consumer": (1_500, 12_000), "sba-like": (5_000, 41_000)}
HONEST = ("auc", "ks", "false_negatives", "approval_rate", "cost", "calibration", "expected_defaults")
SIZED = (("consumer", 1_500), ("consumer", 12_000), ("sba-like", 5_000))
RATIOS = (1.0, 1.25, 1.5, 2.0, 3.0, 1_000.0)
SLOPES = (1.0, 0.8, 1 / 1.5, 0.5)
DEARER = (0.0, 0.05, 0.10, 0.20)
STEP = 0.004                            # what a challenger lost against its champion, within the margin
SLID = (0.0, 0.001, 0.002, 0.004, 0.008)  # and its champion against the best former one


def champion_trials(name: str, rows: int, difference: float, trials: int) -> list[Verdict]:
    """Verdicts on a challenger whose true AUC is ``difference`` above its champion's."""
    w = world(name)
    challenger, champion = w.pair(difference)
    with Bench.open() as bench:
        found = []
        for rng in draws(f"champion {name} {rows} {difference}", trials):
            bench.present(Sample.draw(w, rows, rng), challenger, champion)
            found.append(bench.verdict("champion"))
    return found


def former_trials(name: str, slid: float, trials: int) -> list[tuple[bool, bool]]:
    """Whether ``champion`` and ``former_best`` pass a challenger whose true AUC is .004 below its champion's.

    The champion's is ``slid`` below that of the best former champion.
    """
    w, found = world(name), []
    former, champion, challenger = w.fitted("one"), w.worse("another", slid), w.worse("third", slid + STEP)
    with Bench.open() as bench:
        for rng in draws(f"former {name} {slid}", trials):
            bench.present(Sample.draw(w, w.rows, rng), challenger, champion, former=former)
            found.append((bench.verdict("champion").verdict == "pass", bench.verdict("former_best").verdict == "pass"))
    return found


def outcome(verdict: Verdict) -> str:
    """What the champion gate said: passed, worse, or cannot tell."""
    if verdict.verdict == "pass":
        return "passed"
    assert verdict.high is not None and verdict.limit is not None, verdict.sentence
    return "worse" if verdict.high < verdict.limit else "cannot tell"


def fairness_trials(gap: float, rows: int, trials: int) -> list[Verdict]:
    """Verdicts on a model that approves women less often, by exactly ``gap``, through a proxy of their sex."""
    score, threshold = biased(gap)
    with Bench.open() as bench:
        found = []
        for rng in draws(f"fairness {gap} {rows}", trials):
            bench.present(Sample.draw(world("consumer"), rows, rng), score, threshold=threshold)
            found.append(bench.verdict("fairness"))
    return found


@cache
def biased(gap: float) -> tuple[np.ndarray, float]:
    """Scores that lean on a proxy, and the threshold that misses 12 % of the defaults.

    The proxy (say, a neighbourhood) holds for 85 % of the women and 15 % of the men; how much it adds to the
    log-odds is solved for, so that the population's approval rates of the two differ by ``gap``.
    """
    w = world("consumer")
    woman = w.about["sex"].to_numpy(zero_copy_only=False) == "female"
    proxy = woman ^ (np.random.default_rng([SEED, *b"proxy"]).random(len(woman)) < 0.15)
    fitted = w.seen + w.error * w.noise("one")

    def scored(weight: float) -> tuple[np.ndarray, float]:
        odds = fitted + weight * proxy
        return odds, true_threshold(odds, w.probability)

    def true_gap(weight: float) -> float:
        odds, threshold = scored(weight)
        approved = odds < threshold
        return float(approved[~woman].mean() - approved[woman].mean())

    odds, threshold = scored(solve(lambda weight: true_gap(weight) - gap, -3.0, 5.0))
    return logistic(odds), float(logistic(np.array(threshold)))


def true_threshold(score: np.ndarray, probability: np.ndarray, missed_at_most: float = 0.12) -> float:
    """The score below which this share of the population's defaults lies."""
    order = np.argsort(score)
    missed = probability[order].cumsum() / probability.sum()
    return float(score[order][np.searchsorted(missed, missed_at_most)])


def honest_trials(name: str, rows: int, trials: int) -> list[tuple[dict[str, Verdict], dict[str, float]]]:
    """Verdicts on an honest model, its threshold chosen on a validation sample as ever; and the truth they seek.

    Of ``consumer`` the model is the true default probability itself; of ``sba-like`` it is an ordinary fit.
    """
    w = world(name)
    score = w.probability if name == "consumer" else w.fitted("one")
    truth = {"auc": true_auc(score, w.probability), "ks": true_ks(score, w.probability)}
    found = []
    with Bench.open() as bench:
        for rng in draws(f"honest {name} {rows}", trials):
            validation = Sample.draw(w, rows, rng)
            threshold = operating_point(validation.label, score[validation.rows], bench.params.train)["threshold"]
            bench.present(Sample.draw(w, rows, rng), score, threshold=threshold)
            missed = float(w.probability[score < threshold].sum() / w.probability.sum())
            found.append(({gate: bench.verdict(gate) for gate in HONEST}, {**truth, "false_negatives": missed}))
    return found


def true_cost(probability: np.ndarray, approved: np.ndarray, of_default: float) -> float:
    """What decisions on the whole population cost, as a multiple of approving everybody."""
    spent = of_default * probability[approved].sum() + (1 - probability[~approved]).sum()
    return float(spent / (of_default * probability.sum()))


def expected_trials(name: str, rows: int, ratio: float, trials: int) -> list[Verdict]:
    """Verdicts on scores of which this many times as many loans default as they add up to, in every band."""
    w, found = world(name), []
    score = w.probability / ratio
    with Bench.open() as bench:
        for rng in draws(f"expected {name} {rows} {ratio}", trials):
            bench.present(Sample.draw(w, rows, rng), score)
            found.append(bench.verdict("expected_defaults"))
    return found


def slope_trials(name: str, rows: int, slope: float, trials: int) -> list[bool]:
    """Whether the slope is refused, of scores whose log-odds are 1 / ``slope`` times as far apart as they should be."""
    w, found = world(name), []
    odds = np.log(w.probability / (1 - w.probability))
    score = logistic(odds.mean() + (odds - odds.mean()) / slope)
    with Bench.open() as bench:
        for rng in draws(f"slope {name} {rows} {slope}", trials):
            bench.present(Sample.draw(w, rows, rng), score)
            found.append("The slope is surely outside" in bench.verdict("calibration").sentence)
    return found


def swap_trials(name: str, rows: int, dearer: float, trials: int) -> list[Verdict]:
    """Verdicts on a challenger that ranks as well, whose decisions cost by exactly ``dearer`` more than the champion's.

    In units of what approving everybody costs. The champion misses 6 % of the defaults, and so declines more than is
    cheapest; the challenger does too.
    """
    w, found = world(name), []
    challenger, champion = w.pair(0.0)
    theirs = true_threshold(champion, w.probability, 0.06)
    with Bench.open() as bench:
        of_default = bench.params.train.cost_of_default
        aim = true_cost(w.probability, champion < theirs, of_default) + dearer
        cheapest = min(np.quantile(challenger, np.arange(0.02, 1, 0.02)),
                       key=lambda cut: true_cost(w.probability, challenger < cut, of_default))
        threshold = solve(lambda cut: true_cost(w.probability, challenger < cut, of_default) - aim, 0.0,
                          float(cheapest))
        for rng in draws(f"swap {name} {rows} {dearer}", trials):
            bench.present(Sample.draw(w, rows, rng), challenger, champion, threshold, theirs)
            found.append(bench.verdict("swap_set"))
    return found


def rate(hits: Iterable[bool]) -> str:
    """A rate with its 95 % Wilson interval, in per cent."""
    found = list(hits)
    likely = binomtest(sum(found), len(found)).proportion_ci(0.95, method="wilson")
    return f"{100 * sum(found) / len(found):.1f} % ({100 * likely.low:.1f}-{100 * likely.high:.1f})"


def table(head: str, rows: Iterable[Iterable[object]]) -> None:
    """Print one Markdown table."""
    columns = head.split(" | ")
    print(f"\n| {head} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def main(trials: int) -> None:
    """Print every table."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        compared = {(name, rows, difference): pool.submit(champion_trials, name, rows, difference, trials)
                    for name, sizes in SIZES.items() for rows in sizes for difference in DIFFERENCES}
        formers = {(name, slid): pool.submit(former_trials, name, slid, trials) for name in SIZES for slid in SLID}
        parity = {(rows, gap): pool.submit(fairness_trials, gap, rows, trials)
                  for rows in PARITY_SIZES for gap in GAPS}
        honest = {(name, rows): pool.submit(honest_trials, name, rows, trials)
                  for name, sizes in HONEST_SIZES.items() for rows in sizes}
        swapped, expected, sloped = (
            {(name, rows, truth): pool.submit(trial, name, rows, truth, trials) for name, rows in SIZED
             for truth in truths}
            for trial, truths in ((swap_trials, DEARER), (expected_trials, RATIOS), (slope_trials, SLOPES)))

        def said(name: str, rows: int, difference: float) -> list[str]:
            return [outcome(v) for v in compared[name, rows, difference].result()]

        for name, sizes in SIZES.items():
            size = world(name).rows
            table(f"{name}, {size:,} test loans: true difference of AUC | promoted | refused as worse | cannot tell",
                  ([f"{d:+.3f}", *(rate(o == answer for o in said(name, size, d))
                                   for answer in ("passed", "worse", "cannot tell"))] for d in DIFFERENCES))
            table(f"{name}: test loans, defaults | " + " | ".join(f"{d:+.3f}" for d in DIFFERENCES),
                  ([f"{rows:,}, {rows * world(name).probability.mean():,.0f}",
                    *(f"{100 * np.mean([o == 'passed' for o in said(name, rows, d)]):.0f} %" for d in DIFFERENCES)]
                   for rows in sizes))
        table("book, test loans | true difference to the champion | to the best former champion | champion lets through"
              " | former_best lets through | both do",
              ([f"{name}, {world(name).rows:,}", f"{-STEP:.3f}", f"{-STEP - slid:.3f}",
                *(rate(passed) for passed in zip(*told.result(), strict=True)),
                rate(map(all, told.result()))] for (name, slid), told in formers.items()))
        table("true gap of approvals by sex | " + " | ".join(f"refused, {rows:,} test loans" for rows in PARITY_SIZES),
              ([f"{100 * gap:.0f} %", *(rate(v.verdict == "refuse" for v in parity[rows, gap].result())
                                         for rows in PARITY_SIZES)] for gap in GAPS))
        heads = " | ".join(f"{name}, {rows:,}" for name, rows in SIZED)
        table(f"the decisions truly cost more by | {heads}",
              ([f"{dearer:+.2f}", *(rate(v.verdict == "pass" for v in swapped[name, rows, dearer].result())
                                    for name, rows in SIZED)] for dearer in DEARER))
        table(f"defaults over those expected, in truth | {heads}",
              ([f"{ratio:g}", *(rate(v.verdict == "refuse" for v in expected[name, rows, ratio].result())
                                for name, rows in SIZED)] for ratio in RATIOS))
        table(f"true slope | {heads}",
              ([f"{slope:.2f}", *(rate(sloped[name, rows, slope].result()) for name, rows in SIZED)]
               for slope in SLOPES))
        table("gate | " + " | ".join(f"{rows:,} test loans" for rows in HONEST_SIZES["consumer"]),
              ([gate, *(rate(v[gate].verdict == "pass" for v, _ in honest["consumer", rows].result())
                        for rows in HONEST_SIZES["consumer"])] for gate in HONEST))
        table("interval of | population | test loans | holds the truth", [
            *([gate, name, f"{rows:,}", rate(holds(v[gate], truth[gate]) for v, truth in honest[name, rows].result())]
              for gate in ("auc", "ks", "false_negatives") for name, rows in honest),
            *([f"fairness, true gap {100 * gap:.0f} %", "consumer", f"{rows:,}",
               rate(holds(v, gap) for v in found.result())] for (rows, gap), found in parity.items()),
            *([f"champion (both ends), true difference {d:+.3f}", name, f"{rows:,}",
               rate(holds(v, d) for v in compared[name, rows, d].result())]
              for name in SIZES for rows in (SIZES[name][0], world(name).rows) for d in (-0.01, 0.0)),
            *([f"swap_set (both ends), truly dearer by {dearer:.2f}", name, f"{rows:,}",
               rate(holds(v, dearer) for v in swapped[name, rows, dearer].result())]
              for name, rows in SIZED for dearer in DEARER)])


def holds(verdict: Verdict, truth: float) -> bool:
    """Whether the verdict's interval holds the truth."""
    assert verdict.low is not None and verdict.high is not None, verdict.sentence
    return verdict.low <= truth <= verdict.high


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS)
