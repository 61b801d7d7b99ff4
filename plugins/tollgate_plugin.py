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
    # A tab of its own: Airflow's frame of a view with a `url_route` lets no link out of itself (docs/board.md). Without
    # a category the menu of Airflow 3.3 shows a button that leads nowhere.
    external_views = [{"name": "Models", "href": "/tollgate/", "category": "browse",  # noqa: RUF012
                       "destination": "nav"}]
    timetables = [ReplayedCron]  # noqa: RUF012
