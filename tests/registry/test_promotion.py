from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from registry.world import BOOK, World, aliases, client, kinds, params_of
from tests.published import publish
from tests.scored import publish_night

from tollgate import lake, registry
from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault, Refused

NAME = f"tollgate-{BOOK}"


def _artefact(version: str) -> Path:
    return Path(client().get_model_version(NAME, version).source)


def _tamper(version: str) -> None:
    path = _artefact(version) / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "threshold": 0.99}))


def _registered() -> list[dict[str, Any]]:
    return [e["payload"]["model"] for e in registry.entries(BOOK) if e["kind"] == "registered"]


def _last() -> dict[str, Any]:
    return registry.entries(BOOK)[-1]


def test_an_approved_challenger_becomes_champion(world: World) -> None:
    version = world.registered("a")
    answer = registry.promote(BOOK, "1", version.digest, by="ann", comment="good")
    assert answer == {"champion": "1", "previous": None, "digest": version.digest, "effective_on": "2006-07-01"}
    assert aliases() == {"champion": "1"}
    assert kinds() == ["registered", "promotion-intent", "promotion-committed"]
    assert (_last()["payload"]["by"], _last()["payload"]["comment"]) == ("ann", "good")
    assert registry.champion(BOOK) == version and registry.challenger(BOOK) is None


def test_promoting_the_champion_again_adds_nothing(world: World) -> None:
    version = world.promoted("a")
    before = kinds()
    assert registry.promote(BOOK, "1", version.digest, by="ann")["champion"] == "1"
    assert kinds() == before
    with pytest.raises(Refused, match="another artefact"):
        registry.promote(BOOK, "1", "0" * 64, by="ann")


def test_an_approval_of_another_digest_is_refused(world: World) -> None:
    world.registered("a")
    with pytest.raises(Refused, match="for another artefact"):
        registry.promote(BOOK, "1", "0" * 64, by="ann")
    assert aliases() == {"challenger": "1"} and kinds() == ["registered"]


def test_an_artefact_changed_after_registration_is_refused(world: World) -> None:
    version = world.registered("a")
    registry.fetch_model(BOOK, "1")
    _tamper("1")
    with pytest.raises(Refused, match="changed after registration"):
        registry.promote(BOOK, "1", version.digest, by="ann")
    assert aliases() == {"challenger": "1"} and kinds() == ["registered"]


def test_a_tag_and_artefact_changed_together_are_refused(world: World) -> None:
    from tollgate.features import digest_of

    version = world.registered("a")
    _tamper("1")
    client().set_model_version_tag(NAME, "1", "digest", digest_of(_artefact("1")))
    for digest in (version.digest, digest_of(_artefact("1"))):
        with pytest.raises(Refused):
            registry.promote(BOOK, "1", digest, by="ann")
    assert aliases() == {"challenger": "1"}


def test_a_date_in_mlflow_that_became_no_date_is_refused_like_any_other_change(world: World) -> None:
    version = world.registered("a")
    client().set_model_version_tag(NAME, "1", "as_of", "last summer")
    with pytest.raises(Refused, match="version 1 was changed or deleted after registration"):
        registry.promote(BOOK, "1", version.digest, by="ann")
    assert aliases() == {"challenger": "1"} and kinds() == ["registered"]


def test_only_the_challenger_can_be_promoted(world: World) -> None:
    first, second = world.registered("a"), world.registered("b")
    with pytest.raises(Refused, match="Version 1 of consumer is not the challenger; its state is: replaced .got: 1.*"
                                      "The challenger is version 2"):
        registry.promote(BOOK, "1", first.digest, by="ann")
    for decide in (registry.reject, lambda *args, by: registry.promote(*args, first.digest, by=by)):
        with pytest.raises(BadInput, match=r"no registered version of this number .got: 3"):
            decide(BOOK, "3", by="ann")
    assert registry.promote(BOOK, "2", second.digest, by="ann")["champion"] == "2"
    assert [(m["version"], m["state"]) for m in registry.models(BOOK)] == [("2", "champion"), ("1", "replaced")]


def test_a_challenger_judged_against_an_earlier_champion_is_not_promoted(world: World) -> None:
    world.promoted("a")
    world.promoted("b")
    third = world.registered("c")
    registry.rollback(BOOK, "1", by="eve", reason="wrong")
    with pytest.raises(Refused, match="champion changed"):
        registry.promote(BOOK, "3", third.digest, by="ann")


