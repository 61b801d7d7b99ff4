from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from registry.world import BOOK, copy_of, kinds, params_of
from tests.databases import Databases

from tollgate import lake, registry, scoring
from tollgate.books import load_book
from tollgate.books.shipped import consumer
from tollgate.config import Params, settings
from tollgate.errors import BadInput, Refused
from tollgate.features import Model, make_features
from tollgate.scoring.shards import refusals

NIGHT = date(2006, 10, 1)
ROWS = 250


@pytest.fixture(scope="module")
def served(made: Path, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a champion and a challenger; the tests copy it."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        databases.settle(patch, folder / "data")
        world = copy_of(made, folder / "data", folder)
        world.promoted("a")
        world.registered("b")
    return folder / "data"


@pytest.fixture
def night(served: Path, home: Path, settle: Callable[[Path], Path]) -> Path:
    return settle(Path(shutil.copytree(served, home)))


def _params(shards: int = 2, **scoring_changes: int) -> Params:
    params = params_of("a")
    return params.model_copy(update={"scoring": params.scoring.model_copy(
        update={"shards": shards, **scoring_changes})})


def _pin(run: str = "night", shards: int = 2, as_of: date = NIGHT) -> dict[str, Any]:
    return scoring.pin(load_book(BOOK), as_of, run, _params(shards))


def _score(run: str = "night", shards: int = 2, order: int = 1) -> dict[str, Any]:
    for k in list(range(shards))[::order]:
        scoring.score_shard(run, k)
    return scoring.publish(run)


def _scores(**equal: str) -> pa.Table:
    return lake.read(lake.scores(BOOK), filters=[(column, "=", value) for column, value in equal.items()])


def _files(run: str = "night") -> dict[str, bytes]:
    folder = Path(settings().store) / "scoring" / run
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_a_night_is_scored_whole_by_champion_and_shadow(night: Path) -> None:
    assert _pin() == {"run": "night", "book": BOOK, "as_of": "2006-10-01", "champion": "1", "challenger": "2",
                      "rows": ROWS, "shards": [{"shard": 0, "name": "shard 0"}, {"shard": 1, "name": "shard 1"}]}
    assert min(scoring.score_shard("night", k)["rows"] for k in (0, 1)) > ROWS / 3
    answer = _score()
    assert answer == {"book": BOOK, "as_of": "2006-10-01", "population": ROWS, "scored": ROWS, "refused": 0,
                      "partition": "2006-10-01", "version": answer["version"], "champion": "1"}
    rows = _scores()
    assert pc.min_max(rows["applied_on"]).as_py() == {"min": date(2006, 9, 1), "max": date(2006, 9, 30)}
    assert rows.num_rows == 2 * ROWS
    champion, stamps = _scores(role="champion"), ("model_version", "snapshot_version", "run_id")
    assert {name: champion[name].unique().to_pylist() for name in stamps} == {
        "model_version": ["1"], "snapshot_version": [registry.champion(BOOK).snapshot], "run_id": ["night"]}


def test_published_scores_are_those_of_the_model_alone(night: Path) -> None:
    _pin()
    _score()
    rows = _scores(role="champion")
    model = Model.load(registry.fetch_model(BOOK, "1"))
    applications = lake.read(lake.applications(load_book(BOOK)), as_of=NIGHT,
                             filters=[("applied_on", ">=", date(2006, 9, 1))])
    assert rows["loan_id"] == applications["loan_id"]
    assert np.array_equal(rows["score"].to_numpy(), model.predict(applications))
    declined = rows["score"].to_numpy() >= model.threshold
    assert 0 < declined.sum() < ROWS
    assert rows["decision"].to_pylist() == ["decline" if d else "approve" for d in declined]


def test_declined_rows_carry_the_inputs_that_raised_their_score_most(night: Path) -> None:
    _pin()
    _score()
    model, book = Model.load(registry.fetch_model(BOOK, "1")), load_book(BOOK)
    applications = lake.read(lake.applications(book), as_of=NIGHT, filters=[("applied_on", ">=", date(2006, 9, 1))])
    contributions = model.contributions(make_features(book, applications))
    for row, values in zip(_scores(role="champion").to_pylist(), contributions, strict=True):
        raised = sorted((-v, name) for v, name in zip(values, model.features, strict=True) if v > 0)
        wanted = [name for _, name in raised][:4] if row["decision"] == "decline" else []
        assert row["reasons"] == wanted
    assert set(pc.list_value_length(_scores(role="challenger")["reasons"]).to_pylist()) == {0}


@pytest.mark.parametrize("shards,order", [(1, 1), (3, 1), (3, -1)])
def test_neither_the_number_nor_the_order_of_shards_changes_a_score(night: Path, shards: int, order: int) -> None:
    _pin()
    _score()
    before = _scores().drop_columns(["run_id"])
    _pin("again", shards)
    _score("again", shards, order)
    assert _scores().drop_columns(["run_id"]).equals(before)
    assert _scores()["run_id"].unique().to_pylist() == ["again"]


def test_the_same_run_again_gives_the_same_bytes_and_one_version(night: Path) -> None:
    pinned = _pin()
    first, files = _score(), _files()
    assert _pin() == pinned
    assert _score() == first
    assert _files() == files


def test_a_promotion_in_mid_run_changes_nothing_in_it(night: Path) -> None:
    pinned = _pin()
    scoring.score_shard("night", 0)
    half = _files()["shard-0.parquet"]
    registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")
    assert _pin() == pinned
    scoring.score_shard("night", 0)
    scoring.score_shard("night", 1)
    assert _files()["shard-0.parquet"] == half
    assert scoring.publish("night")["champion"] == "1"
    assert _scores(role="champion")["model_version"].unique().to_pylist() == ["1"]
    assert _pin("next")["champion"] == "2"


def test_applications_that_arrive_in_mid_run_wait_for_the_next(night: Path) -> None:
    _pin()
    table = lake.applications(load_book(BOOK))
    lake.change_partitions(table, ["2006-09"], lambda rows: rows.slice(10))
    assert _score()["population"] == ROWS


def test_a_backfill_uses_the_champion_of_its_date(night: Path) -> None:
    registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")
    assert _pin("later")["champion"] == "2"
    assert _pin("earlier", as_of=date(2006, 8, 1))["champion"] == "1"


def test_a_date_before_the_first_champion_is_refused(night: Path) -> None:
    with pytest.raises(BadInput, match="No champion of consumer was in force yet .*from 2006-07-01 on .*got: 2006-06-01"
                                       ".*approve with TOLLGATE_TODAY=as-of"):
        _pin(as_of=date(2006, 6, 1))


def test_a_night_of_before_the_approval_is_scored_by_the_champion_of_then(
        night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_TODAY", "2006-09-20")
    registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")
    assert _pin("rerun", as_of=date(2006, 9, 5))["champion"] == "1"
    assert _pin("next", as_of=date(2006, 9, 20))["champion"] == "2"


def test_a_month_without_applications_is_bad_input(night: Path) -> None:
    with pytest.raises(BadInput, match="no application in the 1 month"):
        _pin(as_of=date(2008, 1, 1))


def test_a_run_id_is_used_for_one_night_and_is_a_folder_name(night: Path) -> None:
    _pin()
    with pytest.raises(BadInput, match="was pinned for consumer as of 2006-10-01"):
        _pin(as_of=date(2006, 11, 1))
    for run in ("../out", "a/b", "", ".hidden"):
        with pytest.raises(BadInput, match="plain folder name"):
            _pin(run)


def test_a_missing_shard_is_named_and_nothing_is_published(night: Path) -> None:
    _pin()
    scoring.score_shard("night", 0)
    with pytest.raises(BadInput, match="shards are missing") as error:
        scoring.publish("night")
    assert error.value.value == [1]
    assert lake.version(lake.scores(BOOK)) == -1


def test_an_unknown_run_or_shard_is_bad_input(night: Path) -> None:
    with pytest.raises(BadInput, match="Nothing was pinned"):
        scoring.score_shard("none", 0)
    _pin()
    with pytest.raises(BadInput, match="has 2 shards") as error:
        scoring.score_shard("night", 2)
    assert error.value.value == 2


@pytest.mark.parametrize("change,says", [
    (lambda rows: rows.slice(1), "missing in the champion scores"),
    (lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]), "stand twice"),
    (lambda rows: pa.concat_tables([rows, rows.slice(0, 1).set_column(0, "loan_id", pa.array(["X"]))]), "not pinned"),
], ids=["dropped", "doubled", "foreign"])
def test_scores_that_are_not_the_population_are_refused(night: Path, change: Any, says: str) -> None:
    _pin()
    _score()
    before = _scores()
    scoring.score_shard("night", 0)
    path = Path(settings().store) / "scoring" / "night" / "shard-0.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(Refused, match=says):
        scoring.publish("night")
    assert _scores().equals(before)


