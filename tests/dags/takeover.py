"""Run by the tests in Airflow's own environment, over a database of its own: which request a waiting run is given."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins"))

DAG = "retrain_on_drift__%s"


class Supervisor:
    """What the triggerer's supervisor does with a trigger's question: it asks Airflow's own API."""

    def __init__(self) -> None:
        from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

        self.client = InProcessTestSupervisor._api_client()

    def send(self, msg: Any) -> Any:
        """Airflow's answer."""
        from airflow.sdk.execution_time import request_handlers

        handle = {"GetDRCount": request_handlers.handle_get_dr_count,
                  "GetTaskStates": request_handlers.handle_get_task_states}[type(msg).__name__]
        return handle(self.client, msg)[0]


def remember(runs: dict[str, dict[str, str]]) -> None:
    """Make a database in which these runs of each book's DAG are in these states."""
    from airflow.models import DagRun
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    initdb()
    with create_session() as session:
        for book, states in runs.items():
            for run_id, state in states.items():
                session.add(DagRun(dag_id=DAG % book, run_id=run_id, run_type=DagRunType.MANUAL, state=state))


async def given(book: str, run_id: str) -> Any:
    """What the trigger of that run fires with."""
    from tollgate_airflow.triggers import DriftTrigger

    async for event in DriftTrigger(book, DAG % book, run_id, every=0.1).run():
        return event.payload


async def end_of(dag: str, run_id: str) -> Any:
    """What comes of waiting for that run's end."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    from tollgate_airflow.sensor import TrainingSensor
    from tollgate_airflow.triggers import EndTrigger

    async for event in EndTrigger(dag, run_id, every=0.1).run():
        return TrainingSensor(task_id="wait", training_dag_id=dag, run=run_id).ended(
            {"ti": RuntimeTaskInstance}, event.payload)


def given_up() -> str:
    """What is said when the patience with a training is at its end."""
    from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, TriggerFailureReason
    from airflow.sdk.exceptions import AirflowFailException

    from tollgate_airflow.sensor import TrainingSensor

    sensor = TrainingSensor(task_id="late", training_dag_id=DAG % "sba", run="slow")
    try:
        return str(sensor.resume_execution(TRIGGER_FAIL_REPR, {"error": TriggerFailureReason.TRIGGER_TIMEOUT}, {}))
    except AirflowFailException as error:
        return str(error)


def main() -> None:
    """Of the runs and their states in the first argument, which live; what those of the second are given."""
    from airflow.sdk.execution_time.supervisor import set_supervisor_comms

    from tollgate_airflow.triggers import free, is_running

    runs, waiting = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    remember(runs)
    with set_supervisor_comms(Supervisor()):
        print(json.dumps({"running": {run: is_running(DAG % "sba", run) for run in [*runs["sba"], "deleted"]},
                          "given": {book: asyncio.run(given(book, run)) for book, run in waiting.items()},
                          "ends": {run: asyncio.run(end_of(DAG % "sba", run)) for run in ("done", "deleted")},
                          "late": given_up(), "none": free([{"state": "claimed", "run_id": "a"}], "b", {"a"})}))


if __name__ == "__main__":
    main()
