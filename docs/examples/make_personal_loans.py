"""Write a file like the public export of a consumer lender, with the traps of such files. Simulated, seeded.

A line of title, one of names, 40,000 loans of 2008 to 2013 as they stood in January 2014, two lines of totals; or, with
``--month YYYY-MM``, the applications of one more month, of which nothing is known yet.

    python docs/examples/make_personal_loans.py personal_loans_2013-12.csv
    python docs/examples/make_personal_loans.py --month 2014-01 personal_loans_2014-01.csv
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

SEED, LOANS, A_MONTH = 20080101, 40_000, 900
FIRST, LAST = np.datetime64("2008-01"), np.datetime64("2013-12")  # months; the last is also that of the export
PURPOSES = ("debt_consolidation", "credit_card", "home_improvement", "car", "small_business", "medical", "other")
STATES = ("CA", "NY", "TX", "FL", "IL", "NJ", "PA", "OH", "GA", "VA", "WA", "MA", "AZ", "CO", "MD", "MI")
JOBS = ("teacher", "Nurse", "manager", "Driver", "sales", "engineer", "Clerk", "owner", "US Army", "accountant")
WORDS = ("Consolidate my cards.", "New roof.", "I have never missed a payment.", "Thank you!", "Car repair", "")
FIRST_NAMES = ("James", "Mary", "Robert", "Linda", "Ana", "Wei", "Omar", "Ruth", "Lars", "Ines")
LAST_NAMES = ("Smith", "Jones", "Garcia", "Miller", "Chen", "Novak", "Okafor", "Haas", "Rossi", "Lopez")
TITLE = "Personal loans,monthly export"

Columns = dict[str, list[str]]


def loans(rows: int, months: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Applicants, their terms, and the risk that decides what becomes of them."""
    month = np.sort(rng.choice(months, rows))
    fico = np.clip(rng.normal(712, 34, rows), 660, 845) // 5 * 5
    income = np.exp(rng.normal(11.0, 0.5, rows)).round(-2)
    amount = np.clip(rng.gamma(3.2, 3600, rows), 1000, 35_000) // 25 * 25
    dti = np.clip(rng.gamma(4, 3.8, rows), 0, 39.99)
    utilisation = np.clip(rng.normal(1.35 - fico / 850, 0.23, rows), 0, 1.1)
    inquiries = rng.poisson(0.9, rows)
    late = rng.poisson(0.17, rows)
    long = rng.random(rows) < 0.25
    purpose = rng.choice(len(PURPOSES), rows, p=(0.47, 0.16, 0.09, 0.06, 0.06, 0.04, 0.12))
    risk = (-3.3 - 0.022 * (fico - 712) + 0.055 * (dti - 15) + 1.5 * (utilisation - 0.5) + 0.42 * inquiries + 0.5 * late
            + 0.75 * long - 0.9 * (np.log(income) - 11.0) + 0.00003 * (amount - 11_000) + 0.9 * (purpose == 4)
            + 0.9 * ((utilisation > 0.6) & (dti > 18)) + 1.1 * ((inquiries > 1) & (fico < 700)))
    rate = np.clip(0.13 + 0.022 * (risk + 3) + rng.normal(0, 0.03, rows), 0.0542, 0.2589)
    monthly = rate / 12
    term = np.where(long, 60, 36)
    return {"month": month, "fico": fico, "income": income, "amount": amount, "dti": dti, "utilisation": utilisation,
            "inquiries": inquiries, "late": late, "term": term, "purpose": purpose, "risk": risk, "rate": rate,
            "installment": amount * monthly / (1 - (1 + monthly) ** -term)}


