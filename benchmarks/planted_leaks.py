"""Whether the gates catch a planted leak: models trained and judged by the real stages on books that know too much.

Each trial simulates a consumer book afresh, plants one leak in what the lender sends or in what the pipeline wrote,
runs the stages from features to evaluate, and asks the gates. Prints the tables of docs/gate-errors.md.

    python -m benchmarks.planted_leaks
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.stats import norm

from tollgate import labels, lake, stages
from tollgate.books import Book, Column, Feature, category, number
from tollgate.books.shipped import consumer
from tollgate.config import Params, load_params
from tollgate.gates import run_gates
from tollgate.labels.evidence import count
from tollgate.registry.rivalry import no_rivals

TRIALS = 15
CHOICE = {"max_depth": 3, "learning_rate": 0.2, "min_child_weight": 20, "subsample": 0.9}
AREAS = (0.99, 0.95, 0.90, 0.87, 0.85, 0.83, 0.80, 0.70)    # what a noisy copy of the label reaches alone
SHARES = (0.5, 0.1, 0.02, 0.01)                             # of the defaults that a sparse leak tells
LOANS_A_LEVEL = (1, 2, 3, 5, 10, 50)                        # of a category that is encoded by its default rate
Plant = Callable[[pa.Table, np.random.Generator], pa.Table]  # the snapshot's rows in, the same with the leak out


@dataclass(frozen=True)
class Leak:
    """One way to know too much.

    Attributes:
        plant: puts it into the snapshot's rows.
        column, feature: how the book describes it, and what is made of it; None when the book does not change.
        scenario, months, as_of: the simulation that it is planted in, and a day when nearly all its loans have matured.
        written: plant it into features.parquet instead, after the features were made.
    """

    plant: Plant | None = None
    column: Column | None = None
    feature: Feature | None = None
    scenario: str = "stationary"
    months: tuple[str, str] = ("2003-01", "2004-12")
    as_of: date = date(2007, 2, 1)
    written: bool = False


def known(name: str, kind: str = "number", **more: str) -> Column:
    """A column that the book swears is known at the application."""
    return Column(name=name, source=name, kind=kind, doc="Planted.", **more)  # type: ignore[arg-type]


def added(name: str, values: Callable[[np.ndarray, np.random.Generator], pa.Array | np.ndarray]) -> Plant:
    """Append a column, or put it in the place of the one of that name, made of the labels."""

    def plant(rows: pa.Table, rng: np.random.Generator) -> pa.Table:
        made = pa.array(values(rows["label"].to_numpy(), rng))
        at = rows.column_names.index(name) if name in rows.column_names else None
        return rows.append_column(name, made) if at is None else rows.set_column(at, name, made)

    return plant


def days_to_outcome(label: np.ndarray, rng: np.random.Generator) -> pa.Array:
    """Days from the application to the default; empty for a loan that was paid."""
    return pa.array(rng.integers(30, 700, len(label)).astype(float), mask=label == 0)


def noisy_copy(area: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """The label with as much normal noise as leaves it an AUC of ``area``: Φ(1 / √(2 noise²))."""
    noise = 1 / (np.sqrt(2) * norm.ppf(area))
    return lambda label, rng: label + rng.normal(0, noise, len(label))


def encoded(loans: int) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """A meaningless category of so many loans a level, as the default rate of its level over all rows."""

    def values(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        level = rng.permutation(len(label)) // loans
        return (np.bincount(level, label) / np.bincount(level))[level]

    return values


def collections_code(share: float) -> Callable[[np.ndarray, np.random.Generator], pa.Array]:
    """A text that so many of the defaults have; missing for the others and for every loan that was paid."""
    return lambda label, rng: pa.array(np.full(len(label), "C7"), mask=(label == 0) | (rng.random(len(label)) >= share))


def renumbered(label: np.ndarray, rng: np.random.Generator) -> pa.Array:
    """Loan numbers that were given after the outcome: a default's last digit is 0 or 1."""
    digit = np.where(label == 1, rng.integers(0, 2, len(label)), rng.integers(2, 10, len(label)))
    return pa.array([f"N{i:07d}{d}" for i, d in enumerate(digit)])


def last_digit(ids: np.ndarray) -> np.ndarray:
    """The last character of each loan number."""
    return np.array([loan[-1] for loan in ids], dtype=object)


LATER = known("days_to_outcome", known="later", why="an outcome")
LEAKS = {
    "nothing planted": Leak(),
    "scenario planted_leak: defaults are written into the delinquencies": Leak(
        scenario="planted_leak", months=("2007-01", "2008-12"), as_of=date(2011, 2, 1)),
    "days to the outcome, described as known later": Leak(
        added("days_to_outcome", days_to_outcome), LATER, number("days_to_outcome")),
    "days to the outcome, described as known at the application": Leak(
        added("days_to_outcome", days_to_outcome), known("days_to_outcome"), number("days_to_outcome")),
    "another column known later, harmless by its numbers": Leak(
        added("branch_closed", lambda label, rng: rng.random(len(label))),
        known("branch_closed", known="later", why="it happens years after"), number("branch_closed")),
    "the loan number tells the outcome by its last digit": Leak(
        added("loan_id", renumbered), None, Feature("last_digit", "category", ("loan_id",), last_digit)),
    "a loan number without a meaning as a feature": Leak(
        None, None, Feature("last_digit", "category", ("loan_id",), last_digit)),
    "a branch that only defaults are booked to": Leak(
        added("branch", lambda label, rng: np.where(label == 1, "collections", "high street")),
        known("branch", "text"), category("branch")),
    **{f"a collections code that {share:.0%} of the defaults carry, and nobody else": Leak(
        added("code", collections_code(share)), known("code", "text"), category("code")) for share in SHARES},
    **{f"a noisy copy of the label, AUC {area:g} alone": Leak(
        added("copy", noisy_copy(area)), known("copy"), number("copy")) for area in AREAS},
    **{f"a category of {loans} loans a level, encoded over all rows": Leak(
        added("encoded", encoded(loans)), known("encoded"), number("encoded")) for loans in LOANS_A_LEVEL},
    "a noisy copy of the label, AUC 0.7, written over a feature in features.parquet": Leak(
        added("employment_years", noisy_copy(0.7)), written=True),
    "a category of 50 loans a level, encoded, written over a feature in features.parquet": Leak(
        added("employment_years", encoded(50)), written=True),
}


