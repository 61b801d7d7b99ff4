"""Every judged run is counted once in the ledger, and a challenger goes by the looks that were counted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from registry.world import BOOK, World, client, params_of, train

from tollgate import lake, registry, stages
from tollgate.books import load_book
from tollgate.books.shipped import consumer
from tollgate.errors import Refused
from tollgate.features import Model, digest_of
from tollgate.stats.ranking import area_under


def judged() -> list[dict[str, Any]]:
    """What the ledger keeps of judged runs, the oldest first."""
    return [entry["payload"] for entry in registry.entries(BOOK) if entry["kind"] == "judged"]


def test_a_judged_run_is_counted_once_however_often_it_is_registered(world: World) -> None:
    run = world.run("a")
    for _ in range(2):
        registry.register(run, params_of("a"))
    (look,) = judged()
    rows = pq.read_table(run / "evidence.parquet")
    test = rows.filter(pc.equal(rows["split"], "test"))
    assert (look["digest"], look["passed"], look["against"]) == (digest_of(run / "model"), True, [])
    assert look["window"]["rows"] == test.num_rows
    assert look["window"]["last"] == str(pc.max(test["applied_on"]).as_py())


def test_a_refused_run_is_counted_too(world: World) -> None:
    world.promoted("a")
    run = world.run("b", passed=False)
    with pytest.raises(Refused, match="gates refused"):
        registry.register(run, params_of("b"))
    assert [(look["passed"], look["against"]) for look in judged()] == [(True, []), (False, ["1"])]
    assert [look["digest"] for look in registry.rivals(BOOK)["looks"]] == [digest_of(run / "model")]


def test_a_run_whose_gates_did_not_count_a_look_that_came_between_is_refused(world: World) -> None:
    world.promoted("a")
    late = world.run("c")
    with pytest.raises(Refused, match="gates refused"):
        registry.register(world.run("b", passed=False), params_of("b"))
    with pytest.raises(Refused, match="judged as at look 1, and it is look 2") as refusal:
        registry.register(late, params_of("c"))
    assert "Open the run again" in str(refusal.value)
    assert registry.challenger(BOOK) is None
    (late / "champion.json").write_text(json.dumps(registry.rivals(BOOK)))
    assert registry.register(late, params_of("c"))["version"] == "2"
    assert registry.register(late, params_of("c"))["version"] == "2"


def test_a_broken_ledger_counts_nothing(world: World) -> None:
    world.promoted("a")
    run, before = world.run("b"), len(registry.entries(BOOK))
    lake.change_partitions(lake.ledger(BOOK), ["registered"], lambda rows: rows.set_column(
        rows.column_names.index("at"), rows.schema.field("at"), [["2001-01-01T00:00:00.000+00:00"] * rows.num_rows]))
    with pytest.raises(Refused, match="tampered"):
        registry.register(run, params_of("b"))
    assert len(registry.entries(BOOK)) == before


def evaluated(world: World, name: str) -> Path:
    """That run, evaluated and judged against whoever there is now, as the stages do it."""
    run = world.run(name)
    params = params_of(name)
    for stage in ("rivals", "evaluate", "gate"):
        stages.STAGES[stage](run, params)
    return run


def test_three_models_on_the_challenger_is_compared_with_the_better_former_champion(world: World) -> None:
    """Of three champions the first two are former ones; the one that ranks the validation loans best is named."""
    for name in ("a", "b", "c"):
        world.promoted(name)
    run = evaluated(world, "b")
    rows = pq.read_table(run / "features.parquet")
    part = pq.read_table(run / "split.parquet")["split"]
    validation = rows.filter(pc.equal(part, "validation"))
    label = validation["label"].to_numpy() == 1
    former = {version: Model.load(registry.fetch_model(BOOK, version)) for version in ("1", "2")}
    best = max(former, key=lambda version: area_under(label, former[version].predict_features(validation)))
    saved = pq.read_table(run / "evidence.parquet")
    known = rows.take(pc.index_in(saved["loan_id"], value_set=rows["loan_id"].combine_chunks()))
    assert saved["former_score"].combine_chunks() == pa.array(former[best].predict_features(known))
    report = {verdict["gate"]: verdict for verdict in json.loads((run / "gates.json").read_text())["verdicts"]}
    assert f"of former champion {best} on the same" in report["former_best"]["sentence"]
    assert "of champion 3 on the same" in report["champion"]["sentence"]
    assert "Of the former champions 1, 2 it ranks" in report["former_best"]["sentence"]


def test_a_former_champion_whose_artefact_changed_is_left_out_and_the_report_says_why(
        world: World, settle: object) -> None:
    first = world.promoted("a")
    world.promoted("b")
    world.promoted("c")
    kept = registry.fetch_model(BOOK, "1")
    for folder in (kept, Path(client().get_run(first.run_id).info.artifact_uri) / "model"):
        (folder / "model.json").write_text("{}")
    pinned = registry.rivals(BOOK)
    assert [one["version"] for one in pinned["former"]] == ["2"]
    assert pinned["left_out"][0]["version"] == "1" and "changed after registration" in pinned["left_out"][0]["why"]
    run = evaluated(world, "b")
    report = {verdict["gate"]: verdict for verdict in json.loads((run / "gates.json").read_text())["verdicts"]}
    assert "Version 1 is left out: The artefact of" in report["former_best"]["sentence"]


def test_a_champion_that_todays_code_no_longer_scores_as_refuses_until_that_is_accepted(
        world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.promoted("a")
    monkeypatch.setattr(consumer, "BOOK", replace(consumer.BOOK, features=tuple(
        replace(f, make=lambda *of, f=f: f.make(*of) * 1.01) if f.name == "credit_score" else f
        for f in consumer.BOOK.features)))
    run, params = world.folder / "other", params_of("b")
    train(run, params)

    def judged_as(answer: str) -> dict[str, dict[str, Any]]:
        gates = params.gates.model_copy(update={"unproven_champion": answer})
        for stage in ("rivals", "evaluate", "gate"):
            stages.STAGES[stage](run, params.model_copy(update={"gates": gates}))
        return {verdict["gate"]: verdict for verdict in json.loads((run / "gates.json").read_text())["verdicts"]}

    refused = judged_as("refuse")
    for gate in ("champion", "swap_set"):
        assert refused[gate]["verdict"] == "refuse"
        assert "Version 1, the champion, cannot be compared with" in refused[gate]["sentence"]
        assert "credit_score is another value on" in refused[gate]["sentence"]
    accepted = judged_as("accept")
    for gate in ("champion", "swap_set"):
        assert accepted[gate]["verdict"] == "n/a"
        assert "By gates.unproven_champion of params.yaml, version 1, the champion, is nobody" in (
            accepted[gate]["sentence"])
    assert accepted["behaviour"]["verdict"] == "pass"  # the new model's own golden rows are made by today's code


def test_a_champion_that_was_rolled_back_is_no_bar_for_those_after_it(world: World) -> None:
    world.promoted("a")
    world.promoted("b")
    registry.rollback(BOOK, "1", by="ann", reason="a leak", effective_on=date(2006, 12, 1))
    pinned = registry.rivals(BOOK)
    assert (pinned["version"], pinned["former"]) == ("1", [])
    assert [one["version"] for one in pinned["left_out"]] == ["2"]
    assert "a rollback ended its reign" in pinned["left_out"][0]["why"]


def test_a_run_that_leaves_a_former_champion_out_of_its_record_is_refused(world: World) -> None:
    world.promoted("a")
    world.promoted("b")
    run = world.run("c")
    pinned = json.loads((run / "champion.json").read_text())
    assert [one["version"] for one in pinned["former"]] == ["1"]
    (run / "champion.json").write_text(json.dumps({**pinned, "former": [], "left_out": pinned["former"]}))
    with pytest.raises(Refused, match="none then, 1 now"):
        registry.register(run, params_of("c"))
    assert registry.challenger(BOOK) is None


def test_a_run_whose_record_calls_a_sound_champion_unproven_is_refused(world: World) -> None:
    world.promoted("a")
    run = world.run("b")
    pinned = json.loads((run / "champion.json").read_text())
    (run / "champion.json").write_text(json.dumps({**pinned, "unproven": "credit_score is another value"}))
    with pytest.raises(Refused, match="does not tell of the champion what is so.*got: credit_score is another value"):
        registry.register(run, params_of("b"))
    assert registry.challenger(BOOK) is None


def test_a_book_that_no_longer_makes_a_feature_leaves_out_the_model_that_takes_it(
        world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.promoted("a")
    world.promoted("b")
    book = load_book(BOOK)
    narrowed = [feature for feature in book.features if feature.name != "loan_amount"]
    monkeypatch.setattr(type(book), "made", property(lambda self: tuple(narrowed)))
    assert "loan_amount is no longer made" in registry.rivals(BOOK)["left_out"][0]["why"]
