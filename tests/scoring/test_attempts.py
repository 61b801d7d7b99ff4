"""Attempts at a night: one counts, an older one never replaces a newer one, and nothing that counted is lost."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from registry.world import BOOK, kinds
from scoring.killing import score_and_die, score_in_a_race, whole_night
from scoring.nightly import KEY, NIGHT, ROWS, files, pin, restate, score, score_shards, scores, versions
from tests.processes import PROCESSES, places
from tests.published import publish

from tollgate import lake, nights, registry, scoring
from tollgate.books import load_book
from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault, Refused

SECOND = f"{BOOK}/new/{NIGHT}/2"


def _reopen(run: str, reason: str = "the bureau's file was wrong") -> dict[str, Any]:
    return registry.reopen(BOOK, NIGHT, run, reason, by="ann")


def test_a_published_night_is_refused_to_another_run_and_nothing_is_pinned_for_it(night: Path) -> None:
    score()
    with pytest.raises(Refused, match="published already: attempt 1, by version 1 .*tollgate score reopen consumer"):
        pin("other")
    assert not nights.was_pinned(nights.attempt_of(SECOND))


def test_a_night_that_a_person_opened_again_keeps_what_counted_and_says_who_and_why(night: Path) -> None:
    score()
    before = scores()
    registry.promote(BOOK, "2", registry.challenger(BOOK).digest, by="ann")  # type: ignore[union-attr]
    assert _reopen("again") == {"book": BOOK, "night": f"new/{NIGHT}", "replaces": 1, "run": "again"}
    answer = score(pin("again"))
    assert (answer["attempt"], answer["champion"], answer["replaces"]) == (SECOND, "2", 1)
    now, kept = scores(), lake.read(lake.superseded(BOOK))
    assert (set(now["attempt"].to_pylist()), now.num_rows) == ({2}, ROWS)
    assert kept.drop_columns(["superseded_by"]).equals(before) and set(kept["superseded_by"].to_pylist()) == {2}
    (counts,) = nights.publications(BOOK)
    assert (counts.attempt.number, counts.version, counts.replaces) == (2, "2", 1)
    line = registry.decisions(BOOK)[0]
    assert (line["kind"], line["by"], line["comment"]) == ("night-reopened", "ann", "the bureau's file was wrong")
    traced = registry.trace(BOOK, before["loan_id"][0].as_py())
    assert [row["attempt"] for key in ("scores", "superseded") for row in traced[key]] == [2, 1]
    assert traced["reopened"][0]["by"] == "ann"
    told = versions()
    _reopen("again")
    assert score(pin("again")) == answer
    assert (versions(), kinds().count("night-reopened")) == (told, 1)


def test_a_loan_that_a_newer_attempt_leaves_out_is_traced_by_what_was_acted_on(night: Path) -> None:
    score()
    book = load_book(BOOK)
    its = [("applied_on", ">=", date(2006, 9, 1))]
    loan = lake.view(lake.applications(book), as_of=NIGHT, filters=its).to_pylist()[0]
    publish(book, "applications", [{**loan, "applied_on": date(2006, 7, 3)}], number=2, day=date(2006, 9, 30))
    _reopen("again")
    assert score(pin("again"))["rows"] == ROWS - 1
    traced = registry.trace(BOOK, loan["loan_id"])
    assert (traced["scores"], [row["superseded_by"] for row in traced["superseded"]]) == ([], [2])
    assert traced["reopened"][0]["run"] == "again" and set(traced["models"]) == {"1"} | {
        row["model_version"] for row in traced["shadows"]}


def test_a_night_is_opened_again_for_the_run_that_is_named_and_for_a_reason(night: Path) -> None:
    with pytest.raises(BadInput, match="nothing to open again"):
        _reopen("again")
    score()
    with pytest.raises(BadInput, match="needs a reason"):
        _reopen("again", "  ")
    with pytest.raises(BadInput, match="is the one that has published it .got: night.*Name another run"):
        _reopen("night")
    _reopen("again")
    with pytest.raises(Refused, match="published already"):
        pin("other")


@pytest.mark.parametrize("loser", [1, 2])
def test_a_run_that_lost_the_race_for_a_night_scores_it_once_more_when_it_is_opened_again_for_it(
        night: Path, loser: int) -> None:
    runs = {number: (f"run{number}", score_shards(pin(f"run{number}"))) for number in (1, 2)}
    run, winner = runs[loser][0], 3 - loser
    scoring.publish(runs[winner][1])
    with pytest.raises(Refused, match=f"published already.*--run-id {run} --reason"):
        pin(run)
    _reopen(run)
    answer = score(pin(run))
    assert (answer["attempt"], answer["replaces"]) == (f"{BOOK}/new/{NIGHT}/3", winner)
    assert pin(run)["attempt"] == answer["attempt"]
    assert set(scores()["attempt"].to_pylist()) == {3} == {nights.publications(BOOK)[0].attempt.number}


def test_a_run_that_was_killed_before_its_pin_gets_a_newer_attempt_than_the_one_that_it_replaces(night: Path) -> None:
    nights.claim(BOOK, nights.NEW, NIGHT, "killed")
    score(pin("other"))
    _reopen("killed")
    assert score(pin("killed"))["replaces"] == 2
    assert set(scores()["attempt"].to_pylist()) == {3} == {nights.publications(BOOK)[0].attempt.number}


def test_an_older_attempt_that_comes_to_life_after_a_newer_one_changes_nothing(night: Path) -> None:
    old = score_shards(pin("old"))
    new = score_shards(pin("new"))
    assert (old, new) == (KEY, SECOND)
    scoring.publish(new)
    told, before = versions(), scores()
    with pytest.raises(Refused, match="Attempt 1 .* came too late: attempt 2, a newer one, is published"):
        scoring.publish(old)
    assert versions() == told and scores().equals(before)


def test_of_two_runs_that_race_for_a_night_the_second_to_publish_is_refused(night: Path) -> None:
    first, second = score_shards(pin("first")), score_shards(pin("second"))
    scoring.publish(first)
    told = versions()
    with pytest.raises(Refused, match="Attempt 2 .* came too late: attempt 1 is published"):
        scoring.publish(second)
    assert versions() == told


def test_two_that_opened_the_same_night_again_do_not_both_replace_it(night: Path) -> None:
    score()
    _reopen("one")
    _reopen("two")
    one, two = score_shards(pin("one")), score_shards(pin("two"))
    scoring.publish(two)
    with pytest.raises(Refused, match="came too late: attempt 3, a newer one"):
        scoring.publish(one)
    assert set(scores()["attempt"].to_pylist()) == {3}


@pytest.mark.parametrize("racers", [2, 8])
def test_of_runs_that_race_for_one_night_one_publishes_it(night: Path, racers: int) -> None:
    told, start = PROCESSES.Queue(), PROCESSES.Barrier(racers)
    racing = [PROCESSES.Process(target=score_in_a_race, args=(places(), f"run{k}", start, told)) for k in range(racers)]
    for run in racing:
        run.start()
    answers = dict(told.get(timeout=300) for _ in racing)
    for run in racing:
        run.join()
    published = [run for run, said in answers.items() if said.startswith(f"{BOOK}/new/")]
    assert len(published) == 1, answers
    assert all("too late" in said or "published already" in said
               for run, said in answers.items() if run not in published), answers
    rows = scores()
    assert (rows.num_rows, rows["run_id"].unique().to_pylist()) == (ROWS, published)


def test_a_night_that_is_killed_before_any_of_its_writes_is_finished_by_a_rerun_byte_for_byte(
        served: Path, settle: Callable[[Path], Path], home: Path) -> None:
    settle(Path(shutil.copytree(served, home / "undisturbed")))
    undisturbed = files(whole_night("night")), _digests()
    for nth in count(1):
        settle(Path(shutil.copytree(served, home / str(nth))))
        child = PROCESSES.Process(target=score_and_die, args=(places(), "night", nth))
        child.start()
        child.join()
        assert child.exitcode in (0, -signal.SIGKILL)
        assert scores().num_rows in (0, ROWS), "a reader sees all of it or nothing"
        assert (files(whole_night("night")), _digests()) == undisturbed, f"killed before write {nth}"
        if child.exitcode == 0:
            break
    assert nth > 12


def _digests() -> list[str]:
    """Of all that a night leaves in the lake."""
    return [lake.digest(lake.read(table(BOOK)))
            for table in (lake.scores, lake.nights, lake.shadow_scores, lake.shadows, lake.superseded)]


def test_what_a_losing_attempt_had_begun_to_supersede_is_not_told_as_superseded(
        night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score()
    before = scores()
    _reopen("one")
    _reopen("two")
    one, two = score_shards(pin("one")), score_shards(pin("two"))
    restore = _cut(monkeypatch, "_keep_superseded")
    with pytest.raises(PassingFault, match="cut"):
        scoring.publish(one)
    restore()
    scoring.publish(two)
    with pytest.raises(Refused, match="came too late"):
        scoring.publish(one)
    kept = lake.read(lake.superseded(BOOK))
    assert set(kept["superseded_by"].to_pylist()) == {3} and kept.drop_columns(["superseded_by"]).equals(before)


def test_an_attempt_that_replaced_another_and_was_replaced_loses_nothing_of_either_when_it_is_published_again(
        night: Path) -> None:
    score()
    _reopen("again")
    second = score(pin("again"))["attempt"]
    _reopen("third")
    score(pin("third"))
    told, kept = versions(), lake.read(lake.superseded(BOOK))
    assert sorted(set(kept["attempt"].to_pylist())) == [1, 2]
    with pytest.raises(Refused, match="came too late: attempt 3, a newer one"):
        scoring.publish(second)
    assert versions() == told and lake.read(lake.superseded(BOOK)).equals(kept)


def test_what_arrives_when_its_months_are_over_is_counted_and_told(
        night: Path, caplog: pytest.LogCaptureFixture) -> None:
    book = load_book(BOOK)
    old = lake.view(lake.applications(book)).slice(0, 1).to_pylist()[0]
    publish(book, "applications", [{**old, "loan_id": "very late"}], number=2, day=date(2006, 9, 20),
            live_on=date(1990, 1, 1))
    assert (pin()["rows"], pin()["too_late"]) == (ROWS, 1)
    assert "1 application(s) of consumer arrived so late that no night scores them" in caplog.text
    assert pin("before", as_of=date(2006, 9, 20))["too_late"] == 0, "it was not known yet"
    assert pin("after", as_of=date(2006, 11, 1))["too_late"] == 0, "it was told in its month"


def test_each_application_is_new_once(night: Path) -> None:
    score()
    answer = score(pin("next", as_of=date(2006, 10, 11)))
    assert 0 < answer["rows"] < ROWS
    rows = scores()
    assert rows.num_rows == len(rows["loan_id"].unique()) == ROWS + answer["rows"]
    assert min(scores(day="2006-10-11")["applied_on"].to_pylist()) >= NIGHT


def test_a_night_of_an_earlier_day_leaves_out_what_a_later_one_has_scored(night: Path) -> None:
    score()
    answer = score(pin("late", as_of=date(2006, 9, 20)))
    assert scores().num_rows == len(scores()["loan_id"].unique()) == ROWS + answer["rows"]
    assert max(scores(day="2006-09-20")["applied_on"].to_pylist()) == date(2006, 8, 31)


def test_an_application_that_arrives_late_is_scored_by_the_next_night(night: Path) -> None:
    late: list[pa.Table] = []
    restate("2006-09", lambda rows: late.append(rows.slice(0, 3)) or rows.slice(3))  # type: ignore[func-returns-value]
    score()
    restate("2006-09", lambda rows: pa.concat_tables([rows, late[0]]))
    answer = score(pin("next", as_of=date(2006, 10, 2)))
    found = scores(day="2006-10-02")
    assert answer["rows"] == found.num_rows
    assert set(late[0]["loan_id"].to_pylist()) <= set(found["loan_id"].to_pylist())


def _move_a_loan() -> str:
    """Let the lender correct the day on which a loan of the night was applied for, to one after it; the loan."""
    book = load_book(BOOK)
    early = [("applied_on", ">=", date(2006, 9, 1)), ("applied_on", "<", date(2006, 9, 9))]
    loan = lake.view(lake.applications(book), as_of=NIGHT, filters=early).to_pylist()[0]
    publish(book, "applications", [{**loan, "applied_on": date(2006, 10, 3)}], number=2, day=date(2006, 10, 5))
    return str(loan["loan_id"])


@pytest.mark.parametrize("backfilled", [False, True])
def test_a_loan_whose_day_of_application_was_corrected_is_scored_once_in_either_order_of_its_nights(
        night: Path, backfilled: bool) -> None:
    if not backfilled:
        score()
    moved = _move_a_loan()
    score(pin("next", as_of=date(2006, 10, 20)))
    if backfilled:
        score()
    rows = scores()
    assert rows["loan_id"].to_pylist().count(moved) == 1
    assert rows.num_rows == len(rows["loan_id"].unique())


def test_a_loan_whose_day_was_corrected_after_its_night_was_pinned_is_not_published_by_two(night: Path) -> None:
    pinned = score_shards(pin())
    _move_a_loan()
    score(pin("next", as_of=date(2006, 10, 20)))
    with pytest.raises(Refused, match="were published by another night meanwhile"):
        scoring.publish(pinned)
    again = score(pin())
    assert again["attempt"] == SECOND and scores().num_rows == len(scores()["loan_id"].unique())


def test_a_loan_that_was_refused_and_corrected_is_scored_by_the_next_night_once(night: Path) -> None:
    book = load_book(BOOK)
    late = [("applied_on", ">=", date(2006, 9, 21))]
    loan = lake.view(lake.applications(book), as_of=NIGHT, filters=late).to_pylist()[0]
    publish(book, "applications", [{**loan, "loan_amount": 1e300}], number=2, day=date(2006, 9, 30))
    assert score()["refused"] == 1
    publish(book, "applications", [loan], number=3, day=date(2006, 10, 5))
    for day in (5, 6, 7):  # on the first of these the correction is not known yet
        score(pin(f"night-{day}", as_of=date(2006, 10, day)))
    mine = [(row["day"], row["status"]) for row in scores().to_pylist() if row["loan_id"] == loan["loan_id"]]
    assert mine == [(NIGHT.isoformat(), "refused"), ("2006-10-06", "scored")]


def test_two_nights_that_were_pinned_with_one_loan_do_not_both_publish_it(night: Path) -> None:
    later = score_shards(pin("later", as_of=date(2006, 10, 2)))
    score()
    before = scores()
    with pytest.raises(Refused, match=r"\d+ loan\(s\) of the night .*2006-10-02/1 were published by another night"):
        scoring.publish(later)
    assert scores().equals(before)
    again = pin("later", as_of=date(2006, 10, 2))
    assert (again["attempt"], again["rows"]) == (f"{BOOK}/new/2006-10-02/2", score(again)["rows"])
    assert scores().num_rows == len(scores()["loan_id"].unique()) == ROWS + again["rows"]


@pytest.mark.parametrize("cut", ["_keep_superseded", "publish_turn", "add_publication"])
def test_a_publication_that_is_cut_short_anywhere_is_finished_by_the_next_try(
        night: Path, monkeypatch: pytest.MonkeyPatch, cut: str) -> None:
    score()
    before = scores()
    _reopen("again")
    key = score_shards(pin("again"))
    restore = _cut(monkeypatch, cut)
    with pytest.raises(PassingFault, match="cut"):
        scoring.publish(key)
    restore()
    scoring.publish(key)
    assert set(scores()["attempt"].to_pylist()) == {2}
    kept = lake.read(lake.superseded(BOOK))
    assert kept.drop_columns(["superseded_by"]).equals(before)
    assert [night.attempt.number for night in nights.publications(BOOK)] == [2]


def _cut(monkeypatch: pytest.MonkeyPatch, what: str) -> Callable[[], None]:
    """Let a part of a publication do its work and then fail; what undoes it."""
    publish = sys.modules["tollgate.scoring.publish"]
    place = next(module for module in (publish, lake, nights) if what in vars(module))
    whole = getattr(place, what)

    def work(*args: Any, **kwargs: Any) -> None:
        whole(*args, **kwargs)
        raise PassingFault("cut", value=what, remedy="again")

    monkeypatch.setattr(place, what, work)
    return lambda: monkeypatch.setattr(place, what, whole)


def test_what_a_night_pinned_and_made_is_the_same_when_all_of_it_is_done_again(night: Path) -> None:
    score()
    before = files()
    for name in ("shard-0.json", "scores-0.parquet", "features-1.parquet"):
        (Path(settings().store) / "nights" / KEY / name).unlink()
    score_shards(pin())
    assert files() == before