@contextmanager
def described(book: Book) -> Iterator[None]:
    """Another description of a book for a while, under its name."""
    module = import_module(f"tollgate.books.shipped.{book.name}")
    before, module.BOOK = module.BOOK, book
    try:
        yield
    finally:
        module.BOOK = before


def snapshot(run: Path, leak: Leak, seed: int, rows_a_month: int) -> Params:
    """Begin a run folder with the snapshot of a simulated book, the leak planted."""
    params = load_params(book="consumer", as_of=leak.as_of)
    sent = consumer.simulate(seed=seed, scenario=leak.scenario, rows_a_month=rows_a_month,
                             first_month=leak.months[0], last_month=leak.months[1])
    rows = pa.table({c.name: sent[c.source] for c in consumer.APPLICATIONS if not c.personal})
    views = {table.name: pa.table({c.name: sent[c.source] for c in table.columns if not c.personal})
             for table in consumer.TABLES}
    told = views["outcomes"]
    views["outcomes"] = told.filter(pc.less(told["reported_on"], leak.as_of))
    label = labels.label(consumer.BOOK, leak.as_of, params.snapshot.horizon_months, views)["label"].cast(pa.string())
    known = {"outcomes": views["outcomes"]["reported_on"].to_numpy().astype("datetime64[D]").astype(np.int32)}
    feed = count(consumer.BOOK, leak.as_of, views, known)
    pq.write_table(feed, run / "feed.parquet")
    pq.write_table(rows.slice(0, 0), run / "declined.parquet")
    rows = rows.append_column("label", pc.equal(label, labels.BAD).cast(pa.int8()))
    rows = rows.filter(pc.is_in(label, pa.array([labels.GOOD, labels.BAD])))
    if leak.plant and not leak.written:
        rows = leak.plant(rows, np.random.default_rng(seed))
    rows = rows.sort_by("loan_id")
    pq.write_table(rows, run / "snapshot.parquet")
    for name, record in {
        "snapshot.json": {"book": "consumer", "as_of": leak.as_of.isoformat(), "digest": lake.digest(rows),
                          "feed": lake.digest(feed)},
        "champion.json": no_rivals("consumer"),
        "sweep.json": {"best": {"params": CHOICE}},
    }.items():
        (run / name).write_text(json.dumps(record))
    return params


def refusals(name: str, seed: int, rows_a_month: int = 1_000) -> list[str]:
    """Which gates refuse a model that was trained with this leak."""
    leak, book = LEAKS[name], consumer.BOOK
    if leak.column:
        book = book.with_columns("applications", (*book.applications, leak.column))
    if leak.feature:
        book = replace(book, features=(*book.features, leak.feature))
    with tempfile.TemporaryDirectory() as folder, described(book):
        run = Path(folder)
        params = snapshot(run, leak, seed, rows_a_month)
        stages.features(run, params)
        if leak.plant and leak.written:
            rows = leak.plant(pq.read_table(run / "features.parquet"), np.random.default_rng(seed))
            pq.write_table(rows, run / "features.parquet")
        for stage in (stages.split, stages.train, stages.evaluate):
            stage(run, params)
        return run_gates(run, params).refusals


def undirected(seed: int, rows_a_month: int = 1_000) -> list[str]:
    """Which gates refuse a model whose fit was not told the directions that the book demands."""
    free = replace(consumer.BOOK, features=tuple(replace(f, monotone=0) for f in consumer.BOOK.features))
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        params = snapshot(run, Leak(), seed, rows_a_month)
        with described(free):
            for stage in (stages.features, stages.split, stages.train, stages.evaluate):
                stage(run, params)
        return run_gates(run, params).refusals


def main(trials: int) -> None:
    """Print the table."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        asked = {name: [pool.submit(refusals, name, seed) for seed in range(trials)] for name in LEAKS}
        asked["no leak, but a fit that was not told the book's directions"] = [
            pool.submit(undirected, seed) for seed in range(trials)]
        print(f"| planted | refused, of {trials} | by |\n|---|---|---|")
        for name, found in asked.items():
            said = [each.result() for each in found]
            by = Counter(gate for gates in said for gate in gates)
            told = ", ".join(f"{gate} {by[gate]}" for gate in sorted(by, key=lambda gate: (-by[gate], gate))) or "-"
            print(f"| {name} | {sum(map(bool, said))} | {told} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS)
