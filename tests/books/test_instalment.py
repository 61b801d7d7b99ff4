"""The book with histories: applicants come back, and a bureau and their payments tell what no application does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from tests.published import publish

from tollgate.books import load_book
from tollgate.books.shipped import instalment
from tollgate.books.shipped._instalments import monthly_payments
from tollgate.clock import add_months
from tollgate.features import make_features
from tollgate.labels import read_labels

BOOK = load_book("instalment")
FIRST, LAST = "2003-01", "2004-12"
NIGHT = date(2004, 1, 1)
TABLES = ("applications", "decisions", "bureau", "payments")


@pytest.fixture(scope="module")
def world() -> tuple[pa.Table, pa.Table]:
    return instalment.simulate(seed=5, rows_a_month=200, first_month=FIRST, last_month=LAST)


@pytest.fixture(scope="module")
def folder(world: tuple[pa.Table, pa.Table], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("source")
    for name, rows in zip((instalment.APPLICATIONS_FILE, instalment.BUREAU_FILE), world, strict=True):
        pq.write_table(rows, place / name)
    return place


@pytest.fixture(scope="module")
def truth(world: tuple[pa.Table, pa.Table]) -> pd.DataFrame:
    return instalment.decided(world[0]).to_pandas().set_index("loan_id", drop=False)


@pytest.fixture(scope="module")
def payments(folder: Path) -> pd.DataFrame:
    return sent(folder, "payments", last="2011-12").to_pandas()


def sent(folder: Path, table: str, first: str = "2002-12", last: str = "2012-03",
         scored: pa.Table | None = None) -> pa.Table:
    rows = instalment.extract(folder, table, first, last, scored)
    return rows.rename_columns([column.name for column in BOOK.table(table).columns])


def as_in_the_lake(table: str, rows: pa.Table) -> pa.Table:
    """The rows of a lender's table with what the lake puts beside them, had each come on the day that it tells."""
    return (rows.append_column("known_on", rows[BOOK.table(table).told[0]])
            .append_column("version", pa.array(np.ones(rows.num_rows, np.int64))))


def test_there_is_a_payment_for_every_month_of_a_loan_from_the_one_after_its_booking_to_its_end(
        payments: pd.DataFrame, truth: pd.DataFrame) -> None:
    booked = truth[truth.booking_date.notna()]
    assert set(payments.loan_id) == set(booked.loan_id)
    rows = payments.sort_values(["loan_id", "due_on"])
    month = rows.due_on.to_numpy().astype("datetime64[M]").astype(int)
    first = rows.loan_id.to_numpy() != np.roll(rows.loan_id.to_numpy(), 1)
    begun = booked.booking_date.loc[rows.loan_id[first]].to_numpy().astype("datetime64[M]").astype(int)
    assert (month[first] == begun + 1).all()
    assert (np.diff(month)[~first[1:]] == 1).all()
    ended = np.append(first[1:], True)
    assert (rows.status[~ended] == "open").all()
    assert set(rows.status[ended]) == {"repaid", "written_off"}
    of = truth.loc[rows.loan_id[ended]]
    assert ((rows.status[ended] == "written_off").to_numpy() == of.default_month.notna().to_numpy()).all()
    repaid = of.default_month.isna().to_numpy()
    assert (rows.groupby("loan_id").size().to_numpy()[repaid] == of.term.to_numpy()[repaid]).all()


def test_a_loan_that_is_repaid_has_paid_every_instalment_and_no_day_past_due_is_negative(
        payments: pd.DataFrame, truth: pd.DataFrame) -> None:
    assert (payments.days_past_due >= 0).all()
    assert (payments.amount_paid >= 0).all()
    by_loan = payments.groupby("loan_id")[["amount_due", "amount_paid"]].sum()
    repaid = truth.default_month.loc[by_loan.index].isna()
    assert np.allclose(by_loan.amount_due[repaid], by_loan.amount_paid[repaid])
    assert (by_loan.amount_due > by_loan.amount_paid + 1)[~repaid].all()


def test_days_past_due_grow_month_by_month_until_the_arrears_are_paid(payments: pd.DataFrame) -> None:
    rows = payments.sort_values(["loan_id", "due_on"])
    same = rows.loan_id.to_numpy()[1:] == rows.loan_id.to_numpy()[:-1]
    before, now = rows.days_past_due.to_numpy()[:-1], rows.days_past_due.to_numpy()[1:]
    missed = rows.amount_paid.to_numpy()[1:] == 0
    grown = (now - before)[same & missed & (before > 0)]
    assert set(grown) <= {28, 29, 30, 31}
    assert (now[same & missed] > 0).all()