def test_a_rejected_challenger_leaves_the_champion(world: World) -> None:
    world.promoted("a")
    version = world.registered("b")
    assert registry.reject(BOOK, "2", by="ann", comment="no") == {"rejected": "2", "champion": "1"}
    assert registry.reject(BOOK, "2", by="ann") == {"rejected": "2", "champion": "1"}
    assert aliases() == {"champion": "1"} and kinds().count("rejected") == 1
    with pytest.raises(Refused, match="its state is: rejected .got: 2.*Nothing is: train one"):
        registry.promote(BOOK, "2", version.digest, by="ann")
    with pytest.raises(Refused, match="its state is: champion"):
        registry.reject(BOOK, "1", by="ann")
    assert [m["state"] for m in registry.models(BOOK)] == ["rejected", "champion"]


def test_a_decision_tells_when_the_person_answered_beside_when_it_was_recorded(world: World) -> None:
    first, vienna = world.registered("a"), timezone(timedelta(hours=1))
    registry.promote(BOOK, "1", first.digest, by="ann", answered_at=datetime(2026, 3, 2, 9, 30, tzinfo=vienna))
    world.registered("b")
    registry.reject(BOOK, "2", by="bob")
    intent, commit, _, rejected = [e for e in registry.entries(BOOK) if e["kind"] != "judged"][1:]
    assert intent["payload"]["answered_at"] == commit["payload"]["answered_at"] == "2026-03-02T08:30:00.000+00:00"
    assert commit["at"] > "2026-03-02T08:31"
    assert rejected["payload"]["answered_at"] <= rejected["at"]  # from a terminal, one follows the other at once
    assert [d["answered_at"] for d in registry.card(BOOK, "1")["decisions"]] == ["2026-03-02T08:30:00.000+00:00"]
    assert "<td>2026-03-02 08:30:00</td><td>promoted</td><td>ann</td>" in registry.card(BOOK, "1")["html"]


def test_an_answer_that_is_still_to_come_is_not_recorded(world: World) -> None:
    version, tomorrow = world.registered("a"), datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(PassingFault, match="before it is given"):
        registry.promote(BOOK, "1", version.digest, by="ann", answered_at=tomorrow)
    with pytest.raises(PassingFault, match="before it is given"):
        registry.reject(BOOK, "1", by="ann", answered_at=tomorrow)
    assert kinds() == ["registered"] and registry.challenger(BOOK) == version


def test_a_decision_of_before_its_time_was_kept_still_counts_and_shows_the_time_of_its_record(world: World) -> None:
    version = world.registered("a")
    old = registry.record(BOOK, "rejected", {"model": version.to_json(), "by": "ann", "comment": "no"})
    assert old is not None and registry.verify(BOOK)["intact"]
    assert [d["answered_at"] for d in registry.card(BOOK, "1")["decisions"]] == [old.at]


def test_a_decision_needs_a_name(world: World) -> None:
    version = world.registered("a")
    with pytest.raises(BadInput, match="name of who"):
        registry.promote(BOOK, "1", version.digest, by=" ")


def test_a_backfill_finds_the_champion_of_its_date(world: World) -> None:
    first, second = world.promoted("a"), world.promoted("b")
    assert registry.champion_on(BOOK, date(2006, 6, 30)) is None
    assert registry.champion_on(BOOK, date(2006, 7, 1)) == first
    assert registry.champion_on(BOOK, date(2006, 8, 31)) == first
    assert registry.champion_on(BOOK, date(2006, 9, 1)) == second
    registry.rollback(BOOK, "1", by="eve", reason="wrong", effective_on=date(2006, 10, 1))
    assert registry.champion_on(BOOK, date(2006, 9, 30)) == second
    assert registry.champion_on(BOOK, date(2006, 10, 1)) == first


def test_whoever_would_promote_a_former_champion_is_led_to_the_rollback(world: World) -> None:
    first = world.promoted("a")
    world.promoted("b")
    with pytest.raises(Refused, match="its state is: former champion .*tollgate rollback consumer 1 goes back to it"):
        registry.promote(BOOK, "1", first.digest, by="ann")


def test_a_rollback_proves_itself_on_evidence_when_the_model_never_served(world: World) -> None:
    world.promoted("a")
    world.promoted("b")
    answer = registry.rollback(BOOK, "1", by="eve", reason="worse")
    assert (answer["champion"], answer["previous"], answer["effective_on"]) == ("1", "2", "2006-09-01")
    assert answer["proof"] == {"source": "test evidence", "rows": 1390, "max_difference": 0.0}
    assert _last()["kind"] == "rollback-committed" and _last()["payload"]["proof"] == answer["proof"]
    assert aliases() == {"champion": "1"}
    assert registry.rollback(BOOK, "1", by="eve", reason="worse") == answer


