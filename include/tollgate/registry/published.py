"""What the gates said of a version, as the store has it for the Model Board: neither MLflow nor a gate is asked."""

from __future__ import annotations

from tollgate import lake
from tollgate.config import settings


def published_gates(book: str, version: str) -> list[dict[str, str]]:
    """What ``publish_gates`` put there of a version; nothing where it did not yet.

    Raises:
        PassingFault: the store did not answer.
    """
    store, path = lake.Store(settings().store), path_of(book, version)
    found: list[dict[str, str]] = store.read_json(path) if store.exists(path) else []
    return found


def path_of(book: str, version: str) -> str:
    """Where it is in the store."""
    return f"gates/{book}/{version}.json"
