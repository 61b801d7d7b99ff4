"""What becomes of each cell: read, quarantined with a reason, or the whole file refused."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from lender import bad_share

from tollgate import lake
from tollgate.books import Book, load_book
from tollgate.config import Ingest, settings
from tollgate.errors import BadInput, Refused
from tollgate.ingest import contract_table, ingest_file, new_files, schema_of

Drop = Callable[..., str]
Loans = Callable[..., list[dict[str, str]]]


def published(book: Book) -> list[dict]:
    return lake.read(lake.applications(book)).to_pylist()


def reasons(book: Book) -> list[tuple[int, str, str | None, str | None]]:
    return [(line["row"], line["rule"], line["column"], line["value"])
            for line in lake.read(lake.quarantine(book.name)).to_pylist()]


def test_the_traps_of_the_sba_file_are_read_right(sba: Book, limits: Ingest, loans: Loans, drop: Drop) -> None:
    ingest_file(sba, drop(loans(
        {"GrAppv": "$1,234,567.00 ", "SBA_Appv": "1234.5", "ApprovalDate": "1-Jan-99"},
        {"RevLineCr": "T", "LowDoc": "C", "NewExist": "0", "NAICS": "0", "State": "", "NoEmp": "5.0"},
        {"RevLineCr": "", "Bank": "  ", "UrbanRural": " 1 "},
    )), limits)
    first, second, third = published(sba)
    assert (first["approved"], first["guaranteed"]) == (1_234_567.0, 1234.5)
    assert (first["applied_on"], first["month"]) == (date(1999, 1, 1), "1999-01")
    assert (second["revolving"], second["low_doc"], second["business_age"]) == ("N", None, None)
    assert (second["industry"], second["state"], second["employees"]) == ("0", None, 5)
    assert (third["revolving"], third["bank"], third["urban_rural"]) == (None, None, "1")
    assert third["loan_id"] == "0000000003"
    assert reasons(sba) == []


def test_a_two_digit_year_in_the_wrong_century_is_quarantined(sba: Book, limits: Ingest, loans: Loans,
                                                              drop: Drop) -> None:
    ingest_file(sba, drop(loans({"ApprovalDate": "28-Feb-67"}, {"ApprovalDate": "28-Feb-69"})), limits)
    assert reasons(sba) == [(1, "above_maximum", "applied_on", "28-Feb-67"),
                            (1, "from_the_future", "applied_on", "28-Feb-67"),
                            (2, "below_minimum", "applied_on", "28-Feb-69")]


@pytest.mark.parametrize(("cell", "rule"), [
    ({"ApprovalDate": "31-Feb-06"}, ("not_a_date", "applied_on")),
    ({"ApprovalDate": "2006-02-28"}, ("not_a_date", "applied_on")),
    ({"ApprovalDate": ""}, ("required", "applied_on")),
    ({"LoanNr_ChkDgt": " "}, ("required", "loan_id")),
    ({"GrAppv": "NaN"}, ("required", "approved")),
    ({"GrAppv": "1.234,00"}, ("not_a_number", "approved")),
    ({"GrAppv": "1,23"}, ("not_a_number", "approved")),
    ({"GrAppv": "inf"}, ("not_finite", "approved")),
    ({"GrAppv": "1e999"}, ("not_finite", "approved")),
    ({"GrAppv": "1e308"}, ("above_maximum", "approved")),
    ({"SBA_Appv": "-$5.00 "}, ("below_minimum", "guaranteed")),
    ({"NoEmp": "4.5"}, ("not_an_integer", "employees")),
    ({"NoEmp": "99999999999999999999"}, ("not_an_integer", "employees")),
    ({"NoEmp": "-1"}, ("below_minimum", "employees")),
    ({"State": "ZZ"}, ("not_in_vocabulary", "state")),
    ({"RevLineCr": "X"}, ("not_in_vocabulary", "revolving")),
])
def test_a_bad_cell_is_quarantined_with_its_one_reason(cell: dict[str, str], rule: tuple[str, str], sba: Book,
                                                       limits: Ingest, loans: Loans, drop: Drop) -> None:
    answer = ingest_file(sba, drop(loans({}, cell)), limits)
    assert reasons(sba) == [(2, *rule, *cell.values())]
    assert (answer["received"], answer["published"], answer["quarantined"]) == (2, 1, 1)
    assert [row["loan_id"] for row in published(sba)] == ["0000000001"]


def test_a_row_with_two_bad_cells_is_one_row_with_two_reasons(sba: Book, limits: Ingest, loans: Loans,
                                                              drop: Drop) -> None:
    answer = ingest_file(sba, drop(loans({"State": "ZZ", "GrAppv": "?"})), limits)
    assert answer["quarantined"] == 1
    assert reasons(sba) == [(1, "not_a_number", "approved", "?"), (1, "not_in_vocabulary", "state", "ZZ")]


def test_of_rows_with_one_loan_number_the_first_is_kept(sba: Book, limits: Ingest, loans: Loans, drop: Drop) -> None:
    ingest_file(sba, drop(loans({"NoEmp": "1"}, {"LoanNr_ChkDgt": "0000000001", "NoEmp": "2"},
                                {"LoanNr_ChkDgt": "0000000001", "NoEmp": "3"})), limits)
    assert [row["employees"] for row in published(sba)] == [1]
    assert [(row, rule) for row, rule, _, _ in reasons(sba)] == [(2, "duplicate"), (3, "duplicate")]


def test_a_torn_row_is_quarantined_and_the_rows_after_it_keep_their_numbers(sba: Book, limits: Ingest, loans: Loans,
                                                                            drop: Drop) -> None:
    good, torn, bad = loans({}, {}, {"State": "ZZ"})
    text = "\n".join([",".join(good), *(",".join(f'"{v}"' for v in row.values()) for row in (good, torn, bad))])
    torn_line = text.splitlines()[2]
    answer = ingest_file(sba, drop(text.replace(torn_line, torn_line + ',"one more"').encode()), limits)
    assert reasons(sba) == [(2, "malformed_row", None, None), (3, "not_in_vocabulary", "state", "ZZ")]
    assert (answer["received"], answer["published"], answer["quarantined"]) == (3, 1, 2)


def test_the_quarantine_keeps_the_row_as_it_came_without_personal_columns(sba: Book, limits: Ingest, loans: Loans,
                                                                          drop: Drop) -> None:
    ingest_file(sba, drop(loans({"State": "ZZ"})), limits)
    record = json.loads(lake.read(lake.quarantine("sba"))["record"][0].as_py())
    assert record["GrAppv"] == "$60,000.00 "
    assert set(record) == {c.source for c in sba.applications if not c.personal}


def test_a_bad_share_at_the_limit_is_published_and_one_row_more_is_refused(sba: Book, loans: Loans,
                                                                           drop: Drop) -> None:
    two_in_a_hundred = bad_share(0.02)
    bad = {"State": "ZZ", "GrAppv": "?"}
    assert ingest_file(sba, drop(loans(bad, bad, good=98)), two_in_a_hundred)["published"] == 98
    name = drop(loans(bad, bad, bad, good=97, start=500), "applications_late.csv")
    with pytest.raises(Refused, match="3 of its 100 rows are bad, more than 2.0%: 3 not_a_number in approved, 3 not_"):
        ingest_file(sba, name, two_in_a_hundred)
    assert len(published(sba)) == 98
    row = lake.read(lake.received("sba"), filters=[("verdict", "=", "refused")]).to_pylist()
    assert [(r["file"], r["received"], r["published"], r["quarantined"]) for r in row] == [(name, 100, 0, 100)]
    assert (0, "bad_share", None, "3 of 100") in reasons(sba)
    assert new_files("sba") == []


def test_a_refused_file_is_judged_again_when_it_is_brought_again(sba: Book, limits: Ingest, loans: Loans,
                                                                 drop: Drop) -> None:
    name = drop(loans({"State": "ZZ"}, good=1))
    with pytest.raises(Refused):
        ingest_file(sba, name, bad_share(0.1))
    assert ingest_file(sba, name, limits)["new"]
    assert [line[:2] for line in reasons(sba)] == [(1, "not_in_vocabulary")]
    assert lake.read(lake.received("sba"))["verdict"].to_pylist() == ["published"]


def without(column: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k != column} for row in rows]


@pytest.mark.parametrize(("break_it", "rule", "says"), [
    (lambda rows: without("GrAppv", rows), "missing_column", "lacks a column.*GrAppv"),
    (lambda rows: without("Name", rows), "missing_column", "lacks a column.*Name"),
    (lambda rows: [{**row, "Rating": "A"} for row in rows], "unknown_column", "does not know.*Rating"),
    (lambda rows: b"", "unreadable", "cannot be read: it is empty"),
    (lambda rows: "LoanNr_ChkDgt\u00e9".encode("utf-16"), "unreadable", "cannot be read.*UTF-8"),
    (lambda rows: b"PAR1 torn", "missing_column", "lacks a column"),
])
def test_a_file_that_does_not_fit_is_refused_whole_and_not_brought_again(
        break_it: Callable[..., object], rule: str, says: str, sba: Book, limits: Ingest, loans: Loans,
        drop: Drop) -> None:
    name = drop(break_it(loans(good=3)))
    with pytest.raises(Refused, match=says):
        ingest_file(sba, name, limits)
    assert published(sba) == []
    assert [line[:2] for line in reasons(sba)] == [(0, rule)]
    assert new_files("sba") == []


def test_a_torn_parquet_file_is_refused_whole(sba: Book, limits: Ingest, drop: Drop) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        ingest_file(sba, drop(b"PAR1 and nothing more", "applications.parquet"), limits)


def test_the_order_of_columns_and_a_byte_order_mark_do_not_matter(sba: Book, limits: Ingest, loans: Loans,
                                                                   drop: Drop) -> None:
    rows = [dict(reversed(row.items())) for row in loans(good=2)]
    drop(rows)
    content = lake.Store(settings().landing).read("sba/applications_2006-02.csv")
    assert ingest_file(sba, drop(b"\xef\xbb\xbf" + content, "applications_bom.csv"), limits)["published"] == 2


def test_a_file_with_a_header_and_no_rows_is_taken_in(sba: Book, limits: Ingest, loans: Loans, drop: Drop) -> None:
    answer = ingest_file(sba, drop((",".join(loans(good=1)[0]) + "\n").encode()), bad_share(0.0))
    assert (answer["received"], answer["partitions"], answer["new"]) == (0, [], True)
    assert new_files("sba") == []


@pytest.mark.parametrize("name", ["loans.csv", "applications.doc", "../applications.csv", ".applications.csv",
                                  "applications.csv.part", "applications_none.csv"])
def test_a_name_that_is_no_file_of_a_table_is_bad_input(name: str, sba: Book, limits: Ingest, drop: Drop) -> None:
    if name in ("loans.csv", "applications.doc"):
        drop(b"x", name)
    with pytest.raises(BadInput, match="name|no such file"):
        ingest_file(sba, name, limits)
    assert new_files("sba") == []


def test_typed_parquet_columns_are_read_as_they_are(home: Path, limits: Ingest, drop: Drop) -> None:
    book = load_book("consumer")
    rows = pa.table({
        "loan_id": pa.array([1, 2, 3]),
        "application_date": pa.array([datetime(2006, 2, 1, 23, 59)] * 3, pa.timestamp("us")),
        "customer_id": pa.array([7, 8, 9]),
        "applicant_name": pa.array(["a", "b", "c"]),
        "credit_score": pa.array([700.0, 650.5, 600.0]),
        "loan_amount": pa.array([1000, 1000, 1000], pa.int32()),
        "annual_income": pa.array([50_000.0, 50_000.0, float("nan")]),
        "debt_to_income_ratio": pa.array(["0.5", None, "0.1"]),
        "num_delinquencies_12m": pa.array([0, 1, 2], pa.int8()),
        "employment_years": pa.array([1.5, None, 2.0], pa.float32()),
        "home_ownership": pa.array(["rent", "own", "own"]).dictionary_encode(),
        "purpose": pa.array(["car"] * 3, pa.large_string()),
        "state": pa.nulls(3), "sex": pa.array(["female"] * 3), "age_band": pa.array(["60+"] * 3),
    })
    sink = io.BytesIO()
    pq.write_table(rows, sink)
    ingest_file(book, drop(sink.getvalue(), "applications.parquet", "consumer"), limits)
    assert reasons(book) == [(2, "not_an_integer", "credit_score", "650.5")]
    row, last = published(book)
    assert last["annual_income"] is None
    assert (row["loan_id"], row["applied_on"], row["credit_score"]) == ("1", date(2006, 2, 1), 700)
    assert (row["debt_to_income_ratio"], row["home_ownership"], row["state"]) == (0.5, "rent", None)


def test_the_docs_say_of_every_column_what_the_contract_checks(sba: Book) -> None:
    lines = {line["name"]: line for line in contract_table(sba, "applications")}
    assert list(lines) == [c.name for c in sba.applications]
    assert "<= 10000000" in lines["approved"]["rule"]
    assert lines["term"]["known"] == "later"
    assert lines["borrower"]["rule"] == "dropped, never read"
    assert set(schema_of(sba, "applications").columns) == {c.name for c in sba.applications if not c.personal}


cells = st.fixed_dictionaries({}, optional={
    "LoanNr_ChkDgt": st.sampled_from(["1", "2", "3", ""]),
    "GrAppv": st.sampled_from(["$1.00 ", "0", "x", "", "NaN", "1e9"]),
    "ApprovalDate": st.sampled_from(["28-Feb-06", "30-Feb-06", "28-Feb-66", "x"]),
    "State": st.sampled_from(["IN", "XX", ""]),
    "NoEmp": st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r"), max_size=4),
    "Bank": st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r"), max_size=6),
})


@hypothesis_settings(max_examples=15)
@given(rows=st.lists(cells, min_size=1, max_size=8), limit=st.sampled_from([0.0, 0.5, 1.0]))
def test_received_is_published_plus_quarantined_for_every_file(rows: list[dict[str, str]], limit: float, sba: Book,
                                                               loans: Loans, drop: Drop) -> None:
    name = drop(loans(*rows))
    before = lake.version(lake.applications(sba))
    try:
        answer = ingest_file(sba, name, bad_share(limit))
    except Refused:
        assert lake.version(lake.applications(sba)) == before
        answer = lake.read(lake.received("sba"), filters=[("verdict", "=", "refused")]).to_pylist()[-1]
        assert answer["published"] == 0
    else:
        assert answer["received"] == len(rows)
        lines = lake.read(lake.quarantine("sba"), filters=[("fingerprint", "=", answer["fingerprint"])])
        assert len(set(lines["row"].to_pylist())) == answer["quarantined"]
    assert answer["received"] == answer["published"] + answer["quarantined"]