def test_a_row_that_cannot_be_scored_is_refused_with_its_reason(night: Path) -> None:
    table = lake.applications(load_book(BOOK))
    at = table.schema.get_field_index("loan_amount")

    def broken(rows: pa.Table) -> pa.Table:
        amounts = rows["loan_amount"].to_numpy().copy()
        amounts[[3, 7]] = 1e300
        return rows.set_column(at, table.schema.field(at), pa.array(amounts))

    lake.change_partitions(table, ["2006-09"], broken)
    _pin()
    answer = _score()
    assert (answer["population"], answer["scored"], answer["refused"]) == (ROWS, ROWS - 2, 2)
    refused = _scores(role="champion", decision="refused")
    assert refused["score"].to_pylist() == [None, None]
    assert refused["reasons"].to_pylist() == [["loan_amount is too large for a 32-bit float"]] * 2


def test_a_row_without_what_the_book_requires_is_refused_and_never_approved(night: Path) -> None:
    book = load_book(BOOK)
    model = Model.load(registry.fetch_model(BOOK, "1"))
    features = make_features(book, lake.view(lake.applications(book)).slice(0, 4))

    def without(rows: int, *names: str) -> None:
        nonlocal features
        for name in names:
            cells = pa.array([None] * rows + features[name].to_pylist()[rows:], features[name].type)
            features = features.set_column(features.column_names.index(name), name, cells)

    without(1, *features.column_names)
    without(2, "credit_score", "annual_income")
    without(3, "annual_income", "debt_to_income_ratio")
    why = refusals(model, features)
    assert why == ["credit_score is missing", "credit_score is missing", None, None]


