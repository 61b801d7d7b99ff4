"""A shard is scored in pieces on every core, and loans are put into shards by columns: no row can tell."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from scoring.nightly import KEY, files, pin, restate, score_shards

from tollgate import nights
from tollgate.errors import Refused
from tollgate.scoring import shards as shards_module
from tollgate.scoring.population import all_differ
from tollgate.scoring.publish import audit

LOANS = ["", "C-1", "C-1000000", "é€ü", "7", "loan of nobody", *(f"L{number * 7919}" for number in range(500))]


def test_the_size_of_the_pieces_changes_no_feature_score_or_reason(
        night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score_shards(pin())
    it = nights.read_pin(nights.attempt_of(KEY))
    before = [(nights.read_features(it, k), nights.read_scored(it, k)) for k in range(it.shards)]
    assert any(codes for _, scored in before for codes in scored["reasons"].to_pylist())
    monkeypatch.setattr(shards_module, "PIECE_ROWS", 7)
    score_shards(pin())
    for k, (features, scored) in enumerate(before):
        assert nights.read_features(it, k).equals(features)
        assert nights.read_scored(it, k).equals(scored)


def test_the_number_of_cores_changes_no_byte(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards_module, "PIECE_ROWS", 20)
    score_shards(pin())
    before = files()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(5)))
    score_shards(pin())
    assert files() == before


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_a_loan_is_in_the_same_shard_alone_and_among_others(shards: int) -> None:
    alone = [nights.shard_of(loan, shards) for loan in LOANS]
    among = pa.chunked_array([LOANS[:9], [], LOANS[9:]], pa.string())
    assert nights.shards_of(among, shards).tolist() == alone
    assert nights.shards_of(among.slice(3, 40), shards).tolist() == alone[3:43]
    assert nights.shards_of(among[:0], shards).tolist() == []


def test_a_loan_that_stands_twice_is_seen_wherever_it_stands() -> None:
    for loans, differ in ([], True), (["a"], True), (["a", "b"], True), (["b", "a"], True), (["a", "a"], False), (
            ["a", "b", "a"], False):
        assert all_differ(pa.chunked_array([loans], pa.string())) is differ


def test_an_audit_refuses_a_loan_that_population_and_scores_both_have_twice() -> None:
    twice = pa.chunked_array([["a", "b", "b"]])
    with pytest.raises(Refused, match="stand twice"):
        audit(twice, twice)


def test_a_large_night_is_cut_into_shards_that_one_process_can_hold(
        night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["tollgate.scoring.pin"], "SHARD_ROWS", 60)
    pinned = pin()
    assert len(pinned["shards"]) == 5
    assert sum(nights.read_population(nights.read_pin(nights.attempt_of(KEY)), k).num_rows for k in range(5)) == 250


def test_a_population_that_does_not_fit_in_memory_is_pinned_by_the_same_bytes(
        night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin("held")
    monkeypatch.setattr(sys.modules["tollgate.scoring.dividing"], "HELD", 0)
    second = pin("on-scratch")["attempt"]
    rows = [{name: content for name, content in files(attempt).items() if name.startswith("rows-")}
            for attempt in (KEY, second)]
    assert rows[0] == rows[1] and len(rows[0]) == 2


def test_a_loan_that_stands_twice_among_the_applications_is_named_and_nothing_is_pinned(night: Path) -> None:
    restate("2006-09", lambda rows: pa.concat_tables([rows, rows.slice(5, 1)]))
    with pytest.raises(Refused, match="1 loan.* stand twice among the applications to score") as told:
        pin()
    assert str(told.value.value).startswith("C")
    assert not nights.was_pinned(nights.attempt_of(KEY))
