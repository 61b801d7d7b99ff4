"""From landing to published tables: once, whole, in any order, and mended after a kill."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lender import bad_share

from tollgate import lake
from tollgate.books import Book, load_book
from tollgate.books.shipped.consumer import simulate
from tollgate.config import Ingest, settings
from tollgate.errors import BadInput, PassingFault
from tollgate.ingest import bring_history, ingest_file, land, new_files

Drop = Callable[..., str]
Loans = Callable[..., list[dict[str, str]]]


@pytest.fixture
def consumer(home: Path) -> Book:
    """The simulated book, 300 loans a month to the middle of 2006; the book begins in January."""
    folder = home / "sources" / "consumer"
    folder.mkdir(parents=True)
    pq.write_table(simulate(seed=1, rows_a_month=300, first_month="2005-07", last_month="2006-06"),
                   folder / "source.parquet")
    book = load_book("consumer")
    return replace(book, sender=replace(book.require_sender(), first_month="2006-01", last_month="2007-12"))


def tables(book: Book) -> dict[str, pa.Table]:
    """Everything that ingesting writes."""
    kinds = (lake.applications(book), lake.outcomes(book), lake.quarantine(book.name), lake.received(book.name))
    return {table.name: lake.read(table) for table in kinds}


def ingest_new(book: Book, params: Ingest) -> list[dict]:
    return [ingest_file(book, file["name"], params) for file in new_files(book.name)]


def test_landing_and_ingesting_work_anywhere(anywhere: str, consumer: Book, limits: Ingest) -> None:
    landed = land(consumer, "2006-03")
    assert landed["files"] == [f"{table}_2006-03.parquet" for table in ("applications", "decisions", "outcomes")]
    assert landed["rows"]["applications"] == 300
    assert new_files("consumer") == [{"book": "consumer", "name": name} for name in sorted(landed["files"])]
    answers = ingest_new(consumer, limits)
    assert [(a["table"], a["partitions"], a["new"]) for a in answers] == [
        ("applications", ["2006-03"], True), ("decisions", ["2006-02", "2006-03"], True),
        ("outcomes", ["2006-03"], True)]
    assert lake.read(lake.applications(consumer)).num_rows == 300
    assert new_files("consumer") == new_files(None) == []
    assert bring_history(consumer, date(2006, 3, 1), limits)["files"]
    assert lake.read(lake.applications(consumer)).num_rows == 900


def test_csv_and_parquet_publish_the_very_same_rows(consumer: Book, limits: Ingest) -> None:
    land(consumer, "2006-04", "2006-02")
    ingest_new(consumer, limits)
    versions = [lake.version(t(consumer)) for t in (lake.applications, lake.outcomes)]
    as_csv = replace(consumer, sender=replace(consumer.require_sender(), file_format="csv"))
    assert "applications_2006-02_2006-04.csv" in land(as_csv, "2006-04", "2006-02")["files"]
    answers = ingest_new(as_csv, limits)
    assert [(a["new"], a["quarantined"]) for a in answers] == [(True, 0)] * 3
    assert [lake.version(t(consumer)) for t in (lake.applications, lake.outcomes)] == versions


def test_landing_a_month_again_writes_the_same_bytes(consumer: Book, home: Path) -> None:
    land(consumer, "2006-03")
    before = {path.name: path.read_bytes() for path in (home / "landing" / "consumer").iterdir()}
    land(consumer, "2006-03")
    assert {path.name: path.read_bytes() for path in (home / "landing" / "consumer").iterdir()} == before


@pytest.mark.parametrize(("month", "since", "says"), [
    ("2006-13", None, "YYYY-MM.*got: 2006-13"),
    ("March", None, "YYYY-MM.*got: March"),
    ("2005-12", None, "no such month.*2005-12.*2006-01 to 2007-12"),
    ("2008-01", None, "no such month.*2008-01.*2006-01 to 2007-12"),
    ("2006-03", "2005-12", "no such month.*2005-12"),
    ("2006-03", "2006-04", "first month.*after the last"),
])
def test_a_month_that_cannot_be_landed_is_bad_input(month: str, since: str | None, says: str, consumer: Book,
                                                    home: Path) -> None:
    with pytest.raises(BadInput, match=says):
        land(consumer, month, since)
    assert not (home / "landing").exists()


def test_landing_without_the_source_says_how_to_fetch_it(sba: Book) -> None:
    with pytest.raises(BadInput, match="tollgate fetch sba"):
        land(sba, "2006-03")


def test_no_space_in_landing_is_a_passing_fault_and_leaves_nothing_half_written(consumer: Book, home: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, hard))
    try:
        with pytest.raises(PassingFault, match="disk space"):
            land(consumer, "2006-03")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((home / "landing" / "consumer").iterdir()) == []


def test_files_on_their_way_are_left_alone(sba: Book, loans: Loans, drop: Drop) -> None:
    for name in ("applications.csv.part", "applications.csv.tmp", ".applications.csv", "deep/applications.csv"):
        drop(loans(good=1), name)
    assert new_files("sba") == []


def test_the_same_file_is_taken_once_and_its_content_under_another_name_is_a_delivery_that_changes_nothing(
        sba: Book, limits: Ingest, loans: Loans, drop: Drop) -> None:
    rows = loans({"State": "ZZ"}, good=3)
    first = ingest_file(sba, drop(rows), limits)
    before = tables(sba)
    again = ingest_file(sba, drop(rows), limits)
    assert (first, again["new"]) == ({**again, "new": True}, False)
    assert tables(sba) == before
    renamed = drop(rows, "applications_copy.csv")
    assert new_files("sba") == [{"book": "sba", "name": renamed}]
    copy = ingest_file(sba, renamed, limits)
    assert (copy["new"], copy["delivery"], copy["added"], copy["restated"]) == (True, 2, 0, 0)
    assert tables(sba)["applications"] == before["applications"]


def test_a_file_rewritten_under_its_old_name_is_new(sba: Book, limits: Ingest, loans: Loans, drop: Drop) -> None:
    name = drop(loans(good=3))
    ingest_file(sba, name, limits)
    drop(loans({"NoEmp": "9"}, good=2))
    assert new_files("sba") == [{"book": "sba", "name": name}]


def test_a_late_file_adds_its_rows_and_wins_where_both_have_the_loan(sba: Book, limits: Ingest, loans: Loans,
                                                                     drop: Drop) -> None:
    ingest_file(sba, drop(loans({"NoEmp": "1"}, {"NoEmp": "2"})), limits)
    late = loans({"NoEmp": "22", "ApprovalDate": "1-Mar-06"}, {"NoEmp": "3"}, start=2)
    answer = ingest_file(sba, drop(late, "applications_late.csv"), limits)
    assert answer["partitions"] == ["2006-02", "2006-03"]
    rows = lake.view(lake.applications(sba), columns=["loan_id", "applied_on", "employees"]).to_pylist()
    assert [(int(row["loan_id"]), row["applied_on"].month, row["employees"]) for row in rows] == [
        (1, 2, 1), (2, 3, 22), (3, 2, 3)]
    assert answer["warnings"] == ["It restates 1 of the 2 rows that were published of its months (50.0%): applied_on "
                                  "in 1, employees in 1. Earlier as-ofs still see what they saw."]


def test_a_correction_of_an_outcome_is_a_later_row(home: Path, limits: Ingest, drop: Drop) -> None:
    book = load_book("consumer")
    for name, line in (("outcomes_1.csv", "L1,2006-03-05,2006-02-01"), ("outcomes_2.csv", "L1,2006-05-05,")):
        ingest_file(book, drop(f"loan_id,reported_date,default_date\n{line}\n".encode(), name, "consumer"), limits)
    table = lake.outcomes(book)
    assert lake.read(table)["defaulted_on"].to_pylist() == [date(2006, 2, 1), None]
    assert lake.read(table, as_of=date(2006, 5, 5))["defaulted_on"].to_pylist() == [date(2006, 2, 1)]
    assert lake.read(table, as_of=date(2006, 3, 5)).num_rows == 0


def test_a_reader_as_of_a_day_sees_the_applications_before_it(sba: Book, limits: Ingest, loans: Loans,
                                                              drop: Drop) -> None:
    ingest_file(sba, drop(loans({"ApprovalDate": "27-Feb-06"}, {"ApprovalDate": "28-Feb-06"})), limits)
    known = lake.read(lake.applications(sba), as_of=date(2006, 2, 28))
    assert known["loan_id"].to_pylist() == ["0000000001"]


def test_personal_data_is_nowhere_but_in_landing(sba: Book, limits: Ingest, loans: Loans, drop: Drop, home: Path,
                                                 capfd: pytest.CaptureFixture[str],
                                                 caplog: pytest.LogCaptureFixture) -> None:
    person = {"Name": "JANE Q PUBLIC", "City": "SPRINGFIELDTOWN", "Zip": "9998887776"}
    ingest_file(sba, drop(loans(person, {**person, "State": "ZZ"}, {**person, "LoanNr_ChkDgt": "0000000001"})), limits)
    said = []
    for name, break_it in (("a", lambda text: text.replace("Name,", "")),  # one column fewer than its rows
                           ("b", lambda text: text.partition("\n")[2]),    # no header: the person stands in its place
                           ("c", lambda text: text + text.splitlines()[1] + ",,,\n"),  # a torn row
                           ("d", lambda text: text.replace("ZZ", "YY"))):  # over the limit
        text = lake.Store(settings().landing).read("sba/applications_2006-02.csv").decode()
        try:
            ingest_file(sba, drop(break_it(text.replace("\r\n", "\n")).encode(), f"applications_{name}.csv"),
                        bad_share(0.1))
        except Exception as err:
            said.append(f"{err} {err.__cause__}")
    assert len(said) == 4
    new_files("sba")
    kept = [path for path in home.rglob("*") if path.is_file() and (home / "landing") not in path.parents]
    rows = [str(pq.read_table(path, partitioning=None).to_pylist()) for path in kept if path.suffix == ".parquet"]
    everything = "\n".join([*rows, *(path.read_bytes().decode(errors="replace") for path in kept), *said,
                            *capfd.readouterr(), caplog.text])
    assert "0000000001" in everything
    for value in person.values():
        assert value not in everything


def test_the_history_is_brought_once_and_then_only_what_is_missing(consumer: Book, limits: Ingest,
                                                                   home: Path) -> None:
    files = bring_history(consumer, date(2006, 4, 1), limits)["files"]
    tables = ("applications", "decisions", "outcomes")
    assert [file["file"] for file in files] == [f"{table}_2006-01_2006-03.parquet" for table in tables]
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    assert bring_history(consumer, date(2006, 4, 30), limits)["files"] == []
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()} == before
    assert [file["file"] for file in bring_history(consumer, date(2006, 6, 1), limits)["files"]] == [
        f"{table}_2006-04_2006-05.parquet" for table in tables]
    assert sorted(set(lake.read(lake.applications(consumer))["month"].to_pylist()))[-1] == "2006-05"


def test_the_history_at_once_and_month_by_month_give_the_same_tables(consumer: Book, limits: Ingest, home: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    bring_history(consumer, date(2006, 5, 1), limits)
    at_once = tables(consumer)
    monkeypatch.setenv("TOLLGATE_LAKE", str(home / "another-lake"))
    monkeypatch.setenv("TOLLGATE_LANDING", str(home / "another-landing"))
    for month in ("2006-01", "2006-02", "2006-03", "2006-04"):
        land(consumer, month)
        ingest_new(consumer, limits)
    assert bring_history(consumer, date(2006, 5, 1), limits)["files"] == []
    monthly = tables(consumer)
    for table in ("applications", "outcomes"):
        assert monthly[table].drop_columns(["delivery", "line"]) == at_once[table].drop_columns(["delivery", "line"])


def test_a_history_cut_off_between_its_files_is_finished_by_the_next_call(
        consumer: Book, limits: Ingest, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bring_history(consumer, date(2006, 5, 1), limits)
    whole = tables(consumer)
    for number, lost in enumerate(("applications", "decisions", "outcomes")):
        land(consumer, "2006-04", "2006-01")
        (home / "landing" / "consumer" / f"{lost}_2006-01_2006-04.parquet").unlink()
        monkeypatch.setenv("TOLLGATE_LAKE", str(home / f"another-lake-{number}"))
        assert len(bring_history(consumer, date(2006, 5, 1), limits)["files"]) == 3
        assert tables(consumer) == whole


def test_a_refused_history_is_not_passed_over_in_silence(consumer: Book, limits: Ingest, home: Path) -> None:
    source = home / "sources" / "consumer" / "source.parquet"
    rows = pq.read_table(source)
    at = rows.schema.get_field_index("credit_score")
    pq.write_table(rows.set_column(at, "credit_score", pa.array([9] * rows.num_rows)), source)
    for _ in range(2):
        with pytest.raises(Exception, match="below_minimum in credit_score"):
            bring_history(consumer, date(2006, 3, 1), bad_share(0.02))


def test_a_history_before_the_book_begins_is_bad_input(consumer: Book, limits: Ingest) -> None:
    with pytest.raises(BadInput, match="begins with 2006-01"):
        bring_history(consumer, date(2006, 1, 31), limits)
