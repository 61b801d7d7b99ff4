"""Simulated consumer loans with a known true default probability, and a lender whose decisions hide most of it."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from tollgate.books.description.book import Book
from tollgate.books.description.features import category, number, ratio
from tollgate.books.description.reasons import Reason
from tollgate.books.description.sources import Progress, Sender
from tollgate.books.description.tables import (
    APPLICANT,
    BookTable,
    Column,
    decisions_table,
    outcomes_table,
)
from tollgate.books.description.targets import Target
from tollgate.books.shipped import _lender

FIRST_MONTH, LAST_MONTH = "2003-01", "2009-12"
ONSET = np.datetime64("2007-01")
ROWS_A_MONTH = 2_000
HORIZON_DAYS = 700
REPORTING_LAG_DAYS = 30

PURPOSES = ("car", "debt_consolidation", "home_improvement", "medical", "other")
HOMES = ("mortgage", "own", "rent")
STATES = ("CA", "FL", "IL", "NY", "OH", "PA", "TX", "WA")
SEXES = ("female", "male")
AGES = ("18-29", "30-44", "45-59", "60+")

WORLDS = ("stationary", "covariate_shift", "concept_shift", "prior_shift", "broken_feed", "biased_labels",
          "planted_leak", "poisoned_labels")
DECLINES, EXPLORES, WITHDRAWS = 0.20, 0.03, 0.03
LENDERS = {"everybody": 0.0, "cautious": 0.40}  # the share that each of them declines, in a stationary world
SCENARIOS = (*WORLDS, *LENDERS)

ABOUT = f"""\
Simulated. The true default probability of each loan is a logistic function of the columns below and of
nothing else, so that what a good model can reach is known. Sex and age band are drawn independently of the
default probability. About a quarter of the applications come from somebody who applied before.

**The lender** declines {100 * DECLINES:.0f} % of the applications by a policy of its own, `{_lender.POLICY}`: a noisy
score made of the bureau score, the delinquencies and the debt-to-income ratio alone. Of those beyond its cutoff
{100 * EXPLORES:.0f} % are approved all the same, at random; `approval_probability` tells it. Of the approved
{100 * WITHDRAWS:.0f} % do not take their loan. An application is decided on within
{_lender.DECISION_DAYS[1] - 1} days and booked within {_lender.BOOKING_DAYS[1] - 1} days more. A booking in a later
month than its decision is told by sending the decision again.

**The closed loop**: whoever applies from the first published night on is decided on by the champion, on the night that
first scores the loan; what the night refused falls back to the policy. Until its night an application is pending.

**Outcomes** are sent of booked loans only. A default happens on a uniformly drawn day within {HORIZON_DAYS} days of the
booking and becomes known {REPORTING_LAG_DAYS} days later. What would have become of the others is known to the
simulation (`tollgate.books.consumer.simulate`), and to nobody else.

**When each feature is known**: at the application, all of them.

