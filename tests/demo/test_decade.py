"""The decade: which nights it has, and the page that is made of what they left."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pytest
from benchmarks.decade import Plan, home_of
from benchmarks.decade_alerts import explain
from benchmarks.decade_page import page, picture, write

Row = dict[str, Any]


def fared(auc: float, promised: float, *, ahead: float | None = None) -> Row:
    """A model on a night's loans: 40 of 1,000 went bad where its scores had promised ``promised`` of them."""
    spread = {} if ahead is None else {"ahead": ahead, "low": ahead - 0.01, "high": ahead + 0.01}
    return {"expected_auc": 0.80, "expected_rate": promised, "auc": auc, "rate": 0.04, "labelled": 1_000,
            "defaults": 40, "missed": 0.1, "declined": 0.3, **spread}


def night(day: str, version: str, psi: float, *, request: str | None = None, ahead: float = 0.0) -> Row:
    over = {"0.10": ["state"] if psi > 0.10 else [], "0.25": ["state"] if psi > 0.25 else []}
    return {"day": day, "version": version, "former_version": None if version == "1" else "1", "rows": 1_000,
            "level": "major" if psi > 0.25 else "stable", "request": request, "asked": psi > 0.25,
            "measured": {"psi": {"state": psi, "score": 0.01}, "ks": {"state": psi, "sector": 0.3}},
            "worst": "state", "worst_psi": psi, "guard": None, "plain": over,
            "own": fared(0.70, 0.02), "alone": fared(0.66, 0.01, ahead=ahead),
            **({} if version == "1" else {"former": fared(0.66, 0.01, ahead=ahead)})}


def alert(day: str, key: str, subject: str, value: float, limit: float, message: str = "moved. Nothing.") -> Row:
    return {"day": day, "as_of": day, "key": key, "severity": "warning", "subject": subject, "value": value,
            "limit": limit, "message": message, "null": 0.004, "moved": []}


KEY = "sba-v1-2007-07-01"
TOLD: Row = {
    "first": "1997-01", "every": 3, "ask_every": 12, "overlay": [("gates", {"auc_min": 0.6}, "labels are few")],
    "attempts": [{"as_of": "1997-01-01", "message": "the lake holds 0 matured loans"}],
    "models": [], "incidents": [{"event": "failed:train_weekly__sba.snapshot", "status": "began"}],
    "decisions": [
        {"kind": "promotion", "version": "1", "by": "a", "since": "2007-01-01", "reason": "", "previous": None},
        {"kind": "promotion", "version": "2", "by": "a", "since": "2007-07-01", "reason": "", "previous": "1"}],
    "requests": [{"key": KEY, "as_of": "2007-07-01", "cause": "drift", "reason": "drift from model v1", "state":
                  "closed", "result": "promoted by train_weekly__sba run drift__x", "outcome": "verdict", "why": ""}],
    "alerts": [alert("2007-04-01", "psi:state:major:v1", "state", 0.30, 0.25),
               alert("2007-07-01", "psi:state:major:v1", "state", 0.31, 0.25),
               alert("2007-07-01", f"request:{KEY}", "retrain", 0.31, 0.25),
               alert("2007-10-01", "feed:thinned", "feed", 0.2, 0.25),
               alert("2007-10-01", "default_rate:v2", "default_rate", 0.04, 0.025),
               alert("2007-10-01", "psi:state:minor:v2", "state", 0.12, 0.10)],
    "nights": [night("2007-04-01", "1", 0.30), night("2007-07-01", "1", 0.31, request=KEY),
               night("2007-10-01", "2", 0.12, ahead=0.04), night("2008-01-01", "2", 0.02, ahead=0.05)]}


def test_a_night_stands_at_the_end_of_the_months_that_it_scores_and_the_last_sees_the_last_month() -> None:
    plan = Plan(date(1997, 1, 1), date(2010, 12, 1), every=3)
    nights = plan.nights(date(2002, 1, 1))
    assert (nights[0], nights[-1], len(nights)) == (date(2002, 4, 1), date(2011, 1, 1), 36)
    assert len(Plan(date(1997, 1, 1), date(2010, 12, 1)).nights(date(1997, 1, 1))) == 168


def test_a_first_model_is_asked_for_from_the_first_month_on_until_the_last() -> None:
    asked = Plan(date(1997, 1, 1), date(1999, 12, 1)).attempts()
    assert asked == [date(1997, 1, 1), date(1998, 1, 1), date(1999, 1, 1)]


def test_a_replay_finds_its_home_again_as_it_was_made(tmp_path: Any) -> None:
    made = home_of(tmp_path, Plan(date(1997, 1, 1), date(1997, 3, 1), every=3))
    before = (made.folder / "params.yaml").read_text()
    assert home_of(tmp_path, Plan(date(1997, 1, 1), date(2010, 12, 1))) == made
    assert (made.folder / "params.yaml").read_text() == before


