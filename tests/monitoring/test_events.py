"""An alert is born, lasts, worsens, is seen by somebody, and ends; the limits it was judged by stay with it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tollgate import lake
from tollgate.errors import BadInput
from tollgate.monitoring import acknowledge, alerts, life
from tollgate.monitoring.baselines import promised
from tollgate.monitoring.events import follow, gravest_first
from tollgate.monitoring.rules import Signal

if TYPE_CHECKING:
    from conftest import Night

FEB, MAR, APR = (date(2007, month, 1) for month in (2, 3, 4))
INCOME = "psi:annual_income"


def _lives(windows: list[list[tuple[str, int]]], versions: list[str]) -> list[dict[str, str]]:
    rows: list[dict[str, Any]] = []
    found = []
    for k, (window, version) in enumerate(zip(windows, versions, strict=True)):
        now = [Signal(event, rank, "info", float(rank), 0.5, event) for event, rank in window]
        rows = follow(rows, now, FEB + timedelta(days=k), version)
        found.append({row["event"]: f"{row['status']} since {row['since'].day}" for row in rows})
    return found


def test_an_event_begins_lasts_worsens_and_ends_and_a_night_that_cannot_tell_ends_nothing() -> None:
    windows = [[("ks", 0)], [("ks", 1)], [("ks", 1)], [], [("ks", 2)], [("ks", 1)], [("ks", 0)], [("ks", 0)]]
    assert _lives(windows, ["1"] * 8) == [
        {}, {"ks": "began since 2"}, {"ks": "lasts since 2"}, {"ks": "lasts since 2"}, {"ks": "worsened since 2"},
        {"ks": "lasts since 2"}, {"ks": "ended since 2"}, {}]


def test_what_is_about_a_model_ends_with_its_service_and_what_is_about_the_feed_does_not() -> None:
    windows = [[("ks", 1), ("feed:stopped", 2)], [("feed:stopped", 2)], [("ks", 1), ("feed:stopped", 2)]]
    assert _lives(windows, ["1", "2", "2"]) == [
        {"ks": "began since 1", "feed:stopped": "began since 1"},
        {"ks": "ended since 1", "feed:stopped": "lasts since 1"},
        {"ks": "began since 3", "feed:stopped": "lasts since 1"}]


def test_a_limit_that_is_edited_changes_nothing_of_what_was(night: Night) -> None:
    """R7: under the old limit the event began in February; it does not begin again where the limit is moved."""
    told = night.run("broken_feed", FEB)["alerts"]
    assert [alert["key"] for alert in told] == ["psi:annual_income+payment_to_income_ratio:major:v1"]
    stood = life("consumer", INCOME)["nights"]
    looser = night.tuned(rules=[rule.model_copy(update={"limit": rule.limit + 0.74}) if rule.measure == "psi" else rule
                                for rule in night.params.monitoring.rules])
    assert [a["key"] for a in looser.run("broken_feed", MAR)["alerts"]] == ["request:consumer-v1-2007-03-01"]
    shown = life("consumer", INCOME)
    assert shown["nights"][:1] == stood and [n["status"] for n in shown["nights"]] == ["began", "lasts"]
    assert [n["limit"] for n in shown["nights"]] == [0.25, 0.99]


def test_alerts_lists_what_is_under_way_the_gravest_first_and_with_ended_what_is_over(night: Night) -> None:
    night.run("broken_feed", FEB)
    under_way = alerts("consumer")
    assert {a["event"] for a in under_way} >= {INCOME, "unseen:payment_to_income_ratio"}
    assert [a["rank"] for a in under_way] == sorted((a["rank"] for a in under_way), reverse=True)
    night.run("stationary", MAR)
    assert INCOME not in {a["event"] for a in alerts("consumer")}
    over = {a["event"]: a["status"] for a in alerts("consumer", ended=True)}
    assert over[INCOME] == "ended"


def test_an_event_that_goes_on_under_the_next_model_is_over_of_the_one_before(night: Night) -> None:
    night.run("broken_feed", FEB)
    night.run("broken_feed", MAR, version="2")
    told = {a["model_version"]: (a["status"], a["rank"] > 0) for a in alerts("consumer", ended=True)
            if a["event"] == INCOME}
    assert told == {"1": ("ended", False), "2": ("began", True)}
    assert {a["model_version"] for a in alerts("consumer")} == {"2"}


def test_a_page_stands_before_warnings_however_many_rules_hold_of_one() -> None:
    told = [{"event": event, "severity": severity, "rank": rank, "status": status, "since": "2007-02-01"}
            for event, severity, rank, status in (("psi:a", "info", 1, "lasts"), ("ks", "page", 1, "ended"),
                                                  ("psi:b", "warning", 3, "lasts"), ("late:x", "page", 1, "began"))]
    assert [row["event"] for row in gravest_first(told)] == ["late:x", "psi:b", "psi:a", "ks"]


def test_an_alert_that_was_seen_says_by_whom_until_it_returns(night: Night) -> None:
    night.run("broken_feed", FEB)
    acknowledge("consumer", INCOME, "the bureau sends other units; called them", by="On Call")
    acknowledge("consumer", INCOME, "me too", by="Somebody Else")
    (seen,) = [a["acknowledged"] for a in alerts("consumer") if a["event"] == INCOME]
    assert (seen["by"], seen["comment"]) == ("On Call", "the bureau sends other units; called them")
    assert life("consumer", INCOME)["acknowledged"] == seen
    night.run("stationary", MAR)
    with pytest.raises(BadInput, match="tollgate alerts list consumer"):
        acknowledge("consumer", INCOME, "")
    night.run("broken_feed", APR)
    (again,) = [a for a in alerts("consumer") if a["event"] == INCOME]
    assert again["acknowledged"] is None and again["since"] == "2007-04-01"


def test_a_verdict_run_again_writes_the_same_events(night: Night) -> None:
    for as_of in (FEB, MAR):
        night.run("broken_feed", as_of)
    before = lake.digest(lake.read(lake.events("consumer")))
    night.verdict(MAR)
    assert lake.digest(lake.read(lake.events("consumer"))) == before


def test_what_a_model_promised_is_read_from_the_ledger_and_no_lost_artefact_stops_a_verdict() -> None:
    """R6 and S6: the area is that of the test months, with its own error."""
    metrics = {"auc": 0.80, "auc_low": 0.78, "auc_high": 0.82, "rows": 5_000.0, "approval_rate": 0.7}
    found = promised([{"version": "3", "metrics": metrics, "decline_rate": 0.25}])["3"]
    assert (found.auc, found.decline_rate, found.rows) == (0.80, 0.25, 5_000)
    assert found.auc_error == pytest.approx(0.0102, abs=1e-4)
    older = [{"version": "1", "metrics": metrics, "decline_rate": None},
             {"version": "2", "metrics": {"auc": 0.8}, "decline_rate": None}]
    assert {version: one.decline_rate for version, one in promised(older).items()} == {"1": pytest.approx(0.3)}


def test_the_verbs_list_show_and_acknowledge(night: Night) -> None:
    night.run("broken_feed", FEB)

    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([Path(sys.executable).with_name("tollgate"), "alerts", *words], capture_output=True,
                              text=True)

    listed = json.loads(ask("list", "consumer").stdout)["alerts"]
    assert INCOME in {alert["event"] for alert in listed}
    assert ask("ack", "consumer", INCOME, "--comment", "seen").returncode == 0
    shown = json.loads(ask("show", "consumer", INCOME).stdout)
    assert shown["acknowledged"]["comment"] == "seen" and shown["nights"][0]["limit"] == 0.25
    wrong = ask("show", "consumer", "psi:nothing")
    assert wrong.returncode == 2 and "psi:nothing" in wrong.stderr
