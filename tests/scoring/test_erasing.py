"""Erasing loans: no byte of them is left that the command does not name, and everything else works as before."""

from __future__ import annotations

import io
import json
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from registry.world import BOOK, World, client
from scoring.nightly import KEY, NIGHT, ROWS, params_with, pin, score, score_shards, scores

from tollgate import erasure, lake, nights, registry, scoring
from tollgate.books import load_book
from tollgate.config import settings
from tollgate.errors import BadInput, Refused
from tollgate.lake import Store
from tollgate.monitoring.window import load_window

WHY = "request 17"


def erase(*loans: str, **how: Any) -> dict[str, Any]:
    return erasure.erase(load_book(BOOK), loans, WHY, by="ann", **how)


def a_loan(decision: str = "decline") -> str:
    return str(scores(decision=decision)["loan_id"][0])


def left_of(loan: str, home: Path) -> list[str]:
    """Every file that holds a loan's id, Parquet read and all else as it stands."""
    found = []
    for path in sorted(home.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            text = str(pq.read_table(io.BytesIO(content)).to_pylist()) if content[:4] == b"PAR1" else (
                content.decode(errors="replace"))
            if loan in text:
                found.append(str(path.relative_to(home)))
    return found


def scored_twice() -> str:
    """A night with its shadow, scored once more; a loan that was declined in both."""
    first = score_shards(pin())
    scoring.publish(first)
    scoring.score_shadows(first)
    registry.reopen(BOOK, NIGHT, "again", "once more", by="ann")
    score(pin("again"))
    return a_loan()


def test_no_byte_of_an_erased_loan_is_left_and_its_night_is_watched_and_proved_as_before(night: Path) -> None:
    loan = scored_twice()
    book = load_book(BOOK)
    assert lake.read(lake.shadow_scores(BOOK), filters=[("loan_id", "=", loan)]).num_rows == 1
    told = erase(loan)
    assert told["still_holds"] == []
    assert all(told["rows"][name] == 1 for name in ("scores", "superseded", "shadow_scores", "applications"))
    assert left_of(loan, night) == []
    assert told["nights"] == {KEY: 1, KEY[:-1] + "2": 1}
    newest = nights.publications(BOOK)[0]
    assert newest.rows == newest.scored + newest.refused == ROWS - 1 == scores().num_rows
    pinned = nights.read_pin(newest.attempt)
    assert (pinned.rows, pinned.erased) == (ROWS - 1, 1)
    window = load_window(book, NIGHT, params_with().monitoring)
    assert window.scores.num_rows == window.features.num_rows == window.applications.num_rows == newest.scored
    assert window.scores["loan_id"].to_pylist() == window.applications["loan_id"].to_pylist()
    assert scoring.publish(str(newest.attempt))["rows"] == ROWS - 1
    with pytest.raises(BadInput, match="No scores of this loan were published"):
        registry.trace(BOOK, loan)
    registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")  # type: ignore[union-attr]
    proof = registry.rollback(BOOK, "1", by="eve", reason="worse")["proof"]
    assert (proof["source"], proof["rows"]) == (f"scores of {NIGHT}", newest.scored)


def test_the_ledger_tells_who_and_why_and_each_files_digests_and_never_the_loan(night: Path) -> None:
    score()
    loan, before = a_loan(), nights.read_pin(nights.attempt_of(KEY)).files
    told = erase(loan)
    registry.verify(BOOK)
    intent, line = [entry["payload"] for entry in registry.entries(BOOK)][-2:]
    assert (line["by"], line["comment"], line["loans"]) == ("ann", WHY, 1)
    assert line["intents"] == [registry.entries(BOOK)[-2]["seq"]] and intent["rows"] == line["rows"] == told["rows"]
    assert loan not in json.dumps(registry.entries(BOOK))
    after = nights.read_pin(nights.attempt_of(KEY)).files
    changed = {name for name in before if before[name] != after[name]}
    assert len(changed) == 1
    assert all(line["files"][f"nights/{KEY}/{name}"] == [before[name], after[name]] for name in changed)
    assert not Store(settings().store).list("erasing")


def test_again_it_finds_nothing_and_writes_nothing(night: Path) -> None:
    score()
    loan = a_loan()
    erase(loan)
    lines = len(registry.entries(BOOK))
    again = erase(loan)
    assert (again["rows"], again["nights"], again["past"], again["ledger"]) == ({}, {}, {}, None)
    assert len(registry.entries(BOOK)) == lines


def test_a_dry_run_tells_the_same_and_touches_nothing(night: Path) -> None:
    loan = scored_twice()
    before = {path: path.read_bytes() for path in night.rglob("*") if path.is_file()}
    dry = erase(loan, dry_run=True)
    assert {path: path.read_bytes() for path in night.rglob("*") if path.is_file()} == before
    assert dry["ledger"] is None
    told = erase(loan)
    assert {name: dry[name] for name in ("rows", "nights", "landing")} == {
        name: told[name] for name in ("rows", "nights", "landing")}


def test_a_version_of_the_lake_that_held_the_loan_is_gone_and_an_older_one_can_be_read(night: Path) -> None:
    score()
    score(pin("other", as_of=date(2006, 11, 1)))
    first = lake.version(lake.scores(BOOK))
    registry.reopen(BOOK, date(2006, 11, 1), "again", "once more", by="ann")
    score(pin("again", as_of=date(2006, 11, 1)))
    of_november = lake.read(lake.scores(BOOK), filters=[("day", "=", "2006-11-01")])
    loan = a_loan()
    erase(loan)
    with pytest.raises(BadInput, match="no longer in the lake"):
        lake.read(lake.scores(BOOK), at=first)
    assert lake.read(lake.scores(BOOK), at=first, filters=[("day", "=", "2006-11-01")]).num_rows == of_november.num_rows


def test_a_reason_that_names_the_loan_is_refused(night: Path) -> None:
    score()
    loan = a_loan()
    with pytest.raises(BadInput, match="The reason names a loan"):
        erasure.erase(load_book(BOOK), [loan], f"asked for by {loan}.")


def test_a_file_of_a_night_that_was_changed_is_told_and_gets_no_new_digest(night: Path) -> None:
    score()
    loan = a_loan()
    pinned = nights.read_pin(nights.attempt_of(KEY))
    shard = nights.shard_of(loan, pinned.shards)
    path = Path(settings().store) / "nights" / KEY / f"scores-{shard}.parquet"
    rows = pq.read_table(path)
    pq.write_table(rows.set_column(rows.column_names.index("score"), "score", pc.multiply(rows["score"], 0.5)), path)
    told = erase(loan)
    assert any(f"scores-{shard}.parquet of the night {KEY} is not what was pinned" in said
               for said in told["still_holds"])
    with pytest.raises(Refused, match="is not what was pinned"):
        nights.read_scored(nights.read_pin(nights.attempt_of(KEY)), shard)


def trained_on() -> str:
    """A loan whose row stands in the evidence of the champion's test."""
    with TemporaryDirectory() as folder:
        path = client().download_artifacts(registry.champion(BOOK).run_id, "evidence.parquet", folder)
        rows = pq.read_table(path)
        return str(rows.filter(pc.equal(rows["split"], "test"))["loan_id"][0])


def test_the_evidence_of_a_model_is_followed_to_what_the_erasure_left(world: World, home: Path) -> None:
    world.promoted("a")
    world.registered("b")
    loan = trained_on()
    told = erase(loan)
    assert told["still_holds"] == [] and len(told["evidence"]) == 2
    assert left_of(loan, home) == []
    registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")  # type: ignore[union-attr]
    assert registry.rollback(BOOK, "1", by="eve", reason="worse")["proof"]["source"] == "test evidence"
    with TemporaryDirectory() as folder:  # somebody else's change of it is refused as before
        run = registry.models(BOOK)[0]["run_id"]
        path = client().download_artifacts(run, "evidence.parquet", folder)
        pq.write_table(pq.read_table(path).slice(1), path)
        client().log_artifact(run, path)
    with pytest.raises(Refused, match="evidence.parquet.*changed after registration"):
        registry.rollback(BOOK, "2", by="eve", reason="better")


def test_the_evidence_of_a_run_that_somebody_deleted_in_mlflow_is_cleaned_too(world: World, home: Path) -> None:
    world.promoted("a")
    world.registered("b")
    loan = trained_on()
    client().delete_run(registry.challenger(BOOK).run_id)  # type: ignore[union-attr]
    assert len(erase(loan)["evidence"]) == 2
    assert left_of(loan, home) == []


def test_a_model_whose_rows_were_erased_is_not_made_again_and_says_why(world: World) -> None:
    world.promoted("a")
    erase(trained_on())
    with pytest.raises(Refused, match="1 loan.s. were erased since, as line"):
        registry.reproduce(BOOK, "1")
