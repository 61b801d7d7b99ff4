"""May a fit on every matured loan take the place of the one that was judged?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.config import Params
from tollgate.gates.base import Verdict, judged
from tollgate.gates.evidence import Case
from tollgate.gates.run import judge
from tollgate.stats.ranking import paired

AGAIN = ("auc", "ks", "false_negatives", "approval_rate", "cost", "calibration", "expected_defaults", "slices",
         "fairness")  # gates that go by scores alone, and so can judge those of another fit


@dataclass(frozen=True, kw_only=True)
class Younger(Case):
    """The test loans of a run by the scores of a younger fit, decided on at its own threshold.

    Attributes:
        judged: the answer of ``judged_rows``.
        unseen: P(default) of each test loan, by a fit that did not see it: ``loan_id`` and ``score``.
        declined_from: scores at or above it are declined.
    """

    judged: pa.Table
    unseen: pa.Table
    declined_from: float = 1.0

    @cached_property
    def evidence(self) -> pa.Table:
        """The test rows; no saved file is asked."""
        return self.judged

    @cached_property
    def score(self) -> np.ndarray:
        """P(default) of the test loans by the younger fit, float64."""
        place = pc.index_in(self.evidence["loan_id"], value_set=self.unseen["loan_id"].combine_chunks())
        return np.asarray(self.unseen["score"].take(place).to_numpy())

    @cached_property
    def threshold(self) -> float:
        """Scores at or above it are declined."""
        return self.declined_from


def judged_rows(run: Path, params: Params) -> pa.Table:
    """The test rows with the scores of the judged fit, as the model here gives them; a run may ask it once for all."""
    rows = Case(run, params).rescored
    return rows.filter(pc.equal(rows["split"], "test"))


def judge_younger(run: Path, params: Params, rows: pa.Table, unseen: pa.Table) -> tuple[Verdict, Verdict]:
    """Whether fitting younger is surely better, and whether both fits rank the loans alike.

    The first is the rule: only where a fit of everything but the test months ranks these surely better than the fit
    that was judged is the model fitted again on all of them; the lower end of the two-sided interval decides
    (docs/refit.md shows what it would have cost otherwise). The second is Spearman's correlation of the two scores:
    below the limit, the gates have judged something else than what would serve.

    Args:
        run: the ``run/`` folder of a workspace. rows: the answer of ``judged_rows``.
        unseen: ``loan_id`` and ``score`` of the test rows by the younger fit.
    """
    case = Younger(run, params, judged=rows, unseen=unseen)
    sure, limit = params.gates.confidence, params.gates.refit_agreement_min
    theirs = case.evidence["score"].to_numpy()
    (mine, other), ahead, (low, high) = paired(case.label, case.score, theirs, (1 + sure) / 2)
    alike = _rank_correlation(case.score, theirs)
    told = (f"A fit on all matured loans but those of the test months ranks these {len(theirs):,} at AUC {mine:.4f}, "
            f"the fit that was judged at {other:.4f}: {ahead:+.4f}, with {100 * sure:g} % confidence {low:+.4f} to "
            f"{high:+.4f}. Only where it is surely ahead is the model fitted again on all matured loans.")
    return (judged("ahead", low > 0, measured=ahead, interval=(low, high), limit=0.0, sentence=told),
            judged("agreement", alike >= limit, measured=alike, limit=limit, sentence=(
                f"The rank correlation of the two fits on the test loans is {alike:.3f}; it must be at least "
                f"{limit:g}, or the gates have judged something else than what would serve.")))


def judge_refit(run: Path, params: Params, rows: pa.Table, unseen: pa.Table, threshold: float) -> tuple[Verdict, ...]:
    """The gates that go by scores, asked once more of the younger fit's, at the threshold of the refit."""
    case = Younger(run, params, judged=rows, unseen=unseen, declined_from=threshold)
    return tuple(judge(case, gate) for gate in AGAIN)


def all_pass(verdicts: Sequence[Verdict]) -> bool:
    """Whether none of them refuses."""
    return all(verdict.verdict != "refuse" for verdict in verdicts)


def refit_record(rule: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What ``refit.json`` tells: whether the model was fitted again, ``why``, and every verdict.

    Args:
        rule: ``train.refit``. verdicts: of ``judge_younger`` and perhaps ``judge_refit``; none where nothing was tried.
    """
    against = [verdict for verdict in verdicts if verdict.verdict == "refuse"]
    refitted = bool(verdicts) and not against
    if refitted:
        why = f"Fitted again on all matured loans. {verdicts[0].sentence}"
    else:
        why = "Not fitted again: " + (against[0].sentence if against else f"train.refit of params.yaml is {rule}.")
    return {"refitted": refitted, "why": why, "verdicts": [asdict(verdict) for verdict in verdicts]}


def _rank_correlation(score: np.ndarray, other: np.ndarray) -> float:
    from scipy.stats import spearmanr

    if np.ptp(score) == 0 or np.ptp(other) == 0:
        return 0.0  # a fit that tells no loan from another ranks like nothing
    return float(spearmanr(score, other).statistic)
