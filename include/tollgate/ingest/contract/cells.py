"""Cells that no book foresees: personal data written into free text, and formulas that a spreadsheet would run."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

from tollgate.ingest.reading import is_key

if TYPE_CHECKING:
    from tollgate.books import Column

pc: Any = pyarrow.compute
PERSONAL, FORMULA = "personal_data", "formula"
HARMLESS = "harmless"  # the name of both checks, which are cleared by one look
MASKED = "(masked: "

EMAIL = re.compile(r"[\w.%+-]+@[\w-]+\.\w")
SOCIAL_SECURITY = re.compile(r"\b\d{3}-\d{2}-\d{4}\b")
PHONE = re.compile(r"(\(\d{3}\) ?|\b\d{3}[ .-])\d{3}[ .-]\d{4}\b|\+\d{1,3}([ .-]?\(?\d{2,4}\)?){3,5}")
# Digits in groups, neither beside a letter nor on either side of a decimal point.
DIGITS = re.compile(r"(?<![\w])(?<!\d[.,])\d+(?:[ -]\d+)*(?![\w])(?![.,]\d)")
LONGEST = 19  # digits of a card's number
# First digits and lengths that the issuers' registry gives out (ISO/IEC 7812): from, to, shortest, longest.
ISSUERS = (("4", "4", 13, 13), ("4", "4", 16, 16), ("4", "4", 19, 19),  # Visa
           ("51", "55", 16, 16), ("2221", "2720", 16, 16),  # Mastercard
           ("34", "34", 15, 15), ("37", "37", 15, 15),  # American Express
           ("6011", "6011", 16, 19), ("644", "659", 16, 19),  # Discover
           ("300", "305", 14, 19), ("3095", "3095", 14, 19), ("36", "36", 14, 19), ("38", "39", 14, 19),  # Diners Club
           ("3528", "3589", 16, 19),  # JCB
           ("62", "62", 16, 19), ("81", "81", 16, 19))  # UnionPay
# What any of the above must hold, or a formula begin with; one quick pass finds the few cells that are looked into.
SUSPECT = r"@|^[=+-]|\d([ ().-]*\d){8}"
PLAIN = re.compile(r"-+|[+-]?[\d.,]+")  # a dash for "none", or a number


def is_free(column: Column) -> bool:
    """Whether anything may stand in the column's cells: a closed vocabulary needs no look at them."""
    return column.kind == "text" and not column.isin and not column.personal


def harmless(text: pa.Array, *, key: bool, screened: bool) -> pa.Array:
    """Where a cell is surely no formula and, if ``screened``, holds no personal data; null where it is missing."""
    if not screened:
        return pc.invert(pc.match_substring_regex(text, "^[=+@-]"))
    # Most keys are letters and digits alone, which is told ten times faster.
    return pc.ascii_is_alnum(text) if key else pc.invert(pc.match_substring_regex(text, SUSPECT))


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet would run the cell when the table is opened in it.

    Such a cell is quarantined, not neutralised by a quote before it (CWE-1236): the published value is the lender's or
    none at all, and nobody names a bank ``=HYPERLINK(...)`` by accident.
    """
    return cell[:1] in ("=", "+", "-", "@") and not PLAIN.fullmatch(cell)


@lru_cache(maxsize=4096)
def personal(cell: str, *, key: bool) -> str | None:
    """What personal data stands in a cell, in words; None when none was recognised.

    A key is long and full of digits by nature, so that only an e-mail address or a social security number counts.
    """
    if EMAIL.search(cell):
        return "an e-mail address"
    if SOCIAL_SECURITY.search(cell):
        return "a social security number"
    if key:
        return None
    if any(_holds_card(match[0]) for match in DIGITS.finditer(cell)):
        return "a card number"
    return "a phone number" if PHONE.search(cell) else None


def masked(column: Column, cell: str | None) -> str | None:
    """The cell as the quarantine may keep it: whole, or a word for the personal data that stands in it."""
    what = None if cell is None or column.unscreened else personal(cell, key=is_key(column))
    return cell if what is None else f"{MASKED}{what})"


def _holds_card(digits: str) -> bool:
    """Whether some groups in turn, among those that blanks and dashes make of the digits, are a card's number."""
    groups = re.split("[ -]", digits)
    return any(_is_card("".join(groups[start:stop])) for start in range(len(groups))
               for stop in range(start + 1, min(start + LONGEST, len(groups)) + 1))


def _is_card(number: str) -> bool:
    """Whether an issuer's first digits, the length and Luhn's check digit are those of a payment card."""
    return any(shortest <= len(number) <= longest and first <= number[:len(first)] <= last
               for first, last, shortest, longest in ISSUERS) and _adds_up(number)


def _adds_up(number: str) -> bool:
    """Luhn's check digit (ISO/IEC 7812-1)."""
    digits = [int(digit) for digit in reversed(number)]
    return sum(digits[0::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0
