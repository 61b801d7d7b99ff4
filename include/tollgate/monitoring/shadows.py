"""How a shadow would have fared: it and the champion on the same loans, once these have matured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate import lake, nights
from tollgate.monitoring.window import is_declined, scored_only
from tollgate.stats.ranking import paired

FEWEST = 2
Row = dict[str, Any]


def matured_shadows(book: str, scores: pa.Table, bad: np.ndarray, confidence: float) -> list[Row]:
    """Every shadow of a night beside its champion: the measured columns of the lake's ``shadow_performance``.

    Args:
        scores: rows of ``scores`` of one night whose labels are good or bad. bad: which are bad, bool.

    The AUCs are compared by DeLong's paired interval, two-sided at ``confidence``; they are None where of one class
    there are not two loans, of which no variance can be told.

    Raises:
        PassingFault: the lake did not answer.
    """
    if not scores.num_rows:
        return []
    first = scores.slice(0, 1).to_pylist()[0]
    beside = scored_only(lake.read(lake.shadow_scores(book), filters=[
        ("day", "=", first["as_of"].isoformat()), ("population", "=", nights.NEW), ("attempt", "=", first["attempt"])]))
    found = []
    for version in sorted(beside["model_version"].unique().to_pylist(), key=int):
        shadow = beside.filter(pc.equal(beside["model_version"], version))
        place = pc.index_in(scores["loan_id"], value_set=shadow["loan_id"].combine_chunks())
        both = place.is_valid().to_numpy()
        theirs = shadow.take(place.drop_null())
        found.append({"scored_as_of": first["as_of"], "champion": first["model_version"], "model_version": version,
                      **_compared(scores.filter(pa.array(both)), theirs, bad[both], confidence)})
    return found


def _compared(champion: pa.Table, shadow: pa.Table, bad: np.ndarray, confidence: float) -> Row:
    mine, theirs = is_declined(champion), is_declined(shadow)
    alone, spared = theirs & ~mine, mine & ~theirs
    row: Row = {"labelled": len(bad), "defaults": int(bad.sum()), "auc_champion": None, "auc_shadow": None,
                "difference": None, "low": None, "high": None, "only_declines": int(alone.sum()),
                "only_declines_bad": int(bad[alone].sum()), "only_approves": int(spared.sum()),
                "only_approves_bad": int(bad[spared].sum())}
    if min(bad.sum(), (~bad).sum()) >= FEWEST:
        (row["auc_shadow"], row["auc_champion"]), row["difference"], (row["low"], row["high"]) = paired(
            bad, shadow["score"].to_numpy(), champion["score"].to_numpy(), (1 + confidence) / 2)
    return row
