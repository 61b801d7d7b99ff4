"""Scoring one shard of a pinned run: champion, shadow, decisions and reason codes. No MLflow in sight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tollgate import registry
from tollgate.books import load_book
from tollgate.errors import BadInput
from tollgate.features import Model, make_features
from tollgate.scoring.pin import history_path, models_of, read_pin, read_rows, rows_path, write_rows
from tollgate.scoring.reasons import reason_codes

APPROVE, DECLINE, REFUSE = "approve", "decline", "refused"
SCHEMA = pa.schema([("loan_id", pa.string()), ("applied_on", pa.date32()), ("role", pa.string()),
                    ("score", pa.float64()), ("decision", pa.string()), ("reasons", pa.list_(pa.string()))])


def score_shard(run: str, shard: int) -> dict[str, Any]:
    """Score a shard's applications with the pinned models. The same pin gives the same bytes.

    Returns ``{"run", "shard", "rows"}``.

    Raises:
        BadInput: the run was not pinned, or has no such shard.
        Refused: a pinned model's artefact changed.
        PassingFault: the store did not answer.
    """
    record = read_pin(run)
    if not 0 <= shard < record["shards"]:
        raise BadInput(f"The run {run} has {record['shards']} shards, counted from 0", value=shard,
                       remedy="Take the shard numbers from the pin's answer.")
    rows = read_rows(rows_path(run, shard))
    book = load_book(record["book"])
    features = make_features(book, rows, {table.name: read_rows(history_path(run, shard, table.name))
                                          for table in book.histories})
    scored = [judge(Model.load(registry.fetch_to_score(record["book"], model.version)), rows, features,
                    role=role, reasons=record["reasons"] if role == "champion" else 0)
              for role, model in models_of(record).items()]
    write_rows(shard_path(run, shard), pa.concat_tables(scored))
    return {"run": run, "shard": shard, "rows": rows.num_rows}


def shard_path(run: str, shard: int) -> str:
    """Where a scored shard is kept until it is published."""
    return f"scoring/{run}/shard-{shard}.parquet"


def judge(model: Model, rows: pa.Table, features: pa.Table, *, role: str, reasons: int) -> pa.Table:
    """Score, decide and explain, row by row (``SCHEMA``).

    A row that cannot be scored is refused: its score is null, its decision ``refused``, and its reason says why.

    Args:
        features: raw features of ``rows``, in the same order.
        reasons: how many reason codes a declined row gets.
    """
    why = refusals(model, features)
    good = np.array([reason is None for reason in why], dtype=bool)
    score = np.full(rows.num_rows, np.nan)
    score[good] = model.predict_features(features.filter(pa.array(good)))
    for i in np.flatnonzero(good & ~((score >= 0) & (score <= 1))):
        why[i] = "the model's answer is no probability"
    refused = np.array([reason is not None for reason in why], dtype=bool)
    declined = ~refused & (score >= model.threshold)
    codes: list[list[str]] = [[] if reason is None else [reason] for reason in why]
    if reasons:
        explained = reason_codes(model, features.filter(pa.array(declined)), reasons)
        for i, found in zip(np.flatnonzero(declined), explained, strict=True):
            codes[i] = found
    return pa.table({
        "loan_id": rows["loan_id"], "applied_on": rows["applied_on"],
        "role": pa.array([role] * rows.num_rows, pa.string()), "score": pa.array(score, mask=refused),
        "decision": pa.array(np.where(refused, REFUSE, np.where(declined, DECLINE, APPROVE)), pa.string()),
        "reasons": pa.array(codes, pa.list_(pa.string())),
    }, schema=SCHEMA)


def refusals(model: Model, features: pa.Table) -> list[str | None]:
    """Why each row cannot be scored, None where it can.

    A feature that the book requires is missing, or all of them are; or a cell is infinite, for which XGBoost refuses a
    whole matrix.
    """
    required = [name for name in load_book(model.book).required if name in model.features]
    why: list[str | None] = [None] * features.num_rows
    for name in required:
        for i in np.flatnonzero(features[name].is_null().to_numpy()):
            why[i] = why[i] or f"{name} is missing"
    nothing = np.all([features[name].is_null().to_numpy() for name in model.features], axis=0)
    for i in np.flatnonzero(nothing):
        why[i] = why[i] or "every feature is missing"
    where, which = np.nonzero(np.isinf(model.encoder.encode(features)))
    for i, k in zip(where, which, strict=True):
        why[i] = why[i] or f"{model.features[k]} is too large for a 32-bit float"
    return why
