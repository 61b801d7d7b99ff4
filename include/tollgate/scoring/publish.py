"""Publishing a scored night: count, then replace its partition in one commit."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake
from tollgate.config import settings
from tollgate.errors import BadInput, Refused
from tollgate.scoring.pin import models_of, read_pin, read_rows, rows_path
from tollgate.scoring.shards import REFUSE, shard_path


def publish(run: str) -> dict[str, Any]:
    """Audit a run's shards against its population and publish them whole; doing it again changes nothing.

    A row that could not be scored is published too, with decision ``refused`` and its reason, so that every
    application of the night is accounted for in the table itself.

    Returns ``{"book", "as_of", "population", "scored", "refused", "partition", "version", "champion"}``: counts are
    the champion's, ``partition`` is the day, ``version`` that of the Delta table.

    Raises:
        BadInput: the run was not pinned, or a shard is missing.
        Refused: the loans scored are not exactly the loans pinned.
        PassingFault: the lake or the store did not answer.
    """
    record = read_pin(run)
    rows = _shards(run, record["shards"])
    population = pa.concat_tables([read_rows(rows_path(run, k)).select(["loan_id"]) for k in range(record["shards"])])
    models = models_of(record)
    for role in models:
        audit(role, population["loan_id"], rows.filter(pc.equal(rows["role"], role))["loan_id"])
    as_of = date.fromisoformat(record["as_of"])
    whole = pa.concat_tables([
        _stamped(rows.filter(pc.equal(rows["role"], role)), day=record["as_of"], as_of=as_of, run_id=run,
                 model_version=model.version, snapshot_version=model.snapshot) for role, model in models.items()])
    table = lake.scores(record["book"])
    version = lake.replace_partitions(table, whole.select(table.schema.names), [record["as_of"]])
    refused = int(pc.sum(pc.and_(pc.equal(rows["role"], "champion"), pc.equal(rows["decision"], REFUSE))).as_py() or 0)
    return {"book": record["book"], "as_of": record["as_of"], "population": population.num_rows,
            "scored": population.num_rows - refused, "refused": refused, "partition": record["as_of"],
            "version": version, "champion": models["champion"].version}


def audit(role: str, population: pa.ChunkedArray, scored: pa.ChunkedArray) -> None:
    """Raise ``Refused`` unless every loan of the population stands in the scores exactly once, and no other."""
    wanted, found = set(population.to_pylist()), set(scored.to_pylist())
    wrong = {"missing": wanted - found, "not pinned": found - wanted}
    for what, loans in wrong.items():
        if loans:
            raise Refused(f"{len(loans)} loan(s) are {what} in the {role} scores", value=", ".join(sorted(loans)[:5]),
                          remedy="Score the shards again; the partition stays as it was.")
    if len(scored) != len(found):
        raise Refused(f"{len(scored) - len(found)} loan(s) stand twice in the {role} scores", value=role,
                      remedy="Score the shards again; the partition stays as it was.")


def _shards(run: str, shards: int) -> pa.Table:
    store = lake.Store(settings().store)
    missing = [k for k in range(shards) if not store.exists(shard_path(run, k))]
    if missing:
        raise BadInput(f"The run {run} cannot be published: shards are missing", value=missing,
                       remedy="Run tollgate score shard for each of them first.")
    return pa.concat_tables([read_rows(shard_path(run, k)) for k in range(shards)])


def _stamped(rows: pa.Table, **stamp: Any) -> pa.Table:
    """``rows`` with the same value of each stamp on every row."""
    for name, value in stamp.items():
        rows = rows.append_column(name, pa.array([value] * rows.num_rows))
    return rows
