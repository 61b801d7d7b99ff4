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
    from tollgate.ingest.reading.layout import Layout

LISTED, KEPT = 100, 200  # letters of names in a message, and in the quarantine
SEPARATORS = {",": "commas", ";": "semicolons (;)", "\t": "tabs", "|": "bars (|)"}
LOOKED_INTO = 20  # lines below the first, for the names
LINE_LETTERS = 100_000


def check_names(layout: Layout, found: Sequence[str], below: bytes = b"", lines: Sequence[int] = ()) -> None:
    """Raise ``Unfit`` unless the columns are those of the contract, in whatever order.

    Args:
        found: the names of the columns, as they stand in the file.
        below: what follows the names in a file of text. lines: the number of the line that the names stand in, then of
            each line below; none for any other format.
    """
    file, expected = layout.file, list(layout.columns)
    here = set(found)
    missing = [name for name in expected if name not in here]
    twice = sorted({name for name in expected if found.count(name) > 1})
    unknown = layout.unknown(found)
    if len(lines) and len(missing) * 2 > len(expected):
        _check_arrangement(layout, found, listed(missing, KEPT), below, lines)
    end = f"{layout.show} lists the columns that it must have."
    if missing:
        raise Unfit("missing_column", f"{file} lacks a column of the contract", column=listed(missing, KEPT),
                    value=listed(missing), remedy=" ".join([*_instead(layout, missing, unknown, lines), end]))
    if twice:
        raise Unfit("duplicate_column", f"{file} has a column twice", column=listed(twice, KEPT), value=listed(twice),
                    remedy=end)
    if unknown and not layout.ignore_unknown:
        comma = ([f'Line {lines[0]} ends with a comma too many: ignored=("",) in its source in the book leaves it '
                  "unread."] if len(lines) and not found[-1].strip() else
                 ["Its source in the book may name columns that nobody needs (ignored)."])
        raise Unfit("unknown_column", f"{file} has a column that the contract does not know",
                    column=listed(unknown, KEPT), value=listed(unknown), remedy=" ".join([*comma, end]))


def check_skipped(layout: Layout, cells: Sequence[str], names: Sequence[str], place: str, what: str) -> None:
    """Raise ``Unfit`` where a line that the reader skips looks like a row.

    It does when it has as many cells, and most of them are filled, or all that never are empty. The names of the
    columns are no row where the reader gives them itself.

    Args:
        names: of the columns, in turn. place: ``line 7``. what: ``title`` or ``footer``.
    """
    columns = len([name for name in names if name.strip()])
    needed = [bool(cell.strip()) for name, cell in zip(names, cells, strict=False)
              if name in layout.columns and name not in layout.may_miss]
    is_whole = bool(needed) and all(needed)
    if len(cells) < columns or not (is_whole or sum(bool(cell.strip()) for cell in cells) * 2 > columns):
        return
    if what == "title" and layout.reader.names and _are_most(cells, list(layout.columns)):
        return
    option = "skip_top" if what == "title" else "skip_bottom"
    raise Unfit("skipped_row", f"{place} of {layout.file} was to be skipped as a {what} and looks like a row",
                remedy=f"Nothing of it is published. If the lender left the {what} out, land the file anew with it, or "
                       f"mend {option} in the reader of its source in the book.")


def listed(names: Sequence[str], letters: int = LISTED) -> str:
    """Names with commas between them, as many as ``letters`` hold, and how many more there are."""
    shown: list[str] = []
    for name in names:
        if shown and sum(map(len, shown)) + 2 * len(shown) + len(name) > letters:
            break
        shown.append((visible(name.strip()) or "(no name)")[:letters])
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _check_arrangement(layout: Layout, found: Sequence[str], missing: str, below: bytes,
                       lines: Sequence[int]) -> None:
    """Raise ``Unfit`` where the names are there, but not where or how the reader has them."""
    file, expected, own = layout.file, list(layout.columns), layout.reader.delimiter
    asked = SEPARATORS.get(own, repr(own)).partition(" (")[0]
    for letter, word in SEPARATORS.items():
        if letter != own and _are_most(own.join(found).split(letter), expected):
            raise Unfit("missing_column", f"The cells of {file} are separated by {word}, not by {asked}",
                        column=missing, remedy=f"Save it with {asked} between the cells, or say delimiter={letter!r} "
                                               "in the reader of its source in the book.")
    if at := _names_below(below, expected, own):
        is_title = len([name for name in found if name.strip()]) <= 1
        raise Unfit("missing_column", f"{file} does not begin with the names of its columns: line {lines[0]} is "
                                      f"{'a title' if is_title else 'no line of names'}", column=missing,
                    remedy=f"The names stand in line {lines[at]}: delete the lines above it, or say "
                           f"skip_top={lines[at] - 1} in the reader of its source in the book.")


def _instead(layout: Layout, missing: Sequence[str], unknown: Sequence[str],
             lines: Sequence[int]) -> list[str]:
    """What the file has in the place of the missing columns; nothing that may be somebody's data is repeated."""
    folded = {_folded(name): name for name in missing}
    alike = [(name, folded[_folded(name)]) for name in unknown if _folded(name) in folded]
    if alike:
        few = listed([f"`{name}` must be `{right}`" for name, right in alike])
        return [f"Differs only in case, blanks or unseen characters: {few}."]
    if len(lines) and len(missing) == len(layout.columns):
        asked = SEPARATORS.get(layout.reader.delimiter, repr(layout.reader.delimiter))
        return [f"Line {lines[0]} must hold the names of the columns, separated by {asked.partition(' (')[0]}; where "
                "the lender sends none, the reader of its source in the book gives them (names)."]
    if unknown and not layout.ignore_unknown and len(missing) * 2 <= len(layout.columns):
        return [f"It has {listed(unknown)} instead, which the contract does not know."]
    return []


def _folded(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isprintable() and not letter.isspace())


def _are_most(names: Sequence[str], expected: Sequence[str]) -> bool:
    here = {_folded(name.strip().strip('"')) for name in names}
    return sum(_folded(name) in here for name in expected) * 2 >= len(expected)


def _names_below(text: bytes, expected: Sequence[str], delimiter: str) -> int:
    """How many lines below the first the names of the columns stand; 0 where they do not."""
    lines = io.StringIO(text[:LINE_LETTERS].decode("utf-8", errors="replace"))
    for at, line in enumerate(islice(lines, LOOKED_INTO), start=1):
        if _are_most(next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), []), expected):
            return at
    return 0