def test_without_a_rule_of_the_book_a_row_of_which_nothing_is_known_is_refused(
        night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = load_book(BOOK)
    monkeypatch.setattr(consumer, "BOOK", replace(book, required=()))
    features = make_features(book, lake.view(lake.applications(book)).slice(0, 2))
    nothing = pa.table({name: pa.array([None, features[name][1].as_py()], features[name].type)
                        for name in features.column_names})
    assert refusals(Model.load(registry.fetch_model(BOOK, "1")), nothing) == ["every feature is missing", None]


def test_a_loan_that_stands_twice_is_refused_by_name(night: Path) -> None:
    table = lake.applications(load_book(BOOK))
    loan = lake.read(table, filters=[("month", "=", "2006-09")])["loan_id"][0].as_py()
    lake.change_partitions(table, ["2006-09"], lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]))
    with pytest.raises(Refused, match="stand twice") as refusal:
        _pin()
    assert refusal.value.value == loan


def test_a_shard_needs_no_mlflow_once_pinned(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pin()
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert scoring.score_shard("night", 0)["rows"] > 0


def test_a_shard_on_a_fresh_machine_fetches_its_model_again(night: Path) -> None:
    _pin()
    scoring.score_shard("night", 0)
    before = _files()["shard-0.parquet"]
    shutil.rmtree(settings().data / "models")
    scoring.score_shard("night", 0)
    assert _files()["shard-0.parquet"] == before


def test_a_book_without_a_challenger_is_scored_by_the_champion_alone(night: Path) -> None:
    registry.reject(BOOK, "2", by="ann")
    assert _pin()["challenger"] is None
    assert _score()["population"] == ROWS
    assert _scores()["role"].unique().to_pylist() == ["champion"]


def test_a_rollback_is_proved_on_the_night_that_the_model_scored(night: Path) -> None:
    _pin()
    _score()
    registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")
    answer = registry.rollback(BOOK, "1", by="eve", reason="worse")
    assert answer["proof"] == {"source": "scores of 2006-10-01", "rows": ROWS, "max_difference": 0.0}
    assert answer["effective_on"] == "2006-10-01"
    assert _pin("again")["champion"] == "1"
    assert "mended" not in kinds()




def test_code_that_makes_other_features_than_were_approved_scores_no_night(
        night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pin()
    changed = replace(consumer.BOOK, features=tuple(
        replace(f, make=lambda *of, f=f: f.make(*of) * 1.01) if f.name == "credit_score" else f
        for f in consumer.BOOK.features))
    monkeypatch.setattr(consumer, "BOOK", changed)
    for step in (lambda: _pin("other"), lambda: scoring.score_shard("night", 0),
                 lambda: registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")):  # type: ignore[union-attr]
        with pytest.raises(Refused, match="scores otherwise than what was approved.*credit_score is another value on"):
            step()
    assert registry.champion(BOOK).version == "1"  # type: ignore[union-attr]
