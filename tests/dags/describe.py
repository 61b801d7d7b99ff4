"""Run by the tests in Airflow's own environment: what Airflow makes of the DAGs folder, as JSON on the last line."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "plugins"))


def of_task(task: Any) -> dict[str, Any]:
    """One task, mapped or not."""
    said = task.partial_kwargs if task.is_mapped else vars(task)
    return {"about": [said.get(name) for name in ("command", "options", "trigger_dag_id", "training_dag_id", "book")],
            "doc": task.doc_md, "downstream": sorted(task.downstream_task_ids), "mapped": task.is_mapped,
            "map_name": task.map_index_template if task.is_mapped else None, "retries": task.retries,
            "retry_delays": [task.retry_delay.total_seconds() * (task.retry_exponential_backoff or 1) ** number
                             for number in range(task.retries)],
            "retry_delay_at_most": task.max_retry_delay.total_seconds(), "seconds": _seconds(task.execution_timeout),
            # mapped tasks never wait deferred
            "patience": _seconds(getattr(task, "response_timeout", None) or getattr(task, "patience", None)),
            "waits": hasattr(task, "response_timeout") or hasattr(task, "patience"),
            "outlets": sorted(asset.name for asset in task.outlets), "teardown": task.is_teardown,
            "fails_the_run": task.on_failure_fail_dagrun, "tells": [names(told) for told in task.on_failure_callback]}


def names(callback: Any) -> str:
    """What a callback is called, and of which book it tells."""
    return f"{callback.func.__name__}__{callback.args[0]}"


def _seconds(limit: timedelta | None) -> float | None:
    return None if limit is None else limit.total_seconds()


def _assets(condition: Any) -> list[str]:
    """The names of the assets that start a DAG."""
    return [asset.name for asset in getattr(condition, "objects", [condition] if condition else [])]


def of_dag(dag: Any) -> dict[str, Any]:
    """One DAG."""
    params = {name: dag.params.get_param(name) for name in dag.params}
    return {"doc": dag.doc_md, "tags": sorted(dag.tags), "catchup": dag.catchup, "max_active_runs": dag.max_active_runs,
            "timetable": type(dag.timetable).__name__,
            "settles": [names(dag.on_success_callback), names(dag.on_failure_callback)],
            "late_hours": next((alert.interval.total_seconds() / 3_600 for alert in dag.deadline or ()), None),
            "schedule": dag.schedule if isinstance(dag.schedule, str) else getattr(dag.schedule, "expression", None),
            "watches": _assets(getattr(dag.timetable, "asset_condition", None)),
            "params": {name: {"type": param.schema.get("type"), "description": param.description,
                              "empty": param.value == "", "examples": param.schema.get("examples")}
                       for name, param in params.items()},
            "tasks": {task.task_id: of_task(task) for task in dag.tasks}}


def menu() -> list[dict[str, Any]]:
    """What the plugin adds to Airflow's menu."""
    from tollgate_plugin import TollgatePlugin

    return TollgatePlugin.external_views


def board_without_login() -> int:
    """The status that the Model Board answers to a stranger."""
    from fastapi.testclient import TestClient

    from tollgate_airflow.board import app

    client = TestClient(app)
    return max(client.get(path).status_code for path in ("/sba", f"/sba/gates/{'0' * 32}"))


COMMAND = """#!/bin/sh
echo "$@" >> {folder}/asked
case $2 in nosuch) echo "error: There is no book of this name (got: <nosuch>)." >&2; exit 2;; esac
echo '{{"html": "made by '"$*"'"}}'
"""
PAGES = ("/sba", "/sba", "/nosuch", "/sba/nights/2007-02-01/index.html", "/sba/nights/2007-02-01/drift.html",
         "/sba/nights/2007-02-31/index.html", "/sba/nights/2007-02-01/secret")


def board_pages() -> dict[str, Any]:
    """What a visitor of the Model Board is told page by page, and what the command line was asked for it."""
    from fastapi.testclient import TestClient

    from tollgate_airflow import board

    with tempfile.TemporaryDirectory() as folder:
        command = Path(folder, "tollgate")
        command.write_text(COMMAND.format(folder=folder))
        command.chmod(0o700)
        os.environ["TOLLGATE_BIN"] = str(command)
        board.app.dependency_overrides[board.may_read] = lambda: None
        told = [TestClient(board.app).get(path) for path in PAGES]
        del os.environ["TOLLGATE_BIN"]
        return {"pages": [[page.status_code, page.text, page.headers.get("content-security-policy")] for page in told],
                "asked": Path(folder, "asked").read_text().splitlines()}


