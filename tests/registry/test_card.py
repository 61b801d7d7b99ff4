from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from registry.world import BOOK, World, client, let_through, params_of

from tollgate import registry, stages
from tollgate.books import load_book
from tollgate.cli.app import app
from tollgate.errors import BadInput, Refused
from tollgate.terminal import readable


def _inside(html: str) -> dict:
    """The JSON that the page carries."""
    found = re.search(r'<script type="application/json" id="card">(.*)</script>', html)
    assert found is not None
    return json.loads(found[1])


def test_a_card_tells_use_data_features_gates_fairness_and_lineage(world: World) -> None:
    answer = registry.register(world.run("a"), params_of("a"))
    card = registry.card(BOOK, "1")
    facts, book = card["facts"], load_book(BOOK)
    assert (card["state"], card["digest"], card["decisions"]) == ("challenger", answer["digest"], [])
    assert (facts["use"], facts["limits"]) == (book.use, list(book.limits))
    assert {f["name"]: f["constraint"] for f in facts["features"]}["credit_score"] == "may only lower the risk"
    assert sum(f["gain"] for f in facts["features"]) == pytest.approx(1)
    assert {f["attribute"] for f in facts["fairness"]} == {"sex", "age_band"}
    by_sex = [f for f in facts["fairness"] if f["attribute"] == "sex"]
    assert sum(f["rows"] for f in by_sex) == facts["metrics"]["rows"]
    assert all(f["low"] < f["approved"] < f["high"] for f in by_sex)
    assert card["origin"]["params"] == params_of("a").model_dump(mode="json")
    for text in (book.use, "Nobody has decided", "Delta version 1", f"tollgate reproduce {BOOK} 1", card["digest"],
                 "chosen on validation rows by false_negative_target at 0.12"):
        assert text in card["html"]
    HTMLParser().feed(card["html"])
    assert _inside(card["html"]) == {key: value for key, value in card.items() if key != "html"}


def test_what_a_selection_kept_and_left_out_is_a_table_on_the_card(world: World) -> None:
    run = world.run("a")
    spec = json.loads((run / "model" / "model.json").read_text())
    spec["selection"] = {"method": "stability", "halves": 20, "share_min": 0.6, "features": [
        {"name": "credit_score", "share": 1.0, "kept": True}, {"name": "shoe_size", "share": 0.05, "kept": False}]}
    (run / "model" / "model.json").write_text(json.dumps(spec))
    stages.evaluate(run, params_of("a"))
    let_through(run)
    registry.register(run, params_of("a"))
    card = registry.card(BOOK, "1")
    assert card["facts"]["selection"] == spec["selection"]
    assert "at least 60% of the halves" in card["html"]
    for row in ("<td>credit_score</td><td>100%</td><td>yes</td>", "<td>shoe_size</td><td>5%</td><td>no</td>"):
        assert row in card["html"]
    world.registered("b")
    assert "Selection of features" not in registry.card(BOOK, "2")["html"]


def test_a_card_is_never_out_of_date_and_cannot_be_made_to_say_anything_else(world: World) -> None:
    version = world.registered("a")
    registry.promote(BOOK, "1", version.digest, by="ann", comment="<b>good</b>")
    card = registry.card(BOOK, "1")
    assert (card["state"], [(d["by"], d["comment"]) for d in card["decisions"]]) == (
        "champion", [("ann", "<b>good</b>")])
    told = readable.card(card)
    assert [(d["by"], d["why"]) for d in told["decisions"]] == [("ann", "<b>good</b>")]
    assert {g["verdict"] for g in told["gates"]} <= {"pass", "n/a"}
    assert "It is the champion" in card["html"] and "&lt;b&gt;good" in card["html"] and "<b>" not in card["html"]
    world.promoted("b")
    assert registry.card(BOOK, "1")["state"] == "former champion"
    registry.rollback(BOOK, "1", by="eve", reason="worse")
    assert [d["kind"] for d in registry.card(BOOK, "1")["decisions"]] == ["promotion-committed", "rollback-committed"]
    kept = Path(client().get_run(version.run_id).info.artifact_uri) / "card.json"
    kept.write_text(kept.read_text().replace("may only lower", "may only raise"))
    with pytest.raises(Refused, match="card.json of tollgate-consumer version 1 changed after registration"):
        registry.card(BOOK, "1")
    kept.unlink()
    with pytest.raises(Refused, match=r"card.json is no longer kept"):
        registry.card(BOOK, "1")


def test_a_page_is_written_where_it_is_asked_for_or_says_why_not(world: World, tmp_path: Path) -> None:
    run = world.run("a")
    (run / "gates.html").write_text("<p>Passed</p>")
    registry.register(run, params_of("a"))
    for out in (tmp_path, tmp_path / "nowhere" / "card.html"):
        with pytest.raises(BadInput, match="page cannot be written") as fault:
            app(["card", BOOK, "1", f"--out={out}"], standalone_mode=False)
        assert fault.value.value == out
    app(["report", BOOK, registry.models(BOOK)[0]["run_id"], f"--out={tmp_path / 'gates.html'}"],
        standalone_mode=False)
    assert (tmp_path / "gates.html").read_text() == "<p>Passed</p>"


def test_a_version_that_never_was_has_no_card(world: World) -> None:
    with pytest.raises(BadInput, match="no registered version"):
        registry.card(BOOK, "4")
