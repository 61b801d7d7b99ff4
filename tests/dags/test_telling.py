"""People are told of alerts by real servers; one that is down loses nothing and fails nobody's DAG."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from tests.listening import http, mail, posts
from tests.ports import free_port

PROJECT = Path(__file__).resolve().parents[2]
ALERT = {"id": "2007-02-01 psi:credit_score:major:v1", "book": "sba", "as_of": "2007-02-01", "severity": "warning",
         "subject": "credit_score", "message": "credit_score moved: PSI 0.31 <b>{{ 7 * 7 }}</b>"}
SECOND = {**ALERT, "id": "2007-02-01 feed:stopped", "subject": "feed", "message": "no outcome for 60 days"}
Tell = Callable[..., dict[str, Any]]


@pytest.fixture
def noted(tmp_path: Path) -> Path:
    """What the task said that people were told of, a line a call."""
    return tmp_path / "noted"


@pytest.fixture
def alerts() -> list[dict[str, str]]:
    """Those that nobody was told of."""
    return [ALERT, SECOND]


@pytest.fixture
def tell(tmp_path: Path, noted: Path, alerts: list[dict[str, str]]) -> Tell:
    """Runs the task with these connections, against a `tollgate` with these alerts."""
    command = tmp_path / "tollgate"
    answer = json.dumps({"alerts": alerts})
    command.write_text(f"""#!/bin/sh
if [ "$2" = untold ]; then echo '{answer}'; else echo "$@" >> {noted}; echo '{{"told": 2}}'; fi
""")
    command.chmod(0o755)

    def run(**connections: str) -> dict[str, Any]:
        env = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
               "TOLLGATE_BIN": str(command),
               **{f"AIRFLOW_CONN_TOLLGATE_{channel.upper()}": told for channel, told in connections.items()}}
        child = subprocess.run(
            [str(PROJECT / ".venv-airflow/bin/python"), str(Path(__file__).with_name("tell.py")), "sba"],
            capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
        assert child.returncode == 0, child.stderr[-3000:]
        found: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
        return {**found, "log": child.stdout + child.stderr}

    return run


class Inbox:
    """What a mail server was handed."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"


TO = {"to": "risk@example.com", "from_email": "tollgate@example.com"}


def test_a_mail_for_each_alert_reaches_whom_the_connection_names_and_its_text_is_no_html_of_ours(
        tell: Tell, noted: Path) -> None:
    inbox = Inbox()
    server = Controller(inbox, hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        ended = tell(mail=mail(server.port, **TO))
    finally:
        server.stop()
    assert ended["returned"] == {"mail": 2}, ended["log"]
    to, first = inbox.mails[0]
    assert to == ["risk@example.com"] and first["Subject"] == "[tollgate] warning: sba, credit_score, as of 2007-02-01"
    body = first.get_body(("html",)).get_content()
    assert "PSI 0.31 &lt;b&gt;{{ 7 * 7 }}&lt;/b&gt;" in body
    assert noted.read_text().split() == ["alerts", "told", "sba", "mail", *ALERT["id"].split(), *SECOND["id"].split()]


def test_slack_and_a_webhook_are_posted_to_and_slacks_secret_is_the_rest_of_its_address(tell: Tell) -> None:
    with posts() as (slack, said), posts() as (hook, heard):
        ended = tell(slack=http(slack, password="services/T0/B0/secret"), webhook=http(hook))
    assert ended["returned"] == {"slack": 2, "webhook": 2}, ended["log"]
    assert said[0] == ("/services/T0/B0/secret", {
        "text": "*warning: sba, credit_score, as of 2007-02-01*\n"
                "credit_score moved: PSI 0.31 &lt;b&gt;{{ 7 * 7 }}&lt;/b&gt;"}), "no text of an alert is a command"
    assert [content for _, content in heard] == [ALERT, SECOND]


def test_an_alert_that_a_channel_refuses_holds_up_none_of_those_after_it(tell: Tell, noted: Path) -> None:
    with posts(refuses="PSI 0.31") as (hook, heard):
        ended = tell(webhook=http(hook))
    assert ended["returned"] == {"webhook": 1}, ended["log"]
    assert [content for _, content in heard] == [ALERT, SECOND]
    assert noted.read_text().split() == ["alerts", "told", "sba", "webhook", *SECOND["id"].split()]
    assert "credit_score, as of 2007-02-01 could not be told by webhook" in ended["log"]


@pytest.mark.parametrize("alerts", [[ALERT, SECOND] * 3])
def test_a_channel_that_is_down_fails_nothing_loses_nothing_and_holds_up_no_other(tell: Tell, noted: Path) -> None:
    with posts(status=503) as (broken, tried), posts() as (hook, heard):
        ended = tell(mail=mail(free_port(), **TO), slack=http(broken), webhook=http(hook))
    assert ended["returned"] == {"mail": 0, "slack": 0, "webhook": 6}, ended["log"]
    assert len(tried) == 3 and len(heard) == 6, "a server that takes nothing is not asked for each of a hundred alerts"
    assert [line.split()[3] for line in noted.read_text().splitlines()] == ["webhook"], "the others are told next time"
    assert "could not be told by slack" in ended["log"] and "could not be told by mail" in ended["log"]


def test_a_mail_connection_that_names_nobody_says_what_it_lacks(tell: Tell, noted: Path) -> None:
    ended = tell(mail=mail(free_port()))
    assert ended["returned"] == {"mail": 0} and not noted.exists()
    assert "names nobody to write to" in ended["log"]


@pytest.mark.parametrize("wrong", ['{"conn_type": "smtp", "host": "mail",}', "smtp://me:p#ss@mail:25"],
                         ids=["no JSON", "a # in the password of an address"])
def test_a_connection_that_airflow_cannot_read_is_told_as_such_and_holds_up_no_other(
        tell: Tell, noted: Path, wrong: str) -> None:
    with posts() as (hook, heard):
        ended = tell(mail=wrong, webhook=http(hook))
    assert ended["returned"] == {"mail": 0, "webhook": 2} and len(heard) == 2
    assert "could not be told by mail" in ended["log"]
    assert "AIRFLOW_CONN_TOLLGATE_MAIL holds no connection. Write it as JSON" in ended["log"]
    assert [line.split()[3] for line in noted.read_text().splitlines()] == ["webhook"], "the others are told next time"


def test_without_any_connection_the_task_is_skipped(tell: Tell) -> None:
    ended = tell()
    assert ended["raised"] == "AirflowSkipException" and "tollgate_mail" in ended["message"]
