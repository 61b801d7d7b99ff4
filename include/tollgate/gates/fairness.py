"""Are groups of a protected attribute approved at the same rate?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.errors import Refused
from tollgate.gates.base import Verdict, judged, listed, not_applicable, percent
from tollgate.gates.evidence import Case
from tollgate.statistics import Interval, around

FOUR_FIFTHS = 0.8
NOT_STATED = "not stated"


@dataclass(frozen=True)
class Parity:
    """How the approvals of one protected attribute's groups compare."""

    attribute: str
    rates: dict[str, float]
    gap: float
    interval: Interval
    ratio: float
    odds: float | None
    small: list[str]

    def __str__(self) -> str:
        most, least = max(self.rates, key=self.rates.__getitem__), min(self.rates, key=self.rates.__getitem__)
        odds = "cannot be measured" if self.odds is None else f"is {self.odds:.3f}"
        fifths = "keeps" if self.ratio >= FOUR_FIFTHS else "breaks"
        small = f"; too small to judge: {listed(self.small)}" if self.small else ""
        return (f"by {self.attribute}, {percent(self.rates[most])} of {most} and {percent(self.rates[least])} of "
                f"{least} are approved, a gap of {percent(self.gap)} (equalised odds difference {odds}, ratio "
                f"{self.ratio:.2f} {fifths} the four-fifths rule{small})")


def fairness(case: Case) -> Verdict:
    """The largest demographic-parity gap of the approvals over the protected attributes, below the limit.

    Groups of fewer than ``group_min`` rows are named, not judged; an attribute with fewer than two groups left
    cannot be judged and is refused.
    """
    attributes = case.book.protected()
    if not attributes:
        return not_applicable("fairness", f"The book {case.book.name} holds no protected attribute.")
    limit = case.params.gates.parity_gap_max
    found = sorted((parity(case, attribute) for attribute in attributes), key=lambda p: -p.gap)
    worst = found[0]
    return judged("fairness", worst.gap < limit, measured=worst.gap, interval=worst.interval, limit=limit, sentence=(
        f"The gap must be below {percent(limit)} for every protected attribute. The widest: {worst}."
        + "".join(f" Then: {other}." for other in found[1:])))


def parity(case: Case, attribute: str) -> Parity:
    """Compare the approvals of one attribute's groups, with fairlearn's metrics.

    Resampling the decisions of one group is a binomial draw, which is how the interval's bootstrap is made.
    """
    from fairlearn.metrics import demographic_parity_difference, demographic_parity_ratio

    limits = case.params.gates
    names, group = _groups(case.evidence[attribute])
    sizes = np.bincount(group, minlength=len(names))
    large = np.flatnonzero(sizes >= limits.group_min)
    if len(large) < 2:
        raise Refused(f"{attribute} has fewer than two groups of {limits.group_min} test loans, so that its fairness "
                      "cannot be judged", value=listed([f"{n}: {s}" for n, s in zip(names, sizes, strict=True)]),
                      remedy="Test on more months, or lower gates.group_min with a reason.")
    approved = case.score < case.threshold
    kept = np.isin(group, large)
    cells = _cells(group[kept], approved[kept], ~case.label[kept])
    gap = float(demographic_parity_difference(**cells))
    rates = {names[code]: float(approved[group == code].mean()) for code in large}
    rng = case.rng(f"fairness {attribute}")
    drawn = np.stack([rng.binomial(sizes[code], rates[names[code]], limits.bootstrap_draws) / sizes[code]
                      for code in large])
    return Parity(attribute, rates, gap, around(gap, np.ptp(drawn, axis=0), limits.confidence),
                  float(demographic_parity_ratio(**cells)), _odds(cells),
                  [name for code, name in enumerate(names) if code not in large])


def _groups(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """The sorted names of an attribute's groups, and each row's place among them."""
    stated = pc.fill_null(column.cast(pa.string()), NOT_STATED).combine_chunks()
    names = sorted(stated.unique().to_pylist())
    return names, pc.index_in(stated, value_set=pa.array(names, pa.string())).to_numpy()


def _cells(group: np.ndarray, approved: np.ndarray, paid: np.ndarray) -> dict[str, np.ndarray]:
    """Fairlearn's arguments with one weighted row for all loans that are alike: it walks its rows in Python."""
    counts = np.bincount(4 * group + 2 * approved + paid)
    cell = np.flatnonzero(counts)
    return {"y_true": cell % 2, "y_pred": cell // 2 % 2, "sensitive_features": cell // 4,
            "sample_weight": counts[cell]}


def _odds(cells: dict[str, np.ndarray]) -> float | None:
    """Equalised odds difference; None when a group has no default or nothing but defaults."""
    from fairlearn.metrics import equalized_odds_difference

    outcomes = set(zip(cells["sensitive_features"].tolist(), cells["y_true"].tolist(), strict=True))
    if len(outcomes) < 2 * len(np.unique(cells["sensitive_features"])):
        return None
    return float(equalized_odds_difference(**cells))
