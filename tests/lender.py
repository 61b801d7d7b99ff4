"""Files as a lender's system writes them."""

from __future__ import annotations

import csv
import io


def as_csv(rows: list[dict[str, str]]) -> bytes:
    """The rows as the lender's CSV, the header taken from the first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
