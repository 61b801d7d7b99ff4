"""The gate report of a recorded run, as the approver reads it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tollgate.errors import BadInput
from tollgate.registry.tracking import client, faults_named

REPORT = "gates.html"


@faults_named()
def gate_report(book: str, mlflow_run: str) -> str:
    """The page of a run's gates.

    Raises:
        BadInput: MLflow has no such run of this book.
        PassingFault: MLflow or its artefact store did not answer.
    """
    found = client().get_run(mlflow_run)
    if found.data.tags.get("tollgate.book") != book:
        raise BadInput(f"The MLflow run is of another book than {book}", value=found.data.tags.get("tollgate.book"),
                       remedy="Take the run's name from the answer of its register stage.")
    with tempfile.TemporaryDirectory() as folder:
        return Path(client().download_artifacts(mlflow_run, REPORT, folder)).read_text(encoding="utf-8")
