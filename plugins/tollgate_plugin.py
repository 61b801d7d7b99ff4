"""What Airflow finds in the plugins folder: the Model Board, its place in the menu, and a replay's schedule."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from tollgate_airflow.replay import ReplayedCron


async def board(scope: Any, receive: Any, send: Any) -> None:
    """The Model Board as an ASGI app; imported by the API server at the first call, and by no task."""
    from tollgate_airflow.board import app

    await app(scope, receive, send)


class TollgatePlugin(AirflowPlugin):
    """Registers the Model Board and the schedule of a replay."""

    name = "tollgate"
    fastapi_apps = [{"app": board, "url_prefix": "/tollgate", "name": "Model Board"}]  # noqa: RUF012
    external_views = [{"name": "Models", "href": "/tollgate/", "url_route": "model-board",  # noqa: RUF012
                       "destination": "nav"}]
    timetables = [ReplayedCron]  # noqa: RUF012
