"""A selection through the stages: what was left out is gone from the model, its nights and its gates, and is told."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from published import publish_sent
from training.conftest import changed

from tollgate import gates, stages
from tollgate.books import Book, load_book
from tollgate.books.shipped import consumer
from tollgate.config import PROJECT, Params, load_params
from tollgate.features import Model, digest_of
from tollgate.registry.rivalry import no_rivals
from tollgate.scoring.shards import judge

STEPS = ("snapshot", "features", "split", "train", "evaluate")
CHOSEN = {"selection": "stability", "default_weight": 10.0, "half_life_months": 12}


@pytest.fixture
def book(home: Path) -> Book:
    """A lender whose applicants' state says nothing of their risk."""
    found = load_book("consumer")
    publish_sent(found, consumer.simulate(seed=4, rows_a_month=200, last_month="2006-12"))
    return found


def params_with(**train: object) -> Params:
    shipped = load_params(PROJECT / "params.yaml", book="consumer", as_of=date(2007, 1, 1))
    return changed(shipped, snapshot={"min_rows": 100, "min_defaults": 10}, sweep={"rounds_max": 30},
                   gates={"bootstrap_draws": 20}, train=train)


def trained(run: Path, params: Params) -> Path:
    stages.describe(run, params)
    stages.pin_lake(run, params)
    (run / "champion.json").write_text(json.dumps(no_rivals("consumer")))
    (run / "sweep.json").write_text(json.dumps({"best": {"params": {"max_depth": 3, "min_child_weight": 5}}}))
    for step in STEPS:
        stages.STAGES[step](run, params)
    return run


def test_a_model_of_fewer_features_passes_through_gates_and_nights(book: Book, tmp_path: Path) -> None:
    params = params_with(**CHOSEN)
    run = trained(tmp_path / "run", params)
    model, rows = Model.load(run / "model"), pq.read_table(run / "features.parquet")
    told = {of["name"]: of["kept"] for of in model.about["selection"]["features"]}
    assert set(told) == {feature.name for feature in book.features}
    assert model.features == [name for name, kept in told.items() if kept]
    assert "credit_score" in model.features and "state" not in model.features
    assert set(json.loads((run / "model" / "profile.json").read_text())["features"]) == set(model.features)

    verdicts = {v.gate: v for v in gates.run_gates(run, params, None, ()).verdicts}
    assert {gate: verdicts[gate].verdict for gate in ("behaviour", "leakage", "data", "baseline", "expected_defaults")
            } == dict.fromkeys(("behaviour", "leakage", "data", "baseline", "expected_defaults"), "pass"), verdicts
    assert not [name for name, kept in told.items() if not kept and name in verdicts["behaviour"].sentence]
    unasked = {v.gate: v for v in gates.run_gates(run, params_with(), None, ()).verdicts}["leakage"]
    assert unasked.verdict == "refuse" and "the model was trained without state" in unasked.sentence

    night = judge(model, rows, rows, reasons=4)
    assert {reason for codes in night["reasons"].to_pylist() for reason in codes} <= set(model.features)
    test = pq.read_table(run / "evidence.parquet").filter(pa.compute.field("split") == "test")
    label, score = test["label"].to_numpy(), test["score"].to_numpy()
    assert label.sum() / score.sum() == pytest.approx(1, abs=0.3)  # 0.4 without the correction

    again = trained(tmp_path / "again", params)
    assert digest_of(again / "model") == digest_of(run / "model")


def test_a_model_that_asked_for_none_of_it_says_nothing_of_it(book: Book, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", params_with())
    assert not {"selection", "default_weight"} & set(json.loads((run / "model" / "model.json").read_text()))
    assert Model.load(run / "model").features == [feature.name for feature in book.features]
    assert np.isfinite(Model.load(run / "model").predict_features(pq.read_table(run / "features.parquet"))).all()
