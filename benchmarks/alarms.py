"""How often monitoring calls without a cause, and how soon with one, beside the tests that people use.

Months of `consumer` go through the code that a night goes through: every measure, the default rules, the life of
events, the hysteresis of requests. Of each world (a scenario of the book) a population of 300,000 loans is simulated
once; the reference and every window are drawn from it, so that a stationary world is so exactly. Each life has a
reference of 20,000 rows of its own, which its windows share. The model is gradient-boosted trees, fitted once on other
loans. The labels of a window are known 25 windows later. Beside it, on the same windows: PSI above 0.10 or 0.25, and a
Kolmogorov-Smirnov test below 0.01, of any feature or of the score, and Evidently's DataDriftPreset, any column.

Prints the tables of docs/alarms.md, and to the other stream what the false alerts were about:

    python -m benchmarks.alarms [rates] [drifts]
"""

from __future__ import annotations

import copy
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.books import load_book
from tollgate.books.shipped.consumer import simulate
from tollgate.clock import months_before
from tollgate.config import load_params
from tollgate.features import make_features
from tollgate.monitoring.baselines import Baseline
from tollgate.monitoring.events import follow, fresh
from tollgate.monitoring.measures import Comparison
from tollgate.monitoring.performance import (
    auc_error,
    decided,
    decline_rates,
    expected,
    matured,
    of_cohort,
    parity_gaps,
)
from tollgate.monitoring.rules import alert_rows, requesting, signals
from tollgate.monitoring.verdict import has_tripped
from tollgate.stats.intervals import wilson
from tollgate.stats.ranking import area_under
from tollgate.training import freeze, reference_sample

Row = dict[str, Any]

SEED, LOANS, REFERENCE, MATURE = 20_070_101, 300_000, 20_000, 25
THRESHOLD = 0.15
BOOK, PARAMS = load_book("consumer"), load_params(book="consumer")
YEARS = {500: 152, 5_000: 52, 50_000: 20, 1_000_000: 4}  # of twelve windows
LIFE = {500: 48, 5_000: 48, 50_000: 12, 1_000_000: 4}    # windows of a reference: large ones see the same luck of it
EVIDENTLY = {500: 2, 5_000: 2, 50_000: 1, 1_000_000: 0}  # of these, years that Evidently is asked about
SCENARIOS = ("covariate_shift", "broken_feed", "planted_leak", "concept_shift", "prior_shift", "biased_labels",
             "poisoned_labels")
LIVES = {500: 5, 5_000: 3, 50_000: 1}
BEYOND = 30                                                # windows after the onset
PLAIN = ("PSI > 0.10", "PSI > 0.25", "KS p < 0.01", "Evidently")


@dataclass(frozen=True)
class World:
    """A population: raw features, protected attributes, the model's score, and who defaults, row by row."""

    features: pa.Table
    groups: pa.Table
    score: np.ndarray
    bad: np.ndarray

    def draw(self, rows: int, rng: np.random.Generator) -> World:
        """Rows drawn with replacement."""
        place = rng.integers(0, len(self.score), rows)
        return World(self.features.take(pa.array(place)), self.groups.take(pa.array(place)), self.score[place],
                     self.bad[place])


@cache
def world(scenario: str) -> World:
    """The months of a scenario after its onset, scored by the model of the months before it."""
    features, groups, bad = _simulated(SEED, scenario)
    return World(features, groups, _model().predict_proba(_codes(features))[:, 1].astype(np.float64), bad)


def _simulated(seed: int, scenario: str, rows: int = LOANS) -> tuple[pa.Table, pa.Table, np.ndarray]:
    loans = simulate(seed=seed, scenario=scenario, rows_a_month=rows // 12, first_month="2007-01",
                     last_month="2007-12")
    names = {column.source: column.name for column in BOOK.applications if not column.personal}
    named = loans.select(list(names)).rename_columns(list(names.values()))
    return (make_features(BOOK, named), named.select(list(BOOK.protected())),
            loans["default_date"].is_valid().to_numpy())


@cache
def _model() -> Any:
    from xgboost import XGBClassifier

    features, _, bad = _simulated(SEED + 1, "stationary", 60_000)
    return XGBClassifier(n_estimators=150, max_depth=4, learning_rate=0.1, random_state=SEED, n_jobs=2).fit(
        _codes(features), bad)


