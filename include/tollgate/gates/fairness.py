"""Are groups of a protected attribute approved at the same rate?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.errors import Refused
from tollgate.gates.base import Table, Verdict, judged, listed, not_applicable, percent
from tollgate.gates.evidence import Case
from tollgate.stats.intervals import Interval, widest, wilson

FOUR_FIFTHS = 0.8
NOT_STATED = "not stated"
TINY = 1e-12


@dataclass(frozen=True)
class Measure:
    """A number with its interval."""

    value: float
    interval: Interval

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.interval[0]:.3f} to {self.interval[1]:.3f})"


@dataclass(frozen=True)
class Parity:
    """How the decisions on one protected attribute's groups compare.

    Attributes:
        rates: share approved of each group that is large enough to judge.
        gap: the demographic-parity difference. ratio: the demographic-parity ratio.
        odds: the equalised-odds difference; None when a group has no default or nothing but defaults.
        small: the groups that are not judged. table: one row a judged group, for people.
    """

    attribute: str
    rates: dict[str, float]
    gap: Measure
    ratio: Measure
    odds: Measure | None
    small: list[str]
    table: Table

    def __str__(self) -> str:
        most, least = max(self.rates, key=self.rates.__getitem__), min(self.rates, key=self.rates.__getitem__)
        odds = "cannot be measured" if self.odds is None else f"is {self.odds}"
        fifths = "keeps" if self.ratio.value >= FOUR_FIFTHS else "breaks"
        small = f"; too small to judge: {listed(self.small)}" if self.small else ""
        return (f"by {self.attribute}, {percent(self.rates[most])} of {most} and {percent(self.rates[least])} of "
                f"{least} are approved, a gap of {percent(self.gap.value)} (equalised odds difference {odds}, ratio "
                f"{self.ratio} {fifths} the four-fifths rule{small})")


def fairness(case: Case) -> Verdict:
    """The largest demographic-parity gap of the approvals over the protected attributes, below the limit.

    Groups of fewer than ``group_min`` rows are named, not judged; an attribute with fewer than two groups left
    cannot be judged and is refused.
    """
    attributes = case.book.protected()
    if not attributes:
        return not_applicable("fairness", f"The book {case.book.name} holds no protected attribute.")
    limit = case.params.gates.parity_gap_max
    found = sorted((parity(case, attribute) for attribute in attributes), key=lambda p: -p.gap.value)
    gap = found[0].gap
    return judged("fairness", gap.value < limit, measured=gap.value, interval=gap.interval, limit=limit, sentence=(
        f"The gap must be below {percent(limit)} for every protected attribute. The widest: {found[0]}."
        + "".join(f" Then: {other}." for other in found[1:])), table=tuple(row for p in found for row in p.table))


def parity(case: Case, attribute: str) -> Parity:
    """Compare the decisions on one attribute's groups, with fairlearn's metrics.

    The intervals are those of the bootstrap within each group, which is a multinomial draw of its four counts: paid or
    defaulted, approved or declined.
    """
    from fairlearn.metrics import demographic_parity_difference, demographic_parity_ratio, equalized_odds_difference

    limits = case.params.gates
    names, group = _groups(case.evidence[attribute])
    sizes = np.bincount(group, minlength=len(names))
    large = np.flatnonzero(sizes >= limits.group_min)
    if len(large) < 2:
        raise Refused(f"{attribute} has fewer than two groups of {limits.group_min} test loans, so that its fairness "
                      "cannot be judged", value=listed([f"{n}: {s}" for n, s in zip(names, sizes, strict=True)]),
                      remedy="Test on more months, or lower gates.group_min with a reason.")
    cells = np.bincount(4 * group + 2 * (case.score < case.threshold) + ~case.label, minlength=4 * len(names))
    counts = cells.reshape(-1, 4)[large]
    shares, odds = _rates(counts), None
    if not shares["approved"].any():
        raise Refused(f"No test loan is approved in any group of {attribute}, so that approvals cannot be compared",
                      value=f"threshold {case.threshold:g}", remedy="Train a model whose threshold approves somebody.")
    weighted = _for_fairlearn(counts)
    drawn = _rates(case.rng(f"fairness {attribute}").multinomial(
        counts.sum(axis=1), counts / counts.sum(axis=1, keepdims=True), (limits.bootstrap_draws, len(large))))
    together = 1 - (1 - limits.confidence) / len(case.book.protected())  # Bonferroni: the widest attribute is told
    low, high = widest(shares["approved"], drawn["approved"], together)
    times_low, times_high = widest(_log(shares["approved"]), _log(drawn["approved"]), together)
    paid = counts[:, 1] + counts[:, 3]
    if np.all(paid > 0) and np.all(counts.sum(axis=1) > paid):
        odds_low, odds_high = widest(_by_outcome(shares), _by_outcome(drawn), together)
        odds = Measure(float(equalized_odds_difference(**weighted)), (odds_low, min(odds_high, 1.0)))
    return Parity(
        attribute, dict(zip((names[code] for code in large), shares["approved"].tolist(), strict=True)),
        Measure(float(demographic_parity_difference(**weighted)), (low, min(high, 1.0))),
        Measure(float(demographic_parity_ratio(**weighted)), (float(np.exp(-times_high)), float(np.exp(-times_low)))),
        odds, [name for code, name in enumerate(names) if code not in large],
        tuple(_row(f"{attribute} = {names[code]}", count, limits.confidence)
              for code, count in zip(large, counts, strict=True)))


def _rates(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Shares approved of all, of the paid and of the defaulted loans; ``counts`` has shape (..., groups, 4)."""
    defaults_declined, paid_declined, defaults_approved, paid_approved = np.moveaxis(counts, -1, 0)
    paid, defaults = paid_declined + paid_approved, defaults_declined + defaults_approved
    return {"approved": (defaults_approved + paid_approved) / (paid + defaults),
            "paid_approved": paid_approved / np.maximum(paid, 1),
            "defaults_approved": defaults_approved / np.maximum(defaults, 1)}


