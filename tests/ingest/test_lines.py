"""A record of a CSV file has one line: those that run over several are told apart, however the bytes come."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from lender import as_csv, bad_share

from tollgate import lake
from tollgate.books import Book
from tollgate.errors import Refused
from tollgate.ingest import check_file, ingest_file
from tollgate.ingest.reading import delimited
from tollgate.ingest.reading.lines import read_lines

Drop = Callable[..., str]
Loans = Callable[..., list[dict[str, str]]]
PLAIN = {"GrAppv": "60000", "SBA_Appv": "1000"}  # no cell of it is quoted


def letter_by_letter(text: str) -> tuple[list[tuple[int, str]], list[tuple[int, int]]]:
    """Lines that are whole records, with their numbers, and spans of those that are none, the slow and plain way."""
    lines: list[tuple[int, str]] = []
    spans: list[tuple[int, int]] = []
    first, number, at, record = 1, 1, 0, ""
    state = "start"  # of a cell; "plain", "quoted", or "closed", where another quote opens it again
    while at < len(text):
        letter = text[at]
        at += 1
        record += letter
        is_end = letter == "\n" or (letter == "\r" and text[at:at + 1] != "\n")
        if is_end and state != "quoted":
            if number > first:
                spans.append((first, number))
            elif record.strip("\r\n"):
                lines.append((number, record))
            first, record, state = number + 1, "", "start"
        elif state == "quoted":
            state = "closed" if letter == '"' else "quoted"
        elif letter == '"' and state in ("start", "closed"):
            state = "quoted"
        else:
            state = "start" if letter == "," else state if letter == "\r" else "plain"
        number += is_end
    if record:
        last = number - is_end
        (spans if last > first or state == "quoted" else lines).append(
            (first, last) if last > first or state == "quoted" else (first, record))
    return lines, spans


@example(text='a,"b\n\nc"\n', block=6)
@example(text='"""",""\r\n"a""b"c",d\r"', block=16)
@given(text=st.text('a,"\n\r', max_size=60), block=st.integers(1, 64))
@hypothesis_settings(max_examples=400, deadline=None)
def test_lines_are_told_apart_as_a_reader_letter_by_letter_would(text: str, block: int) -> None:
    longest = max(map(len, text.replace("\r", "\n").split("\n")))
    found = list(read_lines(io.BytesIO(text.encode()), block + longest + 2))
    lines, spans = letter_by_letter(text)
    assert b"".join(part.text for part in found) == "".join(record for _, record in lines).encode()
    assert np.concatenate([[], *(part.numbers for part in found)]).tolist() == [number for number, _ in lines]
    assert [tuple(span) for part in found for span in part.spans.tolist()] == spans


def with_banks(rows: list[dict[str, str]], banks: dict[int, bytes]) -> bytes:
    """The rows as CSV, the words before the bank of some changed as bytes, by row."""
    return b"\r\n".join(line.replace(b"FIFTH", banks.get(row, b"FIFTH"))
                        for row, line in enumerate(as_csv(rows).split(b"\r\n")))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("block", [2_000, 2**24])
def test_two_stray_quotes_cost_the_lines_between_them_and_no_cell_of_those_is_kept(
        pack: Callable[[bytes], bytes], block: int, sba: Book, loans: Loans, drop: Drop,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", block)
    rows = loans(*[{**PLAIN, "Name": "JANE Q PUBLIC"}] * 1000)
    content = with_banks(rows, {10: b'"FIFTH', 900: b'FIFTH"'})
    answer = ingest_file(sba, drop(pack(content), f"applications.csv{'' if pack is bytes else '.gz'}"), bad_share(1.0))
    assert (answer["received"], answer["published"], answer["quarantined"]) == (1000, 109, 891)
    lines = lake.read(lake.quarantine("sba")).to_pylist()
    assert [line["row"] for line in lines] == list(range(10, 901))
    assert {(line["rule"], line["column"], line["value"], line["record"]) for line in lines} == {
        ("malformed_row", None, "lines 11 to 901", "{}")}
    assert "JANE" not in str(lines)
    held = lake.read(lake.applications(sba))["loan_id"].to_pylist()
    assert sorted(held) == [f"{number:010d}" for number in (*range(1, 10), *range(901, 1001))]


def test_rows_after_torn_blank_and_swallowed_lines_keep_their_numbers(sba: Book, loans: Loans, drop: Drop) -> None:
    header, *rows = as_csv(loans(*[PLAIN] * 9)).split(b"\r\n")[:-1]
    rows[1] += b",one more"
    rows[3] = rows[3].replace(b"FIFTH", b'"FIFTH')
    rows[4] = rows[4].replace(b"FIFTH", b'FIFTH"')
    rows[6] = b""
    rows[8] = rows[8].replace(b",IN,", b",ZZ,")
    answer = ingest_file(sba, drop(b"\r\n".join([header, *rows])), bad_share(1.0))
    assert (answer["received"], answer["published"]) == (8, 4)
    assert [(line["row"], line["rule"], line["value"]) for line in lake.read(lake.quarantine("sba")).to_pylist()] == [
        (2, "malformed_row", None), (4, "malformed_row", "lines 5 to 6"), (5, "malformed_row", "lines 5 to 6"),
        (9, "not_in_vocabulary", "ZZ")]


def test_a_quote_left_open_in_the_last_line_costs_that_line(sba: Book, loans: Loans, drop: Drop) -> None:
    content = with_banks(loans(*[PLAIN] * 3), {3: b'"FIFTH'})
    assert ingest_file(sba, drop(content), bad_share(1.0))["published"] == 2
    (line,) = lake.read(lake.quarantine("sba")).to_pylist()
    assert (line["row"], line["rule"], line["value"]) == (3, "malformed_row", "line 4")
    with pytest.raises(Refused, match="A quote opened in line 4 is not closed there. None of it is published"):
        ingest_file(sba, drop(content.replace(b"0000000001", b"11"), "applications_b.csv"), bad_share(0.02))


def test_a_byte_that_is_no_utf_8_is_named_by_its_line_in_whatever_block(
        sba: Book, loans: Loans, drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 2_000)
    content = with_banks(loans(*[PLAIN] * 50), {20: b'"FIFTH', 21: b'FIFTH"', 30: b"1,FIFTH", 40: b"F\xe9FTH"})
    with pytest.raises(Refused, match="line 41 is not UTF-8 in the column Bank"):
        ingest_file(sba, drop(content), bad_share(1.0))


def test_checking_a_file_beforehand_counts_its_lines_as_ingesting_does(sba: Book, loans: Loans,
                                                                       tmp_path: Path) -> None:
    draw = random.Random(0)
    banks = {row: b'"FIFTH' for row in draw.sample(range(1, 300), 12)}
    (tmp_path / "applications.csv").write_bytes(with_banks(loans(*[PLAIN] * 300), banks))
    found = check_file(sba, tmp_path / "applications.csv", bad_share(1.0))
    swallowed = sum(last - first + 1 for first, last in zip(sorted(banks)[0::2], sorted(banks)[1::2], strict=True))
    assert (found.received, found.good) == (300, 300 - swallowed)
