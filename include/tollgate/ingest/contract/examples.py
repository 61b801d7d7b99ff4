"""What a file that is refused for its bad rows holds in them, in sentences that lead to the mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.ingest.contract.cells import masked
from tollgate.ingest.reading import listed, spell, visible

if TYPE_CHECKING:
    from tollgate.books import Book, Column, Reader, Source
    from tollgate.ingest.reading import Raw

RULES, VALUES = 3, 3  # how many rules are explained, by how many values each
LETTERS = 40  # of a value
AT_ONCE = 1_000  # rows of a batch that are looked into
SAMPLE_DAY = date(2006, 2, 28)
Rule = tuple[str, str, str | None]  # table, rule, column
SERIAL = re.compile(r'"[2-6]\d{4}(\.\d+)?"')  # of a day from 1954 to 2091, as spreadsheets count days


def examples(book: Book, source: Source, batches: Iterable[Raw], broken: pa.Table, rules: Sequence[Rule]) -> list[str]:
    """A sentence for each of the first rules: what was found in which lines, and what is asked for instead.

    A masked cell is told by what was masked in it. The file is read no further than the last row that is shown.

    Args:
        batches: the file, from its beginning, which is of ``source``.
        broken: ``BROKEN`` by place in the file. rules: ``(table, rule, column)``, the most frequent first.
    """
    waiting = {rule: _rows(broken, rule) for rule in rules[:RULES]}
    found: dict[Rule, dict[str, str]] = {rule: {} for rule in waiting}
    for raw in batches:
        for rule, places in waiting.items():
            if len(found[rule]) < VALUES:
                _add(found[rule], _of(book, rule), raw, source.reader, places)
        last = max((int(places[-1]) for rule, places in waiting.items() if len(found[rule]) < VALUES), default=0)
        if not last or max([0, *raw.numbers[-1:], *raw.malformed[-1:]]) >= last:
            break
    return [_sentence(_of(book, rule), rule[1], values) for rule, values in found.items() if values]


def _rows(broken: pa.Table, rule: Rule) -> np.ndarray:
    """Where a rule was broken, ascending."""
    table, name, column = rule
    is_column = pc.is_null(broken["column"]) if column is None else pc.equal(broken["column"], column)
    is_rule = pc.and_(pc.equal(broken["table"], table), pc.equal(broken["rule"], name))
    places: np.ndarray = np.sort(broken.filter(pc.and_(is_rule, is_column))["row"].to_numpy())
    return places


def _add(found: dict[str, str], mine: Sequence[Column], raw: Raw, reader: Reader, places: np.ndarray) -> None:
    """Add the values of a batch that are not among those found yet, with the place of the first row of each.

    Args:
        mine: the columns of the rule; none where it is that a row is malformed.
    """
    if not mine:
        for place in raw.malformed[np.isin(raw.malformed, places)][:AT_ONCE].tolist():
            found.setdefault(_malformed(raw, place), "")
            if len(found) == VALUES:
                return
        return
    here = np.flatnonzero(np.isin(raw.numbers, places))[:AT_ONCE]
    if not len(here):
        return
    cells = spell(mine, raw.rows.select([c.source for c in mine]).take(here), reader)
    spelled = [[masked(c, cell) for cell in cells[c.source].to_pylist()] for c in mine]
    for place, *row in zip(raw.numbers[here].tolist(), *spelled, strict=True):
        shown = [_shown(cell) for cell in row]
        found.setdefault(shown[0] if len(row) == 1 else f"({', '.join(shown)})", f"in {raw.stands(place)}")
        if len(found) == VALUES:
            return


def _malformed(raw: Raw, place: int) -> str:
    """What is wrong with a row of which no cell is known."""
    if span := raw.span(place):
        taken = f" and takes {raw.told(place)} with it" if span[0] < span[1] else ""
        return f"a quote opened in line {span[0]} is not closed there{taken}"
    return f"{raw.stands(place)} {raw.torn}"


def _shown(cell: str | None) -> str:
    if cell is None or not cell.strip():
        return "nothing"
    seen = visible(cell)
    return f'"{seen[:LETTERS]}{"..." if len(seen) > LETTERS else ""}"'


def _of(book: Book, rule: Rule) -> list[Column]:
    """The columns of a rule: one, several with commas between them, or none."""
    table, _, names = rule
    if names is None:
        return []
    known = {c.name: c for c in book.columns(table)}
    return [known[name] for name in names.split(", ")]


def _sentence(mine: Sequence[Column], rule: str, values: dict[str, str]) -> str:
    if not mine:
        said = _and(list(values))
        return f"{said[0].upper()}{said[1:]}."
    both = _and([c.source if c.source == c.name else f"{c.source} ({c.name} in the lake)" for c in mine])
    asked = _asked(mine[0], rule)
    if rule == "not_a_date" and any(SERIAL.fullmatch(value) for value in values):
        asked += (". A number alone may be the serial number of a day in a spreadsheet: give these cells the format of "
                  "a date there")
    verb = "holds" if len(mine) == 1 else "hold"
    return f"{both} {verb} {_and([f'{value} {where}' for value, where in values.items()])}{asked and f'; {asked}'}."


def _asked(column: Column, rule: str) -> str:
    """What a good cell holds, in words; nothing where the name of the rule says it."""
    return {
        "not_a_date": f"expected: a day like {' or '.join(f'{SAMPLE_DAY:{form}}' for form in column.formats)} "
                      f"({' or '.join(column.formats)})",
        "not_an_integer": "expected: a whole number like 12",
        "not_a_number": "expected: a number like 1234.50" + (" or $1,234.50" if column.kind == "money" else ""),
        "not_a_percent": "expected: a share with its sign, like 10.65%: without it, 10.65 and 0.1065 may be the same",
        "not_finite": "expected: a finite number",
        "below_minimum": f"the least is {column.ge}",
        "above_maximum": f"the most is {column.le}",
        "not_in_vocabulary": f"expected: one of {listed(column.isin)}",
        "required": "it must never be empty",
        "float_key": "it went through a floating-point number, which loses digits: expected: the number as text",
        "invisible_character": "the escaped character is one that nobody sees: expected: the number without it",
        "duplicate": "expected: one row of each",
        "from_the_future": "the day is after the one on which the file landed",
        "formula": "a spreadsheet would run it",
    }.get(rule, "")


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
