"""What the cells of a column are: their kind, how dates and nothing are spelled, bounds, vocabulary."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np

from tollgate.books.description.tables import Kind, has_day, read_day

if TYPE_CHECKING:
    import pyarrow as pa

# What every book takes for nothing, in small letters; test_drafting_files.py holds it against the reading's list.
NOTHING = frozenset({"", "null", "na", "n/a", "#n/a", "none", "nan", "<na>", "nat", "\\n"})
DASHES = re.compile(r"[-.?*–—]{1,5}|\(blank\)|#VALUE!")  # noqa: RUF001 - lenders write long dashes too
WORD_OF_NOTHING = re.compile(r"[^\d]{1,20}")  # among numbers or dates
ODD_SPELLINGS = 3      # so many spellings of nothing are supposed of one column, and
ODD_SHARE = 0.5        # no more of its cells than this
LEVELS = 12            # a vocabulary of so many values is closed, if each
LEVEL_ROWS = 100       # has this many rows on average
TRIED = 200            # texts, of which a format must fit one
FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y",
           "%b %d, %Y", "%B %d, %Y", "%Y/%m/%d", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%b-%Y", "%b-%y", "%B %Y", "%b %Y",
           "%Y-%m", "%m/%Y", "%m.%Y")
COMPACT = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
INTEGER_DIGITS = 18    # the most that a whole number has; what is longer names something
INTEGER = re.compile(r"[+-]?(0|[1-9]\d*)(\.0)?")  # 1.0 is what pandas makes of 1; 1.00 is an amount


@dataclass(frozen=True)
class Marks:
    """The letters within the numbers of a file: of its decimals, and of its thousands where it has them."""

    decimal: str = "."
    thousands: str = ""

    def number(self) -> re.Pattern[str]:
        """A plain number."""
        whole = r"\d+" if not self.thousands else rf"(\d{{1,3}}({re.escape(self.thousands)}\d{{3}})+|\d+)"
        return re.compile(rf"[+-]?({whole}({re.escape(self.decimal)}\d*)?|{re.escape(self.decimal)}\d+)([eE][+-]?\d+)?")

    def value(self, text: str) -> float:
        """The number that a cell says, whatever stands around its digits."""
        digits = re.sub(r"[$€£%\s]", "", text)
        negative = digits.startswith("(")
        for mark in (self.thousands, "," if self.decimal == "." else ""):
            digits = digits.replace(mark, "") if mark else digits
        number = float(digits.strip("()").replace(self.decimal, "."))
        return -number if negative else number


@dataclass(frozen=True)
class Cells:
    """What was seen in a column.

    Attributes:
        kind: ``empty`` where no cell says anything.
        values: of the rows as numbers (days since 1970 of dates), NaN where there is none; of text, none at all.
        levels: how often each text occurs, nothing left out. filled: where a cell says something, bool (rows,).
        formats: of dates. rival: another format that reads each of them too, as other days; empty where none does.
        nulls: spellings of nothing that not every book knows.
    """

    kind: Kind | Literal["empty"]
    levels: dict[str, int]
    filled: np.ndarray
    texts: pa.Array
    values: np.ndarray = field(default_factory=lambda: np.empty(0))
    formats: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()
    rival: str = ""

    @property
    def rows(self) -> int:
        """How many rows were seen."""
        return len(self.filled)

    @property
    def empty(self) -> int:
        """How many of them say nothing."""
        return int(self.rows - self.filled.sum())

    @property
    def unique(self) -> bool:
        """Whether no two rows say the same and none says nothing."""
        return len(self.levels) == self.rows > 1 and not self.empty

    @property
    def closed(self) -> bool:
        """Whether these texts look like a closed vocabulary."""
        return self.kind == "text" and 1 < len(self.levels) <= LEVELS and self.rows >= LEVEL_ROWS * len(self.levels)

    @property
    def numeric(self) -> bool:
        """Whether a model can take it as a number."""
        return self.kind in ("integer", "number", "money", "percent")

    @property
    def month_only(self) -> bool:
        """Whether its dates are written without a day."""
        return self.kind == "date" and not any(map(has_day, self.formats))

    def span(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return float(np.nanmin(self.values)), float(np.nanmax(self.values))

    def days(self) -> tuple[date, date]:
        """The first and the last day."""
        first, last = (np.datetime64(int(day), "D").item() for day in self.span())
        return first, last

    def bounds(self) -> tuple[float, float]:
        """The span, a quarter wider and rounded outwards: from nought where nothing is negative or far from it."""
        low, high = self.span()
        wider = (high - low) / 4
        ends = (0 if 0 <= low < high / 2 else _outwards(low - wider, math.floor), _outwards(high + wider, math.ceil))
        return (math.floor(ends[0]), math.ceil(ends[1])) if self.kind == "integer" else ends


def marks_of(columns: Mapping[str, pa.ChunkedArray]) -> tuple[Marks, str]:
    """The decimal and thousands marks of a file, and an example of them; none where they are the usual ones."""
    for decimal, thousands in ((",", ". '"), (".", " '")):
        number = re.compile(rf"[+-]?(\d{{1,3}}([{thousands}])(\d{{3}}\2)*\d{{3}}|\d+)"
                            rf"({re.escape(decimal)}(\d{{1,2}}|\d{{4,}}))?")
        seen: dict[str, str] = {}
        for name, column in columns.items():
            found = [number.fullmatch(value) for value in column.unique().to_pylist()[:LEVEL_ROWS * LEVELS]
                     if value.lower() not in NOTHING and not DASHES.fullmatch(value)]
            if found and all(found):
                seen |= {mark: f"{match[0]} in {name}" for match in found if match
                         for mark in (match[2], decimal if match[4] else None) if mark}
        mark = next((mark for mark in thousands if mark in seen), "")
        if (decimal == "," and "," in seen) or (decimal == "." and mark):
            return Marks(decimal, mark), "; ".join(dict.fromkeys(seen.values()))
    return Marks(), ""


def look_at(name: str, column: pa.ChunkedArray, marks: Marks) -> Cells:
    """What a column holds, from all its cells."""
    import pyarrow as pa

    coded = column.combine_chunks().dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    distinct: list[str] = coded.dictionary.to_pylist()
    codes = coded.indices.to_numpy()
    counts = np.bincount(codes, minlength=len(distinct))
    says = np.array([value.lower() not in NOTHING and not DASHES.fullmatch(value) for value in distinct], bool)
    dashes = [value for value, told in zip(distinct, says, strict=True) if not told and value.lower() not in NOTHING]
    kind, values, formats, odd = _kind(name, [v for v, told in zip(distinct, says, strict=True) if told],
                                       dict(zip(distinct, counts.tolist(), strict=True)), marks)
    says &= ~np.isin(distinct, list(odd))
    levels = {value: int(n) for value, n, told in zip(distinct, counts, says, strict=True) if told}
    numbers = np.array([values.get(value, np.nan) for value in distinct]) if values else np.empty(0)
    texts = pa.DictionaryArray.from_arrays(coded.indices, pa.array([v if told else None for v, told in
                                                                    zip(distinct, says, strict=True)], pa.string()))
    return Cells(kind, levels, says[codes], texts, numbers[codes] if values else numbers, formats,
                 tuple(sorted({*dashes, *odd})), _rival(values, formats))


def _kind(name: str, distinct: list[str], counts: Mapping[str, int],
          marks: Marks) -> tuple[Kind | Literal["empty"], dict[str, float], tuple[str, ...], tuple[str, ...]]:
    """Kind, values, formats and odd spellings of nothing of the texts of a column."""
    if not distinct:
        return "empty", {}, (), ()
    number = marks.number()
    percent = re.compile(rf"{number.pattern}\s*%")
    # Of money the commas of thousands are tolerated, whatever the file's own mark is.
    commas = replace(marks, thousands=",") if marks.decimal == "." and not marks.thousands else marks
    signs = re.compile(rf"\(?[+-]?([$€£] ?)?({commas.number().pattern})( ?[€$£])?\)?")
    tries: tuple[tuple[Kind, Callable[[str], object]], ...] = (
        ("percent", percent.fullmatch), ("integer", INTEGER.fullmatch), ("number", number.fullmatch),
        ("money", signs.fullmatch))
    for kind, fits in tries:
        misfits = list(islice((value for value in distinct if not fits(value)), ODD_SPELLINGS + 1))
        odd = _odd(distinct, misfits, counts)
        good = [value for value in distinct if value not in odd] if odd is not None else []
        if odd is None or not good:
            continue
        if kind in ("integer", "number") and (_are_codes(good) or _are_days(name, good)):
            break
        scale = 0.01 if kind == "percent" else 1.0
        values = {value: marks.value(value.replace("%", "")) * scale for value in good}
        if not all(map(math.isfinite, values.values())):
            break  # 12E456 is a code
        return kind, values, (), odd
    days, formats, odd = _dates(name, distinct, counts)
    return ("date", days, formats, odd) if days else ("text", {}, (), ())


def _odd(distinct: list[str], wrong: list[str], counts: Mapping[str, int]) -> tuple[str, ...] | None:
    """Texts that do not fit a kind, if they can be ways of saying nothing; None where they cannot."""
    if len(wrong) > ODD_SPELLINGS or not all(WORD_OF_NOTHING.fullmatch(value) for value in wrong):
        return None
    if sum(counts[value] for value in wrong) > ODD_SHARE * sum(counts[value] for value in distinct):
        return None
    return tuple(wrong)


def _are_codes(distinct: list[str]) -> bool:
    """Digits that name something: they begin with a nought, or are more than a whole number has."""
    return any((len(value) > 1 and value[0] == "0" and value[1] not in ".,")
               or (len(value) > INTEGER_DIGITS and value.isdigit()) for value in distinct)


def _are_days(name: str, distinct: list[str]) -> bool:
    """Eight digits that are days, of a column that calls itself so."""
    return bool(re.search("date|day|_on$|_dt|dat|_d$", name.lower())) and all(map(COMPACT.fullmatch, distinct))


def _dates(name: str, distinct: list[str],
           counts: Mapping[str, int]) -> tuple[dict[str, float], tuple[str, ...], tuple[str, ...]]:
    """The days of texts, their formats and the odd spellings among them; no days where it is no column of dates."""
    left, days, formats = list(distinct), dict[str, float](), list[str]()
    ways = ("%Y%m%d",) if _are_days(name, distinct) else FORMATS
    while left and len(formats) < 3:
        read = {pattern: found for pattern in ways if (found := _read(left, pattern))}
        best = max(read, key=lambda pattern: len(read[pattern]), default=None)
        if best is None:
            break
        formats.append(best)
        days |= read[best]
        left = [value for value in left if value not in days]
    odd = _odd(distinct, left, counts)
    return ({}, (), ()) if odd is None or not days else (days, tuple(formats), odd)


def _rival(days: Mapping[str, float], formats: tuple[str, ...]) -> str:
    """Of dates in one format, another that reads each of them too, and not all as the same days."""
    if len(formats) != 1:
        return ""
    reads = {pattern: _read(list(days), pattern) for pattern in FORMATS}
    return next((pattern for pattern, read in reads.items() if len(read) == len(days) and read != days), "")


def _read(texts: list[str], pattern: str) -> dict[str, float]:
    """The days of those texts that a format fits; none at all where it fits none of the first."""
    days: dict[str, float] = {}
    for k, text in enumerate(texts):
        if k == TRIED and not days:
            break
        with suppress(ValueError):
            days[text] = float((read_day(text, pattern) - date(1970, 1, 1)).days)
    return days


def _outwards(value: float, rounded: Callable[[float], int]) -> float:
    """A number of two significant digits beyond the value."""
    if value == 0:
        return 0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    steps = value / step
    found = (round(steps) if math.isclose(steps, round(steps), rel_tol=1e-14) else rounded(steps)) * step
    return int(found) if step >= 1 else round(found, 9)
