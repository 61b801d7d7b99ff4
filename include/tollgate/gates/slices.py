"""Is there a part of the book in which the model hardly ranks?"""

from __future__ import annotations

from tollgate.errors import Refused
from tollgate.gates.base import Verdict, judged
from tollgate.gates.evidence import Case
from tollgate.stats.intervals import normal_quantile
from tollgate.training import EVENTS_MIN, Slice, cut_slices, rank_slices, slice_columns

SHOWN = 8


def slices(case: Case) -> Verdict:
    """How far the AUC of the worst slice lies below that of the whole test.

    The worst is the slice that is most surely behind. It refuses only when even the favourable end of its interval is
    past the limit; the interval is one-sided and as wide as Bonferroni's correction for the number of slices asks, so
    that a model whose slices are all at the limit is refused with at most 1 - confidence. It also refuses where the
    scorecard ranks a slice backwards.
    """
    limits = case.params.gates
    if not slice_columns(case.book):
        raise Refused(f"The book {case.book.name} has no column to cut slices from", remedy="Describe its features.")
    members, small = cut_slices(case.book, case.evidence)
    if not members:
        raise Refused(f"None of the {small} slices has {EVENTS_MIN} defaults and {EVENTS_MIN} paid loans",
                      remedy="Test on more months.")
    sure = normal_quantile(1 - (1 - limits.confidence) / len(members))
    found = sorted(rank_slices(members, case.label, case.score), key=lambda s: s.behind - sure * s.error, reverse=True)
    worst = found[0]
    low, high = worst.behind - sure * worst.error, worst.behind + sure * worst.error
    lowest = min(found, key=lambda s: s.area)
    backwards = _backwards(rank_slices(members, case.label, case.baseline), sure)
    passed = low <= limits.slice_gap_max
    told = (f"{worst.name} ranks worst: AUC {worst.area:.4f} on {_size(worst)}, {worst.behind:.4f} behind the whole "
            f"and, over all {len(found)} slices looked at, with {100 * limits.confidence:g} % confidence at least "
            f"{low:.4f}; ")
    told += f"that must be at most {limits.slice_gap_max:g}." if passed else (
        f"that is past {limits.slice_gap_max:g}. Look at the labels and the data of this slice.")
    if lowest != worst:
        told += f" The lowest AUC of all, {lowest.area:.4f}, is that of {lowest.name} ({_size(lowest)})."
    if small:
        told += f" {small} {'slice is' if small == 1 else 'slices are'} too small to judge."
    if backwards:
        told = (f"The logistic scorecard, which gives the same points in every slice, ranks {backwards.name} "
                f"backwards: AUC {backwards.area:.4f} on {_size(backwards)}. Look whether their labels are turned "
                f"round. By the model, {told}")
    return judged("slices", passed and not backwards, measured=worst.behind, interval=(low, high),
                  limit=limits.slice_gap_max, sentence=told, table=tuple(_row(s, sure) for s in found[:SHOWN]))


def _backwards(by_scorecard: list[Slice], sure: float) -> Slice | None:
    """The slice that the scorecard ranks worse than a coin would, beyond luck.

    A model that is free to bend learns a slice's labels also where they are turned round, and then ranks it well.
    """
    return next((s for s in by_scorecard if s.area + sure * s.area_error < 0.5), None)


def _size(s: Slice) -> str:
    return f"{s.rows:,} loans with {s.defaults:,} defaults"


def _row(s: Slice, sure: float) -> dict[str, str]:
    return {"slice": s.name, "loans": f"{s.rows:,}", "defaults": f"{s.defaults:,}", "AUC": f"{s.area:.4f}",
            "behind the whole": f"{s.behind:+.4f}",
            "interval": f"{s.behind - sure * s.error:+.4f} to {s.behind + sure * s.error:+.4f}"}