def outcomes(of: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What stands in the last export: how many months each loan paid, and its status."""
    rows = len(of["month"])
    hazard = 1 / (1 + np.exp(-(of["risk"] * 0.95 - 0.5))) / 14
    bad_after = rng.geometric(np.clip(hazard, 1e-5, 0.5)) - 1  # payments made before the first that never came
    prepaid = rng.geometric(0.012, rows) + 2
    age = (LAST - of["month"]).astype(int)
    paid = np.minimum.reduce([bad_after, prepaid, of["term"], age])
    missed = age - paid
    stopped = (paid == bad_after) & (bad_after < np.minimum(prepaid, of["term"]))
    status = np.select(
        [stopped & (missed > 4), stopped & (missed > 3), stopped & (missed > 1), stopped & (missed > 0),
         (paid == of["term"]) | ((paid == prepaid) & (paid < age))],
        ["Charged Off", "Default", "Late (31-120 days)", "In Grace Period", "Fully Paid"], "Current")
    return {"paid": paid, "status": status, "stopped": stopped}


def day(month: np.ndarray) -> list[str]:
    """As the lender writes months: Dec-2011; nothing where there is none."""
    return ["" if np.isnat(m) else m.astype("datetime64[D]").item().strftime("%b-%Y") for m in month]


def amounts(values: np.ndarray) -> list[str]:
    """Two places, as the lender writes money."""
    return [f"{value:.2f}" for value in values]


def gaps(values: list[str], share: float, rng: np.random.Generator, nothing: str = "n/a") -> list[str]:
    """The values, with nothing in a share of them."""
    return [nothing if gone else value for value, gone in zip(values, rng.random(len(values)) < share, strict=True)]


def applied(of: dict[str, np.ndarray], first_id: int, rng: np.random.Generator) -> Columns:
    """The columns that were known when the loan was asked for, and those that say nothing."""
    rows = len(of["month"])
    ids = first_id + np.arange(rows) * 7
    grade = np.clip(((of["rate"] - 0.05) / 0.03).astype(int), 0, 6)
    born = rng.integers(1940, 1990, rows)
    first, last = rng.choice(FIRST_NAMES, rows), rng.choice(LAST_NAMES, rows)
    credit_since = of["month"] - rng.integers(40, 300, rows)
    return {
        "id": [str(i) for i in ids], "member_id": [str(i * 3 + 11) for i in ids],
        "loan_amnt": [f"{a:.0f}" for a in of["amount"]],
        "funded_amnt": [f"{a:.0f}" for a in of["amount"]],
        "term": [f" {t} months" for t in of["term"]],
        "int_rate": [f" {r:6.2%}" for r in of["rate"]],
        "installment": amounts(of["installment"]),
        "grade": ["ABCDEFG"[g] for g in grade],
        "sub_grade": [f"{'ABCDEFG'[g]}{k}" for g, k in zip(grade, rng.integers(1, 6, rows), strict=True)],
        "emp_title": gaps(list(rng.choice(JOBS, rows)), 0.06, rng, ""),
        "emp_length": gaps(list(rng.choice(["< 1 year", *(f"{k} years" for k in range(2, 10)), "10+ years"], rows)),
                           0.03, rng),
        "home_ownership": list(rng.choice(["RENT", "MORTGAGE", "OWN", "OTHER"], rows, p=[0.48, 0.44, 0.075, 0.005])),
        "annual_inc": gaps(amounts(of["income"]), 0.004, rng),
        "verification_status": list(rng.choice(["Verified", "Not Verified", "Source Verified"], rows)),
        "issue_d": day(of["month"]),
        "pymnt_plan": ["n"] * rows,
        "url": [f"https://loans.example/browse/loanDetail.action?loan_id={i}" for i in ids],
        "desc": list(rng.choice(WORDS, rows)),
        "purpose": [PURPOSES[p] for p in of["purpose"]],
        "title": list(rng.choice(["My loan", "Debt consolidation", "Wedding", "Moving", "consolidate"], rows)),
        "borrower_name": [f"{a} {b}" for a, b in zip(first, last, strict=True)],
        "email": [f"{a}.{b}{i}@mail.example".lower() for a, b, i in zip(first, last, ids, strict=True)],
        "phone": [f"555-{k:03d}-{i % 10_000:04d}" for k, i in zip(rng.integers(100, 999, rows), ids, strict=True)],
        "address": [f"{k} {w} Street" for k, w in zip(rng.integers(1, 999, rows), rng.choice(LAST_NAMES, rows),
                                                      strict=True)],
        "zip_code": [f"{z}xx" for z in rng.integers(100, 999, rows)],
        "addr_state": list(rng.choice(STATES, rows)),
        "gender": gaps(list(rng.choice(["F", "M"], rows)), 0.02, rng, ""),
        "birth_year": [str(year) for year in born],
        "dti": amounts(of["dti"]),
        "delinq_2yrs": [str(k) for k in of["late"]],
        "earliest_cr_line": day(credit_since),
        "fico_range_low": [f"{f:.0f}" for f in of["fico"]],
        "fico_range_high": [f"{f + 4:.0f}" for f in of["fico"]],
        "inq_last_6mths": [str(k) for k in of["inquiries"]],
        "mths_since_last_delinq": gaps([str(k) for k in rng.integers(1, 84, rows)], 0.63, rng, ""),
        "mths_since_last_record": gaps([str(k) for k in rng.integers(1, 120, rows)], 0.91, rng, ""),
        "open_acc": [str(k) for k in rng.poisson(9, rows) + 1],
        "pub_rec": [str(k) for k in rng.poisson(0.06, rows)],
        "revol_bal": [f"{b:,.0f}" for b in np.exp(rng.normal(9.1, 1.0, rows))],
        "revol_util": gaps([f"{u:.1%}" for u in of["utilisation"]], 0.003, rng, "--"),
        "total_acc": [str(k) for k in rng.poisson(21, rows) + 2],
        "initial_list_status": ["f"] * rows,
        "collections_12_mths_ex_med": ["0"] * rows,
        "policy_code": ["1"] * rows,
        "application_type": ["INDIVIDUAL"] * rows,
        "annual_inc_joint": [""] * rows, "dti_joint": [""] * rows, "verification_status_joint": [""] * rows,
        "acc_now_delinq": ["0"] * rows,
        "il_util": [""] * rows, "bc_open_to_buy": [""] * rows,
    }


def became(of: dict[str, np.ndarray], end: dict[str, np.ndarray], rng: np.random.Generator) -> Columns:
    """The columns that were filled later: what no model may see."""
    lost = np.isin(end["status"], ["Charged Off", "Default"])
    received = end["paid"] * of["installment"]
    left = np.where(lost | (end["status"] == "Fully Paid"), 0, of["amount"] * (1 - end["paid"] / of["term"]))
    recovered = np.where(lost & (rng.random(len(lost)) < 0.45), rng.gamma(2, 400, len(lost)), 0)
    last = np.where(end["paid"] > 0, of["month"] + end["paid"], np.datetime64("NaT"))  # the never-paid have none
    going_on = ~lost & (end["status"] != "Fully Paid")
    return {
        "loan_status": [str(status) for status in end["status"]],
        "out_prncp": amounts(left),
        "total_pymnt": amounts(received),
        "total_rec_prncp": amounts(np.where(end["status"] == "Fully Paid", of["amount"], received * 0.8)),
        "total_rec_int": amounts(received * 0.2),
        "total_rec_late_fee": amounts(np.where(lost, rng.gamma(1, 8, len(lost)), 0)),
        "recoveries": amounts(recovered),
        "collection_recovery_fee": amounts(recovered * 0.18),
        "last_pymnt_d": day(last),
        "last_pymnt_amnt": amounts(np.where(end["status"] == "Fully Paid", of["installment"] * 6, of["installment"])
                                   * (end["paid"] > 0)),
        "next_pymnt_d": day(np.where(going_on, LAST + 1, np.datetime64("NaT"))),
    }


def write(path: Path, month: str | None = None, rows: int = LOANS) -> int:
    """Write the export to ``path``; how many loans it has. Of one month, these are always as many."""
    seed = SEED if month is None else SEED + int(month.replace("-", ""))
    rng = np.random.default_rng(seed)
    months = np.arange(FIRST, LAST + 1) if month is None else np.array([month], "datetime64[M]")
    rows = rows if month is None else A_MONTH
    of = loans(rows, months, rng)
    end = (outcomes(of, rng) if month is None else
           {"paid": np.zeros(rows, int), "status": np.full(rows, "Current"), "stopped": np.zeros(rows, bool)})
    columns = applied(of, 54_000 if month is None else seed * 10, rng) | became(of, end, rng)
    total = f"{of['amount'].sum():,.0f}"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(TITLE + "\n")
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        file.write(f'"Total amount funded: {total}"\n"Loans: {rows}"\n')
    return rows


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description="Write a simulated export of a consumer lender.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--month", help="YYYY-MM: the applications of this month alone")
    asked = parser.parse_args()
    print(f"{asked.file.name}: {write(asked.file, asked.month):,} loans")


if __name__ == "__main__":
    main()
