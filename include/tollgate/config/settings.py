"""Where things live: the environment, which never changes a result."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
EMBEDDED = "embedded"  # instead of a database's URL: the PostgreSQL under the data folder


@dataclass(frozen=True)
class Settings:
    """Where everything lives. Every location is a URI or a local path; nothing is written outside them."""

    project: Path
    books: Path         # a user's own books
    data: Path          # local scratch and the embedded defaults
    landing: str        # where lenders' files arrive
    lake: str           # Delta tables
    store: str          # run records, shards in flight, reports
    dvc_remote: str     # DVC's content-addressed remote
    mlflow: str         # tracking and registry: a server, a database, or EMBEDDED
    mlflow_artifacts: str
    optuna: str         # database of the sweeps' studies, or EMBEDDED


def settings() -> Settings:
    """Locations from ``TOLLGATE_*`` environment variables, falling back to what lies under ``data/``."""
    env = os.environ.get
    project = Path(env("TOLLGATE_PROJECT") or PROJECT).resolve()
    data = Path(env("TOLLGATE_DATA") or project / "data").resolve()
    return Settings(
        project=project,
        books=Path(env("TOLLGATE_BOOKS") or project / "include" / "books").resolve(),
        data=data,
        landing=env("TOLLGATE_LANDING") or str(data / "landing"),
        lake=env("TOLLGATE_LAKE") or str(data / "lake"),
        store=env("TOLLGATE_STORE") or str(data / "store"),
        dvc_remote=env("TOLLGATE_DVC_REMOTE") or str(data / "dvc-remote"),
        mlflow=env("TOLLGATE_MLFLOW") or EMBEDDED,
        mlflow_artifacts=env("TOLLGATE_MLFLOW_ARTIFACTS") or str(data / "mlflow-artifacts"),
        optuna=env("TOLLGATE_OPTUNA") or EMBEDDED,
    )
