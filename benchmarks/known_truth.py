"""A population of simulated loans whose truth is known, and test sets drawn from it for the real gates to judge.

Each loan of the population carries its true default probability and, of each model, one fixed score. So the area
under the curve, the KS distance and the approval rates of a model in the population are sums over its loans, exact,
without a sample. A trial draws a test set of a run's size, draws who defaults, writes the evidence as the evaluate
stage writes it, and asks the gate.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tollgate.books.shipped import consumer
from tollgate.config import Params, load_params
from tollgate.features import digest_of
from tollgate.gates import Verdict
from tollgate.gates.evidence import Case
from tollgate.gates.run import judge
from tollgate.registry.rivalry import no_rivals

SEED = 20_070_101
LOANS_A_MONTH = 6_000       # half a million loans in the seven years that the book covers
ABOUT = ("sex", "age_band", "home_ownership", "purpose", "state")
CHAMPION = {**no_rivals("consumer"), "version": "2", "digest": "c" * 64,
            "former": [{"version": "1", "digest": "f" * 64}]}
JUDGED_ON = date(2004, 12, 1)


@dataclass(frozen=True, eq=False)
class World:
    """A population.

    Attributes:
        name: for people. rows: how many test loans a run of it has.
        probability: the true default probability of each loan, float64 of shape (loans,).
        seen: log-odds that the best model of it could give, of shape (loans,).
        error: standard deviation of what one fit adds to them, and another does not.
        about: protected attributes and categories, row by row.
    """

    name: str
    rows: int
    probability: np.ndarray
    seen: np.ndarray
    error: float
    about: pa.Table

    def noise(self, name: str) -> np.ndarray:
        """Standard normal noise of the population's length, the same for the same name."""
        return np.random.default_rng([SEED, *name.encode()]).standard_normal(len(self.seen))

    def fitted(self, name: str) -> np.ndarray:
        """Scores of an ordinary fit."""
        return logistic(self.seen + self.error * self.noise(name))

    @cache  # noqa: B019 - a world lives as long as the program
    def worse(self, name: str, lost: float) -> np.ndarray:
        """Scores of a fit whose true AUC lies exactly ``lost`` below that of the fit called ``one``."""
        noise, aim = self.noise(name), true_auc(self.fitted("one"), self.probability) - lost
        error = solve(lambda error: true_auc(self.seen + error * noise, self.probability) - aim, 0.0, 20.0)
        return logistic(self.seen + error * noise)

    def pair(self, difference: float) -> tuple[np.ndarray, np.ndarray]:
        """Scores of a challenger and a champion whose true AUC differ by exactly ``difference``."""
        better, worse = self.fitted("one"), self.worse("another", abs(difference))
        return (better, worse) if difference > 0 else (worse, better)


@cache
def world(name: str) -> World:
    """``consumer`` as it is simulated, or ``sba-like``: the rows, label rate and difficulty of the other book."""
    loans = consumer.simulate(seed=SEED, rows_a_month=LOANS_A_MONTH)
    probability = loans["true_probability"].to_numpy()
    odds = np.log(probability / (1 - probability))
    about = loans.select(list(ABOUT)).combine_chunks()
    if name == "consumer":
        return World(name, 12_000, probability, odds, 0.25, about)
    rarer, unseen = logistic(odds - 3.1), np.random.default_rng([SEED, *b"unseen"]).standard_normal(len(odds))
    return World(name, 41_000, rarer, odds - 3.1 + 3.3 * unseen, 1.3, about)


def logistic(odds: np.ndarray) -> np.ndarray:
    """Probabilities of log-odds."""
    return 1 / (1 + np.exp(-odds))


def solve(f: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of one number is zero."""
    from scipy.optimize import brentq

    return float(brentq(f, low, high, xtol=1e-6))


def _ranked(score: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of all defaults and of all paid loans that each loan stands for, by rising score."""
    order = np.argsort(score)
    bad, good = probability[order], 1 - probability[order]
    return bad / bad.sum(), good / good.sum()


def true_auc(score: np.ndarray, probability: np.ndarray) -> float:
    """P(a random default scores above a random paid loan) in the population; no two of its loans score alike."""
    bad, good = _ranked(score, probability)
    return float(bad @ (good.cumsum() - good / 2))


def true_ks(score: np.ndarray, probability: np.ndarray) -> float:
    """The largest distance between the populations' two score distributions."""
    bad, good = _ranked(score, probability)
    return float(np.abs((bad - good).cumsum()).max())


def draws(name: str, trials: int) -> Iterator[np.random.Generator]:
    """A stream of random numbers for each trial, its own, the same for the same name."""
    for trial in range(trials):
        yield np.random.default_rng([SEED, trial, *name.encode()])


@dataclass(frozen=True)
class Sample:
    """Rows of a world, drawn with replacement, and who of them defaults."""

    world: World
    rows: np.ndarray
    label: np.ndarray

    @classmethod
    def draw(cls, world: World, rows: int, rng: np.random.Generator) -> Sample:
        """A test set: its labels come up as the true probabilities say."""
        drawn = rng.integers(0, len(world.probability), rows)
        return cls(world, drawn, rng.random(rows) < world.probability[drawn])


@dataclass(frozen=True)
class Claimed(Case):
    """A run whose predictions are taken at their word: they are drawn, and no model would give them."""

    @property
    def rescored(self) -> pa.Table:  # type: ignore[override]
        """What is saved."""
        return self.table("evidence.parquet", ())


@dataclass(frozen=True)
class Bench:
    """A run folder that holds what the gates of predictions read, and nothing else."""

    folder: Path
    params: Params

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Bench]:
        """One in a folder of its own, for as long as it is used."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "model").mkdir()
            (Path(folder) / "champion.json").write_text(json.dumps(CHAMPION))
            yield cls(Path(folder), load_params(book="consumer"))

    def present(self, sample: Sample, score: np.ndarray, champion: np.ndarray | None = None,
                threshold: float = 0.5, champion_threshold: float = 0.5, former: np.ndarray | None = None) -> None:
        """Write the evidence of a sample, from scores of the whole population; a rival without any scores as it."""
        (self.folder / "model" / "model.json").write_text(
            json.dumps({"book": "consumer", "threshold": threshold, "features": []}))
        n, theirs = len(sample.rows), score if champion is None else champion
        rows = pa.table({
            "loan_id": pa.array(np.arange(n)).cast(pa.string()), "split": pa.repeat("test", n),
            "applied_on": pa.repeat(pa.scalar(JUDGED_ON), n),
            "label": pa.array(sample.label.astype(np.int8)), "score": score[sample.rows],
            "champion_score": theirs[sample.rows], "baseline": theirs[sample.rows],
            "former_score": (score if former is None else former)[sample.rows],
            **{name: sample.world.about[name].take(pa.array(sample.rows)) for name in ABOUT}})
        pq.write_table(rows.replace_schema_metadata(
            {b"model_digest": digest_of(self.folder / "model").encode(),
             b"champion_digest": CHAMPION["digest"].encode(),
             b"former_digest": CHAMPION["former"][0]["digest"].encode(),
             b"champion_threshold": repr(champion_threshold).encode()}), self.folder / "evidence.parquet")

    def verdict(self, gate: str) -> Verdict:
        """What the real gate says of the evidence as it lies there."""
        return judge(Claimed(self.folder, self.params), gate)
