"""How published decisions fared: power and error of matured cohorts, decline rates of tonight's."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.stats.intervals import normal_quantile
from tollgate.stats.ranking import placements, places

Row = dict[str, Any]


def matured(label: np.ndarray, score: np.ndarray, declined: np.ndarray) -> Row:
    """``defaults``, ``auc``, ``ks`` and ``false_negative_rate`` (defaults approved / defaults) of a matured cohort.

    Args:
        label: 1 = defaulted within the horizon. score: P(default). declined: the decision, bool.

    What one class alone cannot tell is None.
    """
    defaults = int(label.sum())
    row: Row = {"defaults": defaults, "auc": None, "ks": None,
                "false_negative_rate": float(np.mean(~declined[label == 1])) if defaults else None}
    if 0 < defaults < len(label):
        bad, place = label == 1, places(score)
        from_above = [np.bincount(place[kind], minlength=int(place.max()) + 1)[::-1].cumsum() / kind.sum()
                      for kind in (bad, ~bad)]
        row["auc"] = float(placements(bad, place)[0].mean())
        row["ks"] = float(np.max(from_above[0] - from_above[1]))
    return row


def auc_error(auc: float, defaults: int, paid: int) -> float:
    """Standard error of an AUC (Hanley and McNeil, Radiology 143, 1982, equation 1)."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (defaults - 1) * (q1 - auc**2) + (paid - 1) * (q2 - auc**2)
    return float(np.sqrt(max(variance, 0.0) / (defaults * paid)))


def decline_rates(declined: np.ndarray, groups: pa.Table) -> list[Row]:
    """Rows and decline rate of every protected group: ``attribute``, ``group``, ``rows``, ``decline_rate``.

    Args:
        declined: the decisions, bool. groups: one text column a protected attribute; null is no group.
    """
    rates = []
    for attribute in groups.column_names:
        for group in sorted(groups[attribute].drop_null().unique().to_pylist()):
            of_group = pc.fill_null(pc.equal(groups[attribute], group), False).to_numpy()
            rates.append({"attribute": attribute, "group": group, "rows": int(of_group.sum()),
                          "decline_rate": float(declined[of_group].mean())})
    return rates


def parity_gap(rates: list[Row], group_min: int, confidence: float) -> tuple[float | None, float | None]:
    """The widest gap between the decline rates of two groups of one attribute, and what luck explains of it.

    Groups of fewer than ``group_min`` rows are left out; without two groups to compare both are None. The null is the
    normal quantile at ``confidence``, Bonferroni over every pair compared, times the gap's pooled standard error.
    """
    large = [rate for rate in rates if rate["rows"] >= group_min]
    pairs = [(a, b) for a, b in combinations(large, 2) if a["attribute"] == b["attribute"]]
    if not pairs:
        return None, None
    a, b = max(pairs, key=lambda pair: abs(pair[0]["decline_rate"] - pair[1]["decline_rate"]))
    pooled = (a["rows"] * a["decline_rate"] + b["rows"] * b["decline_rate"]) / (a["rows"] + b["rows"])
    error = np.sqrt(pooled * (1 - pooled) * (1 / a["rows"] + 1 / b["rows"]))
    z = normal_quantile(1 - (1 - confidence) / (2 * len(pairs)))
    return abs(a["decline_rate"] - b["decline_rate"]), float(z * error)
