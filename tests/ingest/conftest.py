"""Lenders' files made by hand, and what the lake holds after them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import pytest
from lender import as_csv, bad_share

from tollgate.books import load_book
from tollgate.config import Ingest, settings
from tollgate.lake import Store

GOOD = {
    "LoanNr_ChkDgt": "1000014003", "Name": "ABC HOBBYCRAFT", "City": "EVANSVILLE", "State": "IN", "Zip": "47711",
    "Bank": "FIFTH THIRD BANK", "BankState": "OH", "NAICS": "451120", "ApprovalDate": "28-Feb-06", "Term": "84",
    "NoEmp": "4", "NewExist": "2", "CreateJob": "0", "RetainedJob": "0", "FranchiseCode": "1", "UrbanRural": "0",
    "RevLineCr": "N", "LowDoc": "Y", "GrAppv": "$60,000.00 ", "SBA_Appv": "$1,000.00 ",
}
BAD = {"GrAppv": "a lot"}


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

    def make(*changes: dict[str, str], good: int = 0, start: int = 1) -> list[dict[str, str]]:
        rows: Iterable[dict[str, str]] = [*changes, *({} for _ in range(good))]
        return [{**GOOD, "LoanNr_ChkDgt": f"{start + i:010d}", **row} for i, row in enumerate(rows)]

    return make


@pytest.fixture
def drop() -> Callable[..., str]:
    """Put a file into landing, as if written at ``landed``; its name is handed back."""

    def put(content: bytes | list[dict[str, str]], name: str = "applications_2006-02.csv", book: str = "sba",
            landed: datetime | None = None) -> str:
        Store(settings().landing).write(f"{book}/{name}", content if isinstance(content, bytes) else as_csv(content))
        if landed is not None:
            os.utime(Path(settings().landing) / book / name, (landed.timestamp(), landed.timestamp()))
        return name

    return put
