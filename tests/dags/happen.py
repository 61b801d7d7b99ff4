"""Run by the tests in Airflow's own environment: what goes wrong in a run, and what its callbacks make of it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "plugins"))

RUN: dict[str, Any] = {
    "dag_id": "score_nightly__consumer", "run_id": "scheduled__2007-02-01", "run_after": "2007-01-31T14:00:00+00:00",
    "logical_date": None, "data_interval_start": None, "data_interval_end": None, "start_date": None, "end_date": None,
    "run_type": "scheduled", "state": "running", "consumed_asset_events": [], "partition_key": None}


class Supervisor:
    """Keeps the runs that a worker asks to be started; every other run of which it is asked lives."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []

    def send(self, msg: Any) -> Any:
        if type(msg).__name__ == "GetTaskStates":
            return SimpleNamespace(task_states={})
        if type(msg).__name__ == "GetDRCount":
            return SimpleNamespace(count=len(msg.run_ids))
        return self.started.append({"dag": msg.dag_id, "run": msg.run_id, "conf": msg.conf})


def context(error: BaseException | None, **run: Any) -> dict[str, Any]:
    """What Airflow hands to a callback of a task."""
    from airflow.sdk import DAG
    from airflow.sdk.api.datamodels._generated import DagRun

    from tollgate_airflow.books import ScheduledBook
    from tollgate_airflow.operator import TollgateOperator

    with DAG(**ScheduledBook(name="consumer", timezone="Pacific/Auckland").dag("score_nightly"), schedule=None) as dag:
        task = TollgateOperator(task_id="pin", command=[])
    found = {"dag": dag, "task": task, "dag_run": DagRun(**{**RUN, **run}), "params": {"as_of": None},
             "partition_key": run.get("partition_key"), "ti": SimpleNamespace(try_number=7)}
    return found if error is None else {**found, "exception": error}


def failed(error: str | None = None, secret: str | None = None, exit_code: int = 75, **run: Any) -> None:
    """A task around the gates fails with this error of its command; without one its process was lost."""
    from airflow.sdk.log import mask_secret

    from tollgate_airflow import incidents
    from tollgate_airflow.operator import GateOperator
    from tollgate_airflow.process import CommandFailed

    if secret is not None:
        mask_secret(secret)
    fault = GateOperator(task_id="gate", command=[]).fault_of(CommandFailed(error or "", exit_code))
    incidents.failed("consumer", context(None if error is None else fault(error), **run))


def late(**conf: Any) -> None:
    """A run is late, as the triggerer is told of it."""
    from tollgate_airflow import incidents

    run = {**RUN, "conf": conf, "state": "queued", "dag_run_id": RUN["run_id"]}
    asyncio.run(incidents.late("consumer", 4, "Pacific/Auckland", {"dag_run": run, "deadline": {}}))


def settled(kind: str) -> None:
    """A run of the book's DAG of this kind ends well."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.api.datamodels._generated import DagRun

    dag = DagBag(str(PROJECT / "dags" / f"{kind}.py")).dags[f"{kind}__consumer"]
    dag.on_success_callback({"dag": dag, "dag_run": DagRun(**{**RUN, "dag_id": dag.dag_id, "state": "success"}),
                             "params": {"as_of": None}, "partition_key": None})


def lake(tollgate: str) -> None:
    """From here on the lake is as this command says."""
    os.environ["TOLLGATE_BIN"] = tollgate


def kept(supervisor: Supervisor) -> None:
    """The run that was started to keep an incident comes to its first task."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.api.datamodels._generated import DagRun

    task = DagBag(str(PROJECT / "dags" / "monitor_operations.py")).dags["monitor_operations__consumer"].get_task("keep")
    about = {"dag_run": DagRun(**RUN), "params": supervisor.started[-1]["conf"], "partition_key": None}
    task.render_template_fields(about, task.get_dag().get_template_env())
    task.execute(about)


def main() -> None:
    """Let it all happen, one after another; print which runs were started for it."""
    from airflow.sdk.execution_time.supervisor import set_supervisor_comms

    supervisor = Supervisor()
    known = {"failed": failed, "late": late, "settled": settled, "lake": lake, "kept": lambda: kept(supervisor)}
    with set_supervisor_comms(supervisor):
        for what, how in json.loads(sys.argv[1]):
            known[what](**how)
    print(json.dumps({"started": supervisor.started}))


main()
