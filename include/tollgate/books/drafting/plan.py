"""From what was found of the files to the parts of a book: which tables they feed, with which columns."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tollgate.books.description.sources import Reader
from tollgate.books.description.tables import Kind
from tollgate.books.drafting.kinds import Cells
from tollgate.books.drafting.names import APPLIED, ENDED, rank, snake_case
from tollgate.books.drafting.roles import File

CRITICAL = 3          # features
LAG_AFTER_PAYMENT = 150
NEVER_EMPTY_ROWS = 1_000  # of fewer, it may be luck that none is empty
BANDS_FROM = 12       # values of a protected number, above which it is put into bands of ten
TODO = "TODO"
OWN_NAMES = {"sources", "target", "book"}  # that the module has, in capitals, beside those of its tables
NEVER_EMPTY = (("nullable", "False"),)
_OUTCOME = (("known", '"later"'), ("why", '"an outcome"'))


@dataclass(frozen=True)
class DraftColumn:
    """A column to be written: its arguments beside name, source and kind, as code, and what was seen of it."""

    name: str
    source: str
    kind: Kind
    seen: str
    options: tuple[tuple[str, str], ...] = ()
    feature: str = ""  # number or category; none for any other column
    auc: float = 0.5


@dataclass(frozen=True)
class DraftTable:
    """A table to be written."""

    name: str
    columns: tuple[DraftColumn, ...]
    key: tuple[str, ...]
    told: tuple[str, ...]
    entity: str = ""
    filled: tuple[str, ...] = ()


@dataclass(frozen=True)
class DraftSource:
    """A kind of file to be written; ``ignored`` are columns and why."""

    begins: str
    tables: tuple[str, ...]
    reader: Reader
    evidence: dict[str, str]
    ignored: tuple[tuple[str, str], ...]
    said: str


@dataclass
class Draft:
    """A book to be written.

    Attributes:
        event: arguments of what is bad, as code; none where no outcome was found. why: of it, a sentence each.
        todo: what a person has to do before it can run, a sentence each. doubts: what they should look at.
    """

    name: str
    sources: list[DraftSource] = field(default_factory=list)
    tables: list[DraftTable] = field(default_factory=list)
    event: tuple[tuple[str, str], ...] = ()
    why: tuple[str, ...] = ()
    lag_days: int = 0
    nulls: tuple[str, ...] = ()
    todo: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @property
    def features(self) -> list[DraftColumn]:
        """The columns that features are made of."""
        return [column for table in self.tables[:1] for column in table.columns if column.feature]

    @property
    def critical(self) -> list[str]:
        """Names of the features that tell most of the outcome."""
        return [column.name for column in sorted(self.features, key=lambda c: -c.auc)[:CRITICAL]]


def plan(name: str, files: Sequence[File]) -> Draft:
    """The parts of a book, from one file at least."""
    kinds = [[file for file in files if file.header == header] for header in dict.fromkeys(f.header for f in files)]
    main, *others = sorted(kinds, key=_standing)
    nulls = {null for file in files for of in file.cells.values() for null in of.nulls}
    draft = Draft(name, nulls=tuple(sorted(nulls)))
    _add_applications(draft, main)
    for kind in others:
        _add_other(draft, _longest(main), kind)
    draft.doubts += [f"{name}: its dates are read as {of.formats[0]}, and could all be {of.rival}: ask the lender."
                     for file in map(_longest, kinds) for name, of in file.cells.items()
                     if of.rival and file.part[name][0] not in ("ignored", "personal")]
    if not draft.event:
        draft.todo.append("No column tells what became of the loans: describe a table of outcomes, and what is bad in "
                          "TARGET.")
    return draft


def _standing(kind: list[File]) -> tuple[bool, bool, int]:
    """Applications first: files with a key and a day, then those with most columns."""
    file = _longest(kind)
    return file.key is None, file.applied is None, -len(file.cells)


def _longest(kind: list[File]) -> File:
    return max(kind, key=lambda file: file.sample.cells.num_rows)


def _add_applications(draft: Draft, kind: list[File]) -> None:
    """The table of applications, and that of outcomes where the same rows tell them."""
    file = _longest(kind)
    later = [_later(file, name) for name in file.of("later")]
    outcomes = _outcomes(file) if file.outcome else None
    draft.tables.append(DraftTable("applications", (*_applications(draft, file), *([] if outcomes else later)),
                                   ("loan_id",), ("applied_on",)))
    if outcomes is not None:
        # What happens to a loan as it ages is empty in the file of its first month, and that is no fault of the file.
        filled = tuple(file.own[name] for name in (*(file.outcome.on if file.outcome else ()), *file.of("later"))
                       if file.cells[name].empty)
        draft.tables.append(replace(outcomes, columns=(*outcomes.columns, *later), filled=filled))
        _set_event(draft, file)
    draft.sources.append(_source(kind, tuple(table.name for table in draft.tables)))


def _applications(draft: Draft, file: File) -> Iterator[DraftColumn]:
    if file.key is None:
        draft.todo.append("No column is unique and never empty: name the one that names a loan as the source of "
                          "loan_id.")
        yield _unknown_key()
    else:
        yield DraftColumn("loan_id", file.key, "text", f"{file.key}: {file.part[file.key][1]}", NEVER_EMPTY)
    if file.applied is None:
        draft.todo.append("No date says when a loan was asked for: name the one that does as the source of applied_on.")
        yield _unknown_day()
    else:
        of = file.cells[file.applied]
        others = [name for name in file.of("date") if rank(APPLIED, snake_case(name))]
        also = f"; other dates: {', '.join(others)}" if others else ""
        yield DraftColumn("applied_on", file.applied, "date", f"{file.applied}: {file.part[file.applied][1]}; "
                          f"{_span(of)}{also}", (("nullable", "False"), *_formats(of)))
    for name in file.of("applicant", "feature", "date", "personal", "protected"):
        yield _column(draft, file, name)


def _column(draft: Draft, file: File, name: str) -> DraftColumn:
    """A column that was known when the loan was asked for."""
    of, (role, why) = file.cells[name], file.part[name]
    own = "applicant_id" if file.of("applicant")[:1] == [name] else file.own[name]  # of several the first asks
    kind: Kind = "text" if role == "applicant" or of.kind == "empty" else of.kind
    if role == "personal":
        return DraftColumn(own, name, "text", f"{name}: looks like {why}",
                           (("personal", "True"), ("why", repr(why))))
    options = _options(of)
    if role == "protected":
        options = (("protected", "True"), ("why", repr(f"a protected characteristic: {why}")), *options)
        if of.kind == "integer" and len(of.levels) <= BANDS_FROM:
            kind, options = "text", (*options[:2], ("isin", repr(tuple(sorted(of.levels)))))
        elif of.kind == "integer":
            kind, options = "text", (*options[:2], *_bands(of))
            draft.doubts.append(f"{own} is put into bands of ten years: groups must be large enough to compare.")
        elif of.kind in ("number", "date"):
            draft.doubts.append(f"{own} is protected and no text: the fairness gate compares groups of equal values.")
    if role == "applicant":
        options = ()
    feature = {"text": "category"}.get(of.kind, "number") if role == "feature" else ""
    said = f"; {why}" if why else ""
    return DraftColumn(own, name, kind, f"{_seen(of)}{said}", options, feature, file.told.get(name, (0.5, ""))[0])


def _later(file: File, name: str) -> DraftColumn:
    """A column that was filled after the decision."""
    of, (_, why) = file.cells[name], file.part[name]
    kind: Kind = "text" if of.kind == "empty" else of.kind
    reason = why.split(";")[0]
    formats = (*_formats(of), *((("month_end", "True"),) if of.month_only else ()))
    return DraftColumn(file.own[name], name, kind, f"{_seen(of)}; {why}",
                       (("known", '"later"'), ("why", repr(reason)), *formats))


def _outcomes(file: File) -> DraftTable:
    """The table of outcomes that the rows of the applications tell too."""
    assert file.outcome is not None
    days = [name for name in dict.fromkeys((file.applied, *file.outcome.on)) if name is not None]
    columns = [_unknown_key() if file.key is None else
               DraftColumn("loan_id", file.key, "text", f"{file.key}: as of the applications", NEVER_EMPTY)]
    for name in days:
        of = file.cells[name]
        never = NEVER_EMPTY if name == file.applied else (("month_end", "True"),) if of.month_only else ()
        seen = "as of the applications: the row says something from that day on" if name == file.applied else _seen(of)
        columns.append(DraftColumn(file.own[name], name, "date", f"{name}: {seen}", (*never, *_formats(of), *_OUTCOME)))
    if file.outcome.column is not None:
        columns.append(_status(file, file.outcome.column))
    told = tuple(file.own[name] for name in days)
    if file.applied is None:  # it is to be named in both tables
        columns.insert(1, _unknown_day())
        told = (columns[1].name, *told)
    return DraftTable("outcomes", tuple(columns), ("loan_id",), told)


def _unknown_key() -> DraftColumn:
    return DraftColumn("loan_id", f"{TODO} loan_id", "text", "TODO: no column is unique and never empty; write the "
                       "lender's name of the one that names a loan as source", NEVER_EMPTY)


def _unknown_day() -> DraftColumn:
    return DraftColumn("applied_on", f"{TODO} applied_on", "date", "TODO: no date that is never empty says when a loan "
                       "was asked for; write the lender's name of the one that does as source", NEVER_EMPTY)


def _status(file: File, name: str) -> DraftColumn:
    of = file.cells[name]
    vocabulary = ("isin", repr(tuple(of.levels)))
    return DraftColumn(file.own[name], name, "text", _seen(of), (vocabulary, *_OUTCOME))


def _set_event(draft: Draft, file: File) -> None:
    outcome = file.outcome
    assert outcome is not None
    days = tuple(file.own[name] for name in outcome.on) or ("applied_on",)
    draft.event = (("table", '"outcomes"'), ("on", repr(days[0] if len(days) == 1 else days)))
    if outcome.column is not None:
        draft.event += (("column", repr(file.own[outcome.column])), ("isin", repr(outcome.bad)))
    draft.why = outcome.why
    if outcome.on and rank(ENDED, snake_case(outcome.on[0])) == 3:
        draft.lag_days = LAG_AFTER_PAYMENT
    draft.doubts.extend(line.removeprefix("TODO: ") for line in outcome.why if line.startswith(TODO))


def _add_other(draft: Draft, main: File, kind: list[File]) -> None:
    """A table of other files: outcomes where there are none yet, else a history of the loans."""
    file = _longest(kind)
    names = {snake_case(name): name for name in file.cells}
    key = names.get(snake_case(main.key)) if main.key else None
    days = [name for name, of in file.cells.items() if of.kind == "date" and not of.empty
            and file.part[name][0] != "personal"]
    day = max(days, key=lambda name: rank(ENDED, snake_case(name)), default=None)
    if key is None or day is None:
        lacks = "column that names a loan" if key is None else "date that is never empty"
        draft.todo.append(f"{file.sample.path.name} has no {lacks} and is left out: describe it, or ask for one.")
        return
    columns = [DraftColumn("loan_id", key, "text", f"{key}: as of the applications", NEVER_EMPTY)]
    for name in (name for name in file.cells if name != key and file.part[name][0] != "ignored"):
        if file.part[name][0] == "personal":
            columns.append(_column(draft, file, name))
        else:
            of = file.cells[name]
            never = NEVER_EMPTY if name == day else ()
            columns.append(DraftColumn(file.own[name], name, "text" if of.kind == "empty" else of.kind, _seen(of),
                                       (*never, *(o for o in _options(of) if o[0] != "nullable"), *_OUTCOME)))
    if file.outcome is not None and not draft.event:
        told = tuple(dict.fromkeys(file.own[name] for name in (day, *file.outcome.on)))
        draft.tables.append(DraftTable("outcomes", tuple(columns), ("loan_id", file.own[day]), told))
        _set_event(draft, file)
    else:
        name = snake_case(_beginning(kind))
        name = name if name not in {*OWN_NAMES, *(table.name for table in draft.tables)} else f"{name}_history"
        draft.tables.append(DraftTable(name, tuple(columns), ("loan_id", file.own[day]), (file.own[day],), "loan_id"))
        draft.doubts.append(f"{name} is a history of the loans, keyed by loan and {file.own[day]}: Aggregates make "
                            "features of it.")
    draft.sources.append(_source(kind, (draft.tables[-1].name,), read=(key, day)))


def _source(kind: list[File], tables: tuple[str, ...], read: tuple[str, ...] = ()) -> DraftSource:
    """A kind of files; ``read`` are columns that are no key of theirs and are read all the same."""
    file = _longest(kind)
    evidence = dict(file.sample.evidence)
    reader = replace(file.sample.reader, decimal=file.marks.decimal, thousands=file.marks.thousands)
    for option in ("decimal", "thousands"):
        if getattr(reader, option) != getattr(Reader(), option):
            evidence[option] = f"numbers such as {file.marks_seen}"
    return DraftSource(_beginning(kind), tables, reader, evidence,
                       tuple((name, file.part[name][1]) for name in file.of("ignored") if name not in read),
                       file.sample.said)


def _beginning(kind: list[File]) -> str:
    """How the names of files of this kind begin: what they share, without days and numbers."""
    shared = os.path.commonprefix([file.sample.path.name for file in kind])  # noqa: RUF071 - letters are meant
    return re.split(r"\d|\.", shared)[0].rstrip("_- ") or shared.split(".")[0]


def _options(of: Cells) -> tuple[tuple[str, str], ...]:
    """What holds of the cells, as arguments."""
    found = [] if of.empty or of.rows < NEVER_EMPTY_ROWS else [("nullable", "False")]
    if of.closed:
        found.append(("isin", repr(tuple(sorted(of.levels)))))
    elif of.kind in ("integer", "number", "money"):
        found += [(end, f"{bound:_}") for end, bound in zip(("ge", "le"), of.bounds(), strict=True)]
    return (*found, *_formats(of))


def _formats(of: Cells) -> tuple[tuple[str, str], ...]:
    if of.kind != "date" or of.formats == ("%Y-%m-%d",):
        return ()
    return (("format", repr(of.formats[0] if len(of.formats) == 1 else of.formats)),)


def _bands(of: Cells) -> tuple[tuple[str, str], ...]:
    """Bands of ten for a whole number, as arguments."""
    low, high = (int(end) // 10 * 10 for end in of.span())
    names = tuple(f"{first} to {first + 9}" for first in range(low - 10, high + 11, 10) if first >= 0)
    return (("isin", repr(names)),
            ("recode", f'{{str(n): f"{{n // 10 * 10}} to {{n // 10 * 10 + 9}}" for n in range({max(low - 10, 0)}, '
                       f'{high + 20})}}'))


def _span(of: Cells) -> str:
    first, last = of.days()
    return f"{first} to {last}"


def _seen(of: Cells) -> str:
    """What was seen of a column, in a few words."""
    empty = f"empty in {of.empty / of.rows:.1%}" if of.empty else "never empty"
    if of.kind == "date":
        return f"{_span(of)}, {empty}"
    if of.kind == "percent":
        low, high = of.span()
        return f"{low:.2%} to {high:.2%}, {empty}"
    if of.numeric:
        low, high = of.span()
        years = of.kind == "integer" and 1900 <= low <= high <= 2100
        return f"{low:.0f} to {high:.0f}, {empty}" if years else f"{low:,.12g} to {high:,.12g}, {empty}"
    return f"{len(of.levels):,} different, {empty}"


def options_of(reader: Reader) -> Iterator[tuple[str, Any]]:
    """The options of a reader that are not the default."""
    for name in Reader.__dataclass_fields__:
        if (value := getattr(reader, name)) != getattr(Reader(), name):
            yield name, value
