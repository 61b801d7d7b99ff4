"""Files as a lender's system writes them, and the limits that they are held against."""

from __future__ import annotations

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq

from tollgate.config import PROJECT, Ingest, load_params

SBA_LOAN = {
    "LoanNr_ChkDgt": "1000014003", "Name": "ABC HOBBYCRAFT", "City": "EVANSVILLE", "State": "IN", "Zip": "47711",
    "Bank": "FIFTH THIRD BANK", "BankState": "OH", "NAICS": "451120", "ApprovalDate": "28-Feb-06", "Term": "84",
    "NoEmp": "4", "NewExist": "2", "CreateJob": "0", "RetainedJob": "0", "FranchiseCode": "1", "UrbanRural": "0",
    "RevLineCr": "N", "LowDoc": "Y", "GrAppv": "$60,000.00 ", "SBA_Appv": "$1,000.00 ",
}
CONSUMER_LOAN = {
    "loan_id": "C1", "application_date": "2006-02-28", "customer_id": "P1", "applicant_name": "A B",
    "credit_score": "700", "loan_amount": "1000.00", "annual_income": "50000.00", "debt_to_income_ratio": "0.35",
    "num_delinquencies_12m": "0", "employment_years": "1.5", "home_ownership": "rent", "purpose": "car", "state": "CA",
    "sex": "female", "age_band": "60+",
}

INSTALMENT_LOAN = {
    "loan_id": "I1", "application_date": "2006-02-28", "customer_id": "P1", "customer_name": "A B",
    "amount_requested": "1000.00", "term": "24", "yearly_income": "50000.00", "employed_since": "2001-05-01",
    "loan_purpose": "car", "sex": "female", "age_band": "60+",
}


def sba_loans(*changes: dict[str, str], good: int = 0, start: int = 1) -> list[dict[str, str]]:
    """Good applications of February 2006, numbered; each argument is what is changed in one more row."""
    return [{**SBA_LOAN, "LoanNr_ChkDgt": f"{start + i:010d}", **row}
            for i, row in enumerate([*changes, *({} for _ in range(good))])]


def consumer_loans(*changes: dict[str, str]) -> list[dict[str, str]]:
    """The same of the consumer book."""
    return [{**CONSUMER_LOAN, "loan_id": f"C{i}", **row} for i, row in enumerate(changes, start=1)]


def instalment_loans(*changes: dict[str, str]) -> list[dict[str, str]]:
    """The same of the instalment book."""
    return [{**INSTALMENT_LOAN, "loan_id": f"I{i}", **row} for i, row in enumerate(changes, start=1)]


def as_csv(rows: list[dict[str, str]]) -> bytes:
    """The rows as the lender's CSV, the header taken from the first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def bad_share(limit: float) -> Ingest:
    """The shipped limits, with this one on a file's share of bad rows, and none on orphans and on changes."""
    return load_params(PROJECT / "params.yaml", book="consumer").ingest.model_copy(
        update={"bad_share_max": limit, "orphan_share_max": 1.0, "restated_share_max": 1.0})


def as_json_lines(rows: list[dict]) -> bytes:
    """The rows as one JSON object a line."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(rows: list[dict]) -> bytes:
    """The rows as a Parquet file, every column typed as its cells are."""
    return written(pa.Table.from_pylist(rows))


def written(rows: pa.Table) -> bytes:
    """A table as a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(rows, sink)
    return sink.getvalue()