def visitor() -> Any:
    """A logged-in visitor of the Model Board, whose pages say which command would make them."""
    from fastapi.testclient import TestClient

    from tollgate_airflow import board

    def asked(command: list[str]) -> dict[str, str]:
        if "nosuch" in command:
            raise board.CommandFailed("error: no <such> run", 2)
        return {"html": f"the answer of {' '.join(command)}"}

    board.asked = asked
    board.app.dependency_overrides[board.may_read] = lambda: None
    return TestClient(board.app)


REASON = "drift `x`\n- [The model card](/elsewhere)"  # of somebody who would write the question himself


def approval(body: str) -> dict[str, Any]:
    """What the approver is shown for a made-up run, and what the links in it lead to."""
    from jinja2 import Template

    run = "0123456789abcdef" * 2
    answers = {"register": {"name": "sba", "mlflow_run": run, "version": "3", "refit": "Fitted again."},
               "gate": {"table": "| gate |"}}
    shown = Template(body).render(ti=SimpleNamespace(xcom_pull=lambda task, key="": answers[task]),
                                  task=SimpleNamespace(digest="d" * 64), params={"reason": REASON})
    client = visitor()
    strays = {path: client.get(path) for path in (f"/nosuch/gates/{run}", "/sba/gates/--help", "/runs/nosuch/gates",
                                                  "/runs/--help/gates")}
    return {"shown": shown, "strays": {path: [told.status_code, told.text] for path, told in strays.items()},
            "links": {text: client.get(path).text
                      for text, path in re.findall(r"\[([^]]*)\]\(/tollgate(/[^)]*)\)", shown)}}


def buttons(training: Any) -> dict[str, dict[str, str]]:
    """The buttons of each task as the API server knows them, and the page that each leads to for a made-up run."""
    from airflow.serialization.serialized_objects import DagSerialization

    client, key = visitor(), SimpleNamespace(dag_id=training.dag_id, run_id="scheduled__2007-01-01T03:00:00+00:00")
    found: dict[str, dict[str, str]] = {}
    for served in DagSerialization.from_dict(DagSerialization.to_dict(training)).tasks:
        task = training.get_task(served.task_id)
        worked = task.unmap({"item": None}) if task.is_mapped else task  # what a worker asks for the links
        worked.book, worked.version = "sba", "3"  # the approval's, rendered
        links = {link.name: link.get_link(worked, ti_key=key) for link in task.operator_extra_links}
        for name in served.extra_links:
            found.setdefault(task.task_id, {})[name] = client.get(links[name].removeprefix("/tollgate")).text
    return found


def words() -> dict[str, tuple[str, str]]:
    """How training runs are summed up for the ledger, by what their tasks came to."""
    from tollgate_airflow.sensor import training_outcome

    return {"approved": training_outcome({"register": "success", "promote": "success", "reject": "skipped"}),
            "declined": training_outcome({"register": "success", "promote": "skipped", "reject": "success"}),
            "refused": training_outcome({"gates_3": "failed", "register": "failed", "promote": "upstream_failed"}),
            "unreached": training_outcome({"gates_3": "success", "register": "failed", "promote": "upstream_failed"}),
            "broken": training_outcome({"snapshot": "failed", "promote": "upstream_failed"}),
            "removed": training_outcome({})}


def nights_of_a_replay() -> dict[str, Any]:
    """What score_nightly runs where years go by in minutes: by itself, and for somebody who names the days."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import TimeRestriction
    from pendulum import datetime

    os.environ["TOLLGATE_TODAY"] = "as-of"
    dag = DagBag(str(PROJECT / "dags" / "score_nightly.py")).dags["score_nightly__sba"]
    del os.environ["TOLLGATE_TODAY"]
    served = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    by_itself = served.timetable.next_dagrun_info(last_automated_data_interval=None,
                                                  restriction=TimeRestriction(None, None, catchup=False))
    named = served.iter_dagrun_infos_between(datetime(2007, 2, 2), datetime(2007, 2, 5))
    return {"by itself": by_itself, "named": [info.logical_date.isoformat() for info in named]}


def main() -> None:
    """Load everything the way Airflow does and print it."""
    from airflow import plugins_manager
    from airflow.dag_processing.dagbag import DagBag

    plugins_manager.ensure_plugins_loaded()
    bag = DagBag(str(PROJECT / "dags"))
    print(json.dumps({"errors": {**bag.import_errors, **plugins_manager.get_import_errors()},
                      "plugins": [plugin.name for plugin in plugins_manager._get_plugins()[0]],
                      "dags": {name: of_dag(dag) for name, dag in bag.dags.items()},
                      "menu": menu(),
                      "board_without_login": board_without_login(), "board": board_pages(), "words": words(),
                      "approval": approval(bag.dags["train_weekly__sba"].get_task("approve").body),
                      "replayed": nights_of_a_replay(),
                      "buttons": buttons(bag.dags["train_weekly__sba"])}))


if __name__ == "__main__":
    main()
