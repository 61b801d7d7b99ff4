"""What is said of a refused file leads a person to the mistake, and never shows a person's data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lender import as_csv, as_json_lines, bad_share, sba_loans

from tollgate import lake
from tollgate.books import Book
from tollgate.books.page import render
from tollgate.errors import BadInput, Refused
from tollgate.ingest import check_file, contract_table, ingest_file, quarantined_loan
from tollgate.ingest.contract.cells import personal
from tollgate.ingest.reading.header import listed

Drop = Callable[..., str]
Loans = Callable[..., list[dict[str, str]]]


def refusal(book: Book, content: bytes, folder: Path, name: str = "applications.csv") -> str:
    (folder / name).write_bytes(content)
    refused = check_file(book, folder / name, bad_share(0.02)).refused
    assert refused is not None
    said = str(refused)
    assert len(said.splitlines()) == 1
    return said


def test_days_in_another_format_are_shown_with_their_lines_both_names_and_the_format(
        sba: Book, loans: Loans, tmp_path: Path) -> None:
    days = ["2006-02-28", "2006-02-27", "2006-02-28", "2006-02-26", "2006-02-25"]
    said = refusal(sba, as_csv(loans({}, *({"ApprovalDate": day} for day in days))), tmp_path)
    assert "5 not_a_date in applied_on" in said
    assert ('ApprovalDate (applied_on in the lake) holds "2006-02-28" in line 3, "2006-02-27" in line 4 and '
            '"2006-02-26" in line 6; expected: a day like 28-Feb-06 (%d-%b-%y).') in said
    assert "2006-02-25" not in said


def test_json_lines_and_their_rows_are_told_as_rows(sba: Book, loans: Loans, tmp_path: Path) -> None:
    said = refusal(sba, as_json_lines(loans({}, {"NoEmp": "4.5"})) + b"{torn\n", tmp_path, "applications.jsonl")
    assert 'NoEmp (employees in the lake) holds "4.5" in row 2; expected: a whole number like 12.' in said
    assert "Row 3 is no flat JSON object." in said


def test_a_rule_between_columns_shows_the_cells_of_both(sba: Book, loans: Loans, tmp_path: Path) -> None:
    said = refusal(sba, as_csv(loans({"GrAppv": "1", "SBA_Appv": "2"})), tmp_path)
    assert ('SBA_Appv (guaranteed in the lake) and GrAppv (approved in the lake) hold ("2", "1") in line 2.') in said


def test_personal_data_and_masked_cells_are_never_shown(sba: Book, loans: Loans, tmp_path: Path) -> None:
    bad = [{"Name": "JANE Q PUBLIC", "Bank": f"ask jane{i}@example.com", "NoEmp": "078-05-1120"} for i in range(5)]
    said = refusal(sba, as_csv(loans(*bad)), tmp_path)
    assert '"(masked: an e-mail address)" in line 2' in said
    assert not [value for value in ("JANE", "jane", "078-05") if value in said]


def test_an_unseen_character_is_shown_escaped_and_a_long_value_cut(sba: Book, loans: Loans, tmp_path: Path) -> None:
    said = refusal(sba, as_csv(loans({"LoanNr_ChkDgt": "1\u200b2"}, {"State": "Z" * 90})), tmp_path)
    assert r'holds "1\u200b2" in line 2' in said
    assert f'holds "{"Z" * 40}..." in line 3' in said


def test_examples_are_met_in_whatever_batch(sba: Book, loans: Loans, tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollgate.ingest.reading.delimited.BLOCK_BYTES", 2_000)
    said = refusal(sba, as_csv(loans(*({"State": f"Z{i // 20}"} for i in range(100)))), tmp_path)
    assert '"Z0" in line 2, "Z1" in line 22 and "Z2" in line 42' in said


@pytest.mark.parametrize(("names", "said"), [
    (["a", "b"], "a, b"), (["aaaa", "bbbb", "cccc"], "aaaa, bbbb and 1 more"), (["a" * 20], "a" * 11),
    (["a", " ", ""], "a, (no name) and 1 more")])
def test_names_are_shortened_at_a_whole_one(names: list[str], said: str) -> None:
    assert listed(names, 11) == said


def test_a_name_with_an_unseen_character_is_shown_escaped(sba: Book, loans: Loans, tmp_path: Path) -> None:
    said = refusal(sba, as_csv(loans({})).replace(b"NoEmp", "No​Emp".encode()), tmp_path)
    assert r"unseen characters: `No\u200bEmp` must be `NoEmp`." in said


def test_a_header_less_file_shows_nothing_of_its_first_row(sba: Book, tmp_path: Path) -> None:
    content = as_csv(sba_loans({"Name": "JANE Q PUBLIC"})).split(b"\r\n", 1)[1]
    said = refusal(sba, content, tmp_path)
    assert "Line 1 must hold the names of the columns" in said
    assert "JANE" not in said


@pytest.mark.parametrize(("cell", "what"), [
    ("4111 1111 1111 1111", "a card number"), ("paid by 4111111111111111.", "a card number"),
    ("5555-5555-5555-4444", "a card number"), ("2223003122003222", "a card number"),
    ("378282246310005", "a card number"), ("3782 822463 10005", "a card number"), ("6011111111111117", "a card number"),
    ("30569309025904", "a card number"), ("3530111333300000", "a card number"), ("6200000000000005", "a card number"),
    ("12 4111 1111 1111 1111", "a card number"), (" ".join("7" * 5000), None),
    ("4111111111111112", None), ("9999999999999995", None),
    ("0000000000000000", None), ("411111111111111", None), ("15.000000033279001", None), ("15.4111111111111111", None),
    ("4111111111111111.5", None), ("A4111111111111111", None)])
def test_a_card_number_has_an_issuer_a_length_and_a_check_digit(cell: str, what: str | None) -> None:
    assert personal(cell, key=False) == what


def test_a_book_may_leave_a_column_unscreened_and_says_why(sba: Book, limits: object, loans: Loans, drop: Drop) -> None:
    why = "references of the lender's own, one in fifty like a card's"
    columns = tuple(replace(c, unscreened=why) if c.name == "bank" else c for c in sba.applications)
    book = replace(sba.with_columns("applications", columns), nulls=("n.k.",))
    answer = ingest_file(book, drop(loans({"Bank": "4111111111111111"}, {"Bank": "=1+1"}, {"Bank": "4222222222222",
                                                                                        "State": "ZZ"})), limits)
    assert answer["published"] == 1
    assert lake.read(lake.applications(book))["bank"].to_pylist() == ["4111111111111111"]
    lines = lake.read(lake.quarantine("sba")).to_pylist()
    assert [(line["row"], line["rule"], line["value"]) for line in lines] == [
        (2, "formula", "=1+1"), (3, "not_in_vocabulary", "ZZ")]
    assert "4222222222222" in lines[1]["record"]
    assert why in {line["name"]: line["rule"] for line in contract_table(book, "applications")}["bank"]
    assert "They spell nothing as `n.k.` too." in render(book)
    assert why in next(line for line in render(book).splitlines() if line.startswith("| `bank` "))


def test_a_loan_in_the_quarantine_is_found_by_its_number(sba: Book, limits: object, loans: Loans, drop: Drop) -> None:
    from tollgate import registry

    answer = ingest_file(sba, drop(loans({}, {"LoanNr_ChkDgt": " 12é ", "State": "ZZ", "NoEmp": "x"})), limits)
    found = quarantined_loan(sba, "12é")
    assert [(line["file"], line["table"], line["row"], line["rule"], line["column"]) for line in found] == [
        ("applications_2006-02.csv", "applications", 2, "not_an_integer", "employees"),
        ("applications_2006-02.csv", "applications", 2, "not_in_vocabulary", "state")]
    assert quarantined_loan(sba, "0000000001") == quarantined_loan(sba, "ZZ") == []
    with pytest.raises(BadInput) as caught:
        registry.trace("sba", "12é", found)
    assert str(caught.value) == (
        "No scores of this loan were published in sba; it stands in the quarantine: applications_2006-02.csv, row 2: "
        "not_an_integer in employees; applications_2006-02.csv, row 2: not_in_vocabulary in state (got: 12é). "
        f"tollgate quarantine show sba {answer['fingerprint'][:12]} shows the row as it came.")


def test_a_zero_byte_below_the_names_costs_its_row_alone(sba: Book, limits: object, loans: Loans, drop: Drop) -> None:
    rows = loans({}, {"LoanNr_ChkDgt": "1\x002"}, good=300)
    assert ingest_file(sba, drop(rows), limits)["quarantined"] == 1
    with pytest.raises(Refused, match="UTF-16 or no text"):
        ingest_file(sba, drop(as_csv(rows).replace(b"NoEmp", b"No\0mp"), "applications_zero.csv"), limits)
