"""How tools spell a cell, whatever the format: nothing, yes and no, codes with a point, characters nobody sees."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from tollgate.books import APPLICANT, LOAN

if TYPE_CHECKING:
    from tollgate.books import Column

pc: Any = pyarrow.compute

_WORDS = ("NULL", "NA", "N/A", "#N/A", "None", "nan", "<NA>", "NaT")
NOTHING = frozenset({"", "NaN", "\\N", *(as_written for word in _WORDS for as_written in
                                         (word, word.lower(), word.upper(), word.capitalize()))})
BOOLEANS = (("true", "True", "TRUE"), ("false", "False", "FALSE"))

# Controls, format characters, separators but for the space, and letters and marks that are drawn as nothing.
_UNSEEN = (r"\p{Cc}\p{Cf}\p{Zl}\p{Zp}\x{00A0}\x{1680}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}\x{034F}\x{115F}\x{1160}"
           r"\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{2800}\x{3164}\x{FE00}-\x{FE0F}\x{FFA0}\x{E0000}-\x{E0FFF}")
_DRAWN_AS_NOTHING = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# What is left of a number that was a float on its way: a point and noughts, or an exponent.
_FLOAT = r"^[+-]?(\d+\.0*|\d+(\.\d*)?[eE][+-]\d+|\d+\.\d+[eE]\d+|inf)$"


def is_key(column: Column) -> bool:
    """Whether the column is text that names a loan or who asks for it."""
    return column.kind == "text" and column.name in (LOAN, APPLICANT)


def trimmed(text: pa.StringArray) -> pa.StringArray:
    """The cells without blanks and unseen characters at their ends."""
    return text if _is_plain(text) else pc.replace_substring_regex(text, f"^[ {_UNSEEN}]+|[ {_UNSEEN}]+$", "")


def unseen(text: pa.StringArray) -> pa.BooleanArray:
    """Where a trimmed cell holds a character that nobody sees; an ordinary space is seen."""
    if _is_plain(text):
        return pa.array(np.zeros(len(text), bool))
    return pc.match_substring_regex(text, f"[{_UNSEEN}]")


def was_float(text: pa.StringArray) -> pa.BooleanArray:
    """Where a cell is spelled as tools spell floats."""
    return pc.match_substring_regex(text, _FLOAT)


def as_float(number: Any) -> str:
    """A float, or a decimal, spelled so that ``was_float`` tells it."""
    spelled = repr(float(number))
    return spelled if "e" in spelled or spelled.endswith((".0", "inf")) else np.format_float_scientific(float(number))


def visible(cell: str) -> str:
    """The cell with every unseen character escaped, as Python escapes it."""
    if cell.isascii() and cell.isprintable():
        return cell
    return "".join(_escaped(letter) if _is_unseen(letter) else letter for letter in cell)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def _is_unseen(letter: str) -> bool:
    return letter != " " and (unicodedata.category(letter) in ("Cc", "Cf", "Zs", "Zl", "Zp")
                              or letter in _DRAWN_AS_NOTHING or "\ufe00" <= letter <= "\ufe0f"
                              or "\U000e0000" <= letter <= "\U000e0fff" or "\u180b" <= letter <= "\u180f")


def without_point(text: pa.StringArray, named: Collection[str], decimal: str = ".") -> pa.StringArray:
    """A code that a tool took for a float, ``7.0``, as the ``7`` it was; a spelling of ``named`` stays as it is."""
    end, point = f"{decimal}0", re.escape(decimal)
    if not pc.any(pc.ends_with(text, end)).as_py():
        return text
    codes = pc.replace_substring_regex(text, rf"^-0{point}0$", "0")
    codes = pc.replace_substring_regex(codes, rf"^([+-]?\d+){point}0$", r"\1")
    kept = [name for name in named if name.endswith(end)]
    return pc.if_else(pc.is_in(text, value_set=pa.array(kept, pa.string())), text, codes) if kept else codes


def named(column: Column) -> set[str]:
    """The spellings that the column itself gives a meaning to."""
    return {*column.isin, *(column.recode or {})}


def readings(column: Column, nulls: Collection[str]) -> dict[str, str | None]:
    """What a trimmed cell means that is not what it says: ``NULL`` nothing, ``True`` true, a recoded code its value.

    Args:
        nulls: the book's own spellings of nothing.
    """
    recode, own = column.recode or {}, named(column)
    nothing = {*NOTHING, *nulls} - own
    read: dict[str, str | None] = dict.fromkeys(nothing)
    for spellings in BOOLEANS:
        one = next((spelling for spelling in spellings if spelling in own), spellings[0])
        read |= {spelling: recode.get(one, one) for spelling in spellings if spelling not in own}
    empty = {*NOTHING, *nulls} - set(column.isin)
    return {old: None if new in empty else new for old, new in {**read, **recode}.items()}


def _is_plain(text: pa.StringArray) -> bool:
    """Whether every byte lies from ! to ~, where nothing is blank or unseen; a hundred times cheaper than trimming."""
    _, ends, content = text.buffers()
    if len(text) == 0 or content is None:
        return True
    ends = np.frombuffer(ends, np.int32)[text.offset:text.offset + len(text) + 1]
    letters = np.frombuffer(content, np.uint8)[ends[0]:ends[-1]]
    return letters.size == 0 or bool(letters.min() > ord(" ") and letters.max() <= ord("~"))
