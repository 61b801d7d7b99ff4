"""The door to MLflow: one quiet client, its database made once, its faults named."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tollgate import services
from tollgate.config import EMBEDDED, settings
from tollgate.errors import BadInput, PassingFault, Refused

if TYPE_CHECKING:
    from mlflow import MlflowClient

KINDS = ("http://", "https://", "postgresql://", "postgresql+psycopg2://")
# MLflow's own defaults keep a caller waiting for minutes before a dead server is admitted to be dead.
ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
               "MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_LOGGING_LEVEL": "WARNING",
               "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_DISABLE_TELEMETRY": "true",
               "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
PASSING = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED", "ABORTED"}
LOCKED_OUT = {"UNAUTHENTICATED": "does not know our login", "PERMISSION_DENIED": "does not let our login do this"}


def name_of(book: str) -> str:
    """The book's name in MLflow, of its experiment and of its registered model alike."""
    return f"tollgate-{book}"


@contextmanager
def faults_named() -> Iterator[None]:
    """Turn MLflow's errors into ours; also works as a decorator.

    Raises:
        PassingFault: the server, its database or the artefact store did not answer.
        BadInput: MLflow or the artefact store refused the call itself, or does not hold what was asked for.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from botocore.exceptions import BotoCoreError, ClientError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import OperationalError, SQLAlchemyError

    try:
        yield
    except MlflowException as err:
        if err.error_code in LOCKED_OUT:  # not one that passes: the same login is turned away again
            user = os.environ.get("MLFLOW_TRACKING_USERNAME")
            raise BadInput(f"MLflow at {_shown(settings().mlflow)} {LOCKED_OUT[err.error_code]}", value=user or "none",
                           remedy="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a login of the server "
                                  "of TOLLGATE_MLFLOW that may write.") from err
        kind, said = (PassingFault, "did not answer") if err.error_code in PASSING else (BadInput, "refused")
        raise kind(f"MLflow {said}: {_first_line(err)}", value=_shown(settings().mlflow),
                   remedy="Check TOLLGATE_MLFLOW and the server or database behind it.") from err
    except ClientError as err:
        raise BadInput(f"The artefact store refused: {_first_line(err)}", value=settings().mlflow_artifacts,
                       remedy="Check the credentials and the bucket of TOLLGATE_MLFLOW_ARTIFACTS.") from err
    except OperationalError as err:
        if not services.locked_out(err):
            raise PassingFault(f"MLflow's database did not answer: {_first_line(err)}", value=_shown(settings().mlflow),
                               remedy="Check TOLLGATE_MLFLOW and the server behind it.") from err
        raise BadInput(f"MLflow's database did not let us in: {_first_line(err)}", value=_shown(settings().mlflow),
                       remedy="Check the user in TOLLGATE_MLFLOW and the password in its pgpass file.") from err
    except (SQLAlchemyError, OSError, BotoCoreError) as err:
        raise PassingFault(f"MLflow's database or artefact store did not answer: {_first_line(err)}",
                           value=_shown(settings().mlflow),
                           remedy="Check TOLLGATE_MLFLOW, TOLLGATE_MLFLOW_ARTIFACTS and the disk.") from err


def _first_line(err: BaseException) -> str:
    return _shown((str(err).strip() or type(err).__name__).splitlines()[0])


def _shown(text: str) -> str:
    """Addresses without the user and password that they may carry."""
    return re.sub(r"://[^/@\s]*@", "://", text)


@faults_named()
def prepare() -> None:
    """Make MLflow's tables if there are none yet; safe for several processes at once."""
    _open(address())


@faults_named()
def forget(book: str) -> None:
    """Delete a book's registered model and its runs, where there are any; whoever had them made forgets the book."""
    from mlflow.exceptions import MlflowException

    try:
        client().delete_registered_model(name_of(book))
    except MlflowException as err:
        if err.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    experiment = client().get_experiment_by_name(name_of(book))
    while experiment is not None and (runs := client().search_runs([experiment.experiment_id], max_results=1000)):
        for run in runs:
            client().delete_run(run.info.run_id)


def bring(run_id: str, name: str, folder: str | Path) -> Path:
    """Download a file or folder that was kept with an MLflow run. Use it under ``faults_named``.

    Raises:
        Refused: it is no longer there.
    """
    from mlflow.exceptions import MlflowException

    try:
        kept = {entry.path for entry in client().list_artifacts(run_id)}
    except MlflowException as err:
        if err.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        kept = set()
    if name not in kept:
        raise Refused(f"{name} is no longer kept with the MLflow run that made the model", value=run_id,
                      remedy="Restore the run and its artefacts from a backup.")
    return Path(client().download_artifacts(run_id, name, str(folder)))


def client() -> MlflowClient:
    """A client of the tracking server and registry. Use it under ``faults_named``."""
    return _open(address())


def address() -> str:
    """Where MLflow is: the server or database of ``TOLLGATE_MLFLOW``, or the embedded database, which runs then.

    Raises:
        BadInput: it can be neither, or the data folder holds the SQLite database of an older Tollgate.
        PassingFault: the embedded database did not start.
    """
    where, old = settings().mlflow, settings().data / "mlflow.db"
    if where == EMBEDDED:
        if old.exists():
            raise BadInput("An older Tollgate left its models in SQLite, which this one does not read", value=old,
                           remedy="Begin anew in another TOLLGATE_DATA, or stay with the version that wrote it.")
        return services.database("mlflow")
    if not where.startswith(KINDS):
        raise BadInput("TOLLGATE_MLFLOW must be an MLflow server or a PostgreSQL database", value=_shown(where),
                       remedy="Write http(s)://… or postgresql+psycopg2://…, or leave it unset for the embedded one.")
    return where


@faults_named()
def runs_and_versions(database: str) -> list[str]:
    """The runs and the versions of models that an MLflow database holds, those that were deleted in its UI included.

    Raises as ``faults_named``.
    """
    from sqlalchemy import text

    found: list[str] = []
    with services.session(database) as connection:
        for table, name in (("runs", "run_uuid"), ("model_versions", "name || '/' || version")):
            if connection.scalar(text("SELECT to_regclass(:it)"), {"it": table}) is not None:
                found += connection.scalars(text(f"SELECT {name} FROM {table}"))
    return sorted(found)


@cache
def _open(uri: str) -> MlflowClient:
    from mlflow import MlflowClient

    if not uri.startswith("postgresql"):
        return MlflowClient(uri, uri)
    # MLflow creates its tables on first contact, and two processes doing so at once break each other.
    with services.alone(uri, "mlflow's tables"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"mlflow\.")
        opened = MlflowClient(uri, uri)
        opened.search_experiments(max_results=1)
        opened.search_registered_models(max_results=1)
    return opened
