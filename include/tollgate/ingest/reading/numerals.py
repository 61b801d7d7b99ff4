"""How numbers are spelled: by the letters of a reader, with currencies, in an accountant's parentheses, in percent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

if TYPE_CHECKING:
    from tollgate.books import Kind

pc: Any = pyarrow.compute
CURRENCY = "[$€£]"
BLANK = r"[ \x{00A0}\x{202F}]"  # a space, as it is typed and as typesetters have it
FARTHEST = 400  # digits from the point: no float has as many
EXPONENT = r"([eE][+-]?\d{1,3})?"


@dataclass(frozen=True)
class Numerals:
    """The spelling of a kind of numbers.

    Attributes:
        pattern: what a number looks like. dropped: what of it is no part of its value; nothing when empty.
        decimal: the letter before its fraction.
        shift: what is written behind it for its value; ``e-2`` of a percent.
    """

    pattern: str
    dropped: str
    decimal: str
    shift: str = ""

    def fits(self, text: pa.Array) -> pa.Array:
        """Which cells are spelled so."""
        return pc.match_substring_regex(text, self.pattern)

    def plain(self, text: pa.Array) -> pa.Array:
        """Cells that fit, as Arrow reads numbers. The value is never computed with, so that it is rounded once."""
        plain = pc.replace_substring_regex(text, self.dropped, "") if self.dropped else text
        if pc.any(pc.match_substring(plain, "(")).as_py():
            plain = pc.replace_substring_regex(plain, r"^\((.*)\)$", r"-\1")
        if self.decimal != ".":
            plain = pc.replace_substring(plain, self.decimal, ".")
        return pc.binary_join_element_wise(plain, pa.scalar(self.shift), "") if self.shift else plain


@cache
def numerals(kind: Kind, decimal: str, thousands: str) -> Numerals:
    """How a reader with these letters spells numbers of a kind."""
    if kind == "money" and not thousands and decimal != ",":
        thousands = ","
    point, mark = re.escape(decimal), BLANK if thousands == " " else re.escape(thousands)
    groups = rf"\d{{1,3}}({mark}\d{{3}})+|" if thousands else ""
    dropped = [mark] if thousands else []
    if kind == "integer":
        few = rf"\d{{1,3}}({mark}\d{{3}}){{1,5}}|" if thousands else ""
        return Numerals(rf"^[+-]?({few}\d{{1,18}})({point}0*)?$", "|".join([r"^\+", rf"{point}0*$", *dropped]), ".")
    body = rf"(({groups}\d+)({point}\d*)?|{point}\d+)"
    if kind == "percent":
        sign = rf"{BLANK}?%"
        return Numerals(rf"^([+-]?{body}{sign}|\({body}\){sign}|\({body}{sign}\))$", "|".join(["%", BLANK, *dropped]),
                        decimal, "e-2")
    body += EXPONENT
    if kind == "number":
        return Numerals(rf"^([+-]?{body}|\({body}\))$|^-?inf$", "|".join(dropped), decimal)
    before, after = rf"({CURRENCY}{BLANK}?)?", rf"({BLANK}?{CURRENCY})?"
    spelled = "|".join([rf"[+-]?{before}{body}", rf"{CURRENCY}[+-]{body}", rf"[+-]?{body}{after}",
                        rf"{before}\({body}\)", rf"\({body}\){after}", rf"\({before}{body}\)", rf"\({body}{after}\)"])
    return Numerals(rf"^({spelled})$|^-?inf$", "|".join([CURRENCY, BLANK, *dropped]), decimal)


def as_percent(number: str, decimal: str = ".") -> str:
    """A share that is a number, spelled with its sign: ``0.1065`` is ``10.65%``; as it is where it is no number."""
    try:
        share = Decimal(number)
    except InvalidOperation:
        return number
    if not share.is_finite() or abs(share.adjusted()) > FARTHEST:
        return number
    return f"{share.scaleb(2):f}".replace(".", decimal) + "%"
