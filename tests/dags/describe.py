"""Run by the tests in Airflow's own environment: what Airflow makes of the DAGs folder, as JSON on the last line."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "plugins"))


def of_task(task: Any) -> dict[str, Any]:
    """One task, mapped or not."""
    return {"doc": task.doc_md, "downstream": sorted(task.downstream_task_ids), "mapped": task.is_mapped,
            "map_name": task.map_index_template if task.is_mapped else None, "retries": task.retries,
            "outlets": sorted(asset.name for asset in task.outlets), "teardown": task.is_teardown,
            "fails_the_run": task.on_failure_fail_dagrun}


def of_dag(dag: Any) -> dict[str, Any]:
    """One DAG."""
    params = {name: dag.params.get_param(name) for name in dag.params}
    return {"doc": dag.doc_md, "tags": sorted(dag.tags), "catchup": dag.catchup, "max_active_runs": dag.max_active_runs,
            "timetable": type(dag.timetable).__name__,
            "params": {name: {"type": param.schema.get("type"), "description": param.description,
                              "enum": param.schema.get("enum")} for name, param in params.items()},
            "tasks": {task.task_id: of_task(task) for task in dag.tasks}}


def board_without_login() -> int:
    """The status that the Model Board answers to a stranger."""
    from fastapi.testclient import TestClient

    from tollgate_airflow.board import app

    client = TestClient(app)
    return max(client.get(path).status_code for path in ("/sba", f"/sba/gates/{'0' * 32}"))


def approval(body: str) -> dict[str, str]:
    """What the approver is shown for a made-up run, and what the link in it leads to."""
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi.testclient import TestClient
    from jinja2 import Template

    from tollgate_airflow import board

    run = "0123456789abcdef" * 2
    answers = {"register": {"name": "sba", "mlflow_run": run}, "gate": {"table": "| gate |"}}
    shown = Template(body).render(ti=SimpleNamespace(xcom_pull=lambda task, key="": answers[task]),
                                  task=SimpleNamespace(digest="d" * 64), params={"reason": "drift"})
    link = re.search(r"\]\((/tollgate(/[^)]*))\)", shown)
    board.asked = lambda command: {"html": f"the answer of {' '.join(command)}"}
    board.app.dependency_overrides[get_user] = lambda: None
    client = TestClient(board.app)
    return {"shown": shown, "page": client.get(link[2]).text if link else "",
            "of_no_book": str(client.get(f"/none/gates/{run}").status_code),
            "of_no_run": str(client.get("/sba/gates/--help").status_code)}


def words() -> dict[str, str]:
    """How training runs are summed up for the ledger, by what their tasks came to."""
    from tollgate_airflow.sensor import how_it_ended

    return {"approved": how_it_ended({"register": "success", "promote": "success", "reject": "skipped"}),
            "declined": how_it_ended({"register": "success", "promote": "skipped", "reject": "success"}),
            "refused": how_it_ended({"gates": "failed", "register": "failed", "promote": "upstream_failed"}),
            "broken": how_it_ended({"snapshot": "failed", "promote": "upstream_failed"}),
            "removed": how_it_ended({})}


def main() -> None:
    """Load everything the way Airflow does and print it."""
    from airflow import plugins_manager
    from airflow.dag_processing.dagbag import DagBag

    plugins_manager.ensure_plugins_loaded()
    bag = DagBag(str(PROJECT / "dags"))
    print(json.dumps({"errors": {**bag.import_errors, **plugins_manager.get_import_errors()},
                      "plugins": [plugin.name for plugin in plugins_manager._get_plugins()[0]],
                      "dags": {name: of_dag(dag) for name, dag in bag.dags.items()},
                      "board_without_login": board_without_login(), "words": words(),
                      "approval": approval(bag.dags["train_weekly"].get_task("approve").body)}))


if __name__ == "__main__":
    main()
