"""What is told about refused rows, and what is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tollgate.books import Book
from tollgate.config import Ingest
from tollgate.errors import BadInput, Refused
from tollgate.ingest import ingest_file, quarantined, quarantined_rows

Drop = Callable[..., str]
Loans = Callable[..., list[dict[str, str]]]


def test_the_quarantine_is_counted_by_file_rule_and_column(sba: Book, limits: Ingest, loans: Loans,
                                                           drop: Drop) -> None:
    assert quarantined("sba") == []
    rows = loans({"State": "ZZ", "GrAppv": "?"}, {"State": "YY"}, good=2)
    first = ingest_file(sba, drop(rows), limits)["fingerprint"]
    second = ingest_file(sba, drop(loans({"GrAppv": "?"}), "applications_late.csv"), limits)["fingerprint"]
    assert [(line["fingerprint"], line["file"], line["rule"], line["column"], line["rows"])
            for line in quarantined("sba")] == [
        (first, "applications_2006-02.csv", "not_in_vocabulary", "state", 2),
        (first, "applications_2006-02.csv", "not_a_number", "approved", 1),
        (second, "applications_late.csv", "not_a_number", "approved", 1)]


def test_a_file_refused_whole_stands_in_the_quarantine_with_its_rule_and_no_rows(sba: Book, limits: Ingest,
                                                                                drop: Drop) -> None:
    with pytest.raises(Refused):
        ingest_file(sba, drop(b"", "applications_empty.csv"), limits)
    (line,) = quarantined("sba")
    assert (line["file"], line["rule"], line["rows"]) == ("applications_empty.csv", "unreadable", 0)
    (row,) = quarantined_rows("sba", line["fingerprint"])["rows"]
    assert row == {"row": 0, "rule": "unreadable", "column": None, "value": None, "record": {}}


def test_the_rows_of_a_file_are_shown_with_reason_and_record_and_without_the_person(
        sba: Book, limits: Ingest, loans: Loans, drop: Drop) -> None:
    person = {"Name": "JANE Q PUBLIC", "City": "SPRINGFIELDTOWN", "Zip": "9998887776"}
    rows = loans({}, {**person, "State": "ZZ", "GrAppv": "?"})
    fingerprint = ingest_file(sba, drop(rows), limits)["fingerprint"]
    shown = quarantined_rows("sba", fingerprint[:8])
    assert (shown["fingerprint"], shown["file"]) == (fingerprint, "applications_2006-02.csv")
    assert [(row["row"], row["rule"], row["column"], row["value"]) for row in shown["rows"]] == [
        (2, "not_a_number", "approved", "?"), (2, "not_in_vocabulary", "state", "ZZ")]
    assert shown["rows"][0]["record"]["LoanNr_ChkDgt"] == "0000000002"
    assert not [value for value in person.values() if value in str(shown)]


@pytest.mark.parametrize(("asked", "says"), [("xyz", "No file in the quarantine has this fingerprint"),
                                             ("", "More than one file begins so")])
def test_a_fingerprint_that_names_no_single_file_is_bad_input(asked: str, says: str, sba: Book, limits: Ingest,
                                                              loans: Loans, drop: Drop) -> None:
    for name, start in (("applications_a.csv", 1), ("applications_b.csv", 2)):
        ingest_file(sba, drop(loans({"State": "ZZ"}, start=start), name), limits)
    with pytest.raises(BadInput, match=f"{says}.*quarantine list sba"):
        quarantined_rows("sba", asked)
