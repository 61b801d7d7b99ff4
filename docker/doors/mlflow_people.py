"""MLflow's three logins; run by init.sh before the server starts. Running it again changes nothing.

The administrator and the reader are people; ``tollgate`` is what the tasks log in as, the one that makes runs, models
and aliases. Names and passwords are those of .env, taken from the environment and kept as hashes: who rotates one
changes it there and runs init again.
"""

from __future__ import annotations

import os
import sys

from mlflow.server.auth.config import read_auth_config
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

SERVICE = "tollgate"
OURS = ("experiment", "registered_model")  # made by the service, and its own even where a reader made one first


def from_environment(name: str) -> str:
    """A variable's value. Ends the program when there is none, or it still is the one of .env.example."""
    value = os.environ.get(name, "")
    if value in ("", "replace-me"):
        sys.exit(f"MLflow's logins need {name}, and it is {value or 'not set'!r}: set it in .env.")
    return value


def main() -> None:
    """Make the logins what .env says."""
    logins = {from_environment("MLFLOW_ADMIN_NAME"): (from_environment("MLFLOW_ADMIN_PASSWORD"), True),
              from_environment("MLFLOW_READER_NAME"): (from_environment("MLFLOW_READER_PASSWORD"), False),
              SERVICE: (from_environment("MLFLOW_TRACKING_PASSWORD"), False)}
    if len(logins) < 3:
        sys.exit(f"MLFLOW_ADMIN_NAME and MLFLOW_READER_NAME must name two people, neither of them {SERVICE!r}. "
                 "Set them in .env.")
    store = SqlAlchemyStore()
    store.init_db(read_auth_config().database_uri)
    for name, (password, admin) in logins.items():
        if not store.has_user(name):
            store.create_user(name, password, is_admin=admin)
        elif not store.authenticate_user(name, password) or store.get_user(name).is_admin != admin:
            store.update_user(name, password=password, is_admin=admin)
    for kind in OURS:
        store.grant_user_permission(SERVICE, kind, "*", "MANAGE")
    print(f"MLflow knows the logins {', '.join(logins)}.")


if __name__ == "__main__":
    main()
