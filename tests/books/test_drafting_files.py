"""A draft of files however they are written: formats, dialects, dates, sizes; it reads what ingestion reads."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests.books.drafted import ROWS, Make, column, loans, text_of, written
from tests.workbook import workbook

from tollgate.books import Reader, load_book
from tollgate.books.drafting.kinds import NOTHING
from tollgate.config import load_params
from tollgate.errors import BadInput
from tollgate.ingest import check_file
from tollgate.ingest.reading.spelling import NOTHING as READ_AS_NOTHING


def test_a_german_file_has_its_reader(draft: Make, tmp_path: Path) -> None:
    amounts = [f"{1_000 + k * 7.25:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".") for k in range(ROWS)]
    days = [f"{day[8:]}.{day[5:7]}.{day[:4]}" for day in loans()["application_date"]]
    file = written(tmp_path / "kredite_2020.csv", loans(
        amount=amounts, application_date=days, Straße=["Köln", "Düsseldorf", "Würzburg"] * (ROWS // 3)),
        delimiter=";", encoding="latin-1", above="Kreditbestand;Stand 2020\n\n", below="Summe;1.200\n")
    answer = draft(file)
    book = load_book("loans")
    assert book.sources[0].reader == Reader(delimiter=";", encoding="latin-1", decimal=",", thousands=".", skip_top=2,
                                            skip_bottom=1)
    assert book.sources[0].begins == "kredite"
    assert column(book, "applied_on").format == "%d.%m.%Y"
    assert column(book, "amount").kind == "number" and column(book, "amount").le == 12_000
    assert "it is not UTF-8; read so, it has words such as" in text_of(answer)
    assert "Kreditbestand;Stand 2020" in text_of(answer)


@pytest.mark.parametrize(("name", "write"), [
    ("loans.csv.gz", lambda path, plain: path.write_bytes(gzip.compress(plain.read_bytes()))),
    ("loans.parquet", lambda path, plain: pq.write_table(pa.csv.read_csv(plain), path)),
    ("loans.jsonl", lambda path, plain: path.write_text("".join(
        json.dumps(row, default=str) + "\n" for row in pa.csv.read_csv(plain).to_pylist()), encoding="utf-8")),
])
def test_other_formats_give_the_same_draft(draft: Make, tmp_path: Path, name: str, write: Callable[..., None]) -> None:
    plain = written(tmp_path / "plain.csv", loans())
    write(tmp_path / name, plain)
    answer = draft(tmp_path / name)
    book = load_book("loans")
    assert (answer["key"], answer["applied_on"], answer["todo"]) == ("loan_id", "application_date", [])
    assert {c.name: c.kind for c in book.applications} == {"loan_id": "text", "applied_on": "date", "amount": "number",
                                                           "purpose": "text"}


@pytest.mark.parametrize("spell", [
    lambda day: f"{day}T09:30:00Z", lambda day: f"{day} 00:00:00.000", lambda day: f"{day} 23:59:59.123456+02",
    lambda day: np.datetime64(day, "ns"), lambda day: np.datetime64(f"{day}T13:00:00.000005", "us")])
def test_a_moment_is_the_day_that_ingestion_will_read_of_it(draft: Make, tmp_path: Path,
                                                           spell: Callable[[str], Any]) -> None:
    told = loans()
    days = pa.array([spell(day) for day in told["application_date"]])
    pq.write_table(pa.table({**told, "application_date": days}), tmp_path / "loans.parquet")
    answer = draft(tmp_path / "loans.parquet")
    assert (answer["applied_on"], answer["todo"]) == ("application_date", [])
    assert f"{told['application_date'][0]} to {told['application_date'][-1]}" in text_of(answer)
    assert column(load_book("loans"), "applied_on").format == "%Y-%m-%d"


def test_a_workbook_has_its_sheet_its_title_and_its_total_told(draft: Make, tmp_path: Path) -> None:
    told = loans()
    rows = [["Loans of the north"], [], list(told), *zip(*told.values(), strict=True), ["Total", "", "1,200"]]
    (tmp_path / "loans.xlsx").write_bytes(workbook({"notes": [["nothing", "here"]], "loans": rows}))
    answer = draft(tmp_path / "loans.xlsx")
    assert load_book("loans").sources[0].reader == Reader(sheet="loans", skip_top=2, skip_bottom=1)
    assert answer["files"][0]["rows"] == ROWS
    assert "its sheets are notes, loans" in text_of(answer)


def test_dates_in_two_formats_and_spellings_of_nothing_are_told(draft: Make, tmp_path: Path) -> None:
    n = range(ROWS)
    file = written(tmp_path / "loans.csv", loans(
        opened=["31.01.2014" if k % 3 else "2013-02-28" for k in n],
        points=["n.a." if k % 9 == 0 else str(k) for k in n],
        rate=["?" if k % 8 == 0 else f"{k % 40}%" for k in n], code=[f"{k % 90:04d}" for k in n]))
    draft(file)
    book = load_book("loans")
    assert set(column(book, "opened").formats) == {"%d.%m.%Y", "%Y-%m-%d"}
    assert (column(book, "points").kind, column(book, "rate").kind, column(book, "code").kind) == ("integer", "percent",
                                                                                              "text")
    assert book.nulls == ("?", "n.a.")


def test_eight_digits_under_the_name_of_a_day_are_days_and_twenty_are_a_code(draft: Make, tmp_path: Path) -> None:
    told = loans(ref=[str(10**19 + k % 5) for k in range(ROWS)], branch=["12E456", "7E300"] * (ROWS // 2))
    told["application_date"] = [day.replace("-", "") for day in told["application_date"]]
    assert draft(written(tmp_path / "loans.csv", told))["applied_on"] == "application_date"
    book = load_book("loans")
    assert column(book, "applied_on").format == "%Y%m%d"
    assert column(book, "ref").kind == "text" and len(column(book, "ref").isin) == 5
    assert column(book, "branch").isin == ("12E456", "7E300")


def test_dates_that_two_formats_read_as_other_days_are_told(draft: Make, tmp_path: Path) -> None:
    told = loans(application_date=[f"{1 + k % 12:02d}/01/{2015 + k % 5}" for k in range(ROWS)])
    answer = draft(written(tmp_path / "months.csv", told))
    doubt = "application_date: its dates are read as %d/%m/%Y, and could all be %m/%d/%Y: ask the lender."
    assert answer["look_at"] == [doubt] and doubt in text_of(answer)
    told["application_date"][0] = "12/31/2015"
    assert draft(written(tmp_path / "days.csv", told), name="others")["look_at"] == []
    assert column(load_book("others"), "applied_on").format == "%m/%d/%Y"


def test_three_thousand_columns_are_drafted(draft: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    wide = {f"v{k}": [str(v) for v in rng.integers(0, 2, 200)] for k in range(3_000)}
    file = written(tmp_path / "loans.csv", {**loans(200), **wide})
    assert len(draft(file)["features"]) == 3_002


def test_the_file_of_a_draft_passes_its_contract_however_its_columns_are_written_and_large_its_numbers(
        draft: Make, tmp_path: Path, home: Path) -> None:
    told = loans(limit=[str(10**15 + k % 50) for k in range(ROWS)])
    file = written(tmp_path / "loans.csv", {f" {name} ": cells for name, cells in told.items()})
    draft(file)
    book = load_book("loans")
    found = check_file(book, file, load_params(book="loans").ingest)
    assert (found.refused, found.received, found.good) == (None, ROWS, ROWS)
    assert column(book, "limit").le == 1_100_000_000_000_000


@pytest.mark.parametrize(("name", "content", "says"), [
    ("a.csv", b"", "The file is empty"),
    ("a.csv", "\ufeff".encode(), "The file is empty"),
    ("a.csv", "\ufeff\n".encode("utf-16-le"), "The file is empty"),
    ("a.jsonl", b"{\n", "the file has none"),
    ("a.jsonl", b'{"id": {"n": 1}}', "more than one value a row"),
    ("a.xlsx", b"PK no zip", "a.xlsx cannot be read: it is no workbook"),
    ("a.csv", b"id,amount\n", "it has none|the file has none"),
    ("a.pdf", b"%PDF", "A draft is made from files that end with"),
    ("a.parquet", b"PAR1", "a.parquet cannot be read"),
    ("a.csv.gz", b"no gzip", "a.csv.gz cannot be read"),
    ("a.csv", b"id,amount,id\n1,2,3\n4,5,6\n", "A column is named twice"),
])
def test_a_file_that_no_draft_can_be_made_of_is_told(draft: Make, tmp_path: Path, name: str, content: bytes,
                                                     says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=says):
        draft(tmp_path / name)


def test_of_a_long_file_every_so_many_th_line_is_looked_at(draft: Make, tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "loans.csv", loans())
    monkeypatch.setattr("tollgate.books.drafting.sample.SAMPLE_BYTES", file.stat().st_size // 2)
    answer = draft(file)
    assert answer["files"][0]["rows"] == 400
    assert "a sample of 400 rows" in text_of(answer)
    assert answer["key"] == "loan_id" and load_book("loans")


def test_a_part_of_a_parquet_file_is_told_as_a_part_however_its_rows_are_grouped(
        draft: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table(loans()), tmp_path / "loans.parquet")
    monkeypatch.setattr("tollgate.books.drafting.sample.SAMPLE_ROWS", 500)
    assert "a sample of 500 rows" in text_of(draft(tmp_path / "loans.parquet"))


def test_json_is_drafted_from_every_line_that_ingestion_would_take(draft: Make, tmp_path: Path) -> None:
    told = loans(branch=["7" if k % 2 else "B7" for k in range(ROWS)])
    rows = [dict(zip(told, cells, strict=True)) for cells in zip(*told.values(), strict=True)]
    lines = [json.dumps({**row, "branch": 7 if row["branch"] == "7" else "B7"}) for row in rows]
    (tmp_path / "loans.jsonl").write_text("\n".join(["no object", *lines]), encoding="utf-8")  # no end of the last line
    answer = draft(tmp_path / "loans.jsonl")
    assert answer["files"][0]["rows"] == ROWS
    assert column(load_book("loans"), "branch").isin == ("7", "B7")


def test_of_long_json_a_part_is_told_as_a_part(draft: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = loans()
    file = tmp_path / "loans.jsonl"
    file.write_text("".join(json.dumps(dict(zip(told, cells, strict=True))) + "\n"
                            for cells in zip(*told.values(), strict=True)), encoding="utf-8")
    monkeypatch.setattr("tollgate.books.drafting.sample.SAMPLE_BYTES", file.stat().st_size // 2)
    assert "a sample of 600 rows" in text_of(draft(file))


def test_a_draft_and_the_reading_take_the_same_words_for_nothing() -> None:
    assert {word.lower() for word in READ_AS_NOTHING} == NOTHING