**Scenarios** (`tollgate fetch consumer --scenario NAME`). Of the lender: `everybody` declines nobody, `cautious`
declines {100 * LENDERS["cautious"]:.0f} %. The others change the months from {ONSET} on, and nothing before:
`covariate_shift` lowers credit scores by 60 points and raises amounts by half, so that the same cutoff declines more;
`concept_shift` turns the meaning of the debt-to-income ratio around; `prior_shift` triples the odds of default;
`broken_feed` sends incomes in thousands; `biased_labels` books half of the women's paid loans as defaults at twice the
base rate; `planted_leak` writes the outcome into the number of delinquencies, after the decision; `poisoned_labels`
flips the labels of one state.
"""

ID = Column(name="loan_id", source="loan_id", kind="text", doc="Loan number.", nullable=False)

APPLICATIONS = (
    ID,
    Column(name="applied_on", source="application_date", kind="date", doc="Day of the application.", nullable=False,
           ge=date(2003, 1, 1), le=date(2009, 12, 31)),
    Column(name=APPLICANT, source="customer_id", kind="text", doc="Who asks: the lender's number of the applicant."),
    Column(name="applicant", source="applicant_name", kind="text", doc="Applicant's name.", personal=True,
           why="a name"),
    Column(name="credit_score", source="credit_score", kind="integer", doc="Bureau score, 300-850.", nullable=False,
           ge=300, le=850),
    Column(name="loan_amount", source="loan_amount", kind="money", doc="Amount asked for, in US dollars.",
           nullable=False, ge=500, le=100_000, actionable="lower"),
    Column(name="annual_income", source="annual_income", kind="money", doc="Yearly income, in US dollars.",
           ge=1, le=5_000_000),
    Column(name="debt_to_income_ratio", source="debt_to_income_ratio", kind="number",
           doc="Monthly debt payments over monthly income, 0-1.", ge=0, le=1, actionable="lower"),
    Column(name="num_delinquencies_12m", source="num_delinquencies_12m", kind="integer",
           doc="Delinquencies in the last 12 months.", nullable=False, ge=0, le=50),
    Column(name="employment_years", source="employment_years", kind="number",
           doc="Years with the present employer.", ge=0, le=60),
    Column(name="home_ownership", source="home_ownership", kind="text", doc="mortgage, own or rent.", isin=HOMES),
    Column(name="purpose", source="purpose", kind="text", doc="What the loan is for.", isin=PURPOSES),
    Column(name="state", source="state", kind="text", doc="Applicant's state.", isin=STATES),
    Column(name="sex", source="sex", kind="text", doc="female or male.", isin=SEXES, protected=True,
           why="a protected characteristic"),
    Column(name="age_band", source="age_band", kind="text", doc="Age in years, banded.", isin=AGES, protected=True,
           why="a protected characteristic"),
)

OUTCOMES = (
    ID,
    Column(name="reported_on", source="reported_date", kind="date", doc="Day the default was reported.", nullable=False,
           known="later", why="an outcome", ge=date(2003, 1, 1), le=date(2012, 12, 31)),
    Column(name="defaulted_on", source="default_date", kind="date", doc="Day of the default.",
           known="later", why="an outcome", ge=date(2003, 1, 1), le=date(2012, 12, 31)),
)

TABLES = (
    BookTable(name="applications", columns=APPLICATIONS, key=("loan_id",), told=("applied_on",)),
    decisions_table((ID, *_lender.decision_columns(date(2003, 1, 1), date(2010, 12, 31)))),
    outcomes_table(OUTCOMES),
)
COLUMNS = {table.name: table.columns for table in TABLES}


def simulate(*, seed: int, scenario: str = "stationary", rows_a_month: int = ROWS_A_MONTH,
             first_month: str = FIRST_MONTH, last_month: str = LAST_MONTH, declined: float = 0.0,
             explored: float = EXPLORES, withdrawn: float = 0.0) -> pa.Table:
    """Applications with what the lender's own policy made of them and with their truth: one row a loan, by month.

    Beside the columns that the lender sends it holds the truth of everybody, booked or not: ``true_probability``
    (float64) is the probability with which the label was drawn; ``default_date`` and ``reported_date`` are null for
    whoever would never default. ``booking_date`` is null for a loan that was not booked.

    Args:
        declined: the share that the policy declines, before any shift; by default everybody is approved.
        explored: the share of those beyond the policy's cutoff that is approved at random.
        withdrawn: the share of the approved who do not take their loan.
    """
    rng = np.random.default_rng(seed)
    months = np.arange(np.datetime64(first_month), np.datetime64(last_month) + 1)
    n = len(months) * rows_a_month
    month = np.repeat(months, rows_a_month)
    days_in = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(int)
    applied = month.astype("datetime64[D]") + np.floor(rng.random(n) * days_in).astype(int)
    late = month >= ONSET

    def changed(name: str) -> np.ndarray:
        return late & (scenario == name)

    drawn = np.rint(rng.normal(680, 75, n))
    score = np.clip(drawn - 60 * changed("covariate_shift"), 300, 850)
    amount = np.clip(np.round(rng.lognormal(9.2, 0.6, n) * np.where(changed("covariate_shift"), 1.5, 1), -2),
                     500, 100_000)
    income = np.clip(np.round(rng.lognormal(10.9, 0.5, n), -2), 8_000, 2_000_000)
    dti = np.round(rng.beta(2.2, 5, n), 4)
    # How much of a stream a Poisson draw uses up depends on its rate; the shifted months draw from a stream of their
    # own, so that everything drawn after this stays the same in every scenario.
    delinquencies = rng.poisson(np.exp((620 - np.clip(drawn, 300, 850)) / 120))
    shifted = rng.spawn(1)[0].poisson(np.exp((620 - score) / 120))
    usual = _lender.log_odds(drawn.clip(300, 850), delinquencies.clip(0, 50), dti)
    delinquencies = np.clip(np.where(changed("covariate_shift"), shifted, delinquencies), 0, 50)
    odds = _lender.log_odds(score, delinquencies, dti)
    tenure = np.round(rng.gamma(2, 3, n), 1).clip(0, 60)
    home, purpose = rng.choice(HOMES, n, p=(0.45, 0.15, 0.40)), rng.choice(PURPOSES, n, p=(0.2, 0.45, 0.15, 0.1, 0.1))
    state, sex, age = rng.choice(STATES, n), rng.choice(SEXES, n), rng.choice(AGES, n, p=(0.2, 0.35, 0.3, 0.15))

    logit = (-3.6 - (score - 680) / 42 + 3.5 * (amount / income - 0.2) + 0.35 * delinquencies
             + np.where(changed("concept_shift"), -4.5, 4.5) * (dti - 0.3) - 0.05 * (tenure - 6)
             + 0.35 * (home == "rent") + 0.5 * (purpose == "medical") + np.log(3) * changed("prior_shift"))
    probability = 1 / (1 + np.exp(-logit))
    default = rng.random(n) < probability
    default |= changed("biased_labels") & (sex == "female") & (rng.random(n) < 2 * probability.mean())
    default ^= changed("poisoned_labels") & (state == "OH")
    delinquencies = np.where(changed("planted_leak"), np.where(default, 12, delinquencies), delinquencies)
    income = np.where(changed("broken_feed"), income / 1000, income)

    default_after = rng.integers(30, HORIZON_DAYS, n)
    missing = rng.random(n) < 0.02
    of_applicants, of_lender = rng.spawn(2)
    return _lender.decide(pa.table({
        "loan_id": [f"C{i:08d}" for i in range(n)],
        "application_date": pa.array(applied),
        "customer_id": _lender.applicants(of_applicants, applied, np.char.add(sex, age)),
        "applicant_name": pa.array(np.char.add("Applicant ", np.arange(n).astype(str))),
        "credit_score": pa.array(score.astype(np.int64)),
        "loan_amount": pa.array(amount),
        "annual_income": pa.array(income),
        "debt_to_income_ratio": pa.array(dti, mask=missing),
        "num_delinquencies_12m": pa.array(delinquencies.astype(np.int64)),
        "employment_years": pa.array(tenure),
        "home_ownership": pa.array(home), "purpose": pa.array(purpose), "state": pa.array(state),
        "sex": pa.array(sex), "age_band": pa.array(age),
        "true_probability": pa.array(probability),
        "default_after": pa.array(default_after, mask=~default),
        **_lender.policy(of_lender, odds, usual, declined=declined, explored=explored, withdrawn=withdrawn),
    }), REPORTING_LAG_DAYS)


def fetch(folder: Path, progress: Progress, seed: int, scenario: str) -> None:
    """Simulate the book into ``folder``; the seed and the scenario decide its bytes."""
    import pyarrow.parquet as pq

    target = _source(folder)
    origin = {b"seed": str(seed).encode(), b"scenario": scenario.encode()}
    if target.exists() and (held := pq.read_schema(target)).metadata == origin and "booked_after" in held.names:
        return
    folder.mkdir(parents=True, exist_ok=True)
    rows = simulate(seed=seed, scenario="stationary" if scenario in LENDERS else scenario,
                    declined=LENDERS.get(scenario, DECLINES), withdrawn=WITHDRAWS)
    draft = target.with_suffix(".part")
    pq.write_table(rows.replace_schema_metadata(origin), draft)
    os.replace(draft, target)
    progress(1, 1)


def extract(folder: Path, table: str, first_month: str, last_month: str, scored: pa.Table | None = None) -> pa.Table:
    """The rows that the lender's core system would send of a table for these months, as it stood at their end.

    Args:
        table: a decision is sent in its own month, and again in that of its booking when that is a later one.
        scored: the champion's published decisions, by which the lender decides; see ``_lender.decide``.
    """
    import pyarrow.parquet as pq

    rows = pq.read_table(_source(folder))
    if table != "applications":
        rows = _lender.decide(rows, REPORTING_LAG_DAYS, scored)
    if table == "outcomes":
        rows = rows.filter(rows["booking_date"].is_valid())
    days = {"applications": ("application_date",), "decisions": ("decision_date", "booking_date"),
            "outcomes": ("reported_date",)}[table]
    return _lender.sent(rows, [column.source for column in COLUMNS[table]], days, "loan_id", first_month, last_month)


def _source(folder: Path) -> Path:
    return folder / "source.parquet"


BOOK = Book(
    name="consumer",
    title="Simulated consumer loans",
    about=ABOUT,
    use="To test and to show Tollgate itself, on simulated applicants whose true default probability is known.",
    limits=(
        "No person stands behind any row: no number says anything about real lending.",
        "Sex and age band are drawn independently of everything else, so that a fair result proves nothing about real "
        "groups.",
    ),
    tables=TABLES,
    target=Target(lag_days=REPORTING_LAG_DAYS),
    features=(
        number("credit_score", monotone=-1, reason=Reason("Credit score", low="Credit score is too low")),
        number("loan_amount", monotone=1, reason=Reason("Amount asked for", high="Amount asked for is too high")),
        number("annual_income", monotone=-1,
               reason=Reason("Income", low="Income is too low", missing="Income is not known")),
        number("debt_to_income_ratio",
               reason=Reason("Debt in proportion to income", high="Debt is high in proportion to income",
                             low="Debt is low in proportion to income",
                             missing="Debt in proportion to income is not known")),
        ratio("payment_to_income_ratio", "loan_amount", "annual_income", monotone=1,
              reason=Reason("Amount asked for in proportion to income",
                            high="Income is insufficient for the amount asked for", missing="Income is not known")),
        number("num_delinquencies_12m", monotone=1,
               reason=Reason("Delinquencies in the last 12 months",
                             high="Too many delinquencies in the last 12 months",
                             missing="Delinquencies in the last 12 months are not known")),
        number("employment_years",
               reason=Reason("Length of employment", high="Length of employment is long",
                             low="Length of employment is short", missing="Length of employment is not known")),
        category("home_ownership",
                 reason=Reason("Home ownership", value="The home is {value}", missing="Home ownership is not known",
                               words={"mortgage": "under a mortgage", "own": "owned", "rent": "rented"})),
        category("purpose",
                 reason=Reason("Purpose of the loan", value="The loan is for {value}",
                               missing="Purpose of the loan is not known",
                               words={"car": "a car", "debt_consolidation": "paying off other debts",
                                      "home_improvement": "home improvement", "medical": "medical expenses",
                                      "other": "another purpose than those that are named"})),
        category("state", reason=Reason("State of residence", value="The state of residence is {value}",
                                        missing="State of residence is not known")),
    ),
    required=("credit_score", "loan_amount"),
    amount="loan_amount",
    critical=("credit_score", "loan_amount", "annual_income", "debt_to_income_ratio"),
    sender=Sender(first_month=FIRST_MONTH, last_month="2012-03", file_format="parquet", scenarios=SCENARIOS,
                  follows=True, fetch=fetch, extract=extract),
)
