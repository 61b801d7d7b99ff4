"""A number is shown as people write it, from the terminal to the page that explains a score."""

from __future__ import annotations

import pytest
from rich.console import Console

from tollgate.numerals import numeral
from tollgate.terminal.answers import table


@pytest.mark.parametrize(("value", "digits", "shown"), [
    (1_500_000.0, 6, "1,500,000"), (999_999.7, 6, "1,000,000"), (123_456.78, 4, "123,457"), (-30_000.0, 4, "-30,000"),
    (9_999.6, 4, "10,000"), (1234.5, 4, "1,234"), (0.123456, 4, "0.1235"), (3e-9, 4, "3e-09"), (0.0, 4, "0"),
    (1e300, 4, "1e+300")])
def test_a_number_keeps_every_digit_before_its_point(value: float, digits: int, shown: str) -> None:
    assert numeral(value, digits) == shown


def test_a_table_at_a_terminal_shows_an_amount_whole(capsys: pytest.CaptureFixture[str]) -> None:
    Console(width=60).print(table("loans", [{"amount": 1_234_567.0, "share": 0.123456}], 60))
    assert "1,234,567" in (shown := capsys.readouterr().out) and "0.1235" in shown
