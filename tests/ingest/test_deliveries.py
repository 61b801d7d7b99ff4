"""Many files at once, in the order in which they were delivered, whatever becomes of one of them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lender import as_csv, bad_share, consumer_loans

from tollgate import lake
from tollgate.books import APPLICANT, Book, load_book
from tollgate.config import Ingest, settings
from tollgate.errors import Refused
from tollgate.ingest import check_file, ingest_file, look, new_files, take_in
from tollgate.ingest.deliveries import deliveries, register

Drop = Callable[..., str]
Loans = Callable[..., list[dict[str, str]]]


@pytest.fixture
def consumer(home: Path) -> Book:
    return load_book("consumer")


@contextmanager
def no_more_rights_than_others() -> Iterator[None]:
    """Root without its right to read what it may not read (``capset(2)``); anybody else as they are."""
    libc, header = ctypes.CDLL(None, use_errno=True), (ctypes.c_uint32 * 2)(0x20080522, 0)
    held = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, of the lower and the upper half
    assert libc.capget(header, held) == 0
    fewer = (ctypes.c_uint32 * 6)(*held)
    fewer[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert libc.capset(header, fewer) == 0
    try:
        yield
    finally:
        assert libc.capset(header, held) == 0


def employees(book: Book) -> dict[str, int]:
    rows = lake.view(lake.applications(book), columns=["loan_id", "employees"])
    return dict(zip(rows["loan_id"].to_pylist(), rows["employees"].to_pylist(), strict=True))


def outcomes(*rows: tuple[str, str, str]) -> bytes:
    return b"loan_id,reported_date,default_date\n" + "".join(f"{','.join(row)}\n" for row in rows).encode()


def decisions(*rows: tuple[str, str, str, str]) -> bytes:
    """Loan, day of the decision, decision, day of the booking."""
    return ("loan_id,decision_date,decision,booking_date,policy,score,approval_probability\n"
            + "".join(f"{','.join(row)},p,0.1,1\n" for row in rows)).encode()


@pytest.mark.parametrize("written", [(1.0, 2.0), (2.0, 1.0)], ids=["as named", "against their names"])
def test_of_an_original_and_its_correction_that_land_together_the_one_written_later_counts(
        written: tuple[float, float], sba: Book, limits: Ingest, loans: Loans, drop: Drop) -> None:
    for name, number, when in zip(("a", "b"), ("1", "2"), written, strict=True):
        drop(loans({"NoEmp": number}), f"applications_{name}.csv", written=when)
    answer = take_in(sba, limits)
    assert [file["delivery"] for file in answer["files"]] == [1, 2]
    assert employees(sba) == {"0000000001": 2 if written[0] < written[1] else 1}


def test_applications_are_taken_in_before_what_is_about_them(consumer: Book, drop: Drop) -> None:
    drop(outcomes(("C1", "2006-09-01", "2006-08-01")), "outcomes.csv", "consumer", written=1.0)
    drop(decisions(("C1", "2006-03-02", "approved", "2006-03-09")), "decisions.csv", "consumer", written=2.0)
    drop(consumer_loans({}), "applications.csv", "consumer", written=3.0)
    answer = take_in(consumer, bad_share(0.0).model_copy(update={"orphan_share_max": 0.0}))
    assert [(file["table"], file["published"], file["warnings"]) for file in answer["files"]] == [
        ("applications", 1, []), ("decisions", 1, []), ("outcomes", 1, [])]


def test_a_refused_file_holds_nobody_up_is_told_once_and_keeps_its_place_when_it_is_mended(
        sba: Book, loans: Loans, drop: Drop) -> None:
    first = drop(loans({"NoEmp": "1"}, {"NoEmp": "-5"}, {"NoEmp": "3"}), "applications_a.csv", written=1.0)
    drop(loans({"NoEmp": "22"}), "applications_b.csv", written=2.0)
    answer = take_in(sba, bad_share(0.1))
    assert [file["file"] for file in answer["files"]] == ["applications_b.csv"]
    assert [file["name"] for file in answer["refused"]] == [first]
    assert "below_minimum in employees" in answer["refused"][0]["why"]
    assert new_files("sba") == []
    mended = ingest_file(sba, first, bad_share(1.0))
    assert (mended["delivery"], mended["superseded"]) == (1, 1)
    assert "later delivery has spoken" in mended["warnings"][-1]
    assert employees(sba) == {"0000000001": 22, "0000000003": 3}


def test_a_thousand_files_are_taken_in_by_one_call_in_order(sba: Book, limits: Ingest, loans: Loans,
                                                            drop: Drop) -> None:
    for number in range(30):  # what a thousand and one would meet: no list of files leaves the process
        drop(loans({"NoEmp": str(number)}), f"applications_{number:02d}.csv", written=float(1000 - number))
    assert len(look("sba")["files"]) == 30
    assert len(take_in(sba, limits)["files"]) == 30
    assert employees(sba) == {"0000000001": 0}
    assert new_files("sba") == []


def test_the_deliveries_are_read_no_more_often_for_many_files_than_for_one(
        sba: Book, limits: Ingest, loans: Loans, drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    records, tables = lake.records, []

    def counted(table: lake.Table) -> list[dict[str, Any]]:
        tables.append(table.name)
        return records(table)

    monkeypatch.setattr(lake, "records", counted)
    times = []
    for numbers in ((1,), (2, 3, 4, 5)):
        tables.clear()
        for number in numbers:
            drop(loans({"NoEmp": str(number)}), f"applications_{number}.csv", written=float(number))
        assert [file["delivery"] for file in take_in(sba, limits)["files"]] == list(numbers)
        times.append(tables.count("deliveries"))
    assert times == [2, 2]  # before the new files were numbered, and after
    tables.clear()
    assert take_in(sba, limits)["files"] == []
    assert "deliveries" not in tables


def test_a_file_that_is_written_anew_after_it_was_numbered_is_another_delivery(
        sba: Book, limits: Ingest, loans: Loans, drop: Drop) -> None:
    name = drop(loans({"NoEmp": "1"}))
    numbered = register(sba, [("0" * 64, name)])
    assert ingest_file(sba, name, limits, numbered)["delivery"] == 2
    assert [seen.number for seen in deliveries("sba").values()] == [1, 2]


def test_a_name_that_is_no_utf_8_is_refused_once_and_shown_escaped(sba: Book, limits: Ingest, loans: Loans,
                                                                   drop: Drop) -> None:
    drop(loans(good=1))
    folder = os.fsencode(Path(settings().landing) / "sba")
    for name in (b"outcomes_\xff.csv", b"-applications.csv"):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(as_csv(loans(good=1)))
    assert [file["name"] for file in look("sba")["files"]] == ["applications_2006-02.csv", r"outcomes_\udcff.csv",
                                                               "-applications.csv"]
    answer = take_in(sba, limits)
    assert [file["file"] for file in answer["files"]] == ["applications_2006-02.csv"]
    assert {file["name"] for file in answer["refused"]} == {r"outcomes_\udcff.csv", "-applications.csv"}
    assert new_files("sba") == []
    assert r"outcomes_\udcff.csv" in lake.read(lake.received("sba"))["file"].to_pylist()


def test_a_file_that_cannot_be_read_is_told_and_the_others_go_on(sba: Book, limits: Ingest, loans: Loans,
                                                                 drop: Drop) -> None:
    drop(loans(good=1))
    locked = Path(settings().landing) / "sba" / drop(loans(good=1), "applications_locked.csv")
    locked.chmod(0)
    with no_more_rights_than_others():
        answer = take_in(sba, limits)
        assert look()["unreadable"] == [{"book": "sba", **answer["unreadable"][0]}]
        assert new_files("sba") == []
    assert [file["file"] for file in answer["files"]] == ["applications_2006-02.csv"]
    assert [file["name"] for file in answer["unreadable"]] == ["applications_locked.csv"]
    assert answer["unreadable"][0]["why"].startswith("Storage refused access: Permission denied")
    locked.chmod(0o600)
    assert [file["file"] for file in take_in(sba, limits)["files"]] == ["applications_locked.csv"]


def test_a_file_by_hand_takes_in_what_came_before_it_of_its_table(sba: Book, limits: Ingest, loans: Loans,
                                                                  drop: Drop) -> None:
    for number in (1, 2, 3):
        drop(loans({"NoEmp": str(number)}), f"applications_{number}.csv", written=float(number))
    assert [file["file"] for file in take_in(sba, limits, before="applications_2.csv")["files"]] == [
        "applications_1.csv"]
    ingest_file(sba, "applications_2.csv", limits)
    assert employees(sba) == {"0000000001": 2}
    assert [file["name"] for file in new_files("sba")] == ["applications_3.csv"]


def test_a_portfolio_of_todays_scores_is_refused_whole_and_told_column_by_column(sba: Book, loans: Loans, drop: Drop,
                                                                                 home: Path) -> None:
    limits = bad_share(0.02).model_copy(update={"restated_share_max": 0.1})
    ingest_file(sba, drop(loans(good=200)), limits)
    name = drop(loans(*({"NoEmp": "9", "CreateJob": "1"} for _ in range(120)), good=80), "applications_all.csv")
    says = (r"applications_all.csv is refused whole: it restates 120 of the 200 rows that were published of its months "
            r"\(60.0%\): employees in 120, jobs_created in 120 \(limit 10%\)")
    with pytest.raises(Refused, match=says):
        ingest_file(sba, name, limits)
    checked = check_file(sba, home / "landing" / "sba" / name, limits)
    assert checked.answer()["reasons"] == [{"rule": "restated", "column": "employees, jobs_created", "rows": 0}]
    assert set(employees(sba).values()) == {4}
    (line,) = lake.read(lake.quarantine("sba")).to_pylist()
    assert (line["row"], line["rule"], line["column"], line["value"]) == (
        0, "restated", "employees, jobs_created", "0.6")
    ingest_file(sba, name, limits.model_copy(update={"restated_share_max": 0.7}))
    assert sorted(set(employees(sba).values())) == [4, 9]


def test_outcomes_whose_numbers_lost_their_zeros_are_refused_whole_with_how_many_would_match(
        sba: Book, loans: Loans, drop: Drop) -> None:
    limits = bad_share(0.02).model_copy(update={"orphan_share_max": 0.05})
    ingest_file(sba, drop(loans(good=100)), limits)
    lines = "".join(f"{number},2-Mar-07,2-Mar-07,$1.00 \n" for number in range(1, 101))
    name = drop(f"LoanNr_ChkDgt,ChgOffDate,DefaultDate,ChgOffPrinGr\n{lines}".encode(), "outcomes.csv")
    says = (r"100 of 100 rows are about loans that no application names \(100.0%, limit 5%\): 100 of them would match "
            "without leading zeros")
    with pytest.raises(Refused, match=says):
        ingest_file(sba, name, limits)
    assert lake.count(lake.outcomes(sba)) == 0


@pytest.mark.parametrize(("file", "says"), [
    (decisions(("X1", "2006-03-02", "approved", "")), "1 of 1 rows are about loans that no application names"),
    (decisions(("C1", "2006-02-01", "declined", "")), "before_application in decided_on"),
    (decisions(("C1", "2006-03-09", "approved", "2006-03-08")), "booked_before_decision in booked_on, decided_on"),
    (decisions(("C1", "2006-03-09", "declined", "2006-03-10")), "booked_without_approval in booked_on, decision"),
    (decisions(("C1", "2006-03-09", "approved", ""), ("C1", "2006-03-10", "declined", "")), "duplicate in loan_id"),
    (decisions(("C1", "2006-03-09", "maybe", "")), "not_in_vocabulary in decision"),
], ids=["without an application", "before the application", "booked before it was decided", "booked though declined",
        "two of one application", "of no kind"])
def test_a_decision_that_cannot_be_is_refused(file: bytes, says: str, consumer: Book, drop: Drop) -> None:
    limits = bad_share(0.0).model_copy(update={"orphan_share_max": 0.0})
    ingest_file(consumer, drop(consumer_loans({}), "applications.csv", "consumer"), limits)
    with pytest.raises(Refused, match=says):
        ingest_file(consumer, drop(file, "decisions.csv", "consumer"), limits)


def test_an_outcome_of_a_declined_loan_is_told_and_counts_for_nothing(consumer: Book, drop: Drop) -> None:
    for name, content in (("applications.csv", as_csv(consumer_loans({}, {}))),
                          ("decisions.csv", decisions(("C1", "2006-03-02", "declined", ""),
                                                      ("C2", "2006-03-02", "approved", "2006-03-05"))),
                          ("outcomes.csv", outcomes(("C1", "2006-09-01", "2006-08-01"),
                                                    ("C2", "2006-09-01", "2006-08-01")))):
        answer = ingest_file(consumer, drop(content, name, "consumer"), bad_share(0.0))
    assert answer["warnings"] == ["1 rows of outcomes are about applications that were declined or withdrawn, such as "
                                  "'C1': they count for nothing."]


def test_an_applicant_told_in_another_form_is_told(consumer: Book, drop: Drop) -> None:
    who = next(column for column in consumer.applications if column.name == APPLICANT)
    book = consumer.with_columns("outcomes", (*consumer.columns("outcomes"), who))
    ingest_file(book, drop(consumer_loans({"customer_id": "0012"}, {"customer_id": "P2"}, {"customer_id": "P3"}),
                           "applications.csv", "consumer"), bad_share(0.0))
    rows = (b"loan_id,reported_date,default_date,customer_id\nC1,2006-09-01,2006-08-01,12\n"
            b"C2,2006-09-01,2006-08-01,P9\nC3,2006-09-01,2006-08-01,P3\n")
    answer = ingest_file(book, drop(rows, "outcomes.csv", "consumer"), bad_share(0.0))
    assert answer["warnings"] == ["2 rows name another applicant than their application does, such as '12' for '0012'; "
                                  "1 of them are the same but for zeros, blanks, dashes and case."]
