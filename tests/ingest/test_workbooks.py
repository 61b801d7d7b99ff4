"""Workbooks: what their cells hold is read, and what they only seem to hold is told."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from typing import Any

import pytest
from lender import bad_share
from small_lender import NAMES, small_book
from workbook import Cell, Error, Formula, workbook

from tollgate import lake
from tollgate.books import Book, Reader, Source
from tollgate.config import settings
from tollgate.errors import Refused
from tollgate.ingest import ingest_file
from tollgate.lake import Store

LIMITS = bad_share(1.0)


def row(number: int, **cells: Cell) -> list[Cell]:
    return list({"LOAN": f"L{number}", "DAY": date(2006, 2, 28), "AMOUNT": 1000.0, "RATE": 0.05, "INCOME": 10.0,
                 "TERM": 12, "PURPOSE": "car", "NAME": "A B", **cells}.values())


def of(**options: Any) -> Book:
    return small_book(Source(begins="loans", tables=("applications",), reader=Reader(**options)))


def taken(content: bytes, book: Book | None = None, name: str = "loans.xlsx", limit: float = 1.0) -> dict[str, Any]:
    Store(settings().landing).write(f"small/{name}", content)
    return ingest_file(book or of(), name, bad_share(limit))


def refusal(content: bytes, book: Book | None = None, limit: float = 1.0) -> str:
    with pytest.raises(Refused) as caught:
        taken(content, book, limit=limit)
    return str(caught.value)


def held(*columns: str) -> list[list[Any]]:
    rows = lake.read(lake.applications(of()), columns=list(columns))
    return [rows[name].to_pylist() for name in columns]


def test_numbers_of_loans_are_their_digits_and_beyond_what_a_sheet_can_hold_no_key(home: object) -> None:
    answer = taken(workbook({"Loans": [NAMES, row(1, LOAN=7001.0), row(2, LOAN=999_999_999_999_999.0),
                                       row(3, LOAN=1e15), row(4, LOAN=1.5), row(5, LOAN="0012")]}))
    assert (answer["published"], answer["quarantined"]) == (3, 2)
    assert held("loan_id") == [["0012", "7001", "999999999999999"]]
    told = lake.read(lake.quarantine("small"), columns=["row", "rule", "value"]).to_pylist()
    assert told == [{"row": 3, "rule": "float_key", "value": "1000000000000000.0"},
                    {"row": 4, "rule": "float_key", "value": "1.5e+00"}]


def test_columns_of_many_types_are_read_cell_by_cell(home: object) -> None:
    book = small_book(changes={"DAY": {"format": "%d.%m.%Y"}})
    rows = [row(1, PURPOSE=7.0, RATE="10.65%"), row(2, DAY="01.03.2006", AMOUNT="$1,234.50", RATE=0.25),
            row(3, PURPOSE=date(2006, 1, 2), TERM="24")]
    assert taken(workbook({"A": [NAMES, *rows]}), book, "applications.xlsx")["published"] == 3
    assert held("applied_on", "amount", "rate", "term", "purpose") == [
        [date(2006, 2, 28), date(2006, 3, 1), date(2006, 2, 28)], [1000.0, 1234.5, 1000.0], [0.1065, 0.25, 0.05],
        [12, 12, 24], ["7", "car", "2006-01-02"]]


def test_a_serial_number_in_the_place_of_a_day_is_refused_and_explained(home: object) -> None:
    said = refusal(workbook({"A": [NAMES, row(1), row(2, DAY=38777.0)]}), limit=0.0)
    assert 'DAY (applied_on in the lake) holds "38777" in row 3; expected: a day like 2006-02-28' in said
    assert "may be the serial number of a day in a spreadsheet: give these cells the format of a date" in said


def test_a_row_is_known_by_its_number_in_the_sheet(home: object) -> None:
    rows: list[list[Cell]] = [["Loans"], [], NAMES, row(1), [], row(2), ["Total", None, 2000.0], ["End"]]
    answer = taken(workbook({"A": rows}), of(skip_top=1, skip_bottom=2))
    assert (answer["received"], answer["published"]) == (2, 2)
    assert held("loan_id", "line") == [["L1", "L2"], [4, 6]]


def test_a_row_that_was_to_be_skipped_refuses_the_file(home: object) -> None:
    assert "Row 3 of loans.xlsx was to be skipped as a footer and looks like a row" in refusal(
        workbook({"A": [NAMES, row(1), row(2)]}), of(skip_bottom=1))
    assert "Row 1 of loans.xlsx was to be skipped as a title" in refusal(
        workbook({"A": [NAMES, row(1), row(2)]}), of(skip_top=1))


def test_the_sheet_that_the_source_names_is_read_and_one_that_is_not_there_is_told_with_those_that_are(
        home: object) -> None:
    sheets = {"Notes": [["nothing"]], "Loans": [NAMES, row(1)]}
    said = refusal(workbook(sheets), of(sheet="Lones"))
    assert "loans.xlsx has no sheet of that name (got: Lones). Its sheets are Notes, Loans" in said
    assert taken(workbook(sheets), of(sheet="Loans"))["published"] == 1


def test_names_are_given_where_the_sheet_has_none(home: object) -> None:
    assert taken(workbook({"A": [row(1), row(2)]}), of(names=tuple(NAMES)))["published"] == 2
    assert held("line") == [[1, 2]]


@pytest.mark.parametrize(("at", "where"), [("A1:B1", "among the names of its columns"), ("C2:C3", "among its rows")])
def test_merged_cells_are_told(at: str, where: str, home: object) -> None:
    assert f"loans.xlsx has merged cells {where} (got: {at}). Unmerge them" in refusal(
        workbook({"A": [NAMES, row(1), row(2)]}, [at]))


def test_merged_titles_are_no_fault(home: object) -> None:
    assert taken(workbook({"A": [["Loans"], NAMES, row(1)]}, ["A1:H1"]), of(skip_top=1))["published"] == 1


def test_a_cell_under_no_name_is_told_and_an_empty_column_is_none(home: object) -> None:
    assert taken(workbook({"A": [[*NAMES, None, ""], [*row(1), None, ""]]}))["published"] == 1
    assert "loans.xlsx has a cell in the column I, which has no name (got: I3)" in refusal(
        workbook({"A": [NAMES, row(1), [*row(2), "x"]]}))


def test_a_formula_is_its_value_and_without_one_the_file_is_refused(home: object) -> None:
    assert taken(workbook({"A": [NAMES, row(1, AMOUNT=Formula(7.0))]}))["published"] == 1
    assert held("amount") == [[7.0]]
    said = refusal(workbook({"A": [NAMES, row(1), row(2, AMOUNT=Formula(None))]}))
    assert "loans.xlsx has a formula whose value is not in the file (got: C3)" in said
    assert "open it in a spreadsheet and save it" in said


def test_an_error_in_a_cell_is_told_and_not_available_is_nothing(home: object) -> None:
    assert taken(workbook({"A": [NAMES, row(1, INCOME=Error("#N/A"))]}))["published"] == 1
    assert held("income") == [[None]]
    assert "has an error in a cell: #DIV/0! (got: E2)" in refusal(
        workbook({"A": [NAMES, row(1, INCOME=Error("#DIV/0!"))]}))


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
GOOD = workbook({"A": [NAMES, row(1)]})


@pytest.mark.parametrize(("content", "says"), [
    (OLE + bytes(512) + "EncryptedPackage".encode("utf-16-le") + bytes(512), "it is protected by a password"),
    (OLE + bytes(1024), "it is a workbook of the old format (.xls), to be saved as .xlsx"),
    (b"LOAN,DAY\n", "it is no workbook, or was damaged on its way"),
    (b"", "it is no workbook, or was damaged on its way"),
    (GOOD[:-40], "it is no workbook, or was damaged on its way"),
    (workbook({"A": []}), "its sheet is empty")])
def test_what_is_no_readable_workbook_is_told_for_what_it_is(content: bytes, says: str, home: object) -> None:
    said = refusal(content)
    assert f"loans.xlsx cannot be read: {says}" in said
    assert "Ask the lender to send it again: a workbook that opens without a password" in said


@pytest.mark.parametrize("place", range(40, len(GOOD), max(len(GOOD) // 12, 1)))
def test_a_damaged_workbook_is_refused_or_read_and_never_a_crash(place: int, home: object) -> None:
    damaged = GOOD[:place] + bytes([GOOD[place] ^ 0xFF]) + GOOD[place + 1:]
    try:
        taken(damaged)
    except Refused as err:
        assert "loans.xlsx" in str(err)


def changed(part: str, old: bytes, new: bytes, **more: bytes) -> bytes:
    """The good workbook with other bytes in one of its parts, and more parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD)) as package, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as copy:
        for member in package.infolist():
            content = package.read(member)
            copy.writestr(member.filename, content.replace(old, new) if member.filename == part else content)
        for name, content in more.items():
            copy.writestr(name, content)
    return out.getvalue()


def test_a_workbook_that_would_fill_the_memory_is_a_bomb(home: object) -> None:
    sheet = "xl/worksheets/sheet1.xml"
    far = changed(sheet, b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>')
    assert "it unpacks to more than 64 MiB" in refusal(far)
    blown = changed(sheet, b"</worksheet>", b" " * (80 * 2**20) + b"</worksheet>")
    assert "it unpacks to more than 64 MiB" in refusal(blown)
    one = b"<sst><si><t>" + b"x" * 2**20 + b"</t></si></sst>"
    often = b"".join(b'<row r="%d"><c r="A%d" t="s"><v>0</v></c></row>' % (at, at) for at in range(3, 200))
    shared = changed(sheet, b"</sheetData>", often + b"</sheetData>", **{"xl/sharedStrings.xml": one})
    assert "it unpacks to more than 64 MiB" in refusal(shared)
