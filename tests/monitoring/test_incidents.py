"""What goes wrong in operation is an event with a life, told as those of a night are, and where there is no night."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.monitoring.conftest import _world
from tests.published import publish

from tollgate import incidents, lake
from tollgate.errors import BadInput, PassingFault
from tollgate.incidents import begin, end
from tollgate.monitoring import acknowledge, alerts, feed_step, life, note_told, untold
from tollgate.requests import ask, claim, close, open_request, open_requests

if TYPE_CHECKING:
    from conftest import Night

FEB, MAR, APR, JUL, AUG, SEP = (date(2007, month, 1) for month in (2, 3, 4, 7, 8, 9))
PIN = "failed:score_nightly.pin"


def _statuses(event: str = PIN) -> list[str]:
    return [night["status"] for night in life("consumer", event)["nights"]]


def _untold(channel: str = "mail") -> list[str]:
    return [alert["id"] for alert in untold("consumer", channel)]


def test_a_failure_that_is_retried_cleared_and_comes_back_the_next_night_is_one_event_until_it_is_over(
        home: Path) -> None:
    begin("consumer", PIN, FEB, "the lake is away", run_id="a")
    begin("consumer", PIN, FEB, "the lake is away", run_id="a")
    begin("consumer", PIN, MAR, "the lake is away", run_id="b")
    assert _statuses() == ["began", "lasts"]
    assert end("consumer", [PIN, "failed:score_nightly.publish"], MAR)["ended"] == [PIN]
    assert end("consumer", [PIN], MAR)["ended"] == []
    assert alerts("consumer") == []
    assert [(a["event"], a["status"]) for a in alerts("consumer", ended=True)] == [(PIN, "ended")]


def test_it_is_told_once_also_where_there_was_never_a_night_and_again_when_it_returns_on_the_same_day(
        home: Path) -> None:
    begin("consumer", PIN, FEB, "the lake is away")
    (first,) = _untold()
    note_told("consumer", "mail", [first])
    begin("consumer", PIN, MAR, "the lake is still away")
    assert _untold() == [] and _untold("slack") == [first]
    end("consumer", [PIN], MAR)
    assert _untold("slack") == [], "a channel that is new is not told of what is over"
    begin("consumer", PIN, FEB, "the lake is away")
    (again,) = _untold()
    assert again != first


def test_what_is_over_before_a_channel_that_was_down_is_back_is_told_all_the_same(home: Path) -> None:
    begin("consumer", PIN, FEB, "the lake is away")
    note_told("consumer", "mail", _untold())
    begin("consumer", "late:score_nightly", MAR, "late", severity="page")
    end("consumer", ["late:score_nightly"], MAR)
    assert [alert["subject"] for alert in untold("consumer", "mail")] == ["late:score_nightly"]


def test_one_that_becomes_graver_is_told_again_and_the_gravest_stands_first(home: Path) -> None:
    begin("consumer", PIN, FEB, "it failed", severity="info")
    begin("consumer", "late:score_nightly", FEB, "late")
    note_told("consumer", "mail", _untold())
    begin("consumer", PIN, MAR, "it failed", severity="page")
    begin("consumer", PIN, APR, "it failed", severity="info")
    assert _statuses() == ["began", "worsened", "lasts"]
    assert len(_untold()) == 1 and alerts("consumer")[0]["event"] == "late:score_nightly"


def test_a_person_acknowledges_it_and_its_next_life_is_unseen(home: Path) -> None:
    begin("consumer", PIN, FEB, "it failed")
    acknowledge("consumer", PIN, "restarting S3", by="On Call")
    assert life("consumer", PIN)["acknowledged"]["comment"] == "restarting S3"
    end("consumer", [PIN], FEB)
    with pytest.raises(BadInput, match="tollgate alerts list consumer"):
        acknowledge("consumer", PIN, "")
    begin("consumer", PIN, FEB, "it failed")
    assert [alert["acknowledged"] for alert in alerts("consumer")] == [None]


def test_what_waits_in_a_run_is_over_with_the_run_and_nothing_else_is(home: Path) -> None:
    for version, run in (("3", "a"), ("4", "b")):
        begin("consumer", f"waiting:v{version}", FEB, "it waits", run_id=run, severity="info")
    begin("consumer", "failed:train_weekly.gates", FEB, "refused", run_id="a")
    assert end("consumer", [], MAR, run_id="a")["ended"] == ["waiting:v3"]
    assert {alert["event"] for alert in alerts("consumer")} == {"waiting:v4", "failed:train_weekly.gates"}


def test_events_of_nights_and_of_operation_stand_side_by_side(night: Night) -> None:
    night.run("broken_feed", FEB)
    begin("consumer", PIN, MAR, "it failed")
    assert {"psi:annual_income", PIN} <= {alert["event"] for alert in alerts("consumer")}
    night.run("stationary", MAR)
    assert [alert["event"] for alert in alerts("consumer")] == [PIN], "no night ends what it cannot know of"


def test_a_feed_that_stops_is_told_where_no_night_is_published_and_is_over_when_outcomes_come_again(
        night: Night) -> None:
    night.run("broken_feed", FEB)
    world = _world("stationary", night.book)
    rest = world.filter(pc.less(world["applied_on"], date(2007, 1, 1)))
    publish(night.book, "applications", rest, number=100)
    night.decide(rest, np.zeros(rest.num_rows, bool))
    night.outcomes("stationary", rest.filter(pc.less(rest["reported_on"], MAR)))
    told = [feed_step(night.book, as_of, night.params)["alerts"] for as_of in (FEB, MAR, JUL, AUG)]
    assert [[alert["key"] for alert in one] for one in told] == [[], [], ["feed:stopped"], []]
    assert "The newest outcome known is of 2007-02-2" in told[2][0]["message"]
    assert "2007-07-01 feed:stopped" in _untold()
    under_way = {alert["event"]: alert["status"] for alert in alerts("consumer")}
    assert under_way["feed:stopped"] == "lasts"
    assert under_way["psi:annual_income"] == "lasts", "of the model this day can tell nothing"
    night.outcomes("stationary", rest.filter(pc.less(rest["reported_on"], SEP)))
    feed_step(night.book, SEP, night.params)
    assert "feed:stopped" not in {alert["event"] for alert in alerts("consumer")}


def test_a_verdict_that_comes_after_the_look_at_the_feed_tells_of_it_no_second_time(night: Night) -> None:
    begun = feed_step(night.book, FEB, night.params)
    assert begun["alerts"] == [] and begun["feed"], "a book without a row is looked at too"
    stopped = lake.feeds("consumer")
    row = {"day": "2007-03-01", "as_of": MAR, "check": "stopped", "value": 60.0, "limit": 45.0, "level": "refuse",
           "sentence": "no outcome for 60 days"}
    lake.replace_partitions(stopped, pa.Table.from_pylist([row], stopped.schema), ["2007-03-01"])
    night.run("stationary", MAR)
    note_told("consumer", "mail", _untold())
    assert feed_step(night.book, MAR, night.params)["alerts"] == []
    night.verdict(MAR)
    assert _untold() == []


def test_a_retrain_that_its_gates_refuse_goes_to_a_person_and_does_not_loop(home: Path) -> None:
    def wanted(as_of: date) -> str:
        return str(open_request("consumer", f"k-{as_of}", as_of, "credit_score moved", cooldown_days=60,
                                expiry_days=60)["key"])

    wanted(FEB)
    claim("consumer", "k-2007-02-01", "run a")
    for _ in range(2):  # whoever closes it is cut off, and closes it again
        close("consumer", "k-2007-02-01", "refused at the gates by train_weekly run a", "refused")
    (told,) = untold("consumer", "mail")
    assert (told["severity"], told["subject"]) == ("warning", "retrain:k-2007-02-01")
    assert "credit_score moved" in told["message"] and "refused at the gates" in told["message"]
    assert wanted(MAR) == "k-2007-02-01" and open_requests() == []
    assert [alert["event"] for alert in alerts("consumer")] == ["retrain:k-2007-02-01"]
    assert ask("consumer", MAR, "the bureau is mended", expiry_days=60)["opened"]
    assert alerts("consumer") == [], "whoever asked again has seen it"
    close("consumer", "k-2007-02-01", "refused at the gates by train_weekly run a", "refused")
    assert alerts("consumer") == [], "nor does it begin anew where the task that closed it is cleared"


def test_a_refused_retrain_is_over_too_where_the_lake_went_away_right_after_the_next_was_asked_for(
        home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_request("consumer", "k", FEB, "drift", cooldown_days=60, expiry_days=60)
    close("consumer", "k", "refused at the gates", "refused")

    def away(*_: object) -> None:
        raise PassingFault("The lake did not answer")

    with monkeypatch.context() as patch, pytest.raises(PassingFault):
        patch.setattr(incidents, "end", away)
        ask("consumer", MAR, "the bureau is mended", expiry_days=60)
    assert [request["state"] for request in open_requests()] == ["open"]
    ask("consumer", MAR, "the bureau is mended", expiry_days=60)
    assert alerts("consumer") == []


@pytest.mark.parametrize("outcome", ["promoted", "rejected", "dismissed", "failed"])
def test_of_any_other_end_of_a_retrain_nobody_is_told(home: Path, outcome: str) -> None:
    open_request("consumer", "k", FEB, "drift", cooldown_days=60, expiry_days=60)
    close("consumer", "k", outcome, outcome)
    assert untold("consumer", "mail") == []


def test_the_verbs_that_airflow_calls(home: Path) -> None:
    def say(*words: str) -> dict[str, Any]:
        done = subprocess.run([Path(sys.executable).with_name("tollgate"), "alerts", *words], capture_output=True,
                              text=True, check=True)
        return dict(json.loads(done.stdout))

    begun = say("begin", "consumer", PIN, "--as-of=2007-02-01", "--message=it failed", "--severity=page", "--run-id=a",
                "--told=mail,slack")
    assert begun["status"] == "began"
    assert (_untold("mail"), _untold("webhook")) == ([], [begun["id"]])
    assert say("show", "consumer", PIN)["nights"][0]["severity"] == "page"
    assert say("end", "consumer", PIN, "--as-of=2007-02-02", "--run-id=b")["ended"] == [PIN]


def test_two_who_say_it_at_once_begin_one_event(home: Path) -> None:
    code = ("import sys; from datetime import date; from tollgate.incidents import begin; sys.stdin.readline();"
            f"begin('consumer', '{PIN}', date(2007, 2, 1), 'it failed', run_id=sys.argv[1])")
    racers = [subprocess.Popen([sys.executable, "-c", code, run], stdin=subprocess.PIPE, text=True) for run in "ab"]
    for racer in racers:
        racer.communicate("go\n")
        assert racer.returncode == 0
    assert [len(lines) for lines in incidents.lives("consumer")] == [2]
