"""Run by the tests in Airflow's own environment: which DAGs come of a params.yaml, when they run, and where."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "plugins"))


def days(dag: Any) -> list[list[str]]:
    """When the DAG runs by itself around a change of the clocks in Europe, and the day that each run stands at."""
    from airflow.serialization.serialized_objects import DagSerialization
    from pendulum import datetime

    from tollgate_airflow import forms

    served = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    as_of = dag.get_template_env().from_string(forms.AS_OF)
    dates = [info.logical_date
             for info in served.iter_dagrun_infos_between(datetime(2007, 3, 24, 12), datetime(2007, 3, 26, 12))]
    return [[date.isoformat(), as_of.render(partition_key=None, params={"as_of": None},
                                            dag_run=SimpleNamespace(logical_date=date))] for date in dates]


def first_page() -> list[Any]:
    """Where the Model Board's own address leads, or what it says instead."""
    from fastapi.testclient import TestClient

    from tollgate_airflow import board

    board.app.dependency_overrides[board.may_read] = lambda: None
    page = TestClient(board.app, raise_server_exceptions=False).get("/", follow_redirects=False)
    return [page.status_code, page.headers.get("location") or page.text]


def main() -> None:
    """Load the DAGs and print what there is."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(PROJECT / "dags"))
    print(json.dumps({
        "errors": bag.import_errors, "first_page": first_page(),
        "dags": sorted(bag.dags),
        "days": {name: days(dag) for name, dag in bag.dags.items() if name.startswith("score_nightly")},
        "places": {name: sorted({(task.queue, task.pool) for task in dag.tasks}) for name, dag in bag.dags.items()}}))


if __name__ == "__main__":
    main()
