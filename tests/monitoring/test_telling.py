"""What people were told of is on record by channel, and a new channel is not flooded with what was."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tollgate import lake
from tollgate.errors import BadInput
from tollgate.incidents import begin, end
from tollgate.monitoring import note_told, untold

if TYPE_CHECKING:
    from conftest import Night

FEB, MAR, APR = (date(2007, month, 1) for month in (2, 3, 4))


def _ids(channel: str) -> list[str]:
    return [alert["id"] for alert in untold("consumer", channel)]


def test_an_alert_is_told_once_by_each_channel_and_waits_for_one_that_was_down(night: Night) -> None:
    assert _ids("mail") == []
    night.run("broken_feed", FEB)
    (first,) = _ids("mail")
    assert first.startswith("2007-02-01 psi:annual_income")
    assert note_told("consumer", "mail", [first])["told"] == 1
    assert note_told("consumer", "mail", [first])["told"] == 0
    assert _ids("mail") == [] and _ids("slack") == [first]
    night.run("stationary", MAR)
    night.run("broken_feed", APR)
    again = _ids("mail")
    assert again[0].startswith("2007-04-01 psi:annual_income"), "and the one of February is told no more"
    assert {name[:10] for name in again} == {"2007-04-01"}


def test_a_channel_that_is_new_begins_with_the_newest_night(night: Night) -> None:
    night.run("broken_feed", FEB)
    night.run("stationary", MAR)
    assert _ids("slack") == []
    night.run("broken_feed", APR)
    assert {name[:10] for name in _ids("slack")} == {"2007-04-01"}


def test_a_channel_that_is_told_of_an_old_incident_first_is_not_told_of_the_nights_since(night: Night) -> None:
    night.run("broken_feed", FEB)
    night.run("stationary", MAR)
    begin("consumer", "failed:train_weekly.fit", date(2007, 1, 2), "it failed")
    begin("consumer", "failed:ingest_validate.read", FEB, "it failed")
    end("consumer", ["failed:ingest_validate.read"], FEB)
    (waiting,) = _ids("mail")
    assert waiting == "2007-01-02 failed:train_weekly.fit#0" and note_told("consumer", "mail", [waiting])["told"] == 1
    assert _ids("mail") == [], "as before it was told of that"
    night.run("broken_feed", APR)
    assert {name[:10] for name in _ids("mail")} == {"2007-04-01"}


def test_what_was_no_alert_cannot_be_noted_as_told(night: Night) -> None:
    night.run("broken_feed", FEB)
    with pytest.raises(BadInput, match="no such alert"):
        note_told("consumer", "mail", ["2007-02-01 psi:nothing"])
    assert lake.read(lake.told("consumer")).num_rows == 0


def test_the_verbs_that_the_task_calls(night: Night) -> None:
    night.run("broken_feed", FEB)

    def ask(*words: str) -> dict:
        done = subprocess.run([Path(sys.executable).with_name("tollgate"), "alerts", *words], capture_output=True,
                              text=True, check=True)
        return dict(json.loads(done.stdout))

    (alert,) = ask("untold", "consumer", "mail")["alerts"]
    assert set(alert) == {"id", "book", "as_of", "severity", "subject", "message"}
    assert ask("told", "consumer", "mail", alert["id"])["told"] == 1
    assert ask("untold", "consumer", "mail")["alerts"] == []
