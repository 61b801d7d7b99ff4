"""Whatever the estimator, its model goes through every door: gates, registry, nights, reasons, reproduction."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.compute as pc
import pytest
from registry.world import BOOK, World, let_through, params_of, train
from scoring.nightly import NIGHT, score

from tollgate import lake, registry, scoring, stages
from tollgate.books import load_book
from tollgate.config import Range
from tollgate.estimators import Scorecard
from tollgate.features import Model, artefact_of

SMALL = Range(low=20, high=40)  # leaves, for there are few loans


@pytest.mark.parametrize(("kind", "more"), [
    ("lightgbm", {"calibration": "platt", "selection": "stability", "half_life_months": 24}),
    ("scorecard", {"calibration": "isotonic", "default_weight": 10.0})])
def test_a_model_of_another_estimator_is_judged_approved_scored_explained_and_made_again(
        world: World, kind: str, more: dict[str, object]) -> None:
    params = params_of("a")
    params = params.model_copy(update={
        "train": params.train.model_copy(update={"estimator": kind, "refit": "proven", **more}),
        "split": params.split.model_copy(update={"calibration_months": 3}),
        "space": params.space.model_copy(update={"lightgbm": {**params.space.lightgbm, "min_data_in_leaf": SMALL}})})
    run = world.folder / "run"
    train(run, params)
    stages.gate(run, params)
    told = {verdict["gate"]: verdict for verdict in json.loads((run / "gates.json").read_text())["verdicts"]}
    assert not [gate for gate, verdict in told.items() if "could not finish" in verdict["sentence"]]
    assert told["behaviour"]["verdict"] == "pass", told["behaviour"]["sentence"]
    assert told["baseline"]["verdict"] == ("n/a" if kind == "scorecard" else told["baseline"]["verdict"])
    let_through(run)
    registry.register(run, params)
    version = registry.challenger(BOOK)
    assert version is not None
    registry.promote(BOOK, version.version, version.digest, by="ann")

    answer = score(scoring.pin(load_book(BOOK), NIGHT, "night", params))
    assert answer["scored"] == answer["rows"] > 0
    rows = lake.read(lake.scores(BOOK))
    declined = rows.filter(pc.equal(rows["decision"], "decline"))
    assert declined.num_rows and all(declined["reasons"].to_pylist())

    card = registry.scorecard(BOOK, version.version)
    assert card["is_model"] == (kind == "scorecard")
    model, book = Model.load(artefact_of(run)), {feature.name for feature in load_book(BOOK).features}
    assert {line["feature"] for line in card["bins"]} == set(model.features) <= book
    assert (set(model.features) < book) == ("selection" in more)
    if kind == "scorecard":  # 20 points double the odds: what a default counted for is taken back
        assert isinstance(model.fitted, Scorecard)
        assert card["base_points"] == round(model.fitted.base_points + 20 * np.log2(10))
    facts = registry.card(BOOK, version.version)["facts"]
    assert [feature["name"] for feature in facts["features"]] == model.features
    assert {of["name"] for of in facts["selection"].get("features", [])} == (book if "selection" in more else set())
    assert registry.reproduce(BOOK, version.version)["max_difference"] == 0
