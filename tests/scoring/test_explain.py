"""A loan's published score taken apart: it adds up, it is the score that was published, and a person can read it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from registry.world import BOOK, copied_to, params_of
from scipy.special import expit, logit
from scoring.nightly import score
from tests.databases import Databases
from typer.testing import CliRunner

from tollgate import lake, registry, scoring
from tollgate.books import load_book, sentence_of
from tollgate.cli.app import app
from tollgate.errors import BadInput, Refused
from tollgate.scoring.explain_page import shown
from tollgate.scoring.loan_rows import rows_of_loan
from tollgate.terminal import readable

NIGHT, BEFORE = date(2006, 10, 1), date(2006, 9, 1)


@pytest.fixture(scope="module")
def scored(made: Path, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a champion and two published nights; the tests copy it."""
    home = tmp_path_factory.mktemp("scored") / "data"
    with copied_to(home, made, databases) as world:
        world.promoted("a")
        for run, as_of in (("before", BEFORE), ("night", NIGHT)):
            score(scoring.pin(load_book(BOOK), as_of, run, params_of("a")))
    return home


@pytest.fixture
def home_of_scores(scored: Path, home: Path, settle: Callable[[Path], Path]) -> Path:
    return settle(Path(shutil.copytree(scored, home)))


pytestmark = pytest.mark.usefixtures("home_of_scores")


def published(**equal: str) -> list[dict[str, Any]]:
    wanted = {"day": NIGHT.isoformat(), **equal}
    filters = [(column, "=", value) for column, value in wanted.items()]
    rows: list[dict[str, Any]] = lake.read(lake.scores(BOOK), filters=filters).to_pylist()
    return rows


def explain(loan: str, night: date | None = None) -> dict[str, Any]:
    return scoring.explain(load_book(BOOK), loan, night)


def test_the_contributions_and_the_base_add_up_to_the_published_score_of_every_loan() -> None:
    answers = [explain(row["loan_id"]) for row in published()[::25]]
    assert len(answers) == 10
    for answer in answers:
        parts = [part["contribution"] for part in answer["contributions"]]
        assert answer["base_log_odds"] + sum(parts) == pytest.approx(answer["log_odds"], abs=1e-12)
        assert expit(answer["log_odds"]) == pytest.approx(answer["score"], abs=1e-12)
        assert logit(answer["threshold"]) == pytest.approx(answer["threshold_log_odds"])
        assert parts == sorted(parts, reverse=True) and min(parts) < 0 < max(parts)
        assert {part["feature"] for part in answer["contributions"]} == {
            feature.name for feature in load_book(BOOK).features} and len(parts) == len(load_book(BOOK).features)
    # What the model says of nobody in particular is the same whoever is explained.
    assert np.ptp([answer["base_log_odds"] for answer in answers]) < 1e-5


def test_a_declined_loan_is_told_the_reasons_that_were_published_in_words_true_of_its_values() -> None:
    made = {feature.name: feature for feature in load_book(BOOK).features}
    middles = {name: float(np.median(values)) for name, values in _reference().items()}
    declined = published(decision="decline")[::30]
    assert declined
    for row in declined:
        answer = explain(row["loan_id"])
        assert answer["decision"] == "decline" and answer["score"] == row["score"] >= answer["threshold"]
        assert [one["code"] for one in answer["reasons"]] == row["reasons"] == answer["published"]
        values = {part["feature"]: part["value"] for part in answer["contributions"]}
        for one in answer["reasons"]:
            feature, value = made[one["code"]], values[one["code"]]
            side = 0 if isinstance(value, str) or value is None else int(np.sign(value - middles[feature.name]))
            if side:
                assert one["sentence"] == sentence_of(feature, value, side)
            assert one["contribution"] > 0


def _reference() -> dict[str, np.ndarray]:
    from tollgate.features import Model

    rows = Model.load(registry.fetch_model(BOOK, "1")).reference()
    return {name: rows[name].drop_null().to_numpy() for name in rows.column_names
            if pa.types.is_floating(rows[name].type)}


def test_an_approved_loan_is_explained_without_reasons() -> None:
    answer = explain(published(decision="approve")[0]["loan_id"])
    assert answer["decision"] == "approve" and answer["reasons"] == [] and answer["score"] < answer["threshold"]


def test_a_night_is_the_one_that_was_asked_for() -> None:
    row = published(day=BEFORE.isoformat())[0]
    assert (explain(row["loan_id"], BEFORE)["night"], explain(row["loan_id"])["night"]) == ("2006-09-01", "2006-09-01")
    with pytest.raises(BadInput, match="was not scored on this night .got: 2006-10-01.. It was on 2006-09-01."):
        explain(row["loan_id"], NIGHT)


