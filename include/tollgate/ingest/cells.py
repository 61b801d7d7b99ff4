"""Cells that no book foresees: personal data written into free text, and formulas that a spreadsheet would run."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from tollgate.books import KEYS

if TYPE_CHECKING:
    from tollgate.books import Column

pc: Any = pyarrow.compute
PERSONAL, FORMULA = "personal_data", "formula"
MASKED = "(masked: "

EMAIL = re.compile(r"[\w.%+-]+@[\w-]+\.\w")
SOCIAL_SECURITY = re.compile(r"\b\d{3}-\d{2}-\d{4}\b")
PHONE = re.compile(r"(\(\d{3}\) ?|\b\d{3}[ .-])\d{3}[ .-]\d{4}\b|\+\d{1,3}([ .-]?\(?\d{2,4}\)?){3,5}")
CARD = re.compile(r"\b(\d[ -]?){12,18}\d\b")
# What any of the above must hold, or a formula begin with; one quick pass finds the few cells that are looked into.
SUSPECT = r"@|^[=+-]|\d([ ().-]*\d){8}"
PLAIN = re.compile(r"-+|[+-]?[\d.,]+")  # a dash for "none", or a number


def unwanted(column: Column, text: pa.Array) -> dict[str, pa.Array]:
    """Where a text column holds what must not be published, by rule; a closed vocabulary needs no such look.

    A formula is quarantined, not neutralised by a quote before it (CWE-1236): the published value is the lender's or
    none at all, and nobody names a bank ``=HYPERLINK(...)`` by accident.
    """
    if column.isin:
        return {}
    # Most keys are letters and digits alone, which is told ten times faster.
    key = column.name in KEYS["applications"]
    suspects = pc.invert(pc.ascii_is_alnum(text)) if key else pc.match_substring_regex(text, SUSPECT)
    found = {rule: np.zeros(len(text), dtype=bool) for rule in (PERSONAL, FORMULA)}
    for row in np.flatnonzero(pc.fill_null(suspects, False).to_numpy(zero_copy_only=False)):
        cell = text[row].as_py()
        found[PERSONAL][row] = personal(cell, key=key) is not None
        found[FORMULA][row] = is_formula(cell)
    return {rule: pa.array(mask) for rule, mask in found.items() if mask.any()}


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet would run the cell when the table is opened in it."""
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
