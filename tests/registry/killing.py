"""A decision in a process of its own that is killed before one of its writes."""

from __future__ import annotations

import os
from collections.abc import Mapping

import mlflow
from tests.processes import die_before, move_to

from tollgate import lake, registry
from tollgate.lake import Store

BOOK = "consumer"
# Every call that changes anything: the ledger's line, the anchor of its last digest, and MLflow's aliases.
WRITES = ((lake, "append_next"), (Store, "write_json"), (mlflow.MlflowClient, "set_registered_model_alias"),
          (mlflow.MlflowClient, "delete_registered_model_alias"))


def decide(decision: str, version: registry.Version) -> str:
    """Promote, reject or roll back; the champion's version afterwards."""
    if decision == "promote":
        return str(registry.promote(BOOK, version.version, version.digest, by="ann")["champion"])
    if decision == "reject":
        return str(registry.reject(BOOK, version.version, by="ann")["champion"])
    return str(registry.rollback(BOOK, version.version, by="eve", reason="worse")["champion"])


def decide_and_die(where: Mapping[str, str], decision: str, version: registry.Version, nth: int) -> None:
    """Decide, and be killed before the ``nth`` write, which is as well after the one before it."""
    move_to(where)
    die_before(WRITES, nth)
    decide(decision, version)
    os._exit(0)  # Arrow's threads may abort an ordinary exit
