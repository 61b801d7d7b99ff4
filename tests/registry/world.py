"""A small simulated book with three really trained runs and an empty MLflow, made once and copied per test."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from published import publish_sent
from tests.databases import Databases

from tollgate import registry, stages, training
from tollgate.books import load_book
from tollgate.books.shipped import consumer
from tollgate.config import Params, load_params, settings
from tollgate.features import digest_of
from tollgate.gates import GATES, Verdict
from tollgate.registry.rivalry import no_rivals

if TYPE_CHECKING:
    from mlflow import MlflowClient

BOOK = "consumer"
AS_OF = {"a": date(2006, 7, 1), "b": date(2006, 9, 1), "c": date(2006, 11, 1)}
SMALL = {"snapshot": {"min_rows": 500, "min_defaults": 20}, "split": {"gap_months": 0},
         "sweep": {"trials": 1, "rounds_max": 25}, "gates": {"bootstrap_draws": 20}, "train": {"refit": "never"}}


def params_of(name: str, **gates: float) -> Params:
    """The parameters of one of the three runs, made small, with these limits of the gates."""
    params = load_params(book=BOOK, as_of=AS_OF[name])
    changed = {section: getattr(params, section).model_copy(update=update) for section, update in SMALL.items()}
    changed["gates"] = changed["gates"].model_copy(update=gates)
    return params.model_copy(update={"seed": ord(name), **changed})


def fill_lake(rows_a_month: int = 250, last_month: str = "2006-10") -> None:
    """Publish what a simulated lender sends, as the ingest room would."""
    publish_sent(load_book(BOOK), consumer.simulate(seed=5, rows_a_month=rows_a_month, last_month=last_month))


def train(run: Path, params: Params) -> None:
    """Every stage from the pin to the evidence, and the refit."""
    run.parent.mkdir(parents=True, exist_ok=True)
    stages.describe(run, params)
    _write(run / "lake.json", training.pin_lake(load_book(BOOK), params))
    _write(run / "champion.json", no_rivals(BOOK))
    _write(run / "delta.json", {"applications": 1, "decisions": 1, "outcomes": 1})
    for stage in ("snapshot", "features", "split", "sweep", "train", "evaluate", "refit"):
        stages.STAGES[stage](run, params)


def let_through(run: Path) -> None:
    """Gates that said yes: these models are too small for the default limits, and the gates have tests of their own."""
    verdicts = [asdict(Verdict(gate, "pass", None, None, None, None, "Not asked.")) for gate in GATES]
    _write(run / "gates.json", {"passed": True, "model_digest": digest_of(run / "model"), "verdicts": verdicts})


@dataclass(frozen=True)
class World:
    """One test's copy: ``folder`` for its run folders, ``made`` with the trained ones."""

    folder: Path
    made: Path

    def run(self, name: str, *, passed: bool = True) -> Path:
        """A run folder whose gates compared with the present champion, and said yes or no."""
        run = self.folder / f"run-{name}"
        if run.exists():
            shutil.rmtree(run)
        shutil.copytree(self.made / name, run)
        _write(run / "champion.json", registry.rivals(BOOK))
        if passed:
            let_through(run)
        else:
            stages.gate(run, params_of(name, auc_min=0.99))
        return run

    def registered(self, name: str) -> registry.Version:
        """That run's model, registered as challenger."""
        registry.register(self.run(name), params_of(name))
        found = registry.challenger(BOOK)
        assert found is not None
        return found

    def promoted(self, name: str) -> registry.Version:
        """That run's model, registered and promoted."""
        version = self.registered(name)
        registry.promote(BOOK, version.version, version.digest, by="ann")
        return version


def client() -> MlflowClient:
    """MLflow as anyone else would open it."""
    from mlflow import MlflowClient

    return MlflowClient(settings().mlflow, settings().mlflow)


def aliases() -> dict[str, str]:
    """Where MLflow's aliases stand."""
    found = client().get_registered_model(f"tollgate-{BOOK}").aliases
    return {role: str(version) for role, version in found.items()}


def kinds() -> list[str]:
    """The ledger's kinds of decision, in sequence. That a run was judged is none."""
    return [entry["kind"] for entry in registry.entries(BOOK) if entry["kind"] != "judged"]


def _write(path: Path, record: dict[str, object]) -> None:
    path.write_text(json.dumps(record))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Path:
    """The lake, an empty MLflow and the trained runs."""
    return _made(tmp_path_factory.getbasetemp(), databases)


@cache  # each conftest that borrows the fixture would make it anew
def _made(base: Path, databases: Databases) -> Path:
    folder = base / "made"
    with pytest.MonkeyPatch.context() as patch:
        databases.settle(patch, folder / "data")
        fill_lake()
        for name in AS_OF:
            train(folder / name, params_of(name))
    return folder


def copy_of(made: Path, home: Path, folder: Path) -> World:
    """The lake of ``made``, copied to a home."""
    home.mkdir(parents=True, exist_ok=True)
    # Delta never rewrites a file, so links do.
    shutil.copytree(made / "data" / "lake", home / "lake", copy_function=os.link)
    return World(folder, made)


@contextmanager
def copied_to(home: Path, made: Path, databases: Databases) -> Iterator[World]:
    """The same in a home with an MLflow of its own, which is lived in meanwhile; for fixtures that tests copy."""
    with pytest.MonkeyPatch.context() as patch:
        databases.settle(patch, home)
        yield copy_of(made, home, home.parent)


@pytest.fixture
def world(made: Path, home: Path, tmp_path: Path, settle: Callable[[Path], Path]) -> World:
    """A fresh copy of it all."""
    return copy_of(made, settle(home), tmp_path)
