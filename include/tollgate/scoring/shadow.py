"""Other models beside the champion: they score the same pin, and cannot hold up the night."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake, nights, registry
from tollgate.books import LOAN
from tollgate.errors import BadInput, Refused
from tollgate.features import Model
from tollgate.nights import Pin, Pinned
from tollgate.scoring.publish import audit
from tollgate.scoring.shards import DECLINE, SCORED, judge_shard, stamp_of, stamped
from tollgate.stats.distributions import counts, frozen, psi

LOST = "its scores of this night are missing: the log of the task `shadow` says why"


def score_shadows(key: str) -> dict[str, Any]:
    """Score a pinned night with each of its shadows, into the lake's ``shadow_scores``; again changes nothing.

    Returns ``{"attempt", "shadows": [version], "rows"}``.

    Raises:
        BadInput: the attempt was not pinned.
        Refused: a shadow could not score; the others have.
        PassingFault: the lake, the store or MLflow did not answer.
    """
    pin = nights.read_pin(nights.attempt_of(key))
    faults = {}
    for shadow in pin.shadows:
        try:
            _score(pin, shadow)
        except (BadInput, Refused) as fault:
            faults[shadow.version] = str(fault)
        nights.write_fault(pin.attempt, shadow.version, faults.get(shadow.version))
    if faults:
        version, why = next(iter(faults.items()))
        more = f" So could not {', '.join(list(faults)[1:])}." if len(faults) > 1 else ""
        raise Refused(f"Version {version} could not score the night in the champion's shadow: {why}{more}", value=key,
                      remedy="The night itself is not touched by it. A challenger that cannot score is rejected or "
                             "trained anew.")
    return {"attempt": key, "shadows": [shadow.version for shadow in pin.shadows], "rows": pin.rows}


def _score(pin: Pin, shadow: Pinned) -> None:
    model = Model.load(registry.fetch_to_score(pin.attempt.book, shadow.version))
    table = lake.shadow_scores(pin.attempt.book)
    scored = pa.concat_tables([judge_shard(model, pin, k, reasons=0)[1] for k in range(pin.shards)])
    mine = {**stamp_of(pin), "model_version": shadow.version, "snapshot_version": shadow.snapshot, "run_id": pin.run}
    lake.change_partitions(table, [pin.attempt.day.isoformat()],
                           lambda there: _beside(there, mine, stamped(scored, mine, table.schema)))


def compare_shadows(key: str) -> dict[str, Any]:
    """How each shadow of a scored night agrees with its champion, into the lake's ``shadows``.

    A shadow that could not score stands there with its ``fault``.

    Returns ``{"attempt", "book", "as_of", "champion", "shadows": [row of the table]}``.

    Raises:
        BadInput: the attempt was not pinned, or a shard of it is not scored.
        PassingFault: the lake or the store did not answer.
    """
    attempt = nights.attempt_of(key)
    pin = nights.read_pin(attempt)
    champion = pa.concat_tables([nights.read_scored(pin, k) for k in range(pin.shards)])
    found = [{**stamp_of(pin), "champion": pin.champion.version, "model_version": shadow.version,
              **_agreement(pin, champion, shadow)} for shadow in pin.shadows]
    table = lake.shadows(attempt.book)
    lake.change_partitions(table, [attempt.day.isoformat()], lambda there: _beside(
        there, stamp_of(pin), pa.Table.from_pylist(found, table.schema)))
    return {"attempt": key, "book": attempt.book, "as_of": attempt.day.isoformat(), "champion": pin.champion.version,
            "shadows": [{**row, "as_of": row["as_of"].isoformat()} for row in found]}


def agreement(champion: pa.Table, shadow: pa.Table) -> dict[str, Any]:
    """Of the rows that both scored, in the same order: decisions alike and not, and how far the scores lie apart.

    Returns the columns ``both`` to ``rank_correlation`` of the lake's ``shadows``. The bins of the PSI are quantiles of
    the champion's scores; it and the correlation are None where nothing can be said.
    """
    declines, says = (np.asarray(pc.equal(side["decision"], DECLINE)) for side in (champion, shadow))
    before, now = (side["score"].to_numpy() for side in (champion, shadow))
    found: dict[str, Any] = {
        "both": len(before), "agree": int(np.sum(declines == says)), "only_declines": int(np.sum(says & ~declines)),
        "only_approves": int(np.sum(declines & ~says)), "psi": None, "rank_correlation": None}
    if len(before):
        entry = frozen("number", before)
        found["psi"] = psi(np.asarray(entry["counts"]), counts(entry, now).bins)
    if len(np.unique(before)) > 1 and len(np.unique(now)) > 1:
        from scipy.stats import spearmanr

        found["rank_correlation"] = float(spearmanr(before, now).statistic)
    return found


def _agreement(pin: Pin, champion: pa.Table, of: Pinned) -> dict[str, Any]:
    told, fault = nights.read_fault(pin.attempt, of.version)
    if not told or fault:
        return {"rows": champion.num_rows, "fault": fault or LOST}
    shadow = _scores_of(pin, of)
    audit(champion[LOAN], shadow[LOAN])
    shadow = shadow.take(pc.index_in(champion[LOAN], value_set=shadow[LOAN].combine_chunks()))
    both = pc.and_(pc.equal(champion["status"], SCORED), pc.equal(shadow["status"], SCORED))
    return {"rows": champion.num_rows, "fault": None, **agreement(champion.filter(both), shadow.filter(both))}


def _scores_of(pin: Pin, shadow: Pinned) -> pa.Table:
    return lake.read(lake.shadow_scores(pin.attempt.book), filters=[
        ("day", "=", pin.attempt.day.isoformat()), ("population", "=", pin.attempt.population),
        ("attempt", "=", pin.attempt.number), ("model_version", "=", shadow.version)])


def _beside(there: pa.Table, mine: dict[str, Any], rows: pa.Table) -> pa.Table:
    """The rows that are there, ``rows`` in the place of those that carry the same ``mine``."""
    same = np.ones(there.num_rows, dtype=bool)
    for name in ("population", "attempt", "model_version"):
        if name in mine:
            same &= np.asarray(pc.equal(there[name], mine[name]).to_numpy(zero_copy_only=False), dtype=bool)
    return pa.concat_tables([there.filter(pa.array(~same)), rows.cast(there.schema)])