def test_an_alert_that_the_next_night_still_sees_is_true_and_one_that_is_gone_is_false() -> None:
    judged = {(one.alert["day"], one.alert["key"]): one.true for one in explain(TOLD)}
    assert judged["2007-04-01", "psi:state:major:v1"] is True
    assert judged["2007-10-01", "psi:state:minor:v2"] is False
    assert judged["2007-07-01", "psi:state:major:v1"] is None  # the next night has another model


def test_what_labels_say_is_true_and_a_complaint_about_a_feed_that_is_whole_is_false() -> None:
    judged = {one.alert["key"]: one.true for one in explain(TOLD)}
    assert judged["default_rate:v2"] is True
    assert judged["feed:thinned"] is False


@pytest.mark.parametrize(("ahead", "true"), [(0.04, True), (-0.04, False)])
def test_a_request_is_true_where_the_model_that_came_of_it_ranked_better(ahead: float, true: bool) -> None:
    told = copy.deepcopy(TOLD)
    for one in told["nights"][2:]:
        one["former"] = fared(0.66, 0.01, ahead=ahead)
    (asked,) = [one for one in explain(told) if one.alert["key"].startswith("request:")]
    assert (asked.true, asked.followed) == (true, "retrain: promoted")


def test_a_request_that_no_model_came_of_is_as_true_as_the_drift_that_it_names() -> None:
    told = copy.deepcopy(TOLD)
    told["requests"][0]["result"] = "refused by train_weekly__sba run drift__x"
    for one in told["nights"][2:]:
        one["version"] = "1"
    (asked,) = [one for one in explain(told) if one.alert["key"].startswith("request:")]
    assert (asked.true, asked.followed) == (False, "retrain: refused")  # state is at 0.12 the night after


@pytest.mark.parametrize(("rank", "promised", "true"), [
    (0.05, 0.02, False), (-0.05, 0.02, None), (0.0, 0.02, False), (-0.05, 0.005, True)])
def test_the_guard_is_right_where_the_former_champion_fared_better_in_rank_and_in_calibration(
        rank: float, promised: float, true: bool | None) -> None:
    told = {**TOLD, "alerts": [alert("2007-10-01", "guard:champion:v2", "guard", 1.9, 1.1)]}
    told["nights"] = copy.deepcopy(TOLD["nights"])
    told["nights"][2] |= {"own": fared(0.70, promised), "former": fared(0.70 - rank, 0.01, ahead=rank)}
    (one,) = explain(told)
    assert one.true is true
    assert f"4.0% defaulted: version 2 had promised {promised:.1%}, version 1 1.0%" in one.why


def test_a_move_that_has_a_known_cause_then_is_true_and_names_it() -> None:
    told = {**TOLD, "alerts": [alert("2009-04-01", "psi:guaranteed_share:major:v1", "guaranteed_share", 0.4, 0.25),
                               alert("1999-04-01", "psi:guaranteed_share:major:v1", "guaranteed_share", 0.4, 0.25)]}
    before, after = explain(told)
    assert (after.true, after.why) == (True, "cause 4")
    assert before.true is None


def test_the_page_has_every_night_every_alert_and_what_came_of_each_request() -> None:
    written = page(TOLD)
    assert all(f"| {one['day']} | 1,000 | v{one['version']} |" in written for one in TOLD["nights"])
    assert all(one["key"].split(":v")[0].replace(":", " ") in written for one in TOLD["alerts"])
    assert f"| {KEY} | drift | drift from model v1 | promoted by train_weekly__sba run drift__x |" in written
    assert "| 1997-01-01 | the lake holds 0 matured loans |" in written
    assert "| PSI > 0.10 | 3 of 4 | 3 | 3 |" in written


def test_years_are_told_beside_the_first_champion_with_what_each_had_promised() -> None:
    assert "| 2008 | 1 | 40 | 0.700 | 0.660 | +0.050 (+0.040 to +0.060) | 2.00 | 4.00 |" in page(TOLD)


def test_a_replay_of_no_night_yet_has_a_page_and_a_picture_too(tmp_path: Any) -> None:
    empty = {**TOLD, "nights": [], "alerts": [], "requests": [], "decisions": []}
    write(empty, tmp_path / "decade.md")
    assert "0 nights, 0 alerts, 0 retrains requested (none), 0 promotions, 0 rollbacks" in (
        tmp_path / "decade.md").read_text()
    assert (tmp_path / "images" / "decade.svg").read_text().startswith("<?xml")


def test_the_same_replay_gives_the_same_bytes() -> None:
    assert (page(TOLD), picture(TOLD)) == (page(copy.deepcopy(TOLD)), picture(copy.deepcopy(TOLD)))
