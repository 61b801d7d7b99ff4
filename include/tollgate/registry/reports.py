"""What the gates said of a recorded run: its report, as the approver reads it, and its verdicts for the Model Board."""

from __future__ import annotations

import json
import re
import tempfile
from typing import Any

from tollgate import lake
from tollgate.config import settings
from tollgate.errors import BadInput
from tollgate.gates import Verdict, cells
from tollgate.registry import ledger
from tollgate.registry.known import registered, registration
from tollgate.registry.published import path_of
from tollgate.registry.registering import registered_file
from tollgate.registry.standing import registrations, standing, version_in
from tollgate.registry.tracking import bring, client, faults_named

REPORT = "gates.html"
GATES = "gates.json"
NEWEST = 5  # registered versions whose gates are looked at
VERDICT = ("gate", "measured", "interval", "limit", "verdict", "why")
RUN = re.compile("[0-9a-f]{32}")  # as MLflow names its runs


@faults_named()
def gate_report(book: str, of: str) -> str:
    """The page of a run's gates, by the version that came of it or, also where none did, by the name of the MLflow run.

    Raises:
        BadInput: there is no such version, or MLflow has no such run of this book.
        Refused: the run's report is gone, or was changed since its model was registered.
        PassingFault: MLflow or its artefact store did not answer.
    """
    from mlflow.exceptions import MlflowException

    mlflow_run = of if RUN.fullmatch(of) else version_in(registration(book, of)).run_id
    try:
        holder = client().get_run(mlflow_run).data.tags.get("tollgate.book")
    except MlflowException as err:
        if err.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise BadInput("MLflow holds no run of this name", value=mlflow_run,
                       remedy=f"Name a version of tollgate models {book}, or the run in the answer of its register "
                              "stage.") from None
    if holder != book:
        raise BadInput(f"The MLflow run is of another book than {book}", value=holder,
                       remedy="Take the run's name from the answer of its register stage.")
    line = next((e for e in registrations(ledger.trusted(book)) if version_in(e).run_id == mlflow_run), None)
    with tempfile.TemporaryDirectory() as folder:
        path = registered_file(line, REPORT, folder) if line else bring(mlflow_run, REPORT, folder)
        return path.read_text(encoding="utf-8")


def registered_gates(book: str) -> list[dict[str, Any]]:
    """What the gates said of the newest registered versions, the contents of ``gates.json``, the oldest first.

    MLflow is not asked where the ledger knows of none.

    Raises:
        Refused: one of them is gone, or was changed since its model was registered.
        PassingFault: MLflow or its artefact store did not answer.
    """
    lines = registrations(ledger.trusted(book))[-NEWEST:]
    if not lines:
        return []
    with faults_named(), tempfile.TemporaryDirectory() as folder:
        return [json.loads(registered_file(line, GATES, folder).read_text(encoding="utf-8")) for line in lines]


def publish_gates(book: str) -> None:
    """Put what the gates said of the champion and of the challenger where it is read without asking MLflow.

    A verdict is there in words: title, measured value, interval, limit, what was said, and why. What is there stays.

    Raises:
        Refused: the gates of one are gone from MLflow, or were changed since its model was registered.
        PassingFault: MLflow, the lake or the store did not answer.
    """
    chain, store = ledger.trusted(book), lake.Store(settings().store)
    now = standing(chain)
    for version in {model.version for model in (now.champion, now.challenger) if model is not None}:
        if store.exists(path_of(book, version)):
            continue
        with faults_named(), tempfile.TemporaryDirectory() as folder:
            line = registered(book, chain, version)
            told = json.loads(registered_file(line, GATES, folder).read_text(encoding="utf-8"))
        store.write_json(path_of(book, version), [
            dict(zip(VERDICT, (*cells(verdict), verdict.verdict, verdict.sentence), strict=True))
            for verdict in (Verdict(**one) for one in told["verdicts"])])
