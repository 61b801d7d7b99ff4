"""A new book from a lender's files: what is concluded, from what, and that the draft loads."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from docs.examples import make_personal_loans
from tests.workbook import workbook

from tollgate.books import Book, Column, Reader, load_book
from tollgate.books.drafting import new_book
from tollgate.books.drafting.kinds import NOTHING
from tollgate.config import finding, load_params
from tollgate.errors import BadInput
from tollgate.ingest import check_file
from tollgate.ingest.reading.spelling import NOTHING as READ_AS_NOTHING

ROWS = 1_200
Make = Callable[..., dict[str, Any]]


@contextlib.contextmanager
def unwatched(title: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda done, total: None


@pytest.fixture
def draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Drafts a book from files in a user's folder of books of its own."""
    monkeypatch.setenv("TOLLGATE_BOOKS", str(tmp_path / "books"))
    yield lambda *files, name="loans": new_book(name, files, unwatched)
    for module in [module for module in sys.modules if module.startswith(finding.OWN)]:
        del sys.modules[module]


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The consumer lender's export of the tutorial."""
    path = tmp_path_factory.mktemp("export") / "personal_loans_2013-12.csv"
    make_personal_loans.write(path, rows=6_000)
    return path


def loans(rows: int = ROWS, **changes: list[str]) -> dict[str, list[str]]:
    """A plain table of loans, column by column; each argument is a column more, or in the place of one."""
    rng = np.random.default_rng(1)
    days = np.datetime64("2015-01-01") + np.sort(rng.integers(0, 1_800, rows))
    bad = rng.random(rows) < 0.2
    return {
        "loan_id": [f"L{k:06d}" for k in range(rows)],
        "application_date": [str(day) for day in days],
        "amount": [f"{a:.2f}" for a in rng.gamma(3, 2_000, rows)],
        "purpose": list(rng.choice(["car", "house", "other"], rows)),
        "charge_off_date": [str(day + 300) if b else "" for day, b in zip(days, bad, strict=True)],
        "status": ["Charged Off" if b else "Fully Paid" for b in bad],
        **changes,
    }


def written(path: Path, columns: dict[str, list[str]], *, delimiter: str = ",", encoding: str = "utf-8",
            above: str = "", below: str = "") -> Path:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    path.write_bytes((above + text.getvalue() + below).encode(encoding))
    return path


def column(book: Book, name: str, table: str = "applications") -> Column:
    return next(c for c in book.columns(table) if c.name == name)


def text_of(answer: dict[str, Any]) -> str:
    return Path(answer["module"]).read_text(encoding="utf-8")


def test_the_draft_of_an_export_loads_without_an_edit_and_has_both_tables(draft: Make, export: Path) -> None:
    answer = draft(export)
    book = load_book("loans")
    assert answer["todo"] == []
    assert (answer["key"], answer["applied_on"]) == ("id", "issue_d")
    assert [table.name for table in book.tables] == ["applications", "outcomes"]
    source, = book.sources
    assert (source.begins, source.tables) == ("personal_loans", ("applications", "outcomes"))
    assert source.reader == Reader(skip_top=1, skip_bottom=2)
    assert book.nulls == ("--",)
    kinds = {c.name: c.kind for c in book.applications}
    asked = ("term", "int_rate", "revol_util", "revol_bal", "annual_inc", "fico_range_low", "earliest_cr_line")
    assert [kinds[name] for name in asked] == ["text", "percent", "percent", "money", "number", "integer", "date"]
    assert column(book, "applied_on").format == "%b-%Y"
    assert column(book, "term").isin == ("36 months", "60 months")
    assert not column(book, "loan_amnt").nullable and column(book, "annual_inc").nullable


