"""A real run folder for the gates to judge: simulated loans, the real transformation library, a real fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import xgboost
from benchmarks.known_truth import Claimed

from tollgate import lake
from tollgate.books import APPLICANT, Book, load_book
from tollgate.books.shipped import consumer
from tollgate.config import Params, load_params
from tollgate.features import digest_of, make_features, write_golden
from tollgate.gates import Report, Verdict, run_gates
from tollgate.gates.evidence import Case
from tollgate.gates.run import judge
from tollgate.labels import needed
from tollgate.labels.evidence import count
from tollgate.registry.rivalry import no_rivals
from tollgate.training.baseline import learn_baseline
from tollgate.training.evaluate import evidence
from tollgate.training.fit import fit, prepare
from tollgate.training.operating import operating_point

AS_OF = date(2007, 1, 1)
CLAIMED = b"claimed"     # in the metadata of evidence that a test made up
CHOICE = {"max_depth": 3, "eta": 0.2, "min_child_weight": 20, "subsample": 0.9}


def applications(book: Book, sent: pa.Table) -> pa.Table:
    """What the lake would hold of the lender's rows, with ``label``: 1 where there ever is a default.

    Each is of another person, so that any split keeps them apart.
    """
    rows = pa.table({c.name: sent["loan_id" if c.name == APPLICANT else c.source] for c in book.applications
                     if not c.personal})
    label = sent["default_date"].is_valid().to_numpy().astype(np.int8)
    return rows.append_column(pa.field("label", pa.int8()), pa.array(label)).sort_by("loan_id")


@dataclass(frozen=True)
class Run:
    """A run folder, and how to spoil it and judge it."""

    folder: Path
    params: Params
    champion: Path | None = None
    former: tuple[Path, ...] = ()

    def report(self) -> Report:
        """All verdicts."""
        return run_gates(self.folder, self.params, self.champion, self.former)

    def verdict(self, gate: str, **limits: Any) -> Verdict:
        """One gate's verdict, under the book's limits or under these.

        Evidence that a test made up, by ``write``, ``predict`` or ``crown``, is taken at its word: no model gives it.
        """
        params = self.params.model_copy(update={"gates": self.params.gates.model_copy(update=limits)})
        path = self.folder / "evidence.parquet"
        claimed = path.exists() and CLAIMED in (pq.read_schema(path).metadata or {})
        return judge((Claimed if claimed else Case)(self.folder, params, self.champion, self.former), gate)

    def rows(self, name: str) -> pa.Table:
        return pq.read_table(self.folder / f"{name}.parquet")

    def write(self, name: str, rows: pa.Table) -> None:
        """Overwrite a file; evidence is then a test's own, and ``verdict`` takes it at its word."""
        if name == "evidence":
            rows = rows.replace_schema_metadata({**(rows.schema.metadata or {}), CLAIMED: b"yes"})
        pq.write_table(rows, self.folder / f"{name}.parquet")

    def forge(self, rows: pa.Table) -> None:
        """Overwrite the evidence as somebody does who wants it to be believed."""
        pq.write_table(rows, self.folder / "evidence.parquet")

    def edit(self, name: str, **changes: Any) -> None:
        """Overwrite keys of a JSON file."""
        path = self.folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def sign(self) -> None:
        """Make the evidence current again after the model folder was changed."""
        rows = self.rows("evidence")
        self.write("evidence", rows.replace_schema_metadata(
            {**rows.schema.metadata, b"model_digest": digest_of(self.folder / "model").encode()}))

    def beside(self, rounds: int) -> Path:
        """Another real model: this one's trees up to ``rounds``. Fewer of them rank worse."""
        folder = self.folder.parent / f"of-{rounds}-rounds"
        if not folder.exists():
            shutil.copytree(self.folder / "model", folder)
            xgboost.Booster(model_file=folder / "model.ubj")[:rounds].save_model(folder / "model.ubj")
        return folder

    def against(self, champion: Path | None, *former: Path, looks: Sequence[dict[str, Any]] = ()) -> Run:
        """The same run, evaluated against a champion, version 9, and former champions, versions 1, 2, …"""
        rows = evidence(load_book(self.params.book), self.folder / "model", self.rows("features"), self.rows("split"),
                        champion, former)
        self.forge(rows)
        self.edit("champion.json", version="9" if champion else None, digest=champion and digest_of(champion),
                  former=[{"version": str(n), "digest": digest_of(folder)} for n, folder in enumerate(former, 1)],
                  looks=looks)
        return replace(self, champion=champion, former=former)

    def predict(self, change: Callable[[pa.Table], np.ndarray], column: str = "score") -> None:
        """Replace the predictions of the evidence by ``change(evidence)``."""
        rows = self.rows("evidence")
        at = rows.column_names.index(column)
        self.write("evidence", rows.set_column(at, column, pa.array(change(rows), pa.float64())))

    def crown(self, change: Callable[[pa.Table], np.ndarray], *, version: str = "3", digest: str = "c" * 64,
              threshold: float | None = None) -> None:
        """Put a champion beside the challenger whose scores are ``change(evidence)``, with its threshold or another."""
        if threshold is None:
            threshold = json.loads((self.folder / "model" / "model.json").read_text())["threshold"]
        self.predict(change, "champion_score")
        rows = self.rows("evidence")
        self.write("evidence", rows.replace_schema_metadata(
            {**rows.schema.metadata, b"champion_digest": digest.encode(),
             b"champion_threshold": repr(threshold).encode()}))
        self.edit("champion.json", version=version, digest=digest)


