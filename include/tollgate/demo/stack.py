"""What a demo runs: Airflow and an MLflow page, on the embedded PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tollgate import registry, services
from tollgate.config import AS_OF, settings
from tollgate.errors import BadInput
from tollgate.services import Service, page_answers


def home() -> Path:
    """Where the services' logs and records lie."""
    return settings().data / "demo"


def airflow() -> Service:
    """Airflow standalone on the embedded PostgreSQL and LocalExecutor, listening on loopback only.

    Raises:
        BadInput, PassingFault: as ``services.database``.
    """
    here, port = settings(), _port("TOLLGATE_AIRFLOW_PORT", 8080)
    url = f"http://127.0.0.1:{port}"
    database = services.database("airflow")
    environment = {
        "AIRFLOW_HOME": str(here.data / "airflow"),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__AUTH_MANAGER":
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__DAGS_FOLDER": str(here.project / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(here.project / "plugins"),
        # Nobody else reaches loopback, and a demo that asks for a password teaches nothing.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database.replace("psycopg2", "asyncpg", 1),
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "60",
        # Airflow's own ports for logs, moved along with the page's port, so that two demos get on.
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(port + 714),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(port + 713),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # At the default of 5 seconds, half of all tasks hold their place for that long after their work is done.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "TOLLGATE_PROJECT": str(here.project),
        "TOLLGATE_DATA": str(here.data),
        "TOLLGATE_LOOK_SECONDS": "2",  # a month of the replay is over before the default has looked twice
        "TOLLGATE_MLFLOW_UI": here.mlflow_ui or f"http://127.0.0.1:{_port('TOLLGATE_MLFLOW_PORT', 5000)}",
        "TOLLGATE_TODAY": AS_OF,  # years go by in minutes
    }
    binary = here.project / ".venv-airflow" / "bin" / "airflow"
    return Service("airflow", port, (str(binary), "standalone"), page_answers(f"{url}/api/v2/monitor/health"),
                   environment)


def run_airflow(arguments: Sequence[str]) -> NoReturn:
    """Become Airflow's own command line, at the demo's Airflow. Raises ``BadInput`` where it is not installed."""
    service = airflow()
    program = service.command[0]
    try:
        os.execve(program, [program, *arguments], services.environment_of(service))
    except FileNotFoundError:
        raise BadInput("Airflow is not installed", value=program, remedy="Run `make setup`.") from None


def mlflow() -> Service:
    """MLflow's page over the same store that the pipeline writes to."""
    here, port = settings(), _port("TOLLGATE_MLFLOW_PORT", 5000)
    command = ("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", registry.address(), "--default-artifact-root", here.mlflow_artifacts)
    binary = here.project / ".venv" / "bin" / command[0]
    # The workers of jobs that nobody gives it take two gigabytes.
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return Service("mlflow", port, (str(binary), *command[1:]), page_answers(f"http://127.0.0.1:{port}/health"),
                   environment)


def _port(variable: str, default: int) -> int:
    value = os.environ.get(variable) or str(default)
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise BadInput(f"{variable} must be a port number", value=value, remedy="Use a free port such as 18080.")
    return int(value)


def start(service: Service) -> None:
    """Start one of the demo's services unless it runs already. Raises ``BadInput`` when its port is taken."""
    services.start(service, home())


def wait_until_up(service: Service) -> None:
    """Wait until a started service answers. Raises ``PassingFault`` when it does not, naming its log."""
    services.wait_until_up(service, home())


def stop() -> dict[str, list[str]]:
    """End every service that Tollgate started with this data folder, whole process groups, and nothing else."""
    return {"stopped": [*services.stop(home()), *services.stop_embedded()]}  # the database after its clients