def test_a_rollback_is_proven_on_the_rows_that_the_model_was_judged_on_whatever_was_corrected_since(
        world: World) -> None:
    world.promoted("a")
    world.promoted("b")
    rows = lake.view(lake.applications(_book()))
    same = pa.array([700] * rows.num_rows, rows.schema.field("credit_score").type)
    restated = rows.set_column(rows.column_names.index("credit_score"), "credit_score", same)
    publish(_book(), "applications", restated, number=99, day=date(2006, 12, 1), live_on=date(2006, 11, 1))
    proof = registry.rollback(BOOK, "1", by="eve", reason="worse")["proof"]
    assert proof == {"source": "test evidence", "rows": 1390, "max_difference": 0.0}


def test_a_rollback_that_does_not_reproduce_its_scores_is_refused(world: World) -> None:
    world.promoted("a")
    world.promoted("b")
    loan = lake.view(lake.applications(_book())).slice(0, 1)
    publish_night(_book(), date(2006, 8, 1), loan, np.array([0.123]), 0.5, version="1")
    with pytest.raises(Refused, match="does not reproduce"):
        registry.rollback(BOOK, "1", by="eve", reason="worse")
    assert aliases() == {"champion": "2"}


def test_only_a_former_champion_can_be_rolled_back_to(world: World) -> None:
    with pytest.raises(BadInput, match="no champion to roll back"):
        registry.rollback(BOOK, "1", by="eve", reason="x")
    world.promoted("a")
    world.registered("b")
    with pytest.raises(BadInput, match="never was champion"):
        registry.rollback(BOOK, "2", by="eve", reason="x")
    with pytest.raises(BadInput, match="champion already"):
        registry.rollback(BOOK, "1", by="eve", reason="x")
    with pytest.raises(BadInput, match="needs a reason"):
        registry.rollback(BOOK, "1", by="eve", reason=" ")


def test_no_rollback_lets_a_model_score_what_came_before_it(world: World) -> None:
    world.promoted("a")
    world.promoted("b")
    with pytest.raises(BadInput, match="trained as of 2006-07-01 .*got: 2006-06-30"):
        registry.rollback(BOOK, "1", by="eve", reason="worse", effective_on=date(2006, 6, 30))


