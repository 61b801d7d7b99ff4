"""Files of a lender for drafts to be made from, and what is asked of a draft."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tollgate.books import Book, Column

ROWS = 1_200
Make = Callable[..., dict[str, Any]]


@contextlib.contextmanager
def unwatched(title: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda done, total: None


def loans(rows: int = ROWS, **changes: list[str]) -> dict[str, list[str]]:
    """A plain table of loans, column by column; each argument is a column more, or in the place of one."""
    rng = np.random.default_rng(1)
    days = np.datetime64("2015-01-01") + np.sort(rng.integers(0, 1_800, rows))
    bad = rng.random(rows) < 0.2
    return {
        "loan_id": [f"L{k:06d}" for k in range(rows)],
        "application_date": [str(day) for day in days],
        "amount": [f"{a:.2f}" for a in rng.gamma(3, 2_000, rows)],
        "purpose": list(rng.choice(["car", "house", "other"], rows)),
        "charge_off_date": [str(day + 300) if b else "" for day, b in zip(days, bad, strict=True)],
        "status": ["Charged Off" if b else "Fully Paid" for b in bad],
        **changes,
    }


def written(path: Path, columns: dict[str, list[str]], *, delimiter: str = ",", encoding: str = "utf-8",
            above: str = "", below: str = "") -> Path:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    path.write_bytes((above + text.getvalue() + below).encode(encoding))
    return path


def column(book: Book, name: str, table: str = "applications") -> Column:
    return next(c for c in book.columns(table) if c.name == name)


def text_of(answer: dict[str, Any]) -> str:
    return Path(answer["module"]).read_text(encoding="utf-8")
