"""Lenders' files made by hand, and what the lake holds after them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from lender import as_csv, bad_share, sba_loans

from tollgate.books import load_book
from tollgate.config import Ingest, settings
from tollgate.lake import Store


@pytest.fixture
def sba(home: object):
    return load_book("sba")


@pytest.fixture
def limits() -> Ingest:
    """No share of bad rows refuses a file."""
    return bad_share(1.0)


@pytest.fixture
def loans() -> Callable[..., list[dict[str, str]]]:
    """Good applications of February 2006, numbered; each argument is what is changed in one more row."""
    return sba_loans


@pytest.fixture
def drop() -> Callable[..., str]:
    """Put a file into landing, as if written so many seconds after 1970; its name is handed back."""

    def put(content: bytes | list[dict[str, str]], name: str = "applications_2006-02.csv", book: str = "sba",
            written: float | None = None) -> str:
        Store(settings().landing).write(f"{book}/{name}", content if isinstance(content, bytes) else as_csv(content))
        if written is not None:
            os.utime(Path(settings().landing) / book / name, (written, written))
        return name

    return put
