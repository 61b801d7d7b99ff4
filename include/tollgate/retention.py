"""Tidying up: deleting what was kept for long enough, and putting small files together."""

from __future__ import annotations

import time
from typing import Any

from tollgate import lake, nights
from tollgate.books import Book
from tollgate.config import load_retention
from tollgate.versioning import tidy_workspaces

# Tables that are added to night after night and file after file.
COMPACTED = (lake.scores, lake.shadow_scores, lake.superseded, lake.nights, lake.shadows, lake.shadow_performance,
             lake.measures, lake.feeds, lake.events, lake.incidents, lake.told, lake.alerts, lake.verdicts,
             lake.received, lake.checks, lake.deliveries)


def tidy(book: Book, dry_run: bool = False) -> dict[str, Any]:
    """Delete by the ``retention`` of params.yaml what nights and workspaces have kept, and compact the book's tables.

    Published scores, models, the ledger and every version of a row that a lender sent stay.

    Args:
        dry_run: tell, and touch nothing.

    Returns ``{"book", "dry_run", "nights": [attempt], "workspaces": [run, of any book], "strays": [file of
    ``scores`` that no commit names], "files_fewer": {table: number}}``.

    Raises:
        BadInput: the retention in params.yaml is wrong.
        PassingFault: the lake or the store did not answer.
    """
    kept, now = load_retention(), time.time()
    tables = [*(of(book.name) for of in COMPACTED), *(lake.published(book, table.name) for table in book.tables)]
    fewer = {} if dry_run else {table.name: lake.compact(table) for table in tables}
    return {"book": book.name, "dry_run": dry_run,
            "nights": nights.tidy_nights(book.name, now, kept.night_days, kept.attempt_days, dry_run),
            "workspaces": tidy_workspaces(now, kept.workspace_days, dry_run),
            "strays": lake.delete_strays(lake.scores(book.name), now, dry_run),
            "files_fewer": {name: number for name, number in fewer.items() if number}}
