"""What the operating threshold does: how many it approves, what its decisions cost, and whose they turn round."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tollgate.gates.base import Verdict, judged, not_applicable, percent
from tollgate.gates.champion import nobody, reigning
from tollgate.gates.evidence import Case
from tollgate.stats.intervals import normal_quantile, wilson
from tollgate.training import decision_costs


def approval_rate(case: Case) -> Verdict:
    """Share of the test applications that the operating threshold approves, within the book's bounds."""
    limits, approved = case.params.gates, case.score < case.threshold
    kept, rows = int(approved.sum()), len(approved)
    share = kept / rows
    passed = limits.approval_min <= share <= limits.approval_max
    told = (f"At the threshold {case.threshold:.4f} the model approves {kept:,} of {rows:,} applications "
            f"({percent(share)}); it must be {percent(limits.approval_min)} to {percent(limits.approval_max)}.")
    if not passed:
        told += " Choose another operating point in the section train of params.yaml, or state what this book approves."
    return judged("approval_rate", passed, measured=share, interval=wilson(kept, rows, limits.confidence),
                  limit=limits.approval_min, limit_high=limits.approval_max, sentence=told)


def cost(case: Case) -> Verdict:
    """What the decisions on the test rows cost, as a multiple of approving everybody; at most the limit.

    The interval is that of a ratio of two means, by the delta method (Cochran, "Sampling Techniques", 1977, section
    2.11).
    """
    limits, of_default = case.params.gates, case.params.train.cost_of_default
    approved = case.score < case.threshold
    mine, everybody = _costs(case, approved), _costs(case, np.ones_like(approved))
    times = float(mine.mean() / everybody.mean())
    reach = normal_quantile((1 + limits.confidence) / 2) * _error(mine - times * everybody, everybody)
    good, bad = int((~approved & ~case.label).sum()), int((~approved & case.label).sum())
    pays = f"They pay from a default as dear as {good / bad:.1f} good loans on" if bad else "They decline no default"
    passed = times <= limits.cost_max
    told = (f"Where an approved default costs as much as {of_default:g} good loans declined, the decisions cost "
            f"{mine.mean():.3f} a loan and approving everybody {everybody.mean():.3f}: {times:.2f} times, which must "
            f"be at most {limits.cost_max:g}. They decline {bad:,} defaults and {good:,} good loans. {pays}.")
    if not passed:
        told += (" Choose the operating point by what it costs (train.operating_rule: cost_ratio), or say in "
                 "params.yaml why this book pays more.")
    return judged("cost", passed, measured=times, interval=(max(0.0, times - reach), times + reach),
                  limit=limits.cost_max, sentence=told)


def swap_set(case: Case) -> Verdict:
    """What the decisions cost beside those of the champion, at its own threshold on the same rows.

    In units of what approving everybody costs. Non-inferiority, paired: the upper end of the one-sided interval of
    the difference, that of a ratio of two means as in ``cost``, must be at most the margin. The table is the swap set:
    who would be decided otherwise, and how they paid.
    """
    rival = reigning(case)
    if rival is None:
        return not_applicable("swap_set", f"{nobody(case)} whose decisions would change.")
    name, margin = rival.name, case.params.gates.cost_margin
    confidence = case.params.gates.confidence
    approved = case.score < case.threshold
    theirs = rival.score < case.champion_threshold
    mine, other, everybody = (_costs(case, who) for who in (approved, theirs, np.ones_like(approved)))
    more = float((mine - other).mean() / everybody.mean())
    reach = normal_quantile(confidence) * _error(mine - other - more * everybody, everybody)
    low, high = more - reach, more + reach
    told = (f"The decisions cost {mine.mean():.3f} a loan against {other.mean():.3f} of {name} on the same "
            f"{len(approved):,} loans; as a share of the {everybody.mean():.3f} that approving everybody costs, "
            f"{more:+.4f} and with {100 * confidence:g} % confidence at most {high:+.4f}; it may be {margin:+g}. "
            f"{_swapped(case, approved & ~theirs, 'approved', 'declines')}, and "
            f"{_swapped(case, ~approved & theirs, 'declined', 'approves')}.")
    if low > margin:
        told += f" These decisions are worse than those of {name}."
    elif high > margin:
        told += f" Cannot tell: the test window is too small, and the rule for that case is to keep {name}."
    return judged("swap_set", high <= margin, measured=more, interval=(low, high), limit=margin, sentence=told,
                  table=tuple(_table(case, approved, theirs)))


def _costs(case: Case, approved: np.ndarray) -> np.ndarray:
    return decision_costs(case.label, approved, case.params.train.cost_of_default)


def _error(residual: np.ndarray, everybody: np.ndarray) -> float:
    """Standard error of a mean over the mean of ``everybody``, from each loan's residual."""
    return float(residual.std() / np.sqrt(len(residual)) / everybody.mean())


def _swapped(case: Case, who: np.ndarray, done: str, otherwise: str) -> str:
    """How many loans are decided otherwise, in one clause."""
    rows, defaults = int(who.sum()), int(case.label[who].sum())
    paid = f" ({defaults:,} of them defaulted, {percent(defaults / rows)})" if rows else ""
    return f"{rows:,} loans are {done} that it {otherwise}{paid}"


def _table(case: Case, approved: np.ndarray, theirs: np.ndarray) -> Iterator[dict[str, str]]:
    sides = {"approved by both": approved & theirs, "approved by the challenger alone": approved & ~theirs,
             "approved by the champion alone": ~approved & theirs, "declined by both": ~approved & ~theirs}
    for name, who in sides.items():
        rows, defaults = int(who.sum()), int(case.label[who].sum())
        told = {"default rate": "-", "interval": "-"}
        if rows:
            low, high = wilson(defaults, rows, case.params.gates.confidence)
            told = {"default rate": percent(defaults / rows), "interval": f"{percent(low)} to {percent(high)}"}
        yield {"decision": name, "loans": f"{rows:,}", "share": percent(rows / len(who)),
               "defaults": f"{defaults:,}", **told}
