"""Run by the tests in Airflow's own environment: one TellPeople against TOLLGATE_BIN, and how it ended."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins"))


def main() -> None:
    """Tell the people of a book; print what came of it."""
    from tollgate_airflow.telling import TellPeople

    result: dict[str, Any] = {}
    try:
        result["returned"] = TellPeople(task_id="tell", book=sys.argv[1]).execute({})
    except Exception as error:
        result.update(raised=type(error).__name__, message=str(error))
    print(json.dumps(result))


main()
