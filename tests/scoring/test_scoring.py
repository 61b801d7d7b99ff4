from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from registry.world import BOOK, kinds
from scoring.nightly import (
    KEY,
    NIGHT,
    ROWS,
    files,
    params_with,
    pin,
    restate,
    score,
    score_shards,
    scores,
    versions,
)

from tollgate import lake, nights, registry, scoring
from tollgate.books import load_book
from tollgate.books.shipped import consumer
from tollgate.config import settings
from tollgate.errors import BadInput, Refused
from tollgate.features import Model, make_features
from tollgate.monitoring.window import load_window
from tollgate.scoring.shards import refusals


def test_a_night_is_scored_whole_by_the_champion_alone(night: Path) -> None:
    assert pin() == {"attempt": KEY, "book": BOOK, "population": "new", "as_of": "2006-10-01", "champion": "1",
                     "shadows": ["2"], "rows": ROWS, "too_late": 0,
                     "shards": [{"attempt": KEY, "shard": k, "name": f"shard {k}"} for k in (0, 1)]}
    assert min(scoring.score_shard(KEY, k)["rows"] for k in (0, 1)) > ROWS / 3
    answer = score()
    declined = answer.pop("declined")
    assert answer == {"attempt": KEY, "book": BOOK, "population": "new", "as_of": "2006-10-01", "rows": ROWS,
                      "scored": ROWS, "refused": 0, "champion": "1", "replaces": None}
    rows = scores()
    assert pc.min_max(rows["applied_on"]).as_py() == {"min": date(2006, 9, 1), "max": date(2006, 9, 30)}
    assert rows.num_rows == len(rows["loan_id"].unique()) == ROWS
    assert pc.sum(pc.equal(rows["decision"], "decline")).as_py() == declined
    wanted = {"model_version": "1", "snapshot_version": registry.champion(BOOK).snapshot, "run_id": "night",
              "population": "new", "attempt": 1, "status": "scored", "refusal": None}
    assert {name: rows[name].unique().to_pylist() for name in wanted} == {k: [v] for k, v in wanted.items()}


def test_published_scores_are_those_of_the_model_alone(night: Path) -> None:
    score()
    rows = scores()
    model = Model.load(registry.fetch_model(BOOK, "1"))
    applications = lake.read(lake.applications(load_book(BOOK)), as_of=NIGHT,
                             filters=[("applied_on", ">=", date(2006, 9, 1))])
    assert rows["loan_id"] == applications["loan_id"]
    assert np.array_equal(rows["score"].to_numpy(), model.predict(applications))
    declined = rows["score"].to_numpy() >= model.threshold
    assert 0 < declined.sum() < ROWS
    assert rows["decision"].to_pylist() == ["decline" if d else "approve" for d in declined]


def test_declined_rows_carry_the_inputs_that_raised_their_score_most(night: Path) -> None:
    score()
    model, book = Model.load(registry.fetch_model(BOOK, "1")), load_book(BOOK)
    applications = lake.read(lake.applications(book), as_of=NIGHT, filters=[("applied_on", ">=", date(2006, 9, 1))])
    contributions = model.contributions(make_features(book, applications))
    for row, values in zip(scores().to_pylist(), contributions, strict=True):
        raised = sorted((-v, name) for v, name in zip(values, model.features, strict=True) if v > 0)
        wanted = [name for _, name in raised][:4] if row["decision"] == "decline" else []
        assert row["reasons"] == wanted


@pytest.mark.parametrize("shards,order", [(1, 1), (3, 1), (3, -1)])
def test_neither_the_number_nor_the_order_of_shards_changes_a_score(night: Path, shards: int, order: int) -> None:
    score()
    before = scores()
    registry.reopen(BOOK, NIGHT, "again", "other shards", by="ann")
    score(pin("again", shards), order)
    assert scores()["run_id"].unique().to_pylist() == ["again"]
    assert scores().drop_columns(["run_id", "attempt"]).equals(before.drop_columns(["run_id", "attempt"]))


def test_the_same_run_again_gives_the_same_bytes_and_one_version(night: Path) -> None:
    pinned = pin()
    first, kept = score(), (files(), versions())
    assert pin() == pinned
    assert score() == first
    assert (files(), versions()) == kept