def test_what_became_of_a_loan_is_told_by_its_status_and_dated_also_where_nothing_was_ever_paid(
        draft: Make, export: Path) -> None:
    answer = draft(export)
    book = load_book("loans")
    event, = book.target.bad
    assert (event.table, event.column, event.isin) == ("outcomes", "loan_status", ("Charged Off", "Default"))
    assert event.dates == ("last_pymnt_d", "issue_d")
    assert column(book, "last_pymnt_d", "outcomes").month_end
    assert book.table("outcomes").told == ("issue_d", "last_pymnt_d")
    assert book.table("outcomes").filled == ("last_pymnt_d", "next_pymnt_d")
    assert "last_pymnt_d dates it; it is empty in" in " ".join(answer["outcome"])
    assert "Late (31-120 days)" in " ".join(answer["outcome"])


def test_the_obvious_personal_columns_are_never_left_unmarked(draft: Make, export: Path) -> None:
    draft(export)
    marked = {c.source for c in load_book("loans").applications if c.personal}
    assert {"borrower_name", "email", "phone", "address", "zip_code", "desc", "title", "emp_title"} <= marked


def test_personal_data_under_a_name_that_says_nothing_is_told_by_its_looks(draft: Make, tmp_path: Path) -> None:
    n = range(ROWS)
    file = written(tmp_path / "loans.csv", loans(
        x1=[f"p{k}@mail.example" for k in n], x2=[f"{100 + k % 800}-{10 + k % 80}-{1000 + k:04d}" for k in n],
        x3=[f"+49 170 {1_000_000 + k}" for k in n], x4=[f"{1 + k % 90} Long Hill Road" for k in n],
        x5=[f"he said that the car number {k} is gone" for k in n]))
    draft(file)
    book = load_book("loans")
    assert {c.source: c.why for c in book.applications if c.personal} == {
        "x1": "an e-mail address", "x2": "a number of a person", "x3": "a telephone number", "x4": "an address",
        "x5": "free text"}


def test_protected_columns_are_kept_for_fairness_a_year_of_birth_in_bands(draft: Make, export: Path) -> None:
    draft(export)
    book = load_book("loans")
    assert set(book.protected()) == {"gender", "birth_year"}
    bands = column(book, "birth_year")
    assert bands.kind == "text" and bands.recode is not None
    assert bands.recode["1984"] == "1980 to 1989" and "1980 to 1989" in bands.isin
    assert not {"gender", "birth_year"} & {name for feature in book.features for name in feature.uses}


def test_a_protected_code_is_text_so_that_its_groups_can_be_compared(draft: Make, tmp_path: Path) -> None:
    n = range(ROWS)
    file = written(tmp_path / "loans.csv", loans(SEX=[str(k % 2) for k in n], Age=[str(18 + k % 60) for k in n],
                                                 average_age_of_accounts=[str(k % 90) for k in n]))
    draft(file)
    book = load_book("loans")
    assert (column(book, "sex").kind, column(book, "sex").isin) == ("text", ("0", "1"))
    assert column(book, "age").isin[0] == "0 to 9" and (column(book, "age").recode or {})["23"] == "20 to 29"
    assert set(book.protected()) == {"sex", "age"}