def _by_outcome(rates: dict[str, np.ndarray]) -> np.ndarray:
    """Shares approved of the paid and of the defaulted loans, of shape (..., 2, groups)."""
    return np.stack([rates["paid_approved"], rates["defaults_approved"]], axis=-2)


def _log(share: np.ndarray) -> np.ndarray:
    """Its differences are the logarithms of ratios."""
    return np.log(np.maximum(share, TINY))


def _row(name: str, count: np.ndarray, confidence: float) -> dict[str, str]:
    defaults_declined, paid_declined, defaults_approved, paid_approved = (int(n) for n in count)

    def share(part: int, whole: int) -> str:
        if whole == 0:
            return "-"
        low, high = wilson(part, whole, confidence)
        return f"{percent(part / whole)} ({100 * low:.1f} to {100 * high:.1f})"

    paid, defaults = paid_declined + paid_approved, defaults_declined + defaults_approved
    return {"group": name, "loans": f"{paid + defaults:,}", "default rate": share(defaults, paid + defaults),
            "approved": share(defaults_approved + paid_approved, paid + defaults),
            "good loans approved": share(paid_approved, paid), "defaults approved": share(defaults_approved, defaults)}


def _groups(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """The sorted names of an attribute's groups, and each row's place among them."""
    stated = pc.fill_null(column.cast(pa.string()), NOT_STATED).combine_chunks()
    names = sorted(stated.unique().to_pylist())
    return names, pc.index_in(stated, value_set=pa.array(names, pa.string())).to_numpy()


def _for_fairlearn(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Fairlearn's arguments with one weighted row for all loans that are alike: it walks its rows in Python.

    To fairlearn, ``y_true`` is paid and ``y_pred`` approved. ``counts`` has shape (groups, 4).
    """
    group, kind = np.nonzero(counts)
    return {"y_true": kind % 2, "y_pred": kind // 2, "sensitive_features": group,
            "sample_weight": counts[group, kind]}
