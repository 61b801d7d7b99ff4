"""What the gates take as given, made again before a model is registered: the loans, who judges, the metrics."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tollgate.books import Book
from tollgate.config import Params
from tollgate.errors import Refused
from tollgate.training.evaluate import metrics
from tollgate.training.snapshot import take_snapshot
from tollgate.training.split import assign


def check_loans(book: Book, params: Params, record: dict[str, Any], versions: dict[str, int], split: pa.Table) -> None:
    """Refuse loans that the lake does not give, and a split that is not by the parameters: each picks the judges.

    Args:
        record: the content of ``snapshot.json``. versions: as of ``take_snapshot``. split: ``run/split.parquet``.

    Raises:
        Refused: either is another. BadInput: the lake no longer shows what the run pinned.
    """
    taken = take_snapshot(book, params, record["lake"], versions)
    if record != taken.record:
        raise Refused("The snapshot of this run is not what the lake gives", value=str(record.get("digest"))[:12],
                      remedy="Run the stages again from the snapshot on, or find out who wrote the file.")
    if split != assign(book, params, taken.rows):
        raise Refused("The split of this run is not by its parameters", value="split.parquet",
                      remedy="Run the stages again from the split on, or find out who wrote the file.")


def check_metrics(told: dict[str, Any], rows: pa.Table, threshold: float, params: Params) -> None:
    """Refuse metrics that the evidence does not give: the ledger keeps them, and monitoring goes by them.

    Args:
        told: the content of ``metrics.json``. rows: the evidence, which the gates have made again. threshold: the
            model's.
    """
    found = metrics(rows, threshold, params)
    if other := sorted(name for name in told.keys() | found.keys() if repr(told.get(name)) != repr(found.get(name))):
        raise Refused("The metrics of this run are not what its evidence gives", value=", ".join(other),
                      remedy="Run the evaluate stage again, or find out who wrote metrics.json.")
