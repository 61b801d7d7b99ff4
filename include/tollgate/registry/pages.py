"""Where a person finds a version in MLflow's own pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from tollgate.config import settings
from tollgate.registry.tracking import name_of


def mlflow_pages(book: str, version: str, run_id: str) -> dict[str, str]:
    """The address of a version's page and of its run's, by what is there; empty where no browser finds MLflow.

    That is ``TOLLGATE_MLFLOW_UI``, else ``TOLLGATE_MLFLOW`` where it is a server; a login in it is left out.
    """
    here = settings()
    where = urlsplit(here.mlflow_ui or here.mlflow)
    if where.scheme not in ("http", "https"):
        return {}
    root = f"{where.scheme}://{where.netloc.rpartition('@')[2]}{where.path.rstrip('/')}/#"
    return {"version": f"{root}/models/{name_of(book)}/versions/{version}", "run": f"{root}/runs/{run_id}"}
