"""Scoring one shard of a pinned night: scores, decisions and reason codes. No MLflow in sight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tollgate import nights, registry
from tollgate.books import load_book
from tollgate.features import Model, make_features, standing_at
from tollgate.nights import Pin
from tollgate.scoring.reasons import reason_codes

APPROVE, DECLINE, REFUSED, SCORED = "approve", "decline", "refused", "scored"
SCHEMA = pa.schema([("loan_id", pa.string()), ("applied_on", pa.date32()), ("status", pa.string()),
                    ("refusal", pa.string()), ("score", pa.float64()), ("decision", pa.string()),
                    ("reasons", pa.list_(pa.string()))])


def score_shard(key: str, shard: int) -> dict[str, Any]:
    """Score a shard's applications with the pinned champion. The same pin gives the same bytes.

    Returns ``{"attempt", "shard", "rows"}``.

    Raises:
        BadInput: the attempt was not pinned, or has no such shard.
        Refused: a pinned file or the champion's artefact changed.
        PassingFault: the store did not answer.
    """
    pin = nights.read_pin(nights.attempt_of(key))
    rows, features = make_shard(pin, shard)
    model = Model.load(registry.fetch_to_score(pin.attempt.book, pin.champion.version))
    scores = judge(model, rows, features, reasons=pin.params["scoring"]["reasons"])
    nights.write_scored(pin.attempt, shard, features, scores)
    return {"attempt": key, "shard": shard, "rows": rows.num_rows}


def make_shard(pin: Pin, shard: int) -> tuple[pa.Table, pa.Table]:
    """A shard's applications as they were pinned, and their raw features. Raises as ``score_shard``."""
    rows = nights.read_population(pin, shard)
    return rows, features_of(pin, shard, rows)


def features_of(pin: Pin, shard: int, rows: pa.Table) -> pa.Table:
    """The raw features of a shard's pinned ``rows``: of new applications as asked for, else as of the night."""
    book = load_book(pin.attempt.book)
    asked = rows if pin.attempt.population == nights.NEW else standing_at(rows, pin.attempt.day)
    return make_features(book, asked, nights.read_histories(pin, shard, [one.name for one in book.histories]))


def judge(model: Model, rows: pa.Table, features: pa.Table, *, reasons: int) -> pa.Table:
    """Score, decide and explain, row by row (``SCHEMA``).

    A row that cannot be scored is ``refused`` by a rule that it names: it has no score and no decision.

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
    codes = _codes(model, features, declined, reasons)
    return pa.table({
        "loan_id": rows["loan_id"], "applied_on": rows["applied_on"],
        "status": pa.array(np.where(refused, REFUSED, SCORED), pa.string()), "refusal": pa.array(why, pa.string()),
        "score": pa.array(score, mask=refused),
        "decision": pa.array(np.where(declined, DECLINE, APPROVE), pa.string(), mask=refused),
        "reasons": codes,
    }, schema=SCHEMA)


def _codes(model: Model, features: pa.Table, declined: np.ndarray, most: int) -> pa.ListArray:
    """Up to so many reason codes of the declined rows, none of any other."""
    many = np.zeros(features.num_rows + 1, np.int32)
    found = pa.array([], pa.string())
    if most and declined.any():
        given = reason_codes(model, features.filter(pa.array(declined)), most)
        many[1:][declined], found = given.value_lengths().to_numpy(), given.flatten()
    return pa.ListArray.from_arrays(pa.array(np.cumsum(many, dtype=np.int32)), found)


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
