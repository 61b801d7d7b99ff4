"""What each column of a lender's file is for: key, day or feature; personal, protected, told later or of no use."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from tollgate.books.drafting import names
from tollgate.books.drafting.kinds import Cells, Marks, look_at, marks_of
from tollgate.books.drafting.names import first_of, rank, snake_case
from tollgate.books.drafting.outcome import Outcome, find_outcome, is_leak, strength
from tollgate.books.drafting.sample import Sample

Role = Literal["key", "applicant", "applied", "outcome", "feature", "date", "personal", "protected", "later", "ignored"]

LOOKED_AT = 500        # distinct values that are held against patterns
ALIKE = 0.9            # share of them that must fit
LEVELS_MAX = 100       # values of a category, above which it is left unread
WORDS = 4              # of a cell of free text, on average
URL = re.compile(r"(https?://|www\.)\S+")


@dataclass(frozen=True)
class File:
    """A file and what was found of its columns, by the lender's names.

    Attributes:
        part: its role, and why, of each column. told: how well it tells the outcome alone, AUC and words.
    """

    sample: Sample
    marks: Marks
    marks_seen: str
    cells: dict[str, Cells]
    own: dict[str, str]
    key: str | None
    applied: str | None
    outcome: Outcome | None
    part: dict[str, tuple[Role, str]] = field(default_factory=dict)
    told: dict[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def header(self) -> frozenset[str]:
        """The names of its columns, by which files of one kind are told."""
        return frozenset(self.cells)

    def of(self, *roles: Role) -> list[str]:
        """The columns with one of these roles, in the order of the file."""
        return [name for name, (role, _) in self.part.items() if role in roles]


def examine(sample: Sample) -> File:
    """Find out what the columns of a file are."""
    columns = {name: sample.cells[name] for name in sample.cells.column_names}
    marks, seen = marks_of(columns)
    cells = {name: look_at(name, column, marks) for name, column in columns.items()}
    key, applied = _key(cells), _applied(cells)
    file = File(sample, marks, seen, cells, names.own_names(columns), key, applied, find_outcome(cells, applied))
    if file.outcome is not None:
        for name, of in cells.items():
            auc, rate, said = strength(of, file.outcome.label)
            file.told[name] = (1.0 if is_leak(auc, rate) else auc, said)
    equal = _equal_to(sample.cells)
    file.part.update({name: _part(file, name, equal) for name in cells})
    return file


def _key(cells: Mapping[str, Cells]) -> str | None:
    """The column that names a loan: no two rows share it, and none is without it."""
    unique = [name for name, of in cells.items() if of.unique and of.kind in ("integer", "text")
              and not _personal(name, of) and rank(names.KEY, snake_case(name))
              and not names.APPLICANT.search(snake_case(name))]
    return max(unique, key=lambda name: rank(names.KEY, snake_case(name)), default=None)


def _applied(cells: Mapping[str, Cells]) -> str | None:
    """The day on which a loan was asked for, or granted where no other is told; never empty."""
    dates = [name for name, of in cells.items() if of.kind == "date" and not of.empty
             and not names.NOT_APPLIED.search(snake_case(name)) and rank(names.APPLIED, snake_case(name))]
    return max(dates, key=lambda name: rank(names.APPLIED, snake_case(name)), default=None)


def _part(file: File, name: str, equal: Mapping[str, str]) -> tuple[Role, str]:
    """The role of one column, and why."""
    of, called = file.cells[name], snake_case(name)
    auc, said = file.told.get(name, (0.5, ""))
    if name == file.key:
        return "key", "never empty, and no two rows share it"
    if name == file.applied:
        return "applied", "never empty; by its name"
    if file.outcome and name in (file.outcome.column, *file.outcome.on):
        return "outcome", "an outcome"
    if not of.levels:
        return "ignored", "empty"
    if len(of.levels) == 1 and not of.empty:
        return "ignored", f"{next(iter(of.levels))!r} in every row"
    if personal := _personal(name, of):
        return "personal", personal
    if protected := _protected(called, of):
        return "protected", protected
    if _alike(of, URL):
        return "ignored", "addresses of web pages"
    if name in equal:
        return "ignored", f"the same as {equal[name]} in every row"
    if names.LATER.search(called) or auc == 1.0:
        why = "by its name it is told after the decision" if names.LATER.search(called) else "it tells the outcome"
        return "later", f"{why}; {said}" if said else why
    if names.APPLICANT.search(called) and not of.unique and of.kind in ("integer", "text"):
        return "applicant", f"by its name; {len(of.levels):,} of {of.rows:,} rows name somebody else"
    if of.unique and (of.kind == "text" or (of.kind == "integer" and rank(names.KEY, called))):
        return "ignored", "another number in every row"
    if of.kind == "text" and len(of.levels) > LEVELS_MAX:
        return "ignored", f"{len(of.levels):,} different texts are no category"
    return ("date", "") if of.kind == "date" else ("feature", said)


def _personal(name: str, of: Cells) -> str | None:
    """Why a column is about a person, by its name or by the look of its cells; None where it is not."""
    called = snake_case(name)
    if of.kind == "text":
        looks = next((what for what, pattern in names.CONTENT if _alike(of, re.compile(pattern, re.IGNORECASE))), None)
        return looks or first_of(names.PERSONAL, called) or ("free text" if _is_prose(of) else None)
    what = first_of(names.PERSONAL, called)
    kinds = {"a date of birth": ("date",), "a telephone number": ("integer",), "a postal code": ("integer",),
             "a number of a person": ("integer",), "a bank account or card": ("integer",)}
    return what if what and of.kind in kinds.get(what, ()) else None


def _protected(called: str, of: Cells) -> str | None:
    values = {value.lower() for value in of.levels}
    if values in names.SEXES:
        return "sex"
    what = first_of(names.PROTECTED, called)
    return None if what == "age" and names.NO_AGE.search(called) else what


def _alike(of: Cells, pattern: re.Pattern[str]) -> bool:
    some = list(of.levels)[:LOOKED_AT]
    return bool(some) and sum(bool(pattern.fullmatch(value)) for value in some) >= ALIKE * len(some)


def _is_prose(of: Cells) -> bool:
    """Whether the cells are sentences rather than values that come again."""
    some = list(of.levels)[:LOOKED_AT]
    words = sum(len(value.split()) for value in some) / max(len(some), 1)
    return words >= WORDS and len(of.levels) > 0.2 * of.filled.sum()


def _equal_to(cells: pa.Table) -> dict[str, str]:
    """Columns that say the same as an earlier one in every row."""
    found: dict[str, str] = {}
    alike: dict[bytes, list[str]] = {}  # by which of their rows say the same: few columns are held against each other
    for name, column in zip(cells.column_names, cells.columns, strict=True):
        codes = column.combine_chunks().dictionary_encode().indices.to_numpy()
        others = alike.setdefault(hashlib.sha256(codes).digest(), [])
        earlier = next((other for other in others if cells[other].equals(column)), None)
        if earlier is None:
            others.append(name)
        else:
            found[name] = earlier
    return found
