"""Which column of a file says what became of a loan, on which day, and how well another column tells it beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tollgate.books.drafting.kinds import Cells
from tollgate.books.drafting.names import (
    BAD,
    ENDED,
    FLAG,
    GOOD,
    NOT_BAD,
    NOT_ENDED,
    OPEN,
    POSITIVE,
    rank,
    snake_case,
)
from tollgate.stats.ranking import area_under

STATES_MAX = 25      # values of a column that tells a loan's state
CLASS_MIN = 20       # bad loans, and good ones, below which nothing is said of a column
LEVEL_MIN = 30       # loans with a value of a text, below which its rate says nothing
LEAK_AUC = 0.80      # a column alone that ranks better than this is taken for one that was filled later
LEAK_RATE = 0.90     # so is one with a value of which more loans than this went bad
FEW = 50             # rows a value, below which a text's own rates say nothing of new loans


@dataclass(frozen=True)
class Outcome:
    """What a file tells of the end of a loan.

    Attributes:
        column: the lender's name of what tells it; None where a filled date is all.
        bad: its values that make a loan bad.
        on: the lender's names of the dates that say when, the first that is filled counting.
        label: 1 bad, 0 good, -1 neither yet; of the rows.
        why: the evidence, a sentence each.
    """

    column: str | None
    bad: tuple[str, ...]
    on: tuple[str, ...]
    label: np.ndarray
    why: tuple[str, ...]


def find_outcome(cells: Mapping[str, Cells], applied: str | None) -> Outcome | None:
    """The outcome that a file tells; None where it tells none."""
    column, bad = _state(cells)
    if column is None:
        return _dated(cells)
    of = cells[column]
    label = _label(of, bad)
    left = [f"{value} ({n:,})" for value, n in of.levels.items() if value not in bad and not GOOD.search(value)]
    why = [f"{column}: {', '.join(f'{value} ({of.levels[value]:,})' for value in bad)} of {of.rows:,} rows are taken "
           "for bad."]
    if left:
        why.append(f"Not taken for bad: {', '.join(left)}.")
    on = _day_of(cells, applied, label == 1)
    if on:
        gone = int((~cells[on].filled & (label == 1)).sum())
        bads = int((label == 1).sum())
        why.append(f"{on} dates it" + (f"; it is empty in {gone:,} of {bads:,} bad rows." if gone else "."))
        dates: tuple[str, ...] = (on, applied) if gone and applied else (on,)
        why += [f"These count from {applied}, or they would count as good."] if len(dates) > 1 else []
    else:
        dates = (applied,) if applied else ()
        why.append("TODO: no column dates it, so that it counts from the application: name its date if there is one.")
    return Outcome(column, bad, dates, label, tuple(why))


def strength(of: Cells, label: np.ndarray) -> tuple[float, float, str]:
    """How well a column alone tells the label: its AUC, the highest rate of one of its values, and both in words.

    0.5 and 0 where nothing can be said.
    """
    known = label >= 0
    if min(int((label == 1).sum()), int((label == 0).sum())) < CLASS_MIN:
        return 0.5, 0.0, ""
    found: list[tuple[float, str]] = []
    filled = known & of.filled
    if len(of.values) and _both(label[filled]):
        found.append((_auc(label[filled], of.values[filled]), ""))
    if of.empty and of.filled.any():
        found.append((_auc(label[known], of.filled[known].astype(float)), " by whether it is filled"))
    worst, value = 0.0, ""
    if of.kind == "text" and len(of.levels) <= of.rows / FEW:
        codes = of.texts.indices.to_numpy()
        rows, bads = (np.bincount(codes[known], weights=w, minlength=len(of.texts.dictionary))
                      for w in (None, label[known] == 1))
        rate = np.divide(bads, rows, out=np.zeros(len(rows)), where=rows > 0)
        found.append((_auc(label[known], rate[codes[known]]), ""))
        often = np.flatnonzero(rows >= LEVEL_MIN)
        if len(often):
            at = often[np.argmax(rate[often])]
            worst, value = float(rate[at]), of.texts.dictionary[int(at)].as_py() or "nothing"
    best, how = max(found, default=(0.5, ""))
    said = f"alone it ranks the drafted outcome with an AUC of {best:.2f}{how}"
    return best, worst, said + (f"; {worst:.0%} of {value} went bad" if worst > LEAK_RATE else "")


def is_leak(auc: float, rate: float) -> bool:
    """Whether a column tells the outcome better than anything that was known beforehand."""
    return auc > LEAK_AUC or rate > LEAK_RATE


def is_bad(value: str) -> bool:
    """Whether a state's words say that money was lost."""
    return bool(BAD.search(NOT_BAD.sub("not_", value)) and not NOT_BAD.search(value))


def _state(cells: Mapping[str, Cells]) -> tuple[str | None, tuple[str, ...]]:
    """The column that tells states, and which are bad: one in words, or a flag that calls itself so."""
    for name, of in cells.items():
        if of.kind == "text" and 1 < len(of.levels) <= STATES_MAX:
            bad = tuple(value for value in of.levels if is_bad(value))
            others = [value for value in of.levels if value not in bad]
            if bad and any(GOOD.search(value) or OPEN.search(value) for value in others):
                return name, bad
    for name, of in cells.items():
        if FLAG.search(snake_case(name)) and len(of.levels) == 2:
            bad = tuple(value for value in of.levels if value in POSITIVE)
            if bad:
                return name, bad
    return None, ()


def _label(of: Cells, bad: Iterable[str]) -> np.ndarray:
    values = of.texts.dictionary.to_pylist()
    good = [value is not None and bool(GOOD.search(value)) for value in values]
    if not any(good):
        good = [value is not None and value not in bad for value in values]
    codes = np.array([1 if value in bad else 0 if fine else -1 for value, fine in zip(values, good, strict=True)])
    return codes[of.texts.indices.to_numpy()]


def _day_of(cells: Mapping[str, Cells], applied: str | None, bad: np.ndarray) -> str | None:
    """The date that says when it happened: by its name, and filled in most of the bad rows."""
    dates = [name for name, of in cells.items() if of.kind == "date" and name != applied
             and not NOT_ENDED.search(snake_case(name)) and of.filled[bad].mean() > 0.5]
    ranked = sorted(dates, key=lambda name: -rank(ENDED, snake_case(name)))
    return ranked[0] if ranked and rank(ENDED, snake_case(ranked[0])) else None


def _dated(cells: Mapping[str, Cells]) -> Outcome | None:
    """An outcome that a filled date tells alone, such as the day of a charge-off."""
    for name, of in cells.items():
        if of.kind == "date" and rank(ENDED, snake_case(name)) == 5:
            label = of.filled.astype(int)
            return Outcome(None, (), (name,), label, (f"{name} is filled in {label.sum():,} of {of.rows:,} rows: these "
                                                      "are taken for bad.",))
    return None


def _both(label: np.ndarray) -> bool:
    return 0 < int((label == 1).sum()) < len(label)


def _auc(label: np.ndarray, score: np.ndarray) -> float:
    area = area_under(label == 1, score) if _both(label) else 0.5
    return max(area, 1 - area)
