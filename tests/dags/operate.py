"""Run by the tests in Airflow's own environment: one TollgateOperator against TOLLGATE_BIN, and how it ended."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins"))


class Outlet:
    """What Airflow hands to a task to describe its asset event with."""

    def __init__(self) -> None:
        self.partitions: list[str] = []
        self.extra: dict[str, Any] = {}

    def add_partitions(self, key: str) -> None:
        self.partitions.append(key)


class Instance:
    """The task instance, as far as the operator uses it."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def main() -> None:
    """Build the operator from the JSON argument, execute it, print what came of it."""
    from airflow.sdk import Asset
    from airflow.sdk.execution_time.task_runner import _run_execute_callable

    from tollgate_airflow.operator import RefusedFiles, TollgateOperator

    settings = json.loads(sys.argv[1])
    kind = RefusedFiles if "answer" in settings else TollgateOperator
    assets = {name: Asset(name) for name in settings.pop("outlets", [])}
    events = {asset: Outlet() for asset in assets.values()}
    limit = timedelta(hours=1)
    operator = kind(task_id="t", outlets=list(assets.values()), execution_timeout=limit, **settings)
    instance = Instance()
    result: dict[str, Any] = {}
    try:
        # As Airflow runs it: under its execution timeout.
        context = {"ti": instance, "outlet_events": events}
        result["returned"] = _run_execute_callable(context, operator.execute, operator)
    except BaseException as error:  # a timeout is no Exception
        result.update(raised=type(error).__name__, message=str(error))
    result["pushed"] = instance.pushed
    result["events"] = {asset.name: [events[asset].partitions, events[asset].extra] for asset in operator.outlets}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
