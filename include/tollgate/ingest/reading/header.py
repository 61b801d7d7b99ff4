"""Whether a file's columns are those of the contract, and, where they are not, what is wrong in words that help."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from tollgate.ingest.reading.formats import Unfit
from tollgate.ingest.reading.spelling import visible

if TYPE_CHECKING:
    from tollgate.books import Column

LISTED, KEPT = 100, 200  # letters of names in a message, and in the quarantine
SEPARATORS = {";": "semicolons (;)", "\t": "tabs", "|": "bars (|)"}
LOOKED_INTO = 20  # lines below the first, for the names
LINE_LETTERS = 100_000


def check_names(file: str, found: Sequence[str], columns: Sequence[Column], show: str, below: bytes = b"",
                lines: Sequence[int] = ()) -> None:
    """Raise ``Unfit`` unless the columns are those of the contract, in whatever order.

    Args:
        file: its name, for the message.
        found: the names of its columns, as they stand in it.
        show: the command that lists the columns of the contract.
        below: what follows the names in a CSV file. lines: the number of the line that the names stand in, then of each
            line below; none for any other format.
    """
    expected = [c.source for c in columns]
    missing = [name for name in expected if name not in found]
    twice = sorted({name for name in found if found.count(name) > 1})
    unknown = [name for name in dict.fromkeys(found) if name not in expected]
    if len(lines) and len(missing) * 2 > len(expected):
        _check_layout(file, found, expected, listed(missing, KEPT), below, lines)
    end = f"{show} lists the columns that it must have."
    if missing:
        raise Unfit("missing_column", f"{file} lacks a column of the contract", column=listed(missing, KEPT),
                    value=listed(missing), remedy=" ".join([*_instead(expected, missing, unknown, lines), end]))
    if twice:
        raise Unfit("duplicate_column", f"{file} has a column twice", column=listed(twice, KEPT), value=listed(twice),
                    remedy=end)
    if unknown:
        comma = [f"Line {lines[0]} ends with a comma too many."] if len(lines) and not found[-1].strip() else []
        raise Unfit("unknown_column", f"{file} has a column that the contract does not know",
                    column=listed(unknown, KEPT), value=listed(unknown), remedy=" ".join([*comma, end]))


def listed(names: Sequence[str], letters: int = LISTED) -> str:
    """Names with commas between them, as many as ``letters`` hold, and how many more there are."""
    shown: list[str] = []
    for name in names:
        if shown and sum(map(len, shown)) + 2 * len(shown) + len(name) > letters:
            break
        shown.append((visible(name.strip()) or "(no name)")[:letters])
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _check_layout(file: str, found: Sequence[str], expected: Sequence[str], missing: str, below: bytes,
                  lines: Sequence[int]) -> None:
    """Raise ``Unfit`` where the names are there, but not where or how a CSV file has them."""
    for letter, word in SEPARATORS.items():
        if _are_most(",".join(found).split(letter), expected):
            raise Unfit("missing_column", f"The cells of {file} are separated by {word}, not by commas", column=missing,
                        remedy="Save it with commas between the cells.")
    if at := _names_below(below, expected):
        is_title = len([name for name in found if name.strip()]) <= 1
        raise Unfit("missing_column", f"{file} does not begin with the names of its columns: line {lines[0]} is "
                                      f"{'a title' if is_title else 'no line of names'}", column=missing,
                    remedy=f"The names stand in line {lines[at]}: delete the lines above it.")


def _instead(expected: Sequence[str], missing: Sequence[str], unknown: Sequence[str],
             lines: Sequence[int]) -> list[str]:
    """What the file has in the place of the missing columns; nothing that may be somebody's data is repeated."""
    folded = {_folded(name): name for name in missing}
    alike = [(name, folded[_folded(name)]) for name in unknown if _folded(name) in folded]
    if alike:
        few = listed([f"`{name}` must be `{right}`" for name, right in alike])
        return [f"Differs only in case, blanks or unseen characters: {few}."]
    if len(lines) and len(missing) == len(expected):
        return [f"Line {lines[0]} must hold the names of the columns, separated by commas."]
    if unknown and len(missing) * 2 <= len(expected):
        return [f"It has {listed(unknown)} instead, which the contract does not know."]
    return []


def _folded(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isprintable() and not letter.isspace())


def _are_most(names: Sequence[str], expected: Sequence[str]) -> bool:
    here = {_folded(name.strip().strip('"')) for name in names}
    return sum(_folded(name) in here for name in expected) * 2 >= len(expected)


def _names_below(text: bytes, expected: Sequence[str]) -> int:
    """How many lines below the first the names of the columns stand; 0 where they do not."""
    lines = io.StringIO(text[:LINE_LETTERS].decode("utf-8", errors="replace"))
    for at, line in enumerate(islice(lines, LOOKED_INTO), start=1):
        if _are_most(next(csv.reader([line.rstrip("\r\n")]), []), expected):
            return at
    return 0
