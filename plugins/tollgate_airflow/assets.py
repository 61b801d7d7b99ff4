"""The assets that tie a book's DAGs together, KIND/BOOK. Events of all but landing carry a partition key."""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher

from tollgate_airflow.triggers import LandingTrigger

# "BOOK|YYYY-MM" of every table that ingestion publishes: outcomes, of each that the book's target reads; histories, of
# every other that it knows no name for.
PUBLISHED = ("applications", "decisions", "histories", "outcomes")


def landing(book: str) -> Asset:
    """Where the book's files arrive, watched."""
    return Asset(f"landing/{book}", watchers=[AssetWatcher(name=f"files_of_{book}", trigger=LandingTrigger(book))])


def published(book: str) -> list[Asset]:
    """What ingestion changes."""
    return [Asset(f"{kind}/{book}") for kind in PUBLISHED]


def scores(book: str) -> Asset:
    """The published nights of new applications: "BOOK|YYYY-MM-DD"."""
    return Asset(f"scores/{book}")
