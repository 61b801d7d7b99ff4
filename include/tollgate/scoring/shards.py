"""Scoring one shard of a pinned night: scores, decisions and reason codes. No MLflow in sight."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake, nights, registry
from tollgate.books import load_book
from tollgate.features import Model, fits_32_bits, make_features, standing_at
from tollgate.nights import Pin
from tollgate.scoring.reasons import reason_codes

APPROVE, DECLINE, REFUSED, SCORED = "approve", "decline", "refused", "scored"
PIECE_ROWS = 2**15  # what one core works on at a time
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
    model = _loaded(registry.fetch_to_score(pin.attempt.book, pin.champion.version), pin.champion.digest)
    features, scores = judge_shard(model, pin, shard, reasons=pin.params["scoring"]["reasons"])
    nights.write_scored(pin.attempt, shard, features, as_published(pin, scores))
    return {"attempt": key, "shard": shard, "rows": scores.num_rows}


@lru_cache(maxsize=1)
def _loaded(folder: Path, digest: str) -> Model:
    """A model is loaded once a process, and the tables that its reasons are read from are made once."""
    return Model.load(folder)


def judge_shard(model: Model, pin: Pin, shard: int, *, reasons: int) -> tuple[pa.Table, pa.Table]:
    """The raw features of a shard's applications, and what ``judge`` says of them. Raises as ``score_shard``.

    Every core has a piece of the shard at a time. What is made of a row depends on that row alone, so that neither the
    pieces nor their number change a bit of it.
    """
    book, rows = load_book(pin.attempt.book), nights.read_population(pin, shard)
    histories = nights.read_histories(pin, shard, [one.name for one in book.histories])

    def judged(start: int) -> tuple[pa.Table, pa.Table]:
        piece = rows.slice(start, PIECE_ROWS)
        features = make_features(book, as_scored(pin, piece), histories)
        return features, judge(model, piece, features, reasons=reasons)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as cores:
        pieces = list(cores.map(judged, range(0, max(rows.num_rows, 1), PIECE_ROWS)))
    return pa.concat_tables([piece[0] for piece in pieces]), pa.concat_tables([piece[1] for piece in pieces])


def as_published(pin: Pin, scores: pa.Table) -> pa.Table:
    """The champion's scores in the columns that files of the lake's ``scores`` have."""
    made_by = {"model_version": pin.champion.version, "snapshot_version": pin.champion.snapshot, "run_id": pin.run}
    return stamped(scores, stamp_of(pin) | made_by, lake.scores(pin.attempt.book).in_files)


def stamp_of(pin: Pin) -> dict[str, Any]:
    """What every row of an attempt has of its night."""
    attempt = pin.attempt
    return {"day": attempt.day.isoformat(), "as_of": attempt.day, "population": attempt.population,
            "attempt": attempt.number}


def stamped(rows: pa.Table, stamp: dict[str, Any], schema: pa.Schema) -> pa.Table:
    """``rows`` in a schema, with the same value of each stamp on every row."""
    return pa.table([rows[field.name].cast(field.type) if field.name not in stamp
                     else pa.repeat(pa.scalar(stamp[field.name], field.type), rows.num_rows) for field in schema],
                    schema=schema)


def as_scored(pin: Pin, rows: pa.Table) -> pa.Table:
    """Pinned rows as features are made of them: of new applications as they were asked for, else as of the night."""
    return rows if pin.attempt.population == nights.NEW else standing_at(rows, pin.attempt.day)


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
    score[good] = model.predict_features(features if good.all() else features.filter(pa.array(good)))
    for i in np.flatnonzero(good & ~((score >= 0) & (score <= 1))):
        why[i], good[i] = "the model's answer is no probability", False
    refused = ~good
    declined = ~refused & (score >= model.threshold)
    return pa.table({
        "loan_id": rows["loan_id"], "applied_on": rows["applied_on"],
        "status": pc.if_else(pa.array(refused), REFUSED, SCORED), "refusal": pa.array(why, pa.string()),
        "score": pa.array(score, mask=refused),
        "decision": pc.if_else(pa.array(declined, mask=refused), DECLINE, APPROVE),
        "reasons": _codes(model, features, declined, reasons),
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
    for name in (name for name in required if features[name].null_count):
        for i in np.flatnonzero(features[name].is_null().to_numpy()):
            why[i] = why[i] or f"{name} is missing"
    if all(features[name].null_count for name in model.features):
        nothing = np.all([features[name].is_null().to_numpy() for name in model.features], axis=0)
        for i in np.flatnonzero(nothing):
            why[i] = why[i] or "every feature is missing"
    if not all(fits_32_bits(features[name]) for name in model.features):
        where, which = np.nonzero(np.isinf(model.encoder.encode(features)))
        for i, k in zip(where, which, strict=True):
            why[i] = why[i] or f"{model.features[k]} is too large for a 32-bit float"
    return why
