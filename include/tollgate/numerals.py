"""Numbers as people read them."""

from __future__ import annotations

EXACT = 1e15  # from here on a float is no whole number to the unit


def numeral(value: float, digits: int = 6) -> str:
    """A number to so many digits, but every one before the point: an amount is not read as 1.5e+06."""
    return f"{value:,.0f}" if 10 ** digits - 0.5 <= abs(value) < EXACT else f"{value:,.{digits}g}"
