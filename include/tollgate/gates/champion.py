"""Is the challenger as good as the model whose scores count today?"""

from __future__ import annotations

from typing import Any

import numpy as np

from tollgate.errors import Refused
from tollgate.gates.base import Verdict, judged, not_applicable, percent
from tollgate.gates.evidence import Case
from tollgate.stats.intervals import normal_quantile
from tollgate.stats.ranking import paired

POWER = 0.8             # how often an equal challenger should pass, when a refusal says how many loans that takes


def champion(case: Case) -> Verdict:
    """Non-inferiority in AUC, paired on the same test rows.

    The challenger passes when the lower end of the one-sided DeLong interval of AUC(challenger) - AUC(champion)
    reaches no further down than the margin, and is worse when the upper end lies below it. Where the margin lies
    between the two, the test is too small to tell and the champion stays. docs/gate-errors.md has the error rates.
    """
    crowned = reigning(case)
    if crowned is None:
        return not_applicable("champion", "There is no champion yet to compare with.")
    limits, margin = case.params.gates, case.params.gates.champion_margin
    (mine, other), ahead, (low, high) = paired(case.label, case.score, scores_of(case, crowned), limits.confidence)
    name = f"champion {crowned['version']}"
    told = (f"AUC is {mine:.4f} against {other:.4f} of {name} on the same {len(case.label):,} loans, "
            f"{ahead:+.4f} and with {100 * limits.confidence:g} % confidence at least {low:+.4f}")
    if low >= -margin:
        told += f"; it may be worse by at most {margin:g}."
    elif high >= -margin:
        told += (f": cannot tell. The margin is {margin:g}, the test window is too small to rule out a worse model, "
                 f"and the rule for that case is to keep {name}. More test months would tell")
        reach = ahead - low
        enough = len(case.label) * (reach * (1 + normal_quantile(POWER) / normal_quantile(limits.confidence))
                                    / margin) ** 2
        told += f"; an equal model passes {percent(POWER)} of tests of {enough:,.0f} loans."
    else:
        told += f": worse than {name} by more than the margin of {margin:g}."
    return judged("champion", low >= -margin, measured=ahead, interval=(low, high), limit=-margin,
                  sentence=told)


def reigning(case: Case) -> dict[str, Any] | None:
    """The ``version`` and ``digest`` of the champion when the run was opened; None where there was none."""
    found = case.json("champion.json")
    if "version" not in found:
        raise Refused("champion.json does not say which version is the champion", remedy="Open the run again.")
    if found.get("model") != case.params.book:
        raise Refused(f"champion.json is of another book than {case.params.book}", value=found.get("model"),
                      remedy="Open the run again.")
    return found if found["version"] is not None else None


def scores_of(case: Case, crowned: dict[str, Any]) -> np.ndarray:
    """Scores of this very champion, float64 of shape (rows,)."""
    made_by = (case.evidence.schema.metadata or {}).get(b"champion_digest", b"").decode()
    if not made_by or made_by != crowned.get("digest"):
        raise Refused(f"evidence.parquet holds the scores of another champion ({made_by[:12] or 'none'}) than "
                      f"champion.json names ({str(crowned.get('digest'))[:12]})",
                      remedy="Open the run again, so that it is compared with the champion of today.")
    theirs = case.evidence["champion_score"]
    if theirs.null_count or not np.isfinite(theirs.to_numpy()).all():
        raise Refused("evidence.parquet lacks champion scores for some test rows",
                      remedy="Run the evaluate stage again.")
    return theirs.to_numpy()
