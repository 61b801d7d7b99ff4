"""The gate report of a recorded run, as the approver reads it."""

from __future__ import annotations

import tempfile

from tollgate.errors import BadInput
from tollgate.registry import ledger
from tollgate.registry.models import registered_file
from tollgate.registry.standing import registrations, version_in
from tollgate.registry.tracking import bring, client, faults_named

REPORT = "gates.html"


@faults_named()
def gate_report(book: str, mlflow_run: str) -> str:
    """The page of a run's gates.

    Raises:
        BadInput: MLflow has no such run of this book.
        Refused: the run's report is gone, or was changed since its model was registered.
        PassingFault: MLflow or its artefact store did not answer.
    """
    from mlflow.exceptions import MlflowException

    try:
        of = client().get_run(mlflow_run).data.tags.get("tollgate.book")
    except MlflowException as err:
        if err.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise BadInput("MLflow holds no run of this name", value=mlflow_run,
                       remedy=f"See run_id in tollgate models {book}, or the answer of the register stage.") from None
    if of != book:
        raise BadInput(f"The MLflow run is of another book than {book}", value=of,
                       remedy="Take the run's name from the answer of its register stage.")
    line = next((e for e in registrations(ledger.trusted(book)) if version_in(e).run_id == mlflow_run), None)
    with tempfile.TemporaryDirectory() as folder:
        path = registered_file(line, REPORT, folder) if line else bring(mlflow_run, REPORT, folder)
        return path.read_text(encoding="utf-8")
