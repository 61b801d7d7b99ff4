"""Simulated instalment loans whose applicants come back: a bureau's reports and earlier payments tell of each."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tollgate.books.description.book import Book
from tollgate.books.description.features import Aggregate, Feature, category, days_between, number, ratio
from tollgate.books.description.reasons import Reason
from tollgate.books.description.sources import Progress, Sender
from tollgate.books.description.tables import (
    APPLICANT,
    LOAN,
    BookTable,
    Column,
    Rule,
    decisions_table,
)
from tollgate.books.description.targets import Event, Target
from tollgate.books.shipped import _instalments, _lender

FIRST_MONTH, LAST_MONTH = "2003-01", "2009-12"
ROWS_A_MONTH = 1_000
DECLINES, EXPLORES, WITHDRAWS = 0.15, 0.03, 0.03
LAG_DAYS = 36  # an instalment of the 1st is told of at most six days after the end of a month of 31 days
PAST_DUE_DAYS = 90
FIRST_DAY, LAST_DAY = date(2003, 1, 1), date(2012, 12, 31)
STATIONARY, DOWNTURN = "stationary", "downturn"
ONSET = date(2007, 1, 1)
DOWNTURN_INCOME, DOWNTURN_BALANCE = 0.6, 1.6  # times what they were
APPLICATIONS_FILE, BUREAU_FILE = "applications.parquet", "bureau.parquet"

ABOUT = f"""\
Simulated, with the tables that a lender has: applications, decisions, a bureau's reports on each applicant, and a row
for every month in which a booked loan was open. About half of the applications of the later years come from somebody
who applied before. Nobody sees what decides most of a loan: its applicant's creditworthiness, which moves slowly over
the years. The bureau's lines and the payments of earlier loans are its traces, so that a model without the histories
ranks at an AUC of about 0.75 and one with them at about 0.87. Sex and age band are drawn independently of the default
probability.

**The lender** declines {100 * DECLINES:.0f} % of the applications by a noisy score of its own, `{_lender.POLICY}`,
made of the instalment's share of the income and of the years with the employer alone. Of those beyond its cutoff
{100 * EXPLORES:.0f} % are approved all the same, at random; `approval_probability` tells it. Of the approved
{100 * WITHDRAWS:.0f} % do not take their loan. From the first published night on the champion decides, on the night
that first scores the loan; what the night refused falls back to the policy. A booking in a later month than its
decision is told by sending the decision again.

**Bureau**: {_instalments.REPORT_DAYS[0]} to {_instalments.REPORT_DAYS[1] - 1} days before an application a report
comes, with every line that the applicant has or had, as it stands that day. Two applications of one person lie about
two months apart at least, so that the rows of the last 31 days are those of the newest report.

**Payments**: a row a month, as the loan stood when the month ended, reported within {_instalments.CLOSING_DAYS[1] - 1}
days of its end. A row is never filled later. The first is of the month after the booking; the last says that the loan
was repaid, or written off with {_instalments.UNPAID_AT_END} instalments unpaid. Instalments fall due on the day of the
month on which the loan was booked, the 27th at the latest.

**Bad** is {PAST_DUE_DAYS} days past due. There is no table of outcomes: the payments tell it.

**When each feature is known**: those of the application, when it is made; aggregates see what was told before its day.

