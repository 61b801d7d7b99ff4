"""Is there a part of the book in which the model hardly ranks?"""

from __future__ import annotations

from tollgate.errors import Refused
from tollgate.gates.base import Verdict, judged
from tollgate.gates.evidence import Case, check_columns
from tollgate.statistics import normal_quantile
from tollgate.training import EVENTS_MIN, Slice, cut_slices, slice_columns

SHOWN = 8


def slices(case: Case) -> Verdict:
    """How far the AUC of the worst slice lies below that of the whole test.

    The worst is the slice that is most surely behind. It refuses only when even the favourable end of its interval is
    past the limit; the interval is one-sided and as wide as Bonferroni's correction for the number of slices asks, so
    that a model whose slices are all at the limit is refused with at most 1 - confidence.
    """
    limits = case.params.gates
    if not slice_columns(case.book):
        raise Refused(f"The book {case.book.name} has no column to cut slices from", remedy="Describe its features.")
    check_columns("evidence.parquet", case.evidence, slice_columns(case.book))
    found, small = cut_slices(case.book, case.evidence)
    if not found:
        raise Refused(f"None of the {small} slices has {EVENTS_MIN} defaults and {EVENTS_MIN} paid loans",
                      remedy="Test on more months.")
    sure = normal_quantile(1 - (1 - limits.confidence) / len(found))
    found.sort(key=lambda s: s.behind - sure * s.error, reverse=True)
    worst = found[0]
    low, high = worst.behind - sure * worst.error, worst.behind + sure * worst.error
    lowest = min(found, key=lambda s: s.area)
    also = "" if lowest == worst else (f" The lowest AUC of all, {lowest.area:.4f}, is that of {lowest.name} "
                                       f"({lowest.rows:,} loans, {lowest.defaults:,} defaults).")
    passed = low <= limits.slice_gap_max
    told = (f"{worst.name} ranks worst: AUC {worst.area:.4f} on {worst.rows:,} loans with {worst.defaults:,} defaults, "
            f"{worst.behind:.4f} behind the whole and, over all {len(found)} slices looked at, with "
            f"{100 * limits.confidence:g} % confidence at least {low:.4f}; ")
    told += f"that must be at most {limits.slice_gap_max:g}." if passed else f"that is past {limits.slice_gap_max:g}."
    if not passed:
        told += (" Below 0.5 it ranks backwards: look whether the labels of this slice are turned round."
                 if worst.area < 0.5 else " Look at the labels and the data of this slice.")
    if small:
        also += f" {small} {'slice is' if small == 1 else 'slices are'} too small to judge."
    return judged("slices", passed, measured=worst.behind, interval=(low, high), limit=limits.slice_gap_max,
                  sentence=told + also, table=tuple(_row(s, sure) for s in found[:SHOWN]))


def _row(s: Slice, sure: float) -> dict[str, str]:
    return {"slice": s.name, "loans": f"{s.rows:,}", "defaults": f"{s.defaults:,}", "AUC": f"{s.area:.4f}",
            "behind the whole": f"{s.behind:+.4f}",
            "interval": f"{s.behind - sure * s.error:+.4f} to {s.behind + sure * s.error:+.4f}"}
