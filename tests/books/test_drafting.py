"""A new book from a lender's files: what is concluded, from what, and that the draft loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from docs.examples import make_personal_loans
from tests.books.drafted import ROWS, Make, column, loans, text_of, written

from tollgate.books import Reader, load_book
from tollgate.config import load_params
from tollgate.errors import BadInput


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The consumer lender's export of the tutorial."""
    path = tmp_path_factory.mktemp("export") / "personal_loans_2013-12.csv"
    make_personal_loans.write(path, rows=6_000)
    return path


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


def test_of_two_columns_that_name_people_the_first_tells_who_asks(draft: Make, tmp_path: Path) -> None:
    draft(written(tmp_path / "loans.csv", loans(borrower_id=[f"B{k % 900}" for k in range(ROWS)],
                                                co_borrower_id=[f"B{k % 700}" for k in range(ROWS)])))
    named = {c.source: c.name for c in load_book("loans").applications}
    assert (named["borrower_id"], named["co_borrower_id"]) == ("applicant_id", "co_borrower_id")


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