def test_a_leak_is_named_with_its_evidence_and_no_feature(draft: Make, export: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    told = loans()
    odd = [f"{rng.normal(5 if status == 'Charged Off' else 0):.3f}" for status in told["status"]]
    flag = ["legal" if status == "Charged Off" and k % 2 else "none" for k, status in enumerate(told["status"])]
    answer = draft(written(tmp_path / "loans.csv", {**told, "internal_7": odd, "stage": flag}))
    book = load_book("loans")
    assert {"internal_7", "stage"} <= set(answer["later"])
    assert column(book, "internal_7", "outcomes").known == "later"
    assert "it tells the outcome; alone it ranks the drafted outcome with an AUC of 1.00" in text_of(answer)
    assert "100% of legal went bad" in text_of(answer)
    later = set(draft(export, name="others")["later"])
    assert {"recoveries", "total_rec_prncp", "total_pymnt", "last_pymnt_amnt", "out_prncp", "next_pymnt_d"} <= later
    assert not later & set(load_book("others").features[0].uses)


def test_columns_that_say_nothing_are_ignored_each_with_its_reason(draft: Make, export: Path) -> None:
    ignored = draft(export)["ignored"]
    assert ignored["bc_open_to_buy"] == "empty"
    assert ignored["policy_code"] == "'1' in every row"
    assert ignored["url"] == "addresses of web pages"
    assert ignored["member_id"] == "another number in every row"
    assert ignored["funded_amnt"] == "the same as loan_amnt in every row"
    assert set(load_book("loans").sources[0].ignored) == set(ignored)


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


@pytest.mark.parametrize(("without", "says"), [
    ("loan_id", "applications.loan_id: the draft found no column for it"),
    ("application_date", "applications.applied_on: the draft found no column for it"),
    ("status", "no event makes a loan bad"),
])
def test_what_was_not_found_is_a_line_to_do_and_checking_names_it(draft: Make, tmp_path: Path, without: str,
                                                                  says: str) -> None:
    columns = {name: cells for name, cells in loans().items() if name not in (without, "charge_off_date")}
    answer = draft(written(tmp_path / "loans.csv", columns))
    assert answer["todo"]
    line = next(k for k, line in enumerate(text_of(answer).splitlines(), start=1) if "TODO" in line)
    assert line
    with pytest.raises(BadInput) as caught:
        load_book("loans")
    assert says in str(caught.value) and "loans.py line" in str(caught.value)


def test_a_flag_is_an_outcome_too_and_a_date_alone(draft: Make, tmp_path: Path) -> None:
    told = loans()
    flag = ["1" if status == "Charged Off" else "0" for status in told.pop("status")]
    draft(written(tmp_path / "a.csv", {**told, "default_flag": flag}))
    event, = load_book("loans").target.bad
    assert (event.column, event.isin, event.dates) == ("default_flag", ("1",), ("charge_off_date",))
    draft(written(tmp_path / "b.csv", told), name="others")
    event, = load_book("others").target.bad
    assert (event.column, event.dates) == (None, ("charge_off_date",))


def test_outcomes_and_histories_may_come_in_files_of_their_own(draft: Make, tmp_path: Path) -> None:
    told = loans()
    applications = {name: told[name] for name in ("loan_id", "application_date", "amount", "purpose")}
    bad = [k for k, status in enumerate(told["status"]) if status == "Charged Off"]
    outcomes = {"loan_id": [told["loan_id"][k] for k in bad], "reported": [told["charge_off_date"][k] for k in bad],
                "default_date": [told["charge_off_date"][k] for k in bad]}
    payments = {"loan_id": told["loan_id"] * 2, "due_date": told["application_date"] * 2, "sum": ["10.5"] * 2 * ROWS,
                "late": [str(k % 7) for k in range(2 * ROWS)]}
    answer = draft(written(tmp_path / "applications.csv", applications), written(tmp_path / "outcomes.csv", outcomes),
                   written(tmp_path / "payments_2015.csv", payments))
    book = load_book("loans")
    assert [table.name for table in book.tables] == ["applications", "outcomes", "payments"]
    assert [source.begins for source in book.sources] == ["applications", "outcomes", "payments"]
    assert book.table("payments").entity == "loan_id"
    assert book.target.bad[0].dates == ("default_date",)
    assert any("payments is a history" in line for line in answer["look_at"])


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


def test_names_are_ours_and_never_those_that_tollgate_gives_itself(draft: Make, tmp_path: Path) -> None:
    file = written(tmp_path / "loans.csv", loans(
        MonthlyIncomeEUR=["1.5"] * (ROWS - 1) + ["2.5"], month=["1", "2"] * (ROWS // 2), score=["3", "4"] * (ROWS // 2),
        **{"Größe (m²)": ["70", "80"] * (ROWS // 2), "2nd": ["7", "8", "9"] * (ROWS // 3)}))
    draft(file)
    assert [c.name for c in load_book("loans").applications][4:] == [
        "monthly_income_eur", "lender_month", "lender_score", "grosse_m2", "c_2nd"]


def test_a_line_break_in_the_name_of_a_column_breaks_no_line_of_the_draft(draft: Make, tmp_path: Path) -> None:
    told = loans()
    amount = told.pop("amount")
    pq.write_table(pa.table({**told, "Amount\n(USD)": amount, "again": amount}), tmp_path / "loans.parquet")
    answer = draft(tmp_path / "loans.parquet")
    assert answer["ignored"] == {"again": "the same as Amount\n(USD) in every row"}
    assert "Amount\n(USD)" in [c.source for c in load_book("loans").applications]


@pytest.mark.parametrize("name", ["target", "book", "sources"])
def test_a_history_is_named_like_no_other_part_of_the_module(draft: Make, tmp_path: Path, name: str) -> None:
    told = loans()
    history = {"loan_id": told["loan_id"], "paid_on": told["application_date"], "paid": told["amount"]}
    draft(written(tmp_path / "loans.csv", told), written(tmp_path / f"{name}.csv", history))
    book = load_book("loans")
    assert [table.name for table in book.tables] == ["applications", "outcomes", f"{name}_history"]
    assert book.sources[1].begins == name


def test_three_thousand_columns_are_drafted_in_seconds(draft: Make, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    wide = {f"v{k}": [str(v) for v in rng.integers(0, 2, 200)] for k in range(3_000)}
    file = written(tmp_path / "loans.csv", {**loans(200), **wide})
    began = time.process_time()
    answer = draft(file)
    assert time.process_time() - began < 15
    assert len(answer["features"]) == 3_002


def test_of_two_columns_that_name_people_the_first_tells_who_asks(draft: Make, tmp_path: Path) -> None:
    draft(written(tmp_path / "loans.csv", loans(borrower_id=[f"B{k % 900}" for k in range(ROWS)],
                                                co_borrower_id=[f"B{k % 700}" for k in range(ROWS)])))
    named = {c.source: c.name for c in load_book("loans").applications}
    assert (named["borrower_id"], named["co_borrower_id"]) == ("applicant_id", "co_borrower_id")


def test_the_file_of_a_draft_passes_its_contract_however_its_columns_are_written_and_large_its_numbers(
        draft: Make, tmp_path: Path, home: Path) -> None:
    told = loans(limit=[str(10**15 + k % 50) for k in range(ROWS)])
    file = written(tmp_path / "loans.csv", {f" {name} ": cells for name, cells in told.items()})
    draft(file)
    book = load_book("loans")
    found = check_file(book, file, load_params(book="loans").ingest)
    assert (found.refused, found.received, found.good) == (None, ROWS, ROWS)
    assert column(book, "limit").le == 1_100_000_000_000_000


def test_a_short_past_brings_a_shorter_horizon_with_its_reason(draft: Make, export: Path, tmp_path: Path) -> None:
    draft(export)
    assert load_params(book="loans").snapshot.horizon_months == 24
    days = [str(np.datetime64("2019-01-01") + k) for k in range(ROWS)]
    answer = draft(written(tmp_path / "loans.csv", loans(application_date=days)), name="young")
    assert load_params(book="young").snapshot.horizon_months == 12
    assert "span 39 months" in Path(answer["parameters"]).read_text()


@pytest.mark.parametrize("name", ["Loans", "2loans", "my-loans", "../loans", ""])
def test_a_bad_name_is_refused(draft: Make, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="small letters, digits and _"):
        draft(written(tmp_path / "loans.csv", loans()), name=name)


def test_nothing_is_overwritten(draft: Make, tmp_path: Path) -> None:
    file = written(tmp_path / "loans.csv", loans())
    before = text_of(draft(file))
    for name in ("loans", "sba"):
        with pytest.raises(BadInput, match=f"There is a book called {name}"):
            draft(file, name=name)
    assert (tmp_path / "books" / "loans.py").read_text(encoding="utf-8") == before


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