**Scenarios** (`tollgate fetch instalment --scenario {DOWNTURN}`): from {ONSET} on, and not before, applicants tell of
{100 - 100 * DOWNTURN_INCOME:.0f} % less income and the bureau of {100 * DOWNTURN_BALANCE - 100:.0f} % higher balances;
what becomes of the loans stays as it was.
"""

ID = Column(name=LOAN, source="loan_id", kind="text", doc="Loan number.", nullable=False)
WHO = Column(name=APPLICANT, source="customer_id", kind="text", doc="The lender's number of the applicant.",
             nullable=False)

APPLICATIONS = (
    ID,
    Column(name="applied_on", source="application_date", kind="date", doc="Day of the application.", nullable=False,
           ge=FIRST_DAY, le=date(2009, 12, 31)),
    WHO,
    Column(name="name", source="customer_name", kind="text", doc="Applicant's name.", personal=True, why="a name"),
    Column(name="loan_amount", source="amount_requested", kind="money", doc="Amount asked for, in US dollars.",
           nullable=False, ge=500, le=100_000, actionable="lower"),
    Column(name="term_months", source="term", kind="integer", doc="Monthly instalments to repay it in.",
           nullable=False, ge=1, le=120, actionable="either"),
    Column(name="annual_income", source="yearly_income", kind="money", doc="Yearly income, in US dollars.", ge=1,
           le=5_000_000),
    Column(name="employed_since", source="employed_since", kind="date", doc="First day with the present employer.",
           ge=date(1940, 1, 1), le=date(2009, 12, 31)),
    Column(name="purpose", source="loan_purpose", kind="text", doc="What the loan is for.",
           isin=_instalments.PURPOSES),
    Column(name="sex", source="sex", kind="text", doc="female or male.", isin=_instalments.SEXES, protected=True,
           why="a protected characteristic"),
    Column(name="age_band", source="age_band", kind="text", doc="Age in years, banded.", isin=_instalments.AGES,
           protected=True, why="a protected characteristic"),
)

BUREAU = (
    Column(name="line_id", source="line_no", kind="text", doc="The bureau's number of the line.", nullable=False),
    WHO,
    Column(name="reported_on", source="report_date", kind="date", doc="Day of the report.", nullable=False,
           ge=date(2002, 12, 1), le=LAST_DAY),
    Column(name="kind", source="line_kind", kind="text", doc="What the line is.", nullable=False,
           isin=_instalments.KINDS),
    Column(name="opened_on", source="opened", kind="date", doc="Day on which it was opened.", nullable=False,
           ge=date(1940, 1, 1), le=LAST_DAY),
    Column(name="limit", source="credit_limit", kind="money", doc="Its limit, or the amount borrowed, in US dollars.",
           nullable=False, ge=0, le=10_000_000),
    Column(name="balance", source="balance", kind="money", doc="What is owed on it, in US dollars.", nullable=False,
           ge=0, le=10_000_000),
    Column(name="days_past_due", source="days_past_due", kind="integer", doc="Days by which it is late.",
           nullable=False, ge=0, le=10_000),
    Column(name="status", source="line_status", kind="text", doc="open or closed.", nullable=False,
           isin=(_instalments.OPEN, _instalments.CLOSED)),
)

PAID = "what became of this loan; of earlier ones aggregates see it"

PAYMENTS = (
    ID,
    WHO,
    Column(name="due_on", source="due_date", kind="date", doc="Day on which the instalment of the month fell due.",
           nullable=False, known="later", why=PAID, ge=FIRST_DAY, le=date(2019, 12, 31)),
    Column(name="reported_on", source="report_date", kind="date", doc="Day on which the month was reported.",
           nullable=False, known="later", why=PAID, ge=FIRST_DAY, le=date(2019, 12, 31)),
    Column(name="amount_due", source="amount_due", kind="money", doc="The instalment, in US dollars.", nullable=False,
           known="later", why=PAID, ge=0, le=1_000_000),
    Column(name="amount_paid", source="amount_paid", kind="money",
           doc="What was paid in the month, arrears included, in US dollars.", nullable=False, known="later", why=PAID,
           ge=0, le=1_000_000),
    Column(name="days_past_due", source="days_past_due", kind="integer",
           doc="Days by which the oldest unpaid instalment was late when the month ended; 0 where all are paid.",
           nullable=False, known="later", why=PAID, ge=0, le=10_000),
    Column(name="status", source="loan_status", kind="text", doc="open, or how it ended: repaid or written_off.",
           nullable=False, known="later", why=PAID, isin=("open", "repaid", "written_off")),
)

EMPLOYED = Rule("employed_after_application", ("employed_since", "applied_on"),
                lambda since, applied: since <= applied, "Nobody is employed from a day after their application on.")
OPENED = Rule("opened_after_report", ("opened_on", "reported_on"), lambda opened, told: opened <= told,
              "A line is not reported before it is opened.")
DUE = Rule("reported_before_due", ("due_on", "reported_on"), lambda due, told: due <= told,
           "A month is not reported before its instalment fell due.")

TABLES = (
    BookTable(name="applications", columns=APPLICATIONS, key=(LOAN,), told=("applied_on",), rules=(EMPLOYED,),
              entity=APPLICANT),
    decisions_table((ID, *_lender.decision_columns(FIRST_DAY, LAST_DAY))),
    BookTable(name="bureau", columns=BUREAU, key=("line_id", "reported_on"), told=("reported_on",), rules=(OPENED,),
              entity=APPLICANT),
    BookTable(name="payments", columns=PAYMENTS, key=(LOAN, "due_on"), told=("reported_on",), rules=(DUE,),
              entity=APPLICANT),
)
COLUMNS = {table.name: table.columns for table in TABLES}

LATEST = "reported_on >= applied_on - INTERVAL 31 DAY"  # the newest report of the bureau, and none before it


def longest_late_run(rows: pa.Table, loans: int) -> np.ndarray:
    """The longest run of months in a row in which one of the applicant's earlier loans was late.

    Args:
        rows: payments by ``row`` (which of the loans asks), ``loan_id`` and ``due_on``.
        loans: how many ask.

    Returns float64 of shape (loans,), NaN where no payment is known.
    """
    asks = rows["row"].to_numpy()
    paid = rows[LOAN].combine_chunks().dictionary_encode().indices.to_numpy()
    late = rows["days_past_due"].to_numpy() > 0
    place = np.arange(len(late))
    begins = np.ones(len(late), bool)
    begins[1:] = (asks[1:] != asks[:-1]) | (paid[1:] != paid[:-1])
    since = np.maximum.accumulate(np.where(~late, place + 1, np.where(begins, place, 0)))
    found = np.full(loans, -1.0)
    np.maximum.at(found, asks, place + 1.0 - since)
    return np.where(found < 0, np.nan, found)


AGGREGATES = (
    Aggregate("earlier_loans", "applications", "count(*)", doc="earlier applications of the applicant"),
    Aggregate("last_applied_on", "applications", "max(applications.applied_on)", kind="date",
              doc="day of the applicant's last application"),
    Aggregate("late_payments_12m", "payments",
              "count(*) FILTER (days_past_due > 0 AND due_on >= applied_on - INTERVAL 12 MONTH)",
              doc="late months of earlier loans, in the last 12 months"),
    Aggregate("paid_months_12m", "payments", "count(*) FILTER (due_on >= applied_on - INTERVAL 12 MONTH)",
              doc="months of earlier loans, in the last 12 months"),
    Aggregate("worst_days_past_due_24m", "payments",
              "max(days_past_due) FILTER (due_on >= applied_on - INTERVAL 24 MONTH)",
              doc="the most days past due of earlier loans, in the last 24 months"),
    Aggregate("missed_amount", "payments", "sum(greatest(amount_due - amount_paid, 0))",
              doc="what was not paid when it fell due, of all earlier loans, in US dollars"),
    Aggregate("last_late_on", "payments", "max(due_on) FILTER (days_past_due > 0)", kind="date",
              doc="due day of the newest late instalment"),
    Aggregate("longest_late_run", "payments", make=longest_late_run,
              doc="the most months in a row in which an earlier loan was late"),
    Aggregate("open_bureau_lines", "bureau", f"count(*) FILTER (status = 'open' AND {LATEST})",
              doc="open lines at the bureau"),
    Aggregate("bureau_balance", "bureau", f"sum(balance) FILTER ({LATEST})",
              doc="what is owed on all lines, in US dollars"),
    Aggregate("card_balance", "bureau", f"sum(balance) FILTER (kind = 'card' AND {LATEST})",
              doc="what is owed on cards, in US dollars"),
    Aggregate("card_limit", "bureau", f"sum(\"limit\") FILTER (kind = 'card' AND status = 'open' AND {LATEST})",
              doc="the limits of open cards together, in US dollars"),
    Aggregate("bureau_days_past_due", "bureau", f"max(days_past_due) FILTER ({LATEST})",
              doc="the most days past due of any line"),
    Aggregate("oldest_line_on", "bureau", "min(opened_on)", kind="date", doc="when the first line was opened"),
)


def _instalment_share() -> Feature:
    """What the loan takes of a month's income, without its interest."""

    def make(amount: np.ndarray, term: np.ndarray, income: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):  # without an income it is infinite, which encoding takes for missing
            return amount / term / (income / 12)

    return Feature("instalment_to_income", "number", ("loan_amount", "term_months", "annual_income"), make, 1,
                   "loan_amount / term_months / monthly income",
                   Reason("Instalments in proportion to income", high="Income is insufficient for the instalments",
                          missing="Income is not known"))


