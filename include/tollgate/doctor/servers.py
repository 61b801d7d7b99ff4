"""The servers of a deployment: whether each answers, lets us in, is of our version, and keeps our time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec

from tollgate import registry, services
from tollgate.config import EMBEDDED, Settings
from tollgate.doctor import clocks
from tollgate.doctor.findings import Finding, error, ok, warning
from tollgate.errors import BadInput, PassingFault

REACH_SECONDS = 5
EXECUTION = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"


def check_database(here: Settings) -> Iterator[Finding]:
    """The database of the sweeps' studies."""
    if here.optuna == EMBEDDED:
        url = services.running_database("optuna")
        if url is None:
            yield ok("embedded; it starts when it is first needed")
            return
    else:
        url = here.optuna
    yield from _database(url, "TOLLGATE_OPTUNA")


def check_mlflow(here: Settings) -> Iterator[Finding]:
    """MLflow's server, or the database that takes its place."""
    url = services.running_database("mlflow") if here.mlflow == EMBEDDED else registry.address()
    if here.mlflow == EMBEDDED and (old := here.data / "mlflow.db").exists():
        raise BadInput("An older Tollgate left its models in SQLite, which this one does not read", value=old,
                       remedy="Begin anew in another TOLLGATE_DATA, or stay with the version that wrote it.")
    if url is None:
        yield ok("embedded; its database starts when it is first needed")
    elif url.startswith("http"):
        yield from _mlflow_server(url.rstrip("/"))
    else:
        yield from _database(url, "TOLLGATE_MLFLOW")
        yield from _mlflow_tables(url)


def _mlflow_server(url: str) -> Iterator[Finding]:
    """A server's health, login, version and clock. Raises ``PassingFault`` where it does not answer."""
    import requests

    before = clocks.now()
    try:
        health = requests.get(f"{url}/health", timeout=REACH_SECONDS)
        told = requests.get(f"{url}/version", timeout=REACH_SECONDS)
        user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD"))
        asked = requests.post(f"{url}/api/2.0/mlflow/experiments/search", json={"max_results": 1},
                              auth=(user, password) if user else None, timeout=REACH_SECONDS)
    except requests.RequestException as err:
        raise _away("MLflow", url, err, "TOLLGATE_MLFLOW") from err
    yield from clocks.compare("MLflow", health.headers.get("Date"), before, clocks.now())
    if asked.status_code in (401, 403):
        yield error(f"MLflow does not let us in (got: {user or 'no login'} at {url}, status {asked.status_code})",
                    "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a login of that server that may "
                    "write.")
    elif not asked.ok:
        yield error(f"What answers there is no MLflow that is well (got: status {asked.status_code} of {url})",
                    "Check TOLLGATE_MLFLOW, and the log and database of the server.", passing=asked.status_code >= 500)
    elif (theirs := told.text.strip()) != (ours := version("mlflow")):
        yield warning(f"The MLflow server is of another version than our client (got: {theirs}, here {ours})",
                      "Run the server from the same image or lock.")
    else:
        yield ok(f"{url} answers, MLflow {theirs}")


def check_airflow(_: Settings) -> Iterator[Finding]:
    """Airflow's own view of its parts, where the environment says where its server is."""
    import requests

    told = os.environ.get(EXECUTION)
    if not told:
        yield ok(f"{EXECUTION} is not set here, so Airflow is not asked")
        return
    url = f"{told.rstrip('/').removesuffix('/execution')}/api/v2/monitor/health"
    before = clocks.now()
    try:
        answer = requests.get(url, timeout=REACH_SECONDS)
        parts = answer.json()
    except (requests.RequestException, ValueError) as err:
        raise _away("Airflow's server", url, err, EXECUTION) from err
    yield from clocks.compare("Airflow's server", answer.headers.get("Date"), before, clocks.now())
    if not answer.ok:
        yield error(f"What answers there is no Airflow that is well (got: status {answer.status_code} of {url})",
                    f"Check {EXECUTION}, and the log of the server.", passing=answer.status_code >= 500)
        return
    ill = [f"{name} {part['status']}" for name, part in parts.items() if part.get("status") not in ("healthy", None)]
    if ill:
        yield error(f"A part of Airflow is not well: {', '.join(ill)} (got: {url})",
                    "Read its log, and start it again.", passing=True)
    else:
        yield ok(f"{', '.join(parts)} are well")


def _away(what: str, url: str, err: Exception, setting: str) -> PassingFault:
    why = f"not within {REACH_SECONDS} seconds" if "timed out" in str(err) else type(err).__name__
    return PassingFault(f"{what} did not answer: {why}", value=url,
                        remedy=f"Check {setting}, the server and the network.")


def _mlflow_tables(url: str) -> Iterator[Finding]:
    """Whether MLflow's tables, if there are any yet, are those that ours would make; MLflow itself asks for minutes."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine

    with create_engine(url).connect() as connection:
        theirs = MigrationContext.configure(connection).get_current_revision()
    home = find_spec("mlflow")
    ours = ScriptDirectory(f"{next(iter(home.submodule_search_locations or []))}/store/db_migrations"
                           ).get_current_head() if home else None
    if theirs is None:
        yield ok("MLflow's tables are made when they are first needed")
    elif theirs != ours:
        yield error(f"MLflow's tables are of another version than MLflow {version('mlflow')} (got: revision {theirs}, "
                    f"not {ours})",
                    "Back the database up, then: mlflow db upgrade ADDRESS; or run the MLflow that wrote them.")
    else:
        yield ok(f"its tables are of MLflow {version('mlflow')}")


def _database(url: str, setting: str) -> Iterator[Finding]:
    """A database's version and clock. Raises ``BadInput`` or ``PassingFault`` where it does not let us in."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    before = clocks.now()
    try:
        engine = create_engine(url, connect_args={"connect_timeout": REACH_SECONDS}, hide_parameters=True)
        with engine.connect() as connection:
            theirs = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
            number = connection.execute(text("SHOW server_version")).scalar_one()
    except (ArgumentError, ImportError, TypeError) as err:
        raise BadInput(f"{setting} is no database: {str(err).splitlines()[0]}",
                       remedy="Write postgresql+psycopg2://USER@HOST/NAME.") from err
    except SQLAlchemyError as err:
        said = " ".join(str(getattr(err, "orig", None) or err).split())
        if services.locked_out(err):
            raise BadInput(f"The database of {setting} does not let us in: {said}",
                           remedy="Set PGPASSWORD, or the password file that the address names; a volume keeps the "
                                  "password that it was filled with.") from err
        raise PassingFault(f"The database of {setting} did not answer: {said}",
                           remedy=f"Check {setting}, the server and the network.") from err
    yield from clocks.compare(f"the database of {setting}", theirs, before, clocks.now())
    yield ok(f"PostgreSQL {number} answers")