def test_no_row_is_told_before_it_happened_and_a_month_within_the_stated_lag(
        folder: Path, payments: pd.DataFrame) -> None:
    lag = (payments.reported_on - payments.due_on).map(lambda days: days.days)
    assert lag.min() >= 2
    assert lag.max() <= BOOK.target.lag_days
    bureau, applications = (sent(folder, table).to_pandas() for table in ("bureau", "applications"))
    assert (bureau.opened_on <= bureau.reported_on).all()
    assert (applications.employed_since <= applications.applied_on).all()


def test_every_application_is_preceded_by_a_report_of_the_bureau_and_no_other_lies_in_the_month_before(
        folder: Path) -> None:
    bureau, applications = (sent(folder, table).to_pandas() for table in ("bureau", "applications"))
    reports = bureau[["applicant_id", "reported_on"]].drop_duplicates()
    pairs = applications[["loan_id", "applicant_id", "applied_on"]].merge(reports, on="applicant_id")
    days = (pairs.applied_on - pairs.reported_on).map(lambda between: between.days)
    newest = pairs[(days > 0) & (days <= 31)]
    assert not newest.loan_id.duplicated().any()
    assert len(newest) / len(applications) > 0.97  # some have no line
    assert not bureau.duplicated(["line_id", "reported_on"]).any()


def test_applicants_come_back_and_keep_sex_and_age_band(truth: pd.DataFrame) -> None:
    late = truth[truth.application_date >= date(2004, 7, 1)]
    before = truth[truth.application_date < date(2004, 7, 1)]
    assert 0.2 < late.customer_id.isin(before.customer_id).mean() < 0.5
    assert (truth.groupby("customer_id")[["sex", "age_band"]].nunique() == 1).all(axis=None)


def test_sex_and_age_band_are_independent_of_default(truth: pd.DataFrame) -> None:
    for name in ("sex", "age_band"):
        rates = truth.groupby(name).true_probability.agg(["mean", "sem"])
        assert (abs(rates["mean"] - truth.true_probability.mean()) < 4 * rates["sem"]).all()
    assert truth.default_month.notna().mean() == pytest.approx(truth.true_probability.mean(), abs=0.01)


def test_the_seed_decides_the_bytes_and_a_fetch_that_was_interrupted_goes_on(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instalment.simulate, "__kwdefaults__", {**(instalment.simulate.__kwdefaults__ or {}),
                                                                "rows_a_month": 10})
    names = (instalment.APPLICATIONS_FILE, instalment.BUREAU_FILE)
    steps: list[tuple[int, int]] = []

    def bytes_of(folder: str, seed: int) -> list[bytes]:
        instalment.fetch(tmp_path / folder, lambda done, of: steps.append((done, of)), seed, "")
        return [(tmp_path / folder / name).read_bytes() for name in names]

    first = bytes_of("one", 3)
    assert bytes_of("two", 3) == first
    assert all(other != one for other, one in zip(bytes_of("three", 4), first, strict=True))
    steps.clear()
    assert bytes_of("one", 3) == first
    assert not steps
    (tmp_path / "one" / instalment.APPLICATIONS_FILE).unlink()
    assert bytes_of("one", 3) == first
    assert steps == [(1, 2), (2, 2)]
    assert bytes_of("one", 4) != first


@pytest.mark.parametrize("table", TABLES)
def test_months_sent_one_by_one_add_up_to_all_at_once(folder: Path, table: str) -> None:
    months = [str(month) for month in np.arange(np.datetime64("2003-06"), np.datetime64("2004-04"))]
    one_by_one = pa.concat_tables([sent(folder, table, month, month) for month in months]).to_pandas()
    at_once = sent(folder, table, months[0], months[-1]).to_pandas()
    key = list(BOOK.table(table).key)
    newest = one_by_one.drop_duplicates(key, keep="last").sort_values(key, ignore_index=True)
    assert (len(newest) < len(one_by_one)) == (table == "decisions")  # sent again once the loan is booked
    pd.testing.assert_frame_equal(newest, at_once.sort_values(key, ignore_index=True))


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_the_columns_that_the_book_describes(folder: Path, table: str) -> None:
    rows = instalment.extract(folder, table, "2003-06", "2003-08", None)
    assert rows.column_names == [column.source for column in BOOK.table(table).columns]
    assert rows.num_rows
    for column in BOOK.table(table).columns:
        cells = rows[column.source]
        assert column.nullable or not cells.null_count
        assert not column.isin or set(cells.unique().to_pylist()) <= {*column.isin, None}
    frame = rows.rename_columns([column.name for column in BOOK.table(table).columns]).to_pandas()
    for rule in BOOK.table(table).rules:
        uses = frame[list(rule.uses)].dropna()
        assert rule.holds(*(uses[name] for name in rule.uses)).all()


