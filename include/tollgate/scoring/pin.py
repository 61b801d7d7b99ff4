"""Fixing a scoring run before it starts: which models, which rows, in which shard.

The pin and the rows of each shard are written down, so that a promotion, an ingestion or a retry in mid-run changes
nothing.
"""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake, registry
from tollgate.books import Book
from tollgate.clock import months_before
from tollgate.config import Params, settings
from tollgate.errors import BadInput, Refused
from tollgate.features import histories_of, with_histories

PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]*")


@dataclass(frozen=True)
class Pinned:
    """One model of a run."""

    version: str
    digest: str
    snapshot: str


def pin(book: Book, as_of: date, run_id: str, params: Params) -> dict[str, Any]:
    """Fix the champion of the date, the present challenger as its shadow, and the applications to score.

    The population is every application of the ``scoring.window_months`` before ``as_of``. Doing it again for the same
    run answers what was pinned the first time.

    Args:
        run_id: a plain folder name, unique to the run.

    Returns:
        ``{"run", "book", "as_of", "champion", "challenger", "rows", "shards": [{"shard", "name"}]}``; the models are
        version numbers, ``challenger`` null when there is none.

    Raises:
        BadInput: no champion was in force on that date, no application in the window, or the run id is taken or no
            folder name.
        Refused: a loan stands twice in the window, or a model's artefact changed.
        PassingFault: the lake, the store or MLflow did not answer.
    """
    if not PLAIN.fullmatch(run_id):
        raise BadInput("A run id must be a plain folder name", value=run_id,
                       remedy="Use letters, digits, and any of _ . + = -")
    store = lake.Store(settings().store)
    if store.exists(_pin_path(run_id)):
        return _answer(_same(store.read_json(_pin_path(run_id)), book, as_of))
    champion = registry.champion_on(book.name, as_of)
    if champion is None:
        raise _no_champion(book, as_of)
    shadow = registry.challenger(book.name)
    models = {role: _fetched(model) for role, model in (("champion", champion), ("challenger", shadow)) if model}
    table, version = lake.applications(book), lake.version(lake.applications(book))
    rows = lake.view(table, as_of=as_of,
                     filters=[("applied_on", ">=", months_before(as_of, params.scoring.window_months))])
    _check(book, as_of, params, rows)
    rows, histories = with_histories(book, rows, as_of)
    shards = params.scoring.shards
    belongs = pa.array([shard_of(loan, shards) for loan in rows["loan_id"].to_pylist()])
    for k in range(shards):
        mine = rows.filter(pc.equal(belongs, k))
        write_rows(rows_path(run_id, k), mine)
        for name, past in histories_of(book, mine, histories).items():
            write_rows(history_path(run_id, k, name), past)
    record = {"run": run_id, "book": book.name, "as_of": as_of.isoformat(), "rows": rows.num_rows, "shards": shards,
              "reasons": params.scoring.reasons, "lake_version": version, "rows_digest": lake.digest(rows),
              "models": {role: vars(model) for role, model in models.items()}}
    store.write_json(_pin_path(run_id), record)
    return _answer(record)


def shard_of(loan_id: str, shards: int) -> int:
    """The shard that a loan belongs to, whatever else is scored with it."""
    return zlib.crc32(loan_id.encode()) % shards


def read_pin(run_id: str) -> dict[str, Any]:
    """What was pinned for a run. Raises ``BadInput`` when nothing was."""
    store = lake.Store(settings().store)
    if not PLAIN.fullmatch(run_id) or not store.exists(_pin_path(run_id)):
        raise BadInput("Nothing was pinned for this run", value=run_id, remedy="Run tollgate score pin first.")
    return dict(store.read_json(_pin_path(run_id)))


def models_of(record: dict[str, Any]) -> dict[str, Pinned]:
    """The pinned models by role, the champion first."""
    return {role: Pinned(**record["models"][role]) for role in ("champion", "challenger") if role in record["models"]}


def rows_path(run_id: str, shard: int) -> str:
    """Where a shard's applications are kept."""
    return f"scoring/{run_id}/rows-{shard}.parquet"


def history_path(run_id: str, shard: int, table: str) -> str:
    """Where the history of a shard's applications is kept."""
    return f"scoring/{run_id}/history-{table}-{shard}.parquet"


def write_rows(path: str, rows: pa.Table) -> None:
    """Write a table to the store, whole."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    lake.Store(settings().store).write(path, buffer.getvalue())


def read_rows(path: str) -> pa.Table:
    """A table of the store. Raises ``BadInput`` when it is not there."""
    import pyarrow.parquet as pq

    return pq.read_table(io.BytesIO(lake.Store(settings().store).read(path)))


def _pin_path(run_id: str) -> str:
    return f"scoring/{run_id}/pin.json"


def _fetched(model: registry.Version) -> Pinned:
    registry.fetch_to_score(model.book, model.version)
    return Pinned(model.version, model.digest, model.snapshot)


def _same(record: dict[str, Any], book: Book, as_of: date) -> dict[str, Any]:
    if (record["book"], record["as_of"]) != (book.name, as_of.isoformat()):
        raise BadInput(f"The run {record['run']} was pinned for {record['book']} as of {record['as_of']}",
                       value=f"{book.name} as of {as_of}", remedy="Use another run id.")
    return record


def _no_champion(book: Book, as_of: date) -> BadInput:
    since = registry.champions_since(book.name)
    if since is None:
        return BadInput(f"{book.name} had no champion yet on this date", value=as_of,
                        remedy="Train and approve one, with an as-of on this date or before.")
    return BadInput(f"No champion of {book.name} was in force yet on this date: the first is, from {since} on",
                    value=as_of, remedy="A model scores from the day of its approval on. To replay the past as if each "
                                        "had been approved on its as-of, approve with TOLLGATE_TODAY=as-of.")


def _check(book: Book, as_of: date, params: Params, rows: pa.Table) -> None:
    if rows.num_rows == 0:
        months = params.scoring.window_months
        raise BadInput(f"{book.name} has no application in the {months} month(s) before this date", value=as_of,
                       remedy="Land and ingest that month first.")
    counts = rows["loan_id"].value_counts().to_pylist()
    doubled = sorted(c["values"] for c in counts if c["counts"] > 1)
    if doubled:
        raise Refused(f"{len(doubled)} loan(s) of {book.name} stand twice among the applications to score",
                      value=", ".join(doubled[:5]), remedy="Correct the applications in the lake first.")


def _answer(record: dict[str, Any]) -> dict[str, Any]:
    models = models_of(record)
    return {"run": record["run"], "book": record["book"], "as_of": record["as_of"],
            "champion": models["champion"].version,
            "challenger": models["challenger"].version if "challenger" in models else None, "rows": record["rows"],
            "shards": [{"shard": k, "name": f"shard {k}"} for k in range(record["shards"])]}
