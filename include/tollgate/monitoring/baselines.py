"""What a model version promised when it was registered, by the ledger: no artefact is needed for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tollgate.stats.intervals import normal_quantile


@dataclass(frozen=True)
class Baseline:
    """The promise of one version.

    Attributes:
        decline_rate: of its operating point. auc, auc_error: on its test months, which it had never seen, and the
            standard error. rows: of the test months. default_rate: of these, where the ledger tells it.
    """

    decline_rate: float
    auc: float
    auc_error: float
    rows: int
    default_rate: float | None = None


def promised(registered: Iterable[dict[str, Any]]) -> dict[str, Baseline]:
    """What each version of a book's ledger (``registry.models``) promised, by its number.

    Of a version whose line does not tell the decline rate of its operating point it is that of its test months; nothing
    is known of one that an older Tollgate registered without the intervals of its metrics.
    """
    found, width = {}, 2 * normal_quantile(0.975)
    for model in registered:
        metrics, told = model["metrics"], model["decline_rate"]
        if {"auc_low", "auc_high", "rows", "approval_rate"} <= metrics.keys():
            found[model["version"]] = Baseline(
                1 - metrics["approval_rate"] if told is None else told, metrics["auc"],
                (metrics["auc_high"] - metrics["auc_low"]) / width, int(metrics["rows"]),
                metrics.get("label_rate"))
    return found
