"""Run by the tests in Airflow's own environment: what Airflow makes of the DAGs folder, as JSON on the last line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "plugins"))


def of_task(task: Any) -> dict[str, Any]:
    """One task, mapped or not."""
    return {"doc": task.doc_md, "downstream": sorted(task.downstream_task_ids), "mapped": task.is_mapped,
            "map_name": task.map_index_template if task.is_mapped else None, "retries": task.retries,
            "outlets": sorted(asset.name for asset in task.outlets), "teardown": task.is_teardown}


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

    return TestClient(app).get("/sba").status_code


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
                      "board_without_login": board_without_login(), "words": words()}))


if __name__ == "__main__":
    main()