def feed(params: Params, rows: pa.Table, change: Callable[[pa.Table], pa.Table] = lambda told: told) -> pa.Table:
    """What is counted of a feed that brings the default of each bad loan within 700 days and on the very day.

    Args:
        change: what it does to these outcomes, with ``loan_id``, ``reported_on`` and ``defaulted_on``.
    """
    book, rng = load_book(params.book), np.random.default_rng(3)
    bad = rows.filter(pc.equal(rows["label"], 1))
    defaulted = bad["applied_on"].to_numpy().astype("datetime64[D]") + rng.integers(30, 700, bad.num_rows)
    told = change(pa.table({"loan_id": bad["loan_id"], "reported_on": pa.array(defaulted),
                            "defaulted_on": pa.array(defaulted)})).sort_by("loan_id")
    told = told.filter(pc.less(told["reported_on"], params.as_of))
    known = told["reported_on"].to_numpy().astype("datetime64[D]").astype(np.int32)
    rows = rows.sort_by("loan_id")
    views = {"applications": rows, "outcomes": told, "decisions": pa.table({
        "loan_id": rows["loan_id"], "decision": pa.repeat(pa.scalar("approved"), rows.num_rows),
        "booked_on": rows["applied_on"]})}
    return count(book, params.as_of, {name: views[name] for name in needed(book)}, {"outcomes": known})


def build(folder: Path, params: Params, rows: pa.Table, constraints: tuple[int, ...] | None = None) -> None:
    """Write a run folder as the stages write it, from the lake's rows with their ``label``."""
    book = load_book(params.book)
    folder.mkdir(parents=True)
    counted = feed(params, rows)
    pq.write_table(counted, folder / "feed.parquet")
    record = {"book": book.name, "as_of": params.as_of.isoformat(), "rows": rows.num_rows,
              "digest": lake.digest(rows), "feed": lake.digest(counted)}
    pq.write_table(rows, folder / "snapshot.parquet")
    (folder / "snapshot.json").write_text(json.dumps(record))
    (folder / "champion.json").write_text(json.dumps(no_rivals(book.name)))
    made = make_features(book, rows)
    features = rows.select(["loan_id", "applied_on", "label"])
    for name in made.column_names:
        features = features.append_column(name, made[name])
    for name in book.protected():
        if name not in features.column_names:
            features = features.append_column(name, rows[name])
    pq.write_table(features, folder / "features.parquet")
    days = rows["applied_on"].to_numpy().astype("datetime64[D]")
    first, last = np.quantile(days.astype(int), [0.6, 0.75])
    split = pa.table({"loan_id": rows["loan_id"], "split": pa.array(np.where(
        days.astype(int) > last, "test", np.where(days.astype(int) > first, "validation", "train")))})
    pq.write_table(split, folder / "split.parquet")
    directed = book if constraints is None else replace(book, features=tuple(
        replace(feature, monotone=way) for feature, way in zip(book.features, constraints, strict=True)))
    parts = prepare(directed, features, split["split"], params)
    fitted = fit(parts, params, CHOICE).fitted
    point = operating_point(parts.validation.label, fitted.predict(parts.validation.matrix), params.train)
    model = folder / "model"
    model.mkdir()
    fitted.save(model)
    (model / "model.json").write_text(json.dumps({
        "book": book.name, "as_of": params.as_of.isoformat(), "snapshot": record["digest"], "estimator": "xgboost",
        "features": parts.encoder.to_json(), "calibration": {"kind": "none"}, "threshold": point["threshold"]}))
    learn_baseline(parts.encoder, features.filter(pc.equal(split["split"], "train"))).save(model)
    write_golden(model, rows, made, {}, params.seed)
    pq.write_table(evidence(book, model, features, split, None), folder / "evidence.parquet")


def simulated(**kwargs: Any) -> pa.Table:
    return applications(consumer.BOOK, consumer.simulate(
        **{"seed": 7, "rows_a_month": 1_500, "first_month": "2003-01", "last_month": "2004-12"} | kwargs))


@pytest.fixture(scope="session")
def consumer_params() -> Params:
    return load_params(book="consumer", as_of=AS_OF)


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory, consumer_params: Params) -> Run:
    """An honest model of the stationary consumer book; not to be written to."""
    folder = tmp_path_factory.mktemp("good") / "run"
    build(folder, consumer_params, simulated())
    return Run(folder, consumer_params)


@pytest.fixture(scope="session")
def report(good: Run) -> Report:
    """The honest run's report."""
    return good.report()


@pytest.fixture
def run(good: Run, tmp_path: Path) -> Run:
    """A copy of the honest run, to be spoiled."""
    shutil.copytree(good.folder, tmp_path / "run")
    return Run(tmp_path / "run", good.params)


@pytest.fixture
def fresh(tmp_path: Path, consumer_params: Params) -> Callable[..., Run]:
    """Build another run: of a simulation other than the honest one, or with other monotone constraints."""

    def make(constraints: tuple[int, ...] | None = None, **simulation: Any) -> Run:
        build(tmp_path / "fresh", consumer_params, simulated(**simulation), constraints)
        return Run(tmp_path / "fresh", consumer_params)

    return make