def _codes(features: pa.Table) -> np.ndarray:
    """Numbers as they are, categories by their place in the alphabet."""
    of = {f.name: f.kind for f in BOOK.made}
    return np.column_stack([
        column.to_numpy() if of[name] == "number" else
        pc.index_in(column, value_set=pa.array(sorted(column.drop_null().unique().to_pylist()))
                    ).to_numpy().astype(float)
        for name, column in zip(features.column_names, features.columns, strict=True)])


class Life:
    """A model in service: its reference, what it promised, and the windows that it goes through."""

    def __init__(self, rows: int, rng: np.random.Generator) -> None:
        """``rows``: of a window."""
        self.rows, self._rng = rows, rng
        past = world("stationary").draw(REFERENCE, rng)
        self.reference = reference_sample(past.features, past.score, SEED)
        self._fresh = Comparison(freeze(past.features, past.score, BOOK), self.reference)
        auc, bad = area_under(past.bad, past.score), int(past.bad.sum())
        self.baseline = Baseline(float(np.mean(past.score >= THRESHOLD)), auc, auc_error(auc, bad, REFERENCE - bad),
                                 REFERENCE, bad / REFERENCE)

    def window(self, scenario: str) -> tuple[World, list[Row], list[Row]]:
        """Loans of a window, what is measured of them at once, and what once their labels are known."""
        now, confidence = world(scenario).draw(self.rows, self._rng), PARAMS.monitoring.confidence
        tests = copy.deepcopy(self._fresh)
        tests.add(now.features, now.score)
        tests.follow(now.score)
        declined = now.score >= THRESHOLD
        seen = [*tests.measures(PARAMS.monitoring), *expected(now.score, declined, confidence),
                *decided(declined, 0, self.baseline, confidence),
                *parity_gaps(decline_rates(declined, now.groups), PARAMS.gates.group_min, confidence)]
        truth = {"rows": self.rows, "labelled": self.rows, "unbooked": 0, "indeterminate": 0,
                 "decline_rate": float(declined.mean()), **matured(now.bad.astype(np.int8), now.score, declined)}
        return now, seen, of_cohort(now.score, declined, truth, self.baseline, confidence)


@dataclass(frozen=True)
class Month:
    """What one window led to: the subjects of its alerts, whether a retrain was requested, what plain tests say."""

    alerts: list[str]
    requested: bool
    plain: dict[str, bool]


def go_through(life: Life, scenarios: list[str], mature: int, evidently: int = 0) -> Iterator[Month]:
    """The verdict of each window in turn, from the loans of these worlds; nobody answers a request for a retrain.

    Args:
        mature: after how many windows labels are known.
        evidently: how many windows, from the first, Evidently is asked about.
    """
    version, events, asked, waiting = "1", list[Row](), list[bool](), list[list[Row]]()
    for k, scenario in enumerate(scenarios):
        now, seen, later = life.window(scenario)
        waiting.append([{**row, "segment": "matured"} for row in later])
        known = waiting[k - mature] if k >= mature else []
        as_of = months_before(date(2100, 1, 1), len(scenarios) - k)
        rows = [{"window_to": as_of, "model_version": version, **row} for row in (*seen, *known)]
        found = signals(BOOK, PARAMS.monitoring, rows)
        events = follow(events, found, as_of, version)
        asked.append(bool(requesting(found)))
        subjects = [row["subject"] for row in alert_rows(fresh(events, found), version, "")]
        yield Month(subjects, has_tripped(asked, PARAMS.monitoring), _plain(life, now, seen, k < evidently))


def _plain(life: Life, now: World, seen: list[Row], evidently: bool) -> dict[str, bool]:
    def of(metric: str, name: str) -> list[float]:
        return [row[name] for row in seen if row["metric"] == metric and row[name] is not None]

    found = {"PSI > 0.10": max(of("psi", "value")) > 0.10, "PSI > 0.25": max(of("psi", "value")) > 0.25,
             "KS p < 0.01": min(of("ks", "p_value")) < 0.01}
    if evidently:
        found["Evidently"] = _evidently(life.reference, now)
    return found


