"""Telling people of alerts by Airflow's notifiers, through whichever connections there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from airflow.sdk import BaseOperator, Connection
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException, AirflowSkipException

from tollgate_airflow.process import LIGHT, Child

Alert = dict[str, str]


def title(alert: Alert) -> str:
    """An alert in a line."""
    return f"{alert['severity']}: {alert['book']}, {alert['subject']}, as of {alert['as_of']}"


def mail(connection: Connection, alert: Alert) -> Any:
    """A notifier that writes a mail; whom to stands in the connection's extra."""
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    to = connection.extra_dejson.get("to")
    if not to:
        raise AirflowException(f"the connection {connection.conn_id} names nobody to write to. Give it the extra "
                               '{"to": "risk@example.com", "from_email": "tollgate@example.com"}')
    body = f"<p>{escape(alert['message'])}</p><p>tollgate alerts list {escape(alert['book'])}</p>"
    return SmtpNotifier(to=to, subject=f"[tollgate] {title(alert)}", html_content=body,
                        smtp_conn_id=connection.conn_id)


def slack(connection: Connection, alert: Alert) -> Any:
    """A notifier for an incoming webhook of Slack's, the secret part of whose address is the password."""
    everybody = "<!channel> " if alert["severity"] == "page" else ""
    said = escape(f"*{title(alert)}*\n{alert['message']}", quote=False)  # what stands in <> is a command of Slack's
    return _post(connection, {"text": f"{everybody}{said}"})


def webhook(connection: Connection, alert: Alert) -> Any:
    """A notifier that posts the alert as JSON."""
    return _post(connection, alert)


def _post(connection: Connection, content: dict[str, str]) -> Any:
    from airflow.providers.http.notifications.http import HttpNotifier

    # Of a login and a password Airflow makes a header; a password alone is the rest of the address.
    endpoint = "" if connection.login else connection.password or ""
    return HttpNotifier(http_conn_id=connection.conn_id, endpoint=endpoint, json=content,
                        headers={"Content-Type": "application/json"}, extra_options={"timeout": SECONDS})


SECONDS = 20  # that a server may take to answer
GIVEN_UP_AFTER = 3  # alerts in a row: a server that refuses one of them may take the next, one that is down takes none
CHANNELS: dict[str, Callable[[Connection, Alert], Any]] = {"mail": mail, "slack": slack, "webhook": webhook}


def tell(book: str, log: Any) -> dict[str, int]:
    """Tell people of a book's alerts of which they were not told yet; how many, by each channel that there is.

    A channel that does not work is told in the log, and its alerts wait for the next time.

    Raises:
        CommandFailed: what they were told of cannot be read or noted.
    """
    return {channel: _tell(book, channel, connection, log) for channel, connection in connected().items()}


def tell_of(book: str, alert: str, log: Any, reached: list[str]) -> None:
    """Tell people of the one alert of this id; the channels by which they were told join ``reached`` as they are.

    Raises:
        CommandFailed: as of ``tell``.
    """
    for channel, connection in connected().items():
        for one in _untold(book, channel, log):
            if one["id"] == alert and _reached(channel, connection, one, log):
                reached.append(channel)
                _note_told(book, channel, [alert], log)


def tell_directly(alert: Alert, log: Any, reached: list[str]) -> None:
    """Tell people of one alert that could not be written down, by the channels that have not ``reached`` them."""
    reached += [channel for channel, connection in connected().items()
                if channel not in reached and _reached(channel, connection, alert, log)]


def connected() -> dict[str, Connection | None]:
    """The channels that there is a connection for: None where Airflow cannot read it, of which it says nothing."""
    found = {channel: _connection(channel) for channel in CHANNELS}
    return {channel: connection for channel, connection in found.items()
            if connection is not None or os.environ.get(_variable(channel))}


def _tell(book: str, channel: str, connection: Connection | None, log: Any) -> int:
    told, in_a_row = list[str](), 0
    for alert in _untold(book, channel, log):
        if _reached(channel, connection, alert, log):
            told.append(alert["id"])
            in_a_row = 0
        elif (in_a_row := in_a_row + 1) == GIVEN_UP_AFTER:
            break
    if told:
        _note_told(book, channel, told, log)
    return len(told)


def _untold(book: str, channel: str, log: Any) -> list[Alert]:
    alerts: list[Alert] = Child(["alerts", "untold", book, channel], say=log.info).answer(LIGHT)["alerts"]
    return alerts


def _note_told(book: str, channel: str, ids: Sequence[str], log: Any) -> None:
    Child(["alerts", "told", book, channel, *ids], say=log.info).answer(LIGHT)


def _reached(channel: str, connection: Connection | None, alert: Alert, log: Any) -> bool:
    try:
        if connection is None:
            raise AirflowException(f"{_variable(channel)} holds no connection. Write it as JSON, or what is no letter "
                                   "and no digit in its password as %23 and the like")
        CHANNELS[channel](connection, alert).notify({})
    except Exception as error:  # whatever a server or its library says
        log.error("%s could not be told by %s: %s: %s. It is tried again after the next night, or tomorrow.",
                  title(alert), channel, type(error).__name__, error)
        return False
    return True


class TellPeople(BaseOperator):
    """Tell people of a book's alerts of which they were not told yet, by each connection `tollgate_CHANNEL`.

    A channel that does not work is told in the log, and its alerts wait for the next time: no DAG fails for it.
    """

    template_fields: Sequence[str] = ("book",)
    ui_color = "#f3dede"

    def __init__(self, *, book: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.book = book

    def execute(self, context: Any) -> dict[str, int]:
        """How many alerts each channel told; skipped where there is no channel."""
        told = tell(self.book, self.log)
        if not told:
            raise AirflowSkipException(f"Nobody is told: there is none of the connections "
                                       f"{', '.join(f'tollgate_{channel}' for channel in CHANNELS)}.")
        return told


def _variable(channel: str) -> str:
    """Where the environment holds the channel's connection, if that does."""
    return f"AIRFLOW_CONN_TOLLGATE_{channel.upper()}"


def _connection(channel: str) -> Connection | None:
    try:
        return Connection.get(f"tollgate_{channel}")
    except AirflowNotFoundException:
        return None
