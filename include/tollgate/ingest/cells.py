"""Cells that no book foresees: personal data written into free text, and formulas that a spreadsheet would run."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

if TYPE_CHECKING:
    from tollgate.books import Column

pc: Any = pyarrow.compute
PERSONAL, FORMULA = "personal_data", "formula"
HARMLESS = "harmless"  # the name of both checks, which are cleared by one look
MASKED = "(masked: "

EMAIL = re.compile(r"[\w.%+-]+@[\w-]+\.\w")
SOCIAL_SECURITY = re.compile(r"\b\d{3}-\d{2}-\d{4}\b")
PHONE = re.compile(r"(\(\d{3}\) ?|\b\d{3}[ .-])\d{3}[ .-]\d{4}\b|\+\d{1,3}([ .-]?\(?\d{2,4}\)?){3,5}")
CARD = re.compile(r"\b(\d[ -]?){12,18}\d\b")
# What any of the above must hold, or a formula begin with; one quick pass finds the few cells that are looked into.
SUSPECT = r"@|^[=+-]|\d([ ().-]*\d){8}"
PLAIN = re.compile(r"-+|[+-]?[\d.,]+")  # a dash for "none", or a number


def is_free(column: Column) -> bool:
    """Whether anything may stand in the column's cells: a closed vocabulary needs no look at them."""
    return column.kind == "text" and not column.isin and not column.personal


def harmless(text: pa.Array, *, key: bool) -> pa.Array:
    """Where a cell is surely neither a formula nor holds personal data; null where the cell is missing."""
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
    if any(_adds_up(match[0]) for match in CARD.finditer(cell)):
        return "a card number"
    return "a phone number" if PHONE.search(cell) else None


def masked(cell: str | None, *, key: bool) -> str | None:
    """The cell as the quarantine may keep it: whole, or a word for the personal data that stands in it."""
    what = None if cell is None else personal(cell, key=key)
    return cell if what is None else f"{MASKED}{what})"


def _adds_up(number: str) -> bool:
    """Luhn's check digit (ISO/IEC 7812-1), which every payment card carries."""
    digits = [int(digit) for digit in reversed(number) if digit.isdigit()]
    return sum(digits[0::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0
