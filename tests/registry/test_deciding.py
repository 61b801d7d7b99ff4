"""From when on an approval counts, whose name it carries, and who may not give it."""

from __future__ import annotations

import os
import pwd
from datetime import date
from typing import Any

import pytest
from registry.world import BOOK, World, aliases, kinds

from tollgate import registry
from tollgate.books import load_book
from tollgate.clock import today
from tollgate.errors import BadInput, Refused


def _last() -> dict[str, Any]:
    return registry.entries(BOOK)[-1]


def test_an_approval_is_in_force_from_its_own_day_and_not_from_the_as_of_of_the_model(
        world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_TODAY", "2006-08-20")
    first = world.promoted("a")
    assert (_last()["payload"]["effective_on"], _last()["payload"]["replay"]) == ("2006-08-20", "2006-08-20")
    assert registry.champion_on(BOOK, date(2006, 8, 19)) is None
    assert registry.champion_on(BOOK, date(2006, 8, 20)) == first
    world.promoted("b")  # its as-of is later than the day of its approval
    assert _last()["payload"]["effective_on"] == "2006-09-01"


def test_without_a_replay_an_approval_goes_by_the_clock_of_the_machine(
        world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOLLGATE_TODAY")
    before = today(load_book(BOOK).time_zone)
    world.promoted("a")
    assert before <= date.fromisoformat(_last()["payload"]["effective_on"]) <= today(load_book(BOOK).time_zone)
    assert "replay" not in _last()["payload"]


def test_a_replays_clock_that_is_no_day_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    version = world.registered("a")
    monkeypatch.setenv("TOLLGATE_TODAY", "yesterday")
    with pytest.raises(BadInput, match="TOLLGATE_TODAY is written YYYY-MM-DD or as-of .got: yesterday"):
        registry.promote(BOOK, "1", version.digest, by="ann")


def test_no_rollback_is_in_force_before_the_as_of_of_its_version(world: World) -> None:
    world.promoted("a")
    world.promoted("b")
    registry.rollback(BOOK, "1", by="eve", reason="worse", effective_on=date(2006, 8, 1))
    assert registry.rollback(BOOK, "2", by="eve", reason="better")["effective_on"] == "2006-09-01"


def test_a_decision_without_a_name_is_by_the_login_whatever_the_environment_says(
        world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    version, own = world.registered("a"), pwd.getpwuid(os.getuid()).pw_name
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "Head of Risk")
    monkeypatch.delenv("SUDO_USER", raising=False)
    registry.promote(BOOK, "1", version.digest)
    assert _last()["payload"]["by"] == own and "login" not in _last()["payload"]
    world.registered("b")
    registry.reject(BOOK, "2", by="Head of Risk")
    assert (_last()["payload"]["by"], _last()["payload"]["login"]) == ("Head of Risk", own)


@pytest.mark.parametrize("by", ["ann", " Ann", "A. Validator"])
def test_whoever_had_a_model_trained_does_not_approve_it_where_four_eyes_are_asked_for(
        world: World, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    if by != "A. Validator":  # another name does not hide the login under which the training ran
        monkeypatch.setenv("TOLLGATE_TRAINED_BY", "ann")
    version = world.registered("a")
    monkeypatch.setenv("TOLLGATE_FOUR_EYES", "on")
    with pytest.raises(Refused, match="whoever had a model trained does not approve it"):
        registry.promote(BOOK, "1", version.digest, by=by)
    assert aliases() == {"challenger": "1"} and kinds() == ["registered"]


def test_somebody_else_approves_where_four_eyes_are_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_TRAINED_BY", "scheduler")
    monkeypatch.setenv("TOLLGATE_TRAINED_IN", "train_weekly__consumer/a run")
    monkeypatch.setenv("TOLLGATE_FOUR_EYES", "on")
    world.promoted("a")
    assert [model["trained_in"] for model in registry.models(BOOK)] == ["train_weekly__consumer/a run"]
    assert [e["payload"]["trained_by"] for e in registry.entries(BOOK) if e["kind"] == "registered"] == ["scheduler"]
    assert kinds() == ["registered", "promotion-intent", "promotion-committed"]


def test_a_no_to_a_model_that_a_newer_one_replaced_is_no_failure_and_changes_nothing(
        world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.registered("a")
    second = world.registered("b")
    assert registry.reject(BOOK, "1", by="ann") == {"rejected": "1", "champion": None}
    assert "a newer challenger took the place of version 1 before this answer" in caplog.text
    assert registry.challenger(BOOK) == second and kinds() == ["registered", "registered"]


def test_a_switch_that_is_neither_on_nor_off_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    version = world.registered("a")
    monkeypatch.setenv("TOLLGATE_FOUR_EYES", "yes")
    with pytest.raises(BadInput, match="TOLLGATE_FOUR_EYES is on or off .got: yes"):
        registry.promote(BOOK, "1", version.digest, by="ann")