def test_a_promotion_in_mid_run_changes_nothing_in_it(night: Path) -> None:
    pinned = pin()
    scoring.score_shard(KEY, 0)
    half = files()["scores-0.parquet"]
    registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")
    assert pin() == pinned
    scoring.score_shard(KEY, 0)
    scoring.score_shard(KEY, 1)
    assert files()["scores-0.parquet"] == half
    assert scoring.publish(KEY)["champion"] == "1"
    assert scores()["model_version"].unique().to_pylist() == ["1"]
    assert pin("next", as_of=date(2006, 10, 2))["champion"] == "2"


def test_applications_that_change_or_arrive_in_mid_run_wait_for_the_next(night: Path) -> None:
    pin()
    restate("2006-09", lambda rows: rows.slice(10))
    assert score()["rows"] == ROWS


def test_a_backfill_uses_the_champion_of_its_date(night: Path) -> None:
    registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")
    assert pin("later")["champion"] == "2"
    assert pin("earlier", as_of=date(2006, 8, 1))["champion"] == "1"


def test_a_date_before_the_first_champion_is_refused(night: Path) -> None:
    with pytest.raises(BadInput, match="No champion of consumer was in force yet .*from 2006-07-01 on .*got: 2006-06-01"
                                       ".*approve with TOLLGATE_TODAY=as-of"):
        pin(as_of=date(2006, 6, 1))


def test_a_night_of_before_the_approval_is_scored_by_the_champion_of_then(
        night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_TODAY", "2006-09-20")
    registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")
    assert pin("rerun", as_of=date(2006, 9, 5))["champion"] == "1"
    assert pin("next", as_of=date(2006, 9, 20))["champion"] == "2"


def test_a_day_without_applications_is_a_published_night_of_no_rows(night: Path) -> None:
    empty = date(2008, 1, 1)
    answer = score(pin(as_of=empty))
    assert (answer["rows"], answer["scored"], answer["refused"]) == (0, 0, 0)
    assert scores().num_rows == 0
    (told,) = nights.publications(BOOK)
    assert (told.attempt.day, told.rows, told.version) == (empty, 0, "1")
    with pytest.raises(Refused, match="published already"):
        pin("another", as_of=empty)


def test_a_run_id_is_a_plain_folder_name(night: Path) -> None:
    for run in ("../out", "a/b", "", ".hidden"):
        with pytest.raises(BadInput, match="plain folder name"):
            pin(run)


def test_a_missing_shard_is_named_and_nothing_is_published(night: Path) -> None:
    pin()
    scoring.score_shard(KEY, 0)
    with pytest.raises(BadInput, match="shards are missing") as error:
        scoring.publish(KEY)
    assert error.value.value == [1]
    assert lake.version(lake.scores(BOOK)) == -1


def test_an_unknown_attempt_or_shard_is_bad_input(night: Path) -> None:
    for key in ("night", "consumer/new/2006-13-01/1", "consumer/old/2006-10-01/1", "consumer/new/2006-10-01/0"):
        with pytest.raises(BadInput, match="BOOK/POPULATION/DAY/NUMBER"):
            scoring.score_shard(key, 0)
    with pytest.raises(BadInput, match="Nothing is pinned"):
        scoring.score_shard(KEY, 0)
    pin()
    with pytest.raises(BadInput, match="has 2 shards") as error:
        scoring.score_shard(KEY, 2)
    assert error.value.value == 2


@pytest.mark.parametrize("change,says", [
    (lambda rows: rows.slice(1), "missing in the scores"),
    (lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]), "stand twice"),
    (lambda rows: pa.concat_tables([rows, rows.slice(0, 1).set_column(
        rows.column_names.index("loan_id"), "loan_id", pa.array(["X"]))]), "not pinned"),
], ids=["dropped", "doubled", "foreign"])
def test_scores_that_are_not_the_population_are_refused(night: Path, change: Any, says: str) -> None:
    pin()
    for shard in (0, 1):
        scoring.score_shard(KEY, shard)
    it = nights.read_pin(nights.attempt_of(KEY))
    nights.write_scored(it.attempt, 0, nights.read_features(it, 0), change(nights.read_scored(it, 0)))
    with pytest.raises(Refused, match=says):
        scoring.publish(KEY)
    assert scores().num_rows == 0


