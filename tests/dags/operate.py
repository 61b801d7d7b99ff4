"""Run by the tests in Airflow's own environment: one TollgateOperator against TOLLGATE_BIN, and how it ended."""

from __future__ import annotations

import json
import sys
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

    from tollgate_airflow.operator import RefusedFiles, TollgateOperator

    settings = json.loads(sys.argv[1])
    kind = RefusedFiles if "answers" in settings else TollgateOperator
    assets = {name: Asset(name) for name in settings.pop("outlets", [])}
    events = {asset: Outlet() for asset in assets.values()}
    operator = kind(task_id="t", outlets=list(assets.values()), **settings)
    instance = Instance()
    result: dict[str, Any] = {}
    try:
        result["returned"] = operator.execute({"ti": instance, "outlet_events": events})
    except Exception as error:
        result.update(raised=type(error).__name__, message=str(error))
    result["pushed"] = instance.pushed
    result["events"] = {asset.name: [events[asset].partitions, events[asset].extra] for asset in operator.outlets}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
