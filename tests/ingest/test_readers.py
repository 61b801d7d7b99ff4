"""Files as lenders write them are read by what their source says, and a mistake is told, not guessed at."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lender import bad_share, written
from small_lender import NAMES, small_book
from workbook import workbook

from tollgate import lake
from tollgate.books import Book, Reader, Source
from tollgate.config import settings
from tollgate.errors import Refused
from tollgate.ingest import audit, check_file, ingest_file, release, schema_of
from tollgate.ingest.reading import parse, spell
from tollgate.lake import Store

LIMITS = bad_share(1.0)
GERMAN = Reader(delimiter=";", decimal=",", thousands=".", encoding="cp1252")
WIDTHS = (6, 10, 12, 8, 10, 5, 12, 8)
ROWS: list[dict[str, Any]] = [
    {"LOAN": "7001", "DAY": date(2006, 2, 28), "AMOUNT": 1234567.5, "RATE": 0.1065, "INCOME": 50000.25, "TERM": 36,
     "PURPOSE": "car", "NAME": "A B"},
    {"LOAN": "7002", "DAY": date(2006, 3, 1), "AMOUNT": -12.0, "RATE": 0.07, "INCOME": -0.5, "TERM": 60,
     "PURPOSE": "café", "NAME": "C D"},
    {"LOAN": "7003", "DAY": date(2006, 3, 2), "AMOUNT": None, "RATE": None, "INCOME": None, "TERM": None,
     "PURPOSE": None, "NAME": None},
]


def put(content: bytes, name: str) -> str:
    Store(settings().landing).write(f"small/{name}", content)
    return name


def text(*lines: str, encoding: str = "utf-8") -> bytes:
    return "".join(f"{line}\n" for line in lines).encode(encoding)


def row(number: int, **cells: str) -> str:
    """A row of the small book as plain CSV."""
    usual = {"LOAN": f"L{number}", "DAY": "2006-02-28", "AMOUNT": "1000", "RATE": "5%", "INCOME": "10", "TERM": "12",
             "PURPOSE": "car", "NAME": "A B"}
    return ",".join({**usual, **cells}.values())


HEAD = ",".join(NAMES)


def of(reader: Reader, **options: Any) -> Book:
    return small_book(Source(begins="loans", tables=("applications",), reader=reader, **options))


def taken(book: Book, content: bytes, name: str = "loans.csv") -> dict[str, Any]:
    return ingest_file(book, put(content, name), LIMITS)


def refusal(book: Book, content: bytes, name: str = "loans.csv") -> str:
    with pytest.raises(Refused) as caught:
        taken(book, content, name)
    return str(caught.value)


def held(book: Book) -> pa.Table:
    return lake.view(lake.applications(book))


def cells(shown: Callable[[str, Any], str]) -> list[list[str]]:
    return [[shown(name, cell) for name, cell in line.items()] for line in ROWS]


def plain(name: str, cell: Any) -> str:
    if cell is None:
        return ""
    return f"{cell * 100:.2f}%" if name == "RATE" else str(cell)


def german(name: str, cell: Any) -> str:
    if cell is None or name not in ("AMOUNT", "INCOME", "RATE"):
        return "" if cell is None else str(cell)
    if name == "RATE":
        return f"{cell * 100:.2f} %".replace(".", ",")
    spelled = f"{abs(cell):,.2f}".translate(str.maketrans(",.", ".,"))
    return f"({spelled})" if cell < 0 else spelled


def as_plain() -> bytes:
    return text(HEAD, *(",".join(line) for line in cells(plain)))


def as_german() -> bytes:
    return text(";".join(NAMES), *(";".join(line) for line in cells(german)), encoding="cp1252")


def as_fixed() -> bytes:
    return text(*("".join(cell.ljust(width) for cell, width in zip(line, WIDTHS, strict=True))
                  for line in cells(plain)))


def as_workbook() -> bytes:
    return workbook({"Loans": [NAMES, *([float(cell) if name == "LOAN" else cell for name, cell in line.items()]
                                        for line in ROWS)]})


def as_parquet() -> bytes:
    return written(pa.Table.from_pylist(ROWS))


def as_json() -> bytes:
    return text(*(json.dumps({name: cell.isoformat() if isinstance(cell, date) else cell
                              for name, cell in line.items()}) for line in ROWS))


@pytest.mark.parametrize(("name", "content", "reader"), [
    ("loans.csv", as_plain, Reader()), ("loans.csv", as_german, GERMAN),
    ("loans.txt", as_fixed, Reader(widths=WIDTHS, names=tuple(NAMES))), ("loans.xlsx", as_workbook, Reader()),
    ("loans.parquet", as_parquet, Reader()), ("loans.jsonl", as_json, Reader()), ("loans.jsonl", as_json, GERMAN),
    ("loans.parquet", as_parquet, GERMAN), ("loans.xlsx", as_workbook, GERMAN)])
def test_one_frame_is_one_lake_however_it_was_written(name: str, content: Callable[[], bytes], reader: Reader,
                                                      home: object) -> None:
    book = of(reader if not name.endswith(".jsonl") else Reader(decimal=reader.decimal, thousands=reader.thousands))
    answer = taken(book, content(), name)
    assert (answer["received"], answer["published"], answer["warnings"]) == (3, 3, [])
    assert held(book).to_pylist() == [
        {"loan_id": line["LOAN"], "applied_on": line["DAY"], "amount": line["AMOUNT"], "rate": line["RATE"],
         "income": line["INCOME"], "term": line["TERM"], "purpose": line["PURPOSE"]} for line in ROWS]
    audit(book)


def test_titles_and_footers_are_skipped_and_a_row_is_known_by_its_own_line(home: object) -> None:
    book = of(Reader(skip_top=2, skip_bottom=2))
    answer = taken(book, text('Loans "of February', "", HEAD, row(1), row(2, TERM="x"), row(3), "",
                              "Total amount: 3000", "End of file"))
    assert (answer["received"], answer["published"], answer["quarantined"]) == (3, 2, 1)
    lines = lake.read(lake.applications(book), columns=["loan_id", "line", "delivery"]).to_pylist()
    assert lines == [{"loan_id": "L1", "line": 4, "delivery": 1}, {"loan_id": "L3", "line": 6, "delivery": 1}]
    (refused,) = lake.read(lake.quarantine("small"), columns=["row", "line"]).to_pylist()
    assert refused == {"row": 2, "line": 5}


@pytest.mark.parametrize("rows", [0, 1, 7, 400])
def test_a_footer_is_held_back_wherever_a_block_ends(rows: int, home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollgate.ingest.reading.delimited.BLOCK_BYTES", 150)
    book = of(Reader(skip_bottom=3))
    answer = taken(book, text(HEAD, *map(row, range(rows)), "a", "b,b", "c"))
    assert (answer["received"], answer["published"]) == (rows, rows)


def test_a_line_that_was_to_be_skipped_and_looks_like_a_row_refuses_the_file(home: object) -> None:
    said = refusal(of(Reader(skip_bottom=1)), text(HEAD, row(1), row(2)))
    assert "Line 3 of loans.csv was to be skipped as a footer and looks like a row" in said
    assert "skip_bottom in the reader of its source" in said
    said = refusal(of(Reader(skip_top=1)), text(HEAD, row(1)), "loans_b.csv")
    assert "Line 1 of loans_b.csv was to be skipped as a title and looks like a row" in said
    said = refusal(of(Reader(skip_bottom=1)), text(HEAD, row(1), "L2,2006-02-28,,,,,,"), "loans_c.csv")
    assert "Line 3 of loans_c.csv was to be skipped as a footer and looks like a row" in said
    assert held(of(Reader())).num_rows == 0
    assert taken(of(Reader(skip_bottom=1)), text(HEAD, row(1), "Total,,1000,,,,,"), "loans_d.csv")["published"] == 1


def test_lines_that_an_open_quote_takes_are_quarantined_and_never_skipped_as_a_footer(home: object) -> None:
    answer = taken(of(Reader(skip_bottom=1)), text(HEAD, row(1), row(2, PURPOSE='"car'), row(3), "Total"))
    assert (answer["received"], answer["published"], answer["quarantined"]) == (4, 1, 3)


def test_a_file_that_a_footer_spoils_is_told_how_it_would_be_skipped(home: object) -> None:
    put(text(HEAD, row(1), row(2), "Total,2", "End"), "loans.csv")
    with pytest.raises(Refused, match="If what follows line 3 is a footer, say skip_bottom=2 in the reader"):
        ingest_file(of(Reader()), "loans.csv", bad_share(0.02))


def test_names_are_given_where_the_file_has_none(home: object) -> None:
    book = of(Reader(names=tuple(NAMES), delimiter="|"))
    answer = taken(book, text(*(row(number).replace(",", "|") for number in (1, 2))), "loans.txt")
    assert answer["published"] == 2
    assert lake.read(lake.applications(book), columns=["line"])["line"].to_pylist() == [1, 2]


def test_a_line_of_fixed_widths_that_has_another_length_is_malformed(home: object) -> None:
    book = of(Reader(widths=WIDTHS, names=tuple(NAMES)))
    lines = as_fixed().decode().splitlines()
    answer = taken(book, text(lines[0], lines[1] + " ", lines[2][:-1]), "loans.txt")
    assert (answer["published"], answer["quarantined"]) == (1, 2)
    with pytest.raises(Refused, match="Line 2 is not of 71 letters"):
        ingest_file(book, put(text(*lines[:1], "x"), "loans_b.txt"), bad_share(0.0))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252", "utf-8-sig", "latin-1"])
def test_a_stated_encoding_is_read(encoding: str, home: object) -> None:
    book = of(Reader(encoding=encoding))
    assert taken(book, text(HEAD, row(1, PURPOSE="café"), encoding=encoding))["published"] == 1
    assert held(book)["purpose"].to_pylist() == ["café"]


def test_a_byte_that_the_encoding_does_not_have_is_told_with_its_line(home: object) -> None:
    said = refusal(of(Reader(encoding="cp1252")), text(HEAD, row(1)) + row(2).encode() + b"\x81\r\n" + text(row(3)))
    assert "line 3 holds what is not cp1252 (byte 0x81)" in said
    assert "whole and in cp1252" in said


def test_a_quote_of_none_is_a_letter_like_any_other(home: object) -> None:
    book = of(Reader(quote=""))
    assert taken(book, text(HEAD, row(1, PURPOSE='5" pipe'), row(2, PURPOSE='"x')))["published"] == 2
    assert held(book)["purpose"].to_pylist() == ['5" pipe', '"x']


def number(kind: str, cell: str, reader: Reader, **options: Any) -> tuple[Any, list[str]]:
    book = small_book(changes={"AMOUNT": {"kind": kind, **options}})
    column = [c for c in book.applications if c.source == "AMOUNT"]
    rows, broken = parse(column, pa.table({"AMOUNT": [cell]}), (), reader)
    return rows["amount"][0].as_py(), broken["rule"].to_pylist()


COMMA, SPACE, APOSTROPHE = (Reader(decimal=d, thousands=t) for d, t in ((",", "."), (",", " "), (".", "'")))


@pytest.mark.parametrize(("kind", "cell", "reader", "value"), [
    ("number", "1.234,5", COMMA, 1234.5), ("number", "1234,5", COMMA, 1234.5), ("number", "1.234", COMMA, 1234.0),
    ("number", "1.23", COMMA, None), ("number", "12.34.567", COMMA, None), ("number", "1234.567", COMMA, None),
    ("number", "1 234,5", SPACE, 1234.5), ("number", "1\u00a0234,5", SPACE, 1234.5),
    ("number", "1\u202f234", SPACE, 1234.0), ("number", "1'234.5", APOSTROPHE, 1234.5),
    ("number", "1,234", Reader(), None), ("number", "(1234.5)", Reader(), -1234.5), ("number", "(-1)", Reader(), None),
    ("number", "(5", Reader(), None), ("number", "0,1e3", COMMA, 100.0),
    ("integer", "1.234", COMMA, 1234), ("integer", "12,0", COMMA, 12), ("integer", "1.23", COMMA, None),
    ("integer", "+7.0", Reader(), 7), ("integer", "(7)", Reader(), None),
    ("money", "$1,234.00", Reader(), 1234.0), ("money", "-$5", Reader(), -5.0), ("money", "$-5", Reader(), -5.0),
    ("money", "($1,234.50)", Reader(), -1234.5), ("money", "$(5)", Reader(), -5.0), ("money", "€ 5", Reader(), 5.0),
    ("money", "1.234,56 €", COMMA, 1234.56), ("money", "(1.234,56 €)", COMMA, -1234.56), ("money", "£7", Reader(), 7.0),
    ("money", "1,5", Reader(decimal=","), 1.5), ("money", "$1,23", Reader(), None), ("money", "-$-5", Reader(), None),
    ("money", "$5$", Reader(), None), ("money", "¥5", Reader(), None),
    ("percent", "10.65%", Reader(), 0.1065), ("percent", " 10.65 % ", Reader(), 0.1065),
    ("percent", "10,65 %", COMMA, 0.1065), ("percent", "(1.5%)", Reader(), -0.015),
    ("percent", "-1.5%", Reader(), -0.015),
    ("percent", "0.1065", Reader(), None), ("percent", "10", Reader(), None), ("percent", "1e1%", Reader(), None),
    ("percent", "%", Reader(), None)])
def test_a_number_is_what_its_letters_say_or_no_number(kind: str, cell: str, reader: Reader, value: Any) -> None:
    rule = {"integer": "not_an_integer", "percent": "not_a_percent"}.get(kind, "not_a_number")
    assert number(kind, cell, reader) == (value, [] if value is not None else [rule])


def test_a_percent_is_rounded_once() -> None:
    for hundredths in range(1, 20_000, 7):
        assert number("percent", f"{hundredths / 100:.2f}%", Reader())[0] == float(f"{hundredths}e-4")


def test_a_percent_without_its_sign_is_refused_and_told_why(home: object) -> None:
    put(text(HEAD, row(1), row(2, RATE="0.1065"), row(3, RATE="10.65")), "loans.csv")
    with pytest.raises(Refused, match=r'RATE \(rate in the lake\) holds "0.1065" in line 3 and "10.65" in line 4; '
                                      r"expected: a share with its sign, like 10.65%: without it, 10.65 and 0.1065"):
        ingest_file(of(Reader()), "loans.csv", bad_share(0.0))


DATES = {"DAY": {"format": ("%d.%m.%Y", "%Y-%m-%d", "%b-%y"), "month_end": True}}


@pytest.mark.parametrize(("cell", "day"), [
    ("28.02.2006", date(2006, 2, 28)), ("2006-03-01", date(2006, 3, 1)), ("Feb-08", date(2008, 2, 29)),
    ("03/01/2006", None), ("30.02.2006", None)])
def test_the_first_format_that_fits_is_taken_and_a_month_is_its_last_day(cell: str, day: date | None) -> None:
    columns = [column for column in small_book(changes=DATES).applications if column.source == "DAY"]
    rows, broken = parse(columns, pa.table({"DAY": [cell]}))
    assert rows["applied_on"].to_pylist() == [day]
    assert broken["rule"].to_pylist() == ([] if day else ["not_a_date"])


def test_a_date_that_no_format_reads_is_told_with_every_format(home: object) -> None:
    book = small_book(changes=DATES)
    put(text(HEAD, row(1, DAY="03/01/2006")), "applications.csv")
    with pytest.raises(Refused, match=r'"03/01/2006" in line 2; expected: a day like 28.02.2006 or 2006-02-28 or '
                                      r"Feb-06 \(%d.%m.%Y or %Y-%m-%d or %b-%y\)"):
        ingest_file(book, "applications.csv", bad_share(0.0))


@pytest.mark.parametrize("reader", [Reader(), GERMAN], ids=["plain", "german"])
def test_typed_rows_are_spelled_so_that_they_are_read_as_the_same(reader: Reader) -> None:
    columns = [column for column in small_book(changes=DATES).applications if not column.personal]
    raw = pa.Table.from_pylist([*ROWS, {**ROWS[0], "RATE": 1e-7, "INCOME": 1e22, "AMOUNT": 0.1}]).drop_columns(["NAME"])
    rows, broken = parse(columns, raw, (), reader)
    assert broken.num_rows == 0
    assert parse(columns, spell(columns, raw, reader), (), reader)[0].to_pylist() == rows.to_pylist()


def test_a_quarantined_row_is_released_by_the_letters_of_its_own_reader(home: Path) -> None:
    source = Source(begins="loans", tables=("applications",), reader=GERMAN)
    answer = taken(small_book(source, changes={"TERM": {"le": 50}}), as_german())
    assert answer["quarantined"] == 1
    assert release(small_book(source), answer["fingerprint"], "Ann", "wider")["released"] == 1
    (kept,) = lake.read(lake.applications(small_book()), filters=[("loan_id", "=", "7002")]).to_pylist()
    assert (kept["amount"], kept["rate"], kept["line"], kept["term"]) == (-12.0, 0.07, 3, 60)


def test_ignored_columns_are_not_read_even_without_a_name(home: object) -> None:
    book = of(Reader(), ignored=("", "SCRATCH"))
    content = text(f"{HEAD},SCRATCH,,", f"{row(1)},x,,", f"{row(2)},y,,")
    assert taken(book, content)["published"] == 2
    with pytest.raises(Refused, match="has a column that the contract does not know.*SCRATCH.*ignored"):
        taken(of(Reader(), ignored=("",)), content, "loans_b.csv")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "xlsx"])
def test_unknown_columns_are_left_unread_with_a_warning_where_the_source_says_so(ending: str, home: object) -> None:
    book = of(Reader(), ignore_unknown=True)
    more = [{**line, "MOOD": "good"} for line in ROWS]
    content = {
        "csv": text(f"{HEAD},MOOD", *(f"{','.join(line)},good" for line in cells(plain))),
        "jsonl": text(*(json.dumps(line, default=str) for line in more)),
        "parquet": written(pa.Table.from_pylist(more)),
        "xlsx": workbook({"Loans": [list(more[0]), *(list(line.values()) for line in more)]}),
    }[ending]
    answer = taken(book, content, f"loans.{ending}")
    says = "It has columns that the book does not know, which were left unread: MOOD."
    assert (answer["published"], answer["warnings"]) == (3, [says])
    (check,) = lake.read(lake.checks("small")).to_pylist()
    assert (check["check"], check["sentence"]) == ("unknown_column", says)


def test_the_index_that_pandas_keeps_in_parquet_is_never_read(home: object) -> None:
    more = pa.Table.from_pylist([{**line, "__index_level_0__": 7} for line in ROWS])
    assert taken(of(Reader()), written(more), "loans.parquet")["published"] == 3


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_string(), pa.string_view(), pa.large_binary(),
                                  pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_text_is_text_whatever_parquet_calls_it(kind: pa.DataType, home: object) -> None:
    rows = pa.Table.from_pylist(ROWS)
    for name in ("LOAN", "PURPOSE"):
        cells = rows[name].combine_chunks()
        cast = cells.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else cells.cast(kind)
        rows = rows.set_column(rows.column_names.index(name), name, cast)
    book = of(Reader())
    assert taken(book, written(rows), "loans.parquet")["published"] == 3
    assert held(book)["purpose"].to_pylist() == ["car", "café", None]


def test_bytes_of_parquet_that_are_no_text_are_told(home: object) -> None:
    rows = pa.Table.from_pylist([{**line, "PURPOSE": b"\xff\xfe"} for line in ROWS])
    assert "its column PURPOSE holds bytes that are not UTF-8" in refusal(of(Reader()), written(rows), "loans.parquet")


def test_moments_of_an_older_parquet_are_days(home: object, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rows = pa.Table.from_pylist([{**line, "DAY": line["DAY"]} for line in ROWS])
    moments = rows["DAY"].cast(pa.timestamp("us"))
    rows = rows.set_column(1, "DAY", moments)
    pq.write_table(rows, tmp_path / "old.parquet", use_deprecated_int96_timestamps=True)
    book = of(Reader())
    assert taken(book, (tmp_path / "old.parquet").read_bytes(), "loans.parquet")["published"] == 3
    assert held(book)["applied_on"].to_pylist() == [line["DAY"] for line in ROWS]


def test_the_longest_beginning_tells_a_source(home: object) -> None:
    book = small_book(Source(begins="loans", tables=("applications",)),
                      Source(begins="loans_old", tables=("applications",), reader=Reader(delimiter=";")))
    assert taken(book, text(HEAD, row(1)), "loans_new.csv")["published"] == 1
    assert taken(book, text(HEAD.replace(",", ";"), row(2).replace(",", ";")), "loans_old.csv")["published"] == 1
    assert set(schema_of(book, "applications").columns) == {"loan_id", "applied_on", "amount", "rate", "income", "term",
                                                           "purpose"}


def test_a_check_beforehand_reads_as_the_source_says(home: object, tmp_path: Path) -> None:
    (tmp_path / "loans.csv").write_bytes(as_german())
    found = check_file(of(GERMAN), tmp_path / "loans.csv", LIMITS).answer()
    assert (found["verdict"], found["good"], found["table"]) == ("published", 3, "applications")
