"""How long Airflow takes to parse all DAGs together; run it with the Python of `.venv-airflow`.

The clock starts once Airflow itself is imported: what a DAG processor has in memory before it opens the first DAG
file (`airflow`, its DagBag and its SDK). It runs in a fresh process, so that what the DAG files import on top of that
(this project's plugins, the providers' operators) is counted in full.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
LIMIT = 1.0  # seconds


def main() -> int:
    """Measure once, print, and fail above the limit."""
    os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="tollgate-parse-"))
    sys.path.insert(0, str(PROJECT / "plugins"))
    from airflow import sdk
    from airflow.dag_processing.dagbag import DagBag

    assert sdk.DAG  # the SDK loads its names at their first use
    logging.disable(logging.INFO)
    start = time.perf_counter()
    bag = DagBag(str(PROJECT / "dags"))
    seconds = time.perf_counter() - start
    print(json.dumps({"dags": len(bag.dags), "import_errors": len(bag.import_errors), "seconds": round(seconds, 3),
                      "limit": LIMIT}))
    return 0 if seconds < LIMIT and not bag.import_errors else 1


if __name__ == "__main__":
    sys.exit(main())
