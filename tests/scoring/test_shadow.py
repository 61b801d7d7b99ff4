"""Shadows score the same pin beside the champion, and cannot hold up the night."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from registry.world import BOOK, World, aliases, client
from scoring.nightly import KEY, ROWS, pin, score, score_shards, scores

from tollgate import lake, registry, scoring
from tollgate.config import settings
from tollgate.errors import Refused
from tollgate.features import Model
from tollgate.scoring.shadow import agreement


def _shadows() -> list[dict[str, object]]:
    return lake.read(lake.shadows(BOOK)).to_pylist()


def test_the_challenger_scores_the_same_rows_into_a_table_of_its_own(night: Path) -> None:
    score()
    assert scoring.score_shadows(KEY) == {"attempt": KEY, "shadows": ["2"], "rows": ROWS}
    rows = lake.read(lake.shadow_scores(BOOK))
    assert rows["loan_id"] == scores()["loan_id"]
    assert rows["model_version"].unique().to_pylist() == ["2"]
    before = lake.version(lake.shadow_scores(BOOK))
    scoring.score_shadows(KEY)
    assert lake.version(lake.shadow_scores(BOOK)) == before


def test_how_far_a_shadow_agrees_is_on_record(night: Path) -> None:
    score()
    scoring.score_shadows(KEY)
    (row,) = scoring.compare_shadows(KEY)["shadows"]
    mine, theirs = scores(), lake.read(lake.shadow_scores(BOOK))
    said = list(zip(mine["decision"].to_pylist(), theirs["decision"].to_pylist(), strict=True))
    told = {"champion": "1", "model_version": "2", "rows": ROWS, "both": ROWS, "fault": None}
    assert {name: row[name] for name in told} == told
    assert row["only_declines"] == said.count(("approve", "decline"))
    assert row["only_approves"] == said.count(("decline", "approve"))
    assert row["agree"] == ROWS - row["only_declines"] - row["only_approves"]
    assert row["psi"] > 0 and row["rank_correlation"] is None, "the small challenger says the same of everybody"
    assert len(theirs["score"].unique()) == 1
    scoring.compare_shadows(KEY)
    assert len(_shadows()) == 1
    card = registry.card(BOOK, "2")
    assert [(night["day"], night["agree"]) for night in card["shadow"]["nights"]] == [("2006-10-01", row["agree"])]
    assert f"{row['agree']} of {ROWS} decisions are alike" in card["html"]
    assert "In the champion's shadow" not in registry.card(BOOK, "1")["html"]


def test_a_challenger_whose_artefact_is_gone_fails_alone_and_the_night_is_published(world: World) -> None:
    world.promoted("a")
    world.registered("b")
    shutil.rmtree(client().get_model_version(f"tollgate-{BOOK}", "2").source)
    shutil.rmtree(settings().data / "models" / registry.challenger(BOOK).digest, ignore_errors=True)  # type: ignore[union-attr]
    assert score()["rows"] == ROWS
    with pytest.raises(Refused, match="Version 2 could not score the night in the champion's shadow"):
        scoring.score_shadows(KEY)
    scoring.compare_shadows(KEY)
    (row,) = _shadows()
    assert (row["rows"], row["both"]) == (ROWS, None) and "no longer kept" in str(row["fault"])
    assert aliases()["champion"] == "1"


def test_a_shadow_that_never_came_to_its_end_is_told(night: Path) -> None:
    score()
    scoring.compare_shadows(KEY)
    assert "scores of this night are missing" in str(_shadows()[0]["fault"])


def test_a_version_that_params_name_scores_beside_the_challenger_and_one_that_nobody_knows_fails_alone(
        night: Path) -> None:
    registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")  # type: ignore[union-attr]
    pinned = pin(shadows=["1", "2", "9"])
    assert (pinned["champion"], pinned["shadows"]) == ("2", ["1", "9"])
    scoring.publish(score_shards(pinned))
    with pytest.raises(Refused, match="Version 9 could not score .*no registered version of this number"):
        scoring.score_shadows(KEY)
    scoring.compare_shadows(KEY)
    assert [(row["model_version"], row["fault"] is None) for row in _shadows()] == [("1", True), ("9", False)]
    model = Model.load(registry.fetch_model(BOOK, "1"))
    assert lake.read(lake.shadow_scores(BOOK)).num_rows == ROWS and 0 < model.threshold < 1


def test_a_night_without_a_challenger_has_no_shadow(night: Path) -> None:
    registry.reject(BOOK, "2", by="ann")
    assert pin()["shadows"] == []
    assert score()["rows"] == ROWS
    assert scoring.score_shadows(KEY)["shadows"] == scoring.compare_shadows(KEY)["shadows"] == []


def test_an_agreement_by_hand() -> None:
    def side(*rows: tuple[float, str]) -> pa.Table:
        return pa.table({"score": [score for score, _ in rows], "decision": [said for _, said in rows]})

    champion = side((0.1, "approve"), (0.2, "approve"), (0.6, "decline"), (0.7, "decline"))
    shadow = side((0.1, "approve"), (0.6, "decline"), (0.2, "approve"), (0.7, "decline"))
    found = agreement(champion, shadow)
    assert {name: found[name] for name in ("both", "agree", "only_declines", "only_approves")} == {
        "both": 4, "agree": 2, "only_declines": 1, "only_approves": 1}
    assert found["rank_correlation"] == pytest.approx(0.8) and found["psi"] == 0.0
    nothing = agreement(champion.slice(0, 0), shadow.slice(0, 0))
    assert (nothing["both"], nothing["psi"], nothing["rank_correlation"]) == (0, None, None)
    assert np.isclose(agreement(champion, champion)["rank_correlation"], 1.0)