def test_a_shard_that_an_older_tollgate_scored_is_scored_again_before_it_is_published(night: Path) -> None:
    score_shards(pin())
    it = nights.read_pin(nights.attempt_of(KEY))
    nights.write_scored(it.attempt, 1, nights.read_features(it, 1), nights.read_scored(it, 1).drop_columns(["run_id"]))
    with pytest.raises(BadInput, match=f"Shard 1 of the night {KEY} was scored by an older Tollgate") as told:
        scoring.publish(KEY)
    assert f"tollgate score shard {KEY} 1" in told.value.remedy and scores().num_rows == 0
    scoring.score_shard(KEY, 1)
    assert scoring.publish(KEY)["rows"] == scores().num_rows == ROWS


@pytest.mark.parametrize("name", ["rows-0.parquet", "scores-0.parquet", "features-1.parquet"])
def test_a_file_of_a_night_that_was_changed_is_refused_by_name(night: Path, name: str) -> None:
    score()
    path = Path(settings().store) / "nights" / KEY / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Refused, match=f"{name} of the night {KEY} is not what was pinned"):
        load_window(load_book(BOOK), NIGHT, params_with().monitoring)


def test_a_row_that_cannot_be_scored_is_refused_with_its_reason(night: Path) -> None:
    table = lake.applications(load_book(BOOK))
    at = table.schema.get_field_index("loan_amount")

    def broken(rows: pa.Table) -> pa.Table:
        amounts = rows["loan_amount"].to_numpy().copy()
        amounts[[3, 7]] = 1e300
        return rows.set_column(at, table.schema.field(at), pa.array(amounts))

    lake.change_partitions(table, ["2006-09"], broken)
    answer = score()
    assert (answer["rows"], answer["scored"], answer["refused"]) == (ROWS, ROWS - 2, 2)
    refused = scores(status="refused")
    assert {name: refused[name].to_pylist() for name in ("score", "decision", "reasons", "refusal")} == {
        "score": [None] * 2, "decision": [None] * 2, "reasons": [[]] * 2,
        "refusal": ["loan_amount is too large for a 32-bit float"] * 2}


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
        pin()
    assert refusal.value.value == loan


def test_a_shard_needs_no_mlflow_once_pinned(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin()
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert scoring.score_shard(KEY, 0)["rows"] > 0


def test_a_shard_on_a_fresh_machine_fetches_its_model_again(night: Path) -> None:
    pin()
    scoring.score_shard(KEY, 0)
    before = files()["scores-0.parquet"]
    shutil.rmtree(settings().data / "models")
    scoring.score_shard(KEY, 0)
    assert files()["scores-0.parquet"] == before


def test_a_rollback_is_proved_on_the_rows_that_the_night_pinned_whatever_became_of_them_since(night: Path) -> None:
    score()
    restate("2006-09", lambda rows: rows.slice(0, 1))
    registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")
    answer = registry.rollback(BOOK, "1", by="eve", reason="worse")
    assert answer["proof"] == {"source": "scores of 2006-10-01", "rows": ROWS, "max_difference": 0.0}
    assert answer["effective_on"] == "2006-10-01"
    assert pin("again", as_of=date(2006, 10, 2))["champion"] == "1"
    assert "mended" not in kinds()


def test_code_that_makes_other_features_than_were_approved_scores_no_night(
        night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin()
    changed = replace(consumer.BOOK, features=tuple(
        replace(f, make=lambda *of, f=f: f.make(*of) * 1.01) if f.name == "credit_score" else f
        for f in consumer.BOOK.features))
    monkeypatch.setattr(consumer, "BOOK", changed)
    for step in (lambda: pin("other"), lambda: scoring.score_shard(KEY, 0),
                 lambda: registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")):  # type: ignore[union-attr]
        with pytest.raises(Refused, match="scores otherwise than what was approved.*credit_score is another value on"):
            step()
    assert registry.champion(BOOK).version == "1"  # type: ignore[union-attr]
