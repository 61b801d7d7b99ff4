"""What a version did in the champion's shadow, for whoever decides about it."""

from __future__ import annotations

from typing import Any

from tollgate import lake

SIDES = ("only_declines", "only_approves")
OF_NIGHT = ("population", "day", "attempt", "champion", "rows", "both", "agree", *SIDES, "psi", "rank_correlation",
            "fault")
MATURED = ("scored_as_of", "champion", "labelled", "defaults", "auc_champion", "auc_shadow", "difference", "low",
           "high", *SIDES, *(f"{side}_bad" for side in SIDES))


def shadow_record(book: str, version: str) -> dict[str, list[dict[str, Any]]]:
    """``{"nights": [...], "matured": [...]}``, newest first: how it agreed, and how it fared once labels matured.

    Rows of the lake's ``shadows`` and ``shadow_performance``; of a matured night, as it was judged last.

    Raises:
        PassingFault: the lake did not answer.
    """
    mine = [("model_version", "=", version)]
    agreed = lake.read(lake.shadows(book), columns=OF_NIGHT, filters=mine).to_pylist()
    judged = {row["scored_as_of"]: row
              for row in lake.read(lake.shadow_performance(book), columns=MATURED, filters=mine).to_pylist()}
    return {"nights": agreed[::-1],
            "matured": [{**row, "scored_as_of": day.isoformat()} for day, row in sorted(judged.items(), reverse=True)]}