PURPOSE_WORDS = {"car": "a car", "debt_consolidation": "paying off other debts", "education": "education",
                 "furniture": "furniture", "home_improvement": "home improvement", "medical": "medical expenses"}
NO_PAYMENTS = "No recent payments on an earlier loan are on record"
NO_LINES = "No credit lines are on record at the bureau"


def simulate(*, seed: int, rows_a_month: int = ROWS_A_MONTH, first_month: str = FIRST_MONTH,
             last_month: str = LAST_MONTH) -> tuple[pa.Table, pa.Table]:
    """Applications with what the lender's own policy makes of them and with their truth, and the bureau's reports.

    See ``_instalments.simulate_histories`` for the columns of the truth. Nothing is decided yet: ``decided`` does it.
    """
    of_world, of_lender = np.random.default_rng(seed).spawn(2)
    rows, bureau = _instalments.simulate_histories(of_world, first_month, last_month, rows_a_month)
    income = rows["yearly_income"].to_numpy(zero_copy_only=False)
    burden = np.nan_to_num(12 * rows["instalment"].to_numpy() / income, nan=0.1)
    years = (rows["application_date"].to_numpy() - rows["employed_since"].to_numpy()).astype(int) / 365.25
    odds = -2.5 + np.log(burden / 0.1) - 0.08 * (np.minimum(years, 15) - 6)
    policy = _lender.policy(of_lender, odds, odds, declined=DECLINES, explored=EXPLORES, withdrawn=WITHDRAWS)
    for name, values in policy.items():
        rows = rows.append_column(name, values)
    return rows, bureau