def test_by_the_books_target_the_booked_are_bad_or_good_as_they_truly_ended_and_the_others_unbooked(
        home: Path, folder: Path, truth: pd.DataFrame) -> None:
    for table in BOOK.tables:
        publish(BOOK, table.name, sent(folder, table.name).drop_columns([c.name for c in table.columns if c.personal]))
    labels = read_labels(BOOK, date(2007, 4, 1), 24).to_pandas().set_index("loan_id")
    true = truth.loc[labels.index]
    ended = np.where(true.default_month.notna(), "bad", "good")
    assert (labels.label.astype(str) == np.where(true.booking_date.isna(), "unbooked", ended)).all()
    assert not labels.early.any()
    assert 0.05 < (labels.label == "bad").sum() / true.booking_date.notna().sum() < 0.12


def test_a_bad_loan_is_known_within_the_horizon_and_the_lag(payments: pd.DataFrame, truth: pd.DataFrame) -> None:
    first = payments[payments.days_past_due >= 90].groupby("loan_id")[["due_on", "reported_on"]].min()
    booked = truth.booking_date.loc[first.index].to_numpy().astype("datetime64[D]")
    ends = add_months(booked, 24)
    assert (first.due_on.to_numpy().astype("datetime64[D]") <= ends).all()
    assert (first.reported_on.to_numpy().astype("datetime64[D]") <= ends + BOOK.target.lag_days).all()
    assert set(first.index) == set(truth[truth.default_month.notna() & truth.booking_date.notna()].loan_id)


def test_payments_follow_the_bookings_that_the_champion_makes(folder: Path, truth: pd.DataFrame) -> None:
    late = truth[(truth.application_date >= NIGHT) & ~truth.withdraws]
    yes, no = late.loan_id[0::2], late.loan_id[1::2]
    scored = pa.Table.from_pylist([
        {"loan_id": loan, "as_of": NIGHT + timedelta(days=366), "decision": decision, "score": 0.2,
         "model_version": "7"} for loans, decision in ((yes, "approve"), (no, "decline")) for loan in loans]
        + [{"loan_id": truth.loan_id.iloc[0], "as_of": NIGHT, "decision": "approve", "score": 0.1,
            "model_version": "7"}])
    paying = set(sent(folder, "payments", scored=scored)["loan_id"].to_pylist())
    assert paying & set(late.loan_id) == set(yes)


def test_histories_tell_more_of_a_loan_than_its_application() -> None:
    rows, bureau = instalment.simulate(seed=7, rows_a_month=400, last_month="2005-12")
    booked = instalment.decided(rows)
    booked = booked.filter(booked["booking_date"].is_valid())
    told = {"applications": rows, "bureau": bureau, "payments": monthly_payments(booked)}
    histories: Mapping[str, pa.Table] = {
        name: as_in_the_lake(name, of.select([c.source for c in BOOK.table(name).columns]).rename_columns(
            [c.name for c in BOOK.table(name).columns])) for name, of in told.items()}
    features = make_features(BOOK, histories["applications"], histories).to_pandas()
    features["purpose"] = features.purpose.astype("category")
    made = {aggregate.name for aggregate in BOOK.aggregates}
    of_application = [feature.name for feature in BOOK.features if not made & set(feature.uses)]
    bad = rows["default_month"].is_valid().to_numpy()
    is_booked = np.isin(rows["loan_id"].to_pylist(), booked["loan_id"].to_pylist())
    newest = rows["application_date"].to_numpy() >= np.datetime64("2005-07-01")

    def auc(names: list[str]) -> float:
        model = HistGradientBoostingClassifier(max_iter=80, max_leaf_nodes=8, learning_rate=0.1, random_state=0,
                                               categorical_features="from_dtype")
        model.fit(features[is_booked & ~newest][names], bad[is_booked & ~newest])
        return float(roc_auc_score(bad[is_booked & newest],
                                   model.predict_proba(features[is_booked & newest][names])[:, 1]))

    without, with_histories = auc(of_application), auc([feature.name for feature in BOOK.features])
    assert 0.68 < without < 0.80
    assert 0.82 < with_histories < 0.92


@pytest.mark.parametrize(("days", "longest"), [([0, 0], 0), ([0, 5, 35, 0, 3], 2), ([9, 40], 2), ([], None)])
def test_the_longest_late_run_is_counted_within_one_loan(days: list[int], longest: int | None) -> None:
    def rows(loan: str) -> list[dict[str, Any]]:
        return [{"row": 1, "loan_id": loan, "days_past_due": late} for late in days]

    schema = pa.schema([("row", pa.int64()), ("loan_id", pa.string()), ("days_past_due", pa.int64())])
    found = instalment.longest_late_run(pa.Table.from_pylist([*rows("I1"), *rows("I2")], schema), 3)
    assert np.isnan(found[[0, 2]]).all()
    assert np.isnan(found[1]) if longest is None else found[1] == longest