def test_no_rollback_begins_on_a_day_far_from_now_until_which_the_other_model_would_score(
        world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.promoted("a")
    world.promoted("b")
    monkeypatch.setenv("TOLLGATE_TODAY", "2007-02-01")
    with pytest.raises(BadInput, match=r"version 2 would go on scoring .*got: 2107-02-01\). Name a date up to 2007-02"):
        registry.rollback(BOOK, "1", by="eve", reason="worse", effective_on=date(2107, 2, 1))
    assert aliases()["champion"] == "2"
    told = registry.rollback(BOOK, "1", by="eve", reason="worse", effective_on=date(2007, 2, 2))
    assert told["effective_on"] == "2007-02-02"


@pytest.mark.parametrize("move", [
    lambda c: c.set_registered_model_alias(NAME, "champion", "2"),
    lambda c: c.delete_registered_model_alias(NAME, "champion"),
    lambda c: c.set_registered_model_alias(NAME, "challenger", "1"),
    lambda c: c.delete_registered_model_alias(NAME, "challenger"),
], ids=["champion moved", "champion removed", "challenger moved", "challenger removed"])
def test_an_alias_moved_by_hand_is_put_back(world: World, caplog: pytest.LogCaptureFixture,
                                            move: Callable[[Any], None]) -> None:
    world.promoted("a")
    world.registered("b")
    move(client())
    assert registry.champion(BOOK).version == "1"
    assert aliases() == {"champion": "1", "challenger": "2"}
    assert _last()["kind"] == "mended" and "is put back" in caplog.text
    registry.champion(BOOK)
    assert kinds().count("mended") == 1


def test_an_alias_that_a_decision_moved_meanwhile_is_not_put_back(world: World,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    world.promoted("a")
    version = world.registered("b")
    from tollgate.registry import aliases as room

    whole = room._aliases

    def overtaken(book: str) -> dict[str, str]:
        monkeypatch.setattr(room, "_aliases", whole)
        registry.promote(BOOK, "2", version.digest, by="ann")
        return whole(book)

    monkeypatch.setattr(room, "_aliases", overtaken)
    assert registry.champion(BOOK) == version
    assert aliases() == {"champion": "2"} and "mended" not in kinds()


def test_a_version_deleted_from_mlflow_stops_only_its_own_promotion(world: World) -> None:
    first, second = world.promoted("a"), world.promoted("b")
    third = world.registered("c")
    for gone in (second, third):
        client().delete_model_version(NAME, gone.version)
    before = kinds()
    assert registry.champion(BOOK) == second and kinds() == before
    with pytest.raises(Refused, match="version 3 was changed or deleted .*got: no such version"):
        registry.promote(BOOK, "3", third.digest, by="ann")
    assert registry.reject(BOOK, "3", by="ann")["champion"] == "2"
    assert registry.rollback(BOOK, "1", by="eve", reason="deleted")["champion"] == "1"
    assert (registry.champion(BOOK), aliases()) == (first, {"champion": "1"})


def test_an_artefact_that_is_gone_is_refused(world: World) -> None:
    import shutil

    version = world.registered("a")
    shutil.rmtree(_artefact("1"))
    with pytest.raises(Refused, match="model is no longer kept with the MLflow run .*got: " + version.run_id):
        registry.promote(BOOK, "1", version.digest, by="ann")
    assert kinds() == ["registered"]


def test_a_champion_made_by_hand_is_none(world: World) -> None:
    world.registered("a")
    client().set_registered_model_alias(NAME, "champion", "1")
    assert registry.champion(BOOK) is None
    assert aliases() == {"challenger": "1"}


@pytest.mark.parametrize("spoil", [lambda: _tamper("2"), lambda: client().delete_model_version(NAME, "2")],
                         ids=["artefact changed", "version deleted"])
def test_an_intent_whose_model_was_spoilt_is_abandoned(world: World, monkeypatch: pytest.MonkeyPatch,
                                                       spoil: Callable[[], None]) -> None:
    world.promoted("a")
    second = world.registered("b")
    whole = client().set_registered_model_alias

    def killed(*args: Any) -> None:
        whole(NAME, "champion", "2")
        raise PassingFault("killed here")

    with monkeypatch.context() as patch:
        patch.setattr("tollgate.registry.aliases.point", killed)
        with pytest.raises(PassingFault):
            registry.promote(BOOK, "2", second.digest, by="ann")
    assert aliases()["champion"] == "2"
    spoil()
    assert registry.champion(BOOK).version == "1"
    assert aliases()["champion"] == "1"
    assert "abandoned" in kinds()


def test_two_decisions_at_the_same_moment_end_in_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    version = world.registered("a")
    from tollgate.registry import aliases as room

    whole = room.change

    def overtaken(*args: Any) -> Any:
        monkeypatch.setattr("tollgate.registry.promotion.change", whole)
        registry.reject(BOOK, "1", by="bob")
        return whole(*args)

    monkeypatch.setattr("tollgate.registry.promotion.change", overtaken)
    with pytest.raises(PassingFault, match="same moment"):
        registry.promote(BOOK, "1", version.digest, by="ann")
    assert aliases() == {} and kinds() == ["registered", "rejected"]


def test_mlflow_gone_in_the_middle_is_mended_when_it_is_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    version = world.registered("a")
    from tollgate.registry import aliases as room

    whole, there = room.finish, settings().mlflow

    def gone(*args: Any) -> Any:
        monkeypatch.setenv("TOLLGATE_MLFLOW", "http://127.0.0.1:9")
        return whole(*args)

    with monkeypatch.context() as patch:
        patch.setattr("tollgate.registry.aliases.finish", gone)
        with pytest.raises(PassingFault):
            registry.promote(BOOK, "1", version.digest, by="ann")
    monkeypatch.setenv("TOLLGATE_MLFLOW", there)
    assert registry.champion(BOOK) == version
    assert kinds() == ["registered", "promotion-intent", "promotion-committed"]


def test_a_model_is_fetched_by_digest_and_again_when_it_was_damaged_here(world: World) -> None:
    version = world.registered("a")
    folder = registry.fetch_model(BOOK, "1")
    assert folder == settings().data / "models" / version.digest
    (folder / "model.ubj").write_bytes(b"")
    from tollgate.features import digest_of

    assert digest_of(registry.fetch_model(BOOK, "1")) == version.digest
    with pytest.raises(BadInput, match="no registered version"):
        registry.fetch_model(BOOK, "7")


def test_registering_a_second_model_leaves_the_champion(world: World) -> None:
    world.promoted("a")
    assert registry.register(world.run("b"), params_of("b"))["version"] == "2"
    assert aliases() == {"champion": "1", "challenger": "2"}


def _book() -> Any:
    from tollgate.books import load_book

    return load_book(BOOK)