def decided(rows: pa.Table, scored: pa.Table | None = None) -> pa.Table:
    """The applications of ``simulate`` that are decided on, each with its decision and its dates, by ``loan_id``.

    Args:
        scored: the champion's published decisions, by which the lender decides; see ``_lender.decide``.
    """
    return _lender.decide(rows, 0, scored).drop_columns(["default_date", "reported_date"])


def fetch(folder: Path, progress: Progress, seed: int, scenario: str, rows_a_month: int = ROWS_A_MONTH) -> None:
    """Simulate the book into ``folder``; the seed and the scenario decide its bytes. A smaller one stays as it is."""
    import pyarrow.parquet as pq

    origin = {b"seed": str(seed).encode(), b"scenario": scenario.encode()}
    targets = [folder / name for name in (BUREAU_FILE, APPLICATIONS_FILE)]
    if all(target.exists() and pq.read_schema(target).metadata == origin for target in targets):
        return
    folder.mkdir(parents=True, exist_ok=True)
    applications, bureau = simulate(seed=seed, rows_a_month=rows_a_month)
    if scenario == DOWNTURN:
        applications = _scaled(applications, "yearly_income", DOWNTURN_INCOME, "application_date")
        bureau = _scaled(bureau, "balance", DOWNTURN_BALANCE, "report_date")
    for done, (target, rows) in enumerate(zip(targets, (bureau, applications), strict=True), start=1):
        draft = target.with_suffix(".part")
        pq.write_table(rows.replace_schema_metadata(origin), draft)
        os.replace(draft, target)
        progress(done, len(targets))


def _scaled(rows: pa.Table, column: str, factor: float, day: str) -> pa.Table:
    """The rows with a money column multiplied from the onset on."""
    compute: Any = pa.compute
    late = compute.greater_equal(rows[day], ONSET)
    scaled = compute.if_else(late, compute.round(compute.multiply(rows[column], factor), 2), rows[column])
    return rows.set_column(rows.column_names.index(column), column, scaled)


def extract(folder: Path, table: str, first_month: str, last_month: str, scored: pa.Table | None = None) -> pa.Table:
    """The rows that the lender's core system would send of a table for these months, as it stood at their end.

    Args:
        table: a decision is sent in its own month, and again in that of its booking when that is a later one.
        scored: the champion's published decisions, by which the lender decides and so books.
    """
    import pyarrow.parquet as pq

    rows = pq.read_table(folder / (BUREAU_FILE if table == "bureau" else APPLICATIONS_FILE))
    if table in ("decisions", "payments"):
        rows = decided(rows, scored)
    if table == "payments":
        rows = _instalments.monthly_payments(_open_within(rows, first_month, last_month))
    days, key = {"applications": (("application_date",), "loan_id"), "bureau": (("report_date",), "line_no"),
                 "decisions": (("decision_date", "booking_date"), "loan_id"),
                 "payments": (("report_date",), "loan_id")}[table]
    return _lender.sent(rows, [column.source for column in COLUMNS[table]], days, key, first_month, last_month)


