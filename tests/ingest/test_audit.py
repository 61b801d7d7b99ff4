"""received = published + quarantined, checked in the lake's own tables."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest
from lender import bad_share

from tollgate import lake
from tollgate.books import Book
from tollgate.config import Ingest
from tollgate.errors import PassingFault, Refused
from tollgate.ingest import audit, ingest_file

Drop = Callable[..., str]
Loans = Callable[..., list[dict[str, str]]]


@pytest.fixture
def fingerprint(sba: Book, limits: Ingest, loans: Loans, drop: Drop) -> str:
    """Of a file with two good rows and one bad, taken in beside one that was refused whole."""
    with pytest.raises(Refused):
        ingest_file(sba, drop(loans({"State": "ZZ"}, good=1), "applications_bad.csv"), bad_share(0.1))
    return str(ingest_file(sba, drop(loans({"State": "ZZ"}, good=2)), limits)["fingerprint"])


def rewritten(table: lake.Table, fingerprint: str, change: Callable[[list[dict]], list[dict]]) -> None:
    """Change the lines of one file behind everybody's back."""
    lines = change(lake.read(table, filters=[("fingerprint", "=", fingerprint)]).to_pylist())
    lake.replace_partitions(table, pa.Table.from_pylist(lines, schema=table.schema), [fingerprint])


def test_what_was_taken_in_adds_up(sba: Book, fingerprint: str) -> None:
    assert audit(sba) == {"book": "sba", "files": 2, "received": 3, "published": 2, "quarantined": 1}


def test_a_count_that_does_not_add_up_is_refused_with_its_file(sba: Book, fingerprint: str) -> None:
    rewritten(lake.received("sba"), fingerprint, lambda lines: [{**line, "published": 1} for line in lines])
    with pytest.raises(Refused, match=r"applications_2006-02.csv do not add up.*\(got: \(3, 1, 1\)\)"):
        audit(sba)


def test_a_row_that_is_gone_from_the_quarantine_is_refused_with_its_file(sba: Book, fingerprint: str) -> None:
    rewritten(lake.quarantine("sba"), fingerprint, lambda lines: [])
    with pytest.raises(Refused, match=r"does not hold the rows that applications_2006-02.csv.*0 of 1"):
        audit(sba)


def test_rows_that_no_file_is_written_down_for_are_named_until_the_file_is_taken_in_again(
        sba: Book, limits: Ingest, fingerprint: str) -> None:
    rewritten(lake.received("sba"), fingerprint, lambda lines: [])
    with pytest.raises(PassingFault, match="applications holds more.*2 rows, 0 published.*ingest list --book sba"):
        audit(sba)
    ingest_file(sba, "applications_2006-02.csv", limits)
    assert audit(sba)["published"] == 2