def _evidently(reference: pa.Table, now: World) -> bool:
    """Whether the preset, as it comes, calls any column drifted."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    current = now.features.append_column("score", pa.array(now.score))
    found = Report([DataDriftPreset()]).run(current.to_pandas(), reference.to_pandas()).dict()["metrics"]
    (share,) = (one["value"]["count"] for one in found if "DriftedColumnsCount" in one["metric_name"])
    return bool(share > 0)


def stated() -> float:
    """The share of stationary windows that alert at the most: each measure of the rules calls falsely in so many."""
    params = PARAMS.monitoring
    measures = {rule.measure: rule.of is not None for rule in params.rules}
    return sum(params.false_discovery_rate if of_features else 1 - params.confidence
               for of_features in measures.values())


def stationary(rows: int, years: int, evidently: int = 0) -> list[Month]:
    """The windows of as many years without any drift, in lives of ``LIFE`` windows; labels are known at once."""
    found: list[Month] = []
    for k in range(years * 12 // LIFE[rows]):
        life = Life(rows, np.random.default_rng([SEED, rows, k]))
        found += go_through(life, ["stationary"] * LIFE[rows], 0, max(0, evidently * 12 - len(found)))
    return found


def delays(scenario: str, rows: int, lives: int) -> dict[str, list[int | None]]:
    """Windows from the onset to the first alarm, 1 being the first that drifted; a number a life, by who raises it.

    Evidently is asked about one drifted window alone.
    """
    found: dict[str, list[int | None]] = {name: [] for name in ("alert", "request", *PLAIN)}
    for k in range(lives):
        life = Life(rows, np.random.default_rng([SEED, rows, k, *scenario.encode()]))
        quiet = ["stationary"] * MATURE  # so that labels of before the onset are known at it
        after = list(go_through(life, [*quiet, *([scenario] * BEYOND)], MATURE))[MATURE:]
        raised = {"alert": [bool(one.alerts) for one in after], "request": [one.requested for one in after],
                  **{name: [one.plain[name] for one in after] for name in PLAIN[:3]}}
        raised["Evidently"] = [_evidently(life.reference, life.window(scenario)[0])]
        for name, alarms in raised.items():
            found[name].append(alarms.index(True) + 1 if True in alarms else None)
    return found


def _rate(months: list[bool]) -> str:
    low, high = wilson(sum(months), len(months), 0.95)
    return f"{12 * sum(months) / len(months):.2f} ({12 * low:.2f}-{12 * high:.2f})"


def _delay(found: list[int | None]) -> str:
    """The median over the lives; how many lives saw it, where not all did."""
    seen = sorted(one for one in found if one is not None)
    if not seen:
        return "never"
    return f"{seen[len(seen) // 2]}" + (f" ({len(seen)} of {len(found)})" if len(seen) < len(found) else "")


def rates() -> None:
    """Print how often stationary worlds alert."""
    print(f"Stated: {12 * stated():.2f} alerts a year at the most.\n", flush=True)
    print(f"| rows a window | years | alerts | retrains requested | {' | '.join(PLAIN)} |\n|{'---|' * 8}", flush=True)
    for rows, years in YEARS.items():
        months = stationary(rows, years, EVIDENTLY[rows])
        plain = [[one.plain[name] for one in months if name in one.plain] for name in PLAIN]
        cells = [[bool(one.alerts) for one in months], [one.requested for one in months], *plain]
        print(f"| {rows:,} | {len(months) // 12} | {' | '.join(_rate(cell) if cell else '' for cell in cells)} |",
              flush=True)
        print(Counter(subject for one in months for subject in one.alerts), file=sys.stderr, flush=True)


def drifts() -> None:
    """Print how soon a drift is seen."""
    print(f"| drift | rows a window | alert | retrain requested | {' | '.join(PLAIN)} |\n|{'---|' * 8}", flush=True)
    for scenario in SCENARIOS:
        for rows, lives in LIVES.items():
            found = delays(scenario, rows, lives)
            print(f"| `{scenario}` | {rows:,} | {' | '.join(_delay(times) for times in found.values())} |", flush=True)


if __name__ == "__main__":
    for part in sys.argv[1:] or ["rates", "drifts"]:
        {"rates": rates, "drifts": drifts}[part]()
