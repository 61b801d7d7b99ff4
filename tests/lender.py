"""Files as a lender's system writes them, and the limits that they are held against."""

from __future__ import annotations

import csv
import io

from tollgate.config import PROJECT, Ingest, load_params


def as_csv(rows: list[dict[str, str]]) -> bytes:
    """The rows as the lender's CSV, the header taken from the first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def bad_share(limit: float) -> Ingest:
    """The shipped limits, with this one on a file's share of bad rows."""
    return load_params(PROJECT / "params.yaml", book="consumer").ingest.model_copy(update={"bad_share_max": limit})
