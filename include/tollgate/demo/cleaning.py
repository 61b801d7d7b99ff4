"""Taking a demo away again: what it made, and nothing else.

A demo lives where everything lives that has no place of its own. It notes which books it began, so that a lender's own
book beside them, its models and its decisions outlast it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tollgate import lake, registry, services
from tollgate.config import settings
from tollgate.demo import stack

RECORD = "made.json"
# What Tollgate makes in the data folder, but for what was fetched and a cluster; anything else is somebody's own.
MADE = ("airflow", "demo", "dvc-cache", "dvc-remote", "dvc-state", "keys", "lake", "landing", "mlflow-artifacts",
        "models", "postgres", "reproduced", "store", "workspaces")
PLACES = ("lake", "landing")  # in which a folder is a book


def begin(book: str) -> None:
    """Note that a demo works on this book, and whether the book was there before it."""
    made, here = _made(), settings()
    if book not in made:
        made[book] = not any(lake.Store(place).list(book) for place in (here.lake, here.landing))
    lake.Store(str(stack.home())).write_json(RECORD, made)


def clean() -> dict[str, Any]:
    """Stop, then remove what demos made. Where another book lives beside theirs, what they share with it stays.

    So does all but the demo's own services where a location lies elsewhere: who else works there is not known here.

    Returns ``{"stopped": [service], "removed": [path below the data folder], "kept_for": [book that no demo began, or
    location elsewhere]}``.
    """
    here, recorded = settings(), (stack.home() / RECORD).exists()
    data, elsewhere = here.data, [place for place in here.locations().values() if Path(place).parent != here.data]
    mine = [book for book, began in _made().items() if began and not elsewhere]
    others = sorted({path.name for place in PLACES for path in (data / place).glob("[!._]*")} - set(mine)) + elsewhere
    alone = recorded and not others
    stopped = services.stop(stack.home())
    if not alone and (recorded or (data / "airflow").exists()):
        _forget(mine)
    stopped += services.stop_embedded()
    doomed = [path for path in ((data / name for name in MADE) if alone else (
        data / "demo", data / "airflow", *(found for book in mine for found in _of(data, book)))) if path.exists()]
    for path in sorted(doomed):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return {"stopped": stopped, "removed": sorted(str(path.relative_to(data)) for path in doomed), "kept_for": others}


def _made() -> dict[str, bool]:
    """The books that demos worked on, and whether a demo began each."""
    store = lake.Store(str(stack.home()))
    made: dict[str, bool] = store.read_json(RECORD) if store.exists(RECORD) else {}
    return made


def _of(data: Path, book: str) -> list[Path]:
    """What is a book's alone: its tables, its files, its reports, nights, runs, and the head of its ledger."""
    runs = [path.parents[1].name for path in (data / "store" / "workspaces").glob("*/run/params.yaml")
            if f"book: {book}" in path.read_text(encoding="utf-8").splitlines()]
    return [*(data / place / book for place in PLACES),
            *(path for path in (data / "store").glob("*/*") if path.name in (book, f"{book}.json")),
            *(data / place / run for run in runs for place in ("store/workspaces", "workspaces"))]


def _forget(books: list[str]) -> None:
    """In databases that others use too: the books' models, and what the demo's Airflow remembers."""
    if not (settings().data / "postgres" / "data").exists():
        return
    for book in books:
        registry.forget(book)
    services.empty_database("airflow")
