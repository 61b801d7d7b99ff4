"""Where things live, and by which key, clock and rule decisions are taken: the environment; no computation reads it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
EMBEDDED = "embedded"  # what lies under the data folder: a PostgreSQL, or the key that signs decisions
AS_OF = "as-of"  # the clock of a replay in which every decision is taken on the day that its model stands at


@dataclass(frozen=True)
class Settings:
    """Where everything lives. Every location is a URI or a local path; nothing is written outside them."""

    project: Path
    books: Path         # a user's own books
    data: Path          # local scratch and the embedded defaults
    landing: str        # where lenders' files arrive
    lake: str           # Delta tables
    ledger: str         # that of decisions, which others than who decides need only read
    store: str          # run records, shards in flight, reports
    dvc_remote: str     # DVC's content-addressed remote
    mlflow: str         # tracking and registry: a server, a database, or EMBEDDED
    mlflow_artifacts: str
    mlflow_ui: str      # where a browser finds MLflow's pages; empty: at `mlflow`, where that is a server
    optuna: str         # database of the sweeps' studies, or EMBEDDED
    ledger_key: str     # file of the private key that signs decisions, or EMBEDDED
    ledger_public_keys: str  # Base64 with commas between; empty: that of the private key
    ledger_anchor: str  # a second store, in which the head of each ledger is kept too; empty: none
    four_eyes: str      # on: whoever had a model trained may not approve it; or off
    trained_by: str     # who asked for the training that runs here; empty: the login
    trained_in: str     # the run of Airflow that trains here, DAG/RUN; empty: none
    today: str          # a replay's clock: the day that it is, or AS_OF; empty: the machine's

    @property
    def ledger_apart(self) -> bool:
        """Whether the ledger does not lie among the other tables."""
        return self.ledger != self.lake

    def locations(self) -> dict[str, str]:
        """Where what several machines share is kept, by the name of the setting."""
        apart = ("ledger",) if self.ledger_apart else ()
        return {name: getattr(self, name)
                for name in ("landing", "lake", *apart, "store", "dvc_remote", "mlflow_artifacts")}


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
        ledger=env("TOLLGATE_LEDGER") or env("TOLLGATE_LAKE") or str(data / "lake"),
        store=env("TOLLGATE_STORE") or str(data / "store"),
        dvc_remote=env("TOLLGATE_DVC_REMOTE") or str(data / "dvc-remote"),
        mlflow=env("TOLLGATE_MLFLOW") or EMBEDDED,
        mlflow_artifacts=env("TOLLGATE_MLFLOW_ARTIFACTS") or str(data / "mlflow-artifacts"),
        mlflow_ui=env("TOLLGATE_MLFLOW_UI") or "",
        optuna=env("TOLLGATE_OPTUNA") or EMBEDDED,
        ledger_key=env("TOLLGATE_LEDGER_KEY") or EMBEDDED,
        ledger_public_keys=env("TOLLGATE_LEDGER_PUBLIC_KEYS") or "",
        ledger_anchor=env("TOLLGATE_LEDGER_ANCHOR") or "",
        four_eyes=env("TOLLGATE_FOUR_EYES") or "off",
        trained_by=env("TOLLGATE_TRAINED_BY") or "",
        trained_in=env("TOLLGATE_TRAINED_IN") or "",
        today=env("TOLLGATE_TODAY") or "",
    )
