"""A small consumer book: a champion's folder, and nights of scores published straight into the lake."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.published import publish
from tests.scored import publish_night

from tollgate import lake
from tollgate.books import Book, load_book
from tollgate.books.shipped.consumer import simulate
from tollgate.config import PROJECT, Params, load_params
from tollgate.features import make_features
from tollgate.monitoring import verdict_step
from tollgate.monitoring.baselines import Baseline
from tollgate.monitoring.steps import record_drift, record_performance
from tollgate.monitoring.window import load_window
from tollgate.training import freeze, reference_sample

THRESHOLD = 0.15
ROWS_A_MONTH = 1_000


@dataclass(frozen=True)
class Night:
    """A book with a champion and a lake, and the steps of one night over it."""

    book: Book
    params: Params
    model: Path

    def publish(self, scenario: str, as_of: date, *, version: str = "1", rows: int | None = None,
                refused: int = 0, booked: bool = True) -> pa.Table:
        """Put the month before ``as_of`` of a scenario into the lake, scored with its true probabilities; its loans.

        The first ``refused`` rows are published as scoring publishes what it cannot score. All are ``booked`` on the
        day, or nothing is decided yet.
        """
        world = _world(scenario, self.book)
        last = pc.strftime(world["applied_on"], format="%Y-%m")
        month = (np.datetime64(as_of, "M") - 1).item().strftime("%Y-%m")
        night = world.filter(pc.equal(last, month)).slice(0, rows)
        self._deliver("applications", night)
        if booked and not self.book.all_booked:
            self.decide(night, np.zeros(night.num_rows, bool))
        score = night["true_probability"].to_numpy()
        publish_night(self.book, as_of, night, score, THRESHOLD, version=version,
                      refused=np.arange(len(score)) < refused)
        return night

    def decide(self, loans: pa.Table, declined: np.ndarray, after: np.ndarray | int = 0) -> None:
        """What the lender did with these loans on the day; the others are booked so many days later."""
        decided = loans["applied_on"].to_numpy().astype("datetime64[D]")
        self._deliver("decisions", pa.table({
            "loan_id": loans["loan_id"], "decision": np.where(declined, "declined", "approved"),
            "decided_on": pa.array(decided), "booked_on": pa.array(decided + after, mask=declined)}))

    def outcomes(self, scenario: str, of: pa.Table | None = None) -> None:
        """Put every default of a scenario (or of these loans) into the lake, each on the day it became known."""
        world = _world(scenario, self.book) if of is None else of
        self._deliver("outcomes", world.filter(pc.is_valid(world["reported_on"])))

    def _deliver(self, name: str, rows: pa.Table) -> None:
        """A row that was there says the same again, or as the newest world has it."""
        publish(self.book, name, rows, number=lake.count(lake.published(self.book, name)) + 1)

    def drift(self, as_of: date) -> dict:
        window = load_window(self.book, as_of, self.params.monitoring)
        return record_drift(self.book, as_of, self.params, window, self.model)

    def performance(self, as_of: date, *, version: str = "1") -> dict:
        told = json.loads((self.model / "model.json").read_text())["operating"]["decline_rate"]
        return record_performance(self.book, as_of, self.params, {version: Baseline(told, 0.85, 0.01, 12_000, 0.148)})

    def verdict(self, as_of: date) -> dict:
        return verdict_step(self.book, as_of, self.params)

    def run(self, scenario: str, as_of: date, *, version: str = "1") -> dict:
        """Publish, measure and conclude."""
        self.publish(scenario, as_of, version=version)
        self.drift(as_of)
        return self.verdict(as_of)

    def tuned(self, **monitoring: object) -> Night:
        """The same night with other monitoring parameters."""
        changed = self.params.monitoring.model_copy(update=monitoring)
        return replace(self, params=self.params.model_copy(update={"monitoring": changed}))


_WORLDS: dict[str, pa.Table] = {}


def _world(scenario: str, book: Book) -> pa.Table:
    """A simulated world under the lake's column names, with the true probabilities."""
    if scenario not in _WORLDS:
        rows = simulate(seed=5, scenario=scenario, rows_a_month=ROWS_A_MONTH, first_month="2006-01",
                        last_month="2007-08")
        names = {c.source: c.name for c in (*book.applications, *book.columns("outcomes")) if not c.personal}
        rows = rows.select([*names, "true_probability"]).rename_columns([*names.values(), "true_probability"])
        _WORLDS[scenario] = rows
    return _WORLDS[scenario]


@pytest.fixture(scope="session")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The monitoring half of a model folder, frozen on the stationary year 2006."""
    book, folder = load_book("consumer"), tmp_path_factory.mktemp("champion")
    world = _world("stationary", book)
    year = world.filter(pc.less(world["applied_on"], date(2007, 1, 1)))
    features, scores = make_features(book, year), year["true_probability"].to_numpy()
    (folder / "profile.json").write_text(json.dumps(freeze(features, scores, book)))
    pq.write_table(reference_sample(features, scores, 1), folder / "reference.parquet")
    (folder / "model.json").write_text(json.dumps({
        "operating": {"decline_rate": float(np.mean(scores >= THRESHOLD))}}))
    return folder


@pytest.fixture
def night(home: Path, champion: Path) -> Night:
    return Night(load_book("consumer"), load_params(PROJECT / "params.yaml", book="consumer"), champion)


@pytest.fixture
def tables() -> Callable[[str, date], dict[str, list[str]]]:
    """Digests of what monitoring wrote for a day, and of the requests, to compare reruns by."""

    def read(book: str, as_of: date) -> dict[str, list[str]]:
        day = [("day", "=", as_of.isoformat())]
        found = {make.__name__: lake.digest(lake.read(make(book), filters=day))
                 for make in (lake.measures, lake.events, lake.alerts, lake.verdicts)}
        return {**found, "requests": lake.digest(lake.read(lake.requests(book)))}

    return read