def _open_within(rows: pa.Table, first_month: str, last_month: str) -> pa.Table:
    """The booked loans that may have a payment told in these months, so that a month needs no others."""
    compute: Any = pa.compute
    begin = np.datetime64(first_month) - max(_instalments.TERMS) - 1
    booked = rows["booking_date"]
    return rows.filter(compute.and_(compute.greater_equal(booked, begin.astype("datetime64[D]").item()),
                                    compute.less(booked, np.datetime64(last_month).astype("datetime64[D]").item())))


BOOK = Book(
    name="instalment",
    title="Simulated instalment loans with bureau and payment histories",
    about=ABOUT,
    use="To test and to show Tollgate on a book with histories, on simulated applicants whose true default probability "
        "is known.",
    limits=(
        "No person stands behind any row: no number says anything about real lending.",
        "Sex and age band are drawn independently of everything else, so that a fair result proves nothing about real "
        "groups.",
    ),
    tables=TABLES,
    target=Target(bad=(Event(table="payments", on="due_on", column="days_past_due", ge=PAST_DUE_DAYS),),
                  lag_days=LAG_DAYS),
    aggregates=AGGREGATES,
    features=(
        number("loan_amount", reason=Reason("Amount asked for", high="Amount asked for is high",
                                            low="Amount asked for is low")),
        number("annual_income", monotone=-1,
               reason=Reason("Income", low="Income is too low", missing="Income is not known")),
        number("term_months", reason=Reason("Number of instalments", high="The loan is repaid over a long time",
                                            low="The loan is repaid over a short time")),
        _instalment_share(),
        days_between("days_employed", "employed_since", monotone=-1,
                     reason=Reason("Length of employment", low="Length of employment is too short",
                                   missing="Length of employment is not known")),
        category("purpose", reason=Reason("Purpose of the loan", value="The loan is for {value}",
                                          missing="Purpose of the loan is not known", words=PURPOSE_WORDS)),
        number("earlier_loans", reason=Reason("Number of earlier applications", high="Earlier applications were made",
                                              low="Few earlier applications or none")),
        days_between("days_since_application", "last_applied_on",
                     reason=Reason("Time since the last application", missing="No earlier application is on record",
                                   high="The last application was long ago", low="The last application was recent")),
        ratio("late_share_12m", "late_payments_12m", "paid_months_12m", monotone=1, reason=Reason(
            "Late payments on earlier loans", high="Late payments on earlier loans in the last 12 months",
            missing=NO_PAYMENTS)),
        number("worst_days_past_due_24m", monotone=1, reason=Reason(
            "Days past due of earlier loans", high="Earlier loans were past due in the last 24 months",
            missing=NO_PAYMENTS)),
        ratio("missed_to_income", "missed_amount", "annual_income", monotone=1, reason=Reason(
            "What was not paid of earlier loans in time", high="Too much of earlier loans was not paid in time",
            missing="What was not paid of earlier loans, in proportion to income, is not known")),
        days_between("days_since_late_payment", "last_late_on", monotone=-1, reason=Reason(
            "Time since the last late payment", low="The last late payment is too recent",
            missing="No late payment is on record")),
        number("longest_late_run", monotone=1, reason=Reason(
            "Time for which an earlier loan stayed late", missing=NO_PAYMENTS,
            high="An earlier loan stayed late for too long")),
        number("open_bureau_lines", reason=Reason("Number of open credit lines", high="Many open credit lines",
                                                  low="Few open credit lines or none")),
        ratio("bureau_balance_to_income", "bureau_balance", "annual_income", reason=Reason(
            "Debts in proportion to income", high="Debts are high in proportion to income",
            low="Debts are low in proportion to income", missing="Debts in proportion to income are not known")),
        ratio("card_utilisation", "card_balance", "card_limit", monotone=1, reason=Reason(
            "Card balances in proportion to their limits", missing="No open credit card with a limit is on record",
            high="Card balances are too high in proportion to their limits")),
        number("bureau_days_past_due", monotone=1, reason=Reason(
            "Days past due of credit obligations with others", missing=NO_LINES,
            high="Credit obligations with others are past due")),
        days_between("days_since_first_line", "oldest_line_on", reason=Reason(
            "Length of credit history", high="The credit history is long", low="The credit history is short",
            missing=NO_LINES)),
    ),
    required=("loan_amount", "term_months"),
    amount="loan_amount",
    critical=("instalment_to_income", "card_utilisation", "bureau_days_past_due", "late_share_12m"),
    sender=Sender(first_month="2002-12", last_month="2012-03", file_format="parquet", follows=True, fetch=fetch,
                  scenarios=(STATIONARY, DOWNTURN), extract=extract),
)
