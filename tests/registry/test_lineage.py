from __future__ import annotations

import json
from datetime import date

import pyarrow as pa
import pytest
from registry.world import BOOK, World, params_of
from scoring.nightly import score

from tollgate import lake, registry, scoring
from tollgate.books import load_book
from tollgate.errors import BadInput
from tollgate.terminal import readable


def test_a_score_of_a_version_that_the_ledger_does_not_know_is_told(world: World) -> None:
    table = lake.scores(BOOK)
    lake.replace_partitions(table, pa.Table.from_pylist([{
        "day": "2006-08-01", "as_of": date(2006, 8, 1), "population": "new", "attempt": 1, "loan_id": "L1",
        "applied_on": date(2006, 7, 1), "model_version": "9"}], schema=table.schema), ["2006-08-01"])
    with pytest.raises(BadInput, match="no registered version of this number .got: 9"):
        registry.trace(BOOK, "L1")


def test_a_score_is_traced_to_model_data_code_and_approver(world: World) -> None:
    run = world.run("a")
    answer = registry.register(run, params_of("a"))
    registry.promote(BOOK, "1", answer["digest"], by="ann", comment="good")
    world.registered("b")
    pinned = scoring.pin(load_book(BOOK), date(2006, 8, 1), "night", params_of("a"))
    score(pinned)
    scoring.score_shadows(pinned["attempt"])
    loan = "C00010600"
    found = registry.trace(BOOK, loan)
    assert pinned["rows"] == 250
    assert [(s["attempt"], s["model_version"], s["run_id"]) for s in found["scores"]] == [(1, "1", "night")]
    assert [(s["attempt"], s["model_version"]) for s in found["shadows"]] == [(1, "2")]
    assert found["superseded"] == found["reopened"] == []
    snapshot, origin = json.loads((run / "snapshot.json").read_text()), found["models"]["1"]
    assert (origin["digest"], origin["mlflow_run"]) == (answer["digest"], answer["mlflow_run"])
    assert (origin["snapshot"], origin["lake"]) == (snapshot["digest"], snapshot["lake"])
    assert origin["params"] == params_of("a").model_dump(mode="json")
    assert origin["commit"] and origin["code"] and origin["libraries"]["xgboost-cpu"]
    assert [(d["by"], d["comment"], d["kind"]) for d in origin["decisions"]] == [("ann", "good", "promotion-committed")]
    assert found["models"]["2"]["decisions"] == []
    json.dumps(found)
    told = readable.trace(found)
    assert [(d["version"], d["by"], d["why"]) for d in told["decisions"]] == [("1", "ann", "good")]
    assert next(m["digest"] for m in told["models"]) == answer["digest"]


def test_a_loan_without_a_score_is_named(world: World) -> None:
    with pytest.raises(BadInput, match="No scores of this loan") as error:
        registry.trace(BOOK, "C-none")
    assert error.value.value == "C-none"