def test_the_rows_of_a_loan_are_its_own_as_they_were_pinned() -> None:
    row = published()[0]
    found = rows_of_loan(load_book(BOOK), row["loan_id"])
    assert found.rows["loan_id"].to_pylist() == [row["loan_id"]] and found.published == row and found.most == 4


def test_a_loan_that_nobody_scored_is_named() -> None:
    with pytest.raises(BadInput, match="No scores of this loan were published in consumer, population new .got: C404"):
        explain("C404")


def _publish_otherwise(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    table = lake.scores(BOOK)
    lake.change_partitions(table, [NIGHT.isoformat()], lambda rows: pa.Table.from_pylist(
        [change(row) for row in rows.to_pylist()], rows.schema))


def test_a_score_that_the_model_does_not_give_again_is_refused() -> None:
    row = published()[0]
    _publish_otherwise(lambda each: {**each, "score": np.nextafter(each["score"], 1.0)})
    with pytest.raises(Refused, match="another score today than the .* that was published.*tollgate trace consumer"):
        explain(row["loan_id"])


def test_a_loan_that_was_refused_has_no_score_to_explain() -> None:
    row = published()[0]
    refused = {"score": None, "decision": None, "status": "refused", "refusal": "income is missing"}
    _publish_otherwise(lambda each: {**each, **refused})
    with pytest.raises(BadInput, match="was refused on the night of 2006-10-01, not scored .got: income is missing"):
        explain(row["loan_id"])


def test_the_page_holds_sentences_picture_and_values_and_is_the_same_again() -> None:
    row = published(decision="decline")[0]
    answer = explain(row["loan_id"])
    html = answer.pop("html")
    assert html == explain(row["loan_id"])["html"]
    for one in answer["reasons"]:
        assert f"<li>{one['sentence']}.</li>" in html
    (drawn,) = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    for part in answer["contributions"]:
        assert f"{part['what']} = {shown(part['value'])}" in drawn
        assert f"{part['contribution']:+.4f}" in html
        assert f"{part['contribution']:+.2f}".replace("-", "\N{MINUS SIGN}") in drawn.replace("-", "\N{MINUS SIGN}")
    assert not re.search(r"(src|href)=\"(?!data:|#)|<script(?! type=\"application/json\")", html)
    (held,) = re.findall(r'id="explanation">(.*?)</script>', html, re.DOTALL)
    assert json.loads(held) == json.loads(json.dumps(answer))


def test_what_would_have_been_approved_is_told_when_it_is_asked_for_and_of_declined_loans_alone() -> None:
    declined, approved = published(decision="decline"), published(decision="approve")[0]["loan_id"]
    assert "changes" not in explain(declined[0]["loan_id"])
    assert scoring.explain(load_book(BOOK), approved, change=True)["changes"] == []
    answers = [scoring.explain(load_book(BOOK), row["loan_id"], change=True) for row in declined[:12]]
    told = [(answer, one) for answer in answers for one in answer["changes"]]
    assert told
    for answer, one in told:
        assert one["score"] < answer["threshold"] <= answer["score"]
        assert set(one["to"]) <= {"loan_amount", "debt_to_income_ratio"}
        assert all(f"{name} of " in answer["html"] for name in one["to"])
        assert all(name in readable.explain(answer)["would be approved"] for name in one["to"])


def test_the_verb_answers_a_program_a_person_and_a_browser(tmp_path: Path) -> None:
    row = published(decision="decline")[0]
    done = CliRunner().invoke(app, ["--json", "explain", BOOK, row["loan_id"], "--night", NIGHT.isoformat()])
    answer = json.loads(done.stdout)
    assert answer == json.loads(json.dumps(explain(row["loan_id"])))
    seen = readable.explain(answer)
    assert [seen[f"reason {n}"] for n, _ in enumerate(answer["reasons"], start=1)] == [
        one["sentence"] for one in answer["reasons"]]
    assert "published" not in seen and "published" in readable.explain({**answer, "published": ["other"]})
    out = tmp_path / "loan.html"
    done = CliRunner().invoke(app, ["--json", "explain", BOOK, row["loan_id"], "--out", str(out)])
    assert json.loads(done.stdout) == {"book": BOOK, "loan_id": row["loan_id"], "night": "2006-10-01", "page": str(out)}
    assert out.read_text(encoding="utf-8") == answer["html"]
