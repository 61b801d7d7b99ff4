"""Ten history features: Tollgate's aggregates beside the same by hand, in DuckDB's SQL and in pandas.

    python -m benchmarks.history_features [--loans 1000000] [--payments 30000000] [--out docs/history-features.md]

Each contender is a process of its own, which reads the same two Parquet files and ends with ten columns, one value a
loan. Its seconds are those of the whole process, its memory the most that was resident. The results are compared.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tollgate.books import Aggregate, Book, BookTable, Column, number

FIRST, DAYS = date(2003, 1, 1), 2_500
ROUNDS = 3
HEAD = """# Ten history features

Written by `python -m benchmarks.history_features --loans {loans} --payments {payments} --out docs/history-features.md`
on {cores} cores: {loans:,} loans, {payments:,} payment rows, the best of {rounds}, taken in turns. By hand
means one SQL query that joins, filters by day and groups, over floats; it knows nothing of versions and arrivals.
Tollgate adds exactly, so that no value depends on the order of rows or on the other loans of the query.

| contender | seconds | times the SQL by hand | peak memory, GB | largest difference from Tollgate |
|---|---|---|---|---|
"""


def column(name: str, kind: str) -> Column:
    """A column that is never empty."""
    return Column(name=name, source=name, kind=kind, doc=name, nullable=False)  # type: ignore[arg-type]


APPLICATIONS = BookTable(name="applications", key=("loan_id",), told=("applied_on",), columns=(
    column("loan_id", "text"), column("applied_on", "date"), column("applicant_id", "text")))
PAYMENTS = BookTable(name="payments", key=("payment_id",), told=("due_on",), entity="applicant_id", columns=(
    column("payment_id", "text"), column("applicant_id", "text"), column("due_on", "date"),
    column("days_late", "integer"), column("amount", "money"), column("paid", "money")))
YEAR = "due_on >= applied_on - INTERVAL 12 MONTH"
SQL = {
    "payments": "count(*)", "payments_12m": f"count(*) FILTER ({YEAR})", "late": "count(*) FILTER (days_late > 0)",
    "late_12m": f"count(*) FILTER (days_late > 30 AND {YEAR})", "worst": "max(days_late)",
    "worst_12m": f"max(days_late) FILTER ({YEAR})", "owed": "sum(amount)", "paid_12m": f"sum(paid) FILTER ({YEAR})",
    "missed": "sum(amount - paid)", "mean_late": "avg(days_late)"}
BOOK = Book(name="bench", title="", about="", use="", limits=(), all_booked=True, critical=(),
            tables=(APPLICATIONS, PAYMENTS), features=tuple(number(name) for name in SQL),
            aggregates=tuple(Aggregate(name, "payments", sql) for name, sql in SQL.items()))


def write(folder: Path, loans: int, payments: int) -> None:
    """The two files: payments in order of their months, as they arrive."""
    rng = np.random.default_rng(1)
    people = max(1, loans * 2 // 3)
    ids = pa.array([f"P{k:09d}" for k in range(people)])
    start = np.datetime64(FIRST)
    pq.write_table(pa.table({
        "loan_id": [f"L{k:09d}" for k in range(loans)],
        "applied_on": pa.array(start + rng.integers(0, DAYS, loans)),
        "applicant_id": ids.take(pa.array(rng.integers(0, people, loans)))}), folder / "loans.parquet")
    due = np.sort(start + rng.integers(0, DAYS, payments))
    amount = np.round(rng.lognormal(5, 1, payments), 2)
    late = np.maximum(0, rng.integers(-200, 90, payments))
    pq.write_table(pa.table({
        "payment_id": pa.array(np.arange(payments)).cast(pa.string()),
        "applicant_id": ids.take(pa.array(rng.integers(0, people, payments))),
        "due_on": pa.array(due), "days_late": pa.array(late), "amount": pa.array(amount),
        "paid": pa.array(np.where(late > 60, 0.0, amount)), "known_on": pa.array(due),
        "version": pa.array(np.ones(payments, np.int64))}), folder / "payments.parquet")


def by_tollgate(folder: Path) -> pa.Table:
    """Through the one transformation library."""
    from tollgate.features import make_features

    return make_features(BOOK, pq.read_table(folder / "loans.parquet"),
                         {"payments": pq.read_table(folder / "payments.parquet")})


def by_hand(folder: Path) -> pa.Table:
    """As somebody would write it who knows DuckDB."""
    import duckdb

    values = ", ".join(f"CAST({sql.replace('count(*)', 'count(p.due_on)')} AS DOUBLE) AS {name}"
                       for name, sql in SQL.items())
    return duckdb.sql(f"""
        SELECT {values} FROM '{folder}/loans.parquet' AS a LEFT JOIN '{folder}/payments.parquet' AS p
            ON p.applicant_id = a.applicant_id AND p.due_on < a.applied_on
        GROUP BY a.loan_id ORDER BY a.loan_id
    """).to_arrow_table()


def by_pandas(folder: Path) -> pa.Table:
    """As somebody would write it who knows pandas."""
    import pandas as pd

    loans = pd.read_parquet(folder / "loans.parquet").assign(row=lambda rows: np.arange(len(rows)))
    payments = pd.read_parquet(folder / "payments.parquet",
                               columns=["applicant_id", "due_on", "days_late", "amount", "paid"])
    for rows, day in ((loans, "applied_on"), (payments, "due_on")):
        rows[day] = pd.to_datetime(rows[day])
    both = loans[["row", "applicant_id", "applied_on"]].merge(payments, on="applicant_id")
    both = both[both["due_on"] < both["applied_on"]]
    last = both[both["due_on"] >= both["applied_on"] - pd.DateOffset(months=12)]
    whole, year = both.groupby("row"), last.groupby("row")
    missed = (both["amount"] - both["paid"]).groupby(both["row"])
    made = pd.DataFrame({
        "payments": whole.size(), "payments_12m": year.size(),
        "late": (both["days_late"] > 0).groupby(both["row"]).sum(),
        "late_12m": (last["days_late"] > 30).groupby(last["row"]).sum(), "worst": whole["days_late"].max(),
        "worst_12m": year["days_late"].max(), "owed": whole["amount"].sum(), "paid_12m": year["paid"].sum(),
        "missed": missed.sum(), "mean_late": whole["days_late"].mean()}, index=loans["row"])
    counts = ["payments", "payments_12m", "late", "late_12m"]
    made[counts] = made[counts].fillna(0)
    return pa.Table.from_pandas(made.astype("float64"), preserve_index=False)


CONTENDERS: dict[str, Callable[[Path], pa.Table]] = {
    "Tollgate": by_tollgate, "SQL by hand": by_hand, "pandas": by_pandas}


def run(name: str, folder: Path) -> tuple[float, float]:
    """Seconds and peak gigabytes of a contender in a process of its own."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "benchmarks.history_features", "--contender", name, "--folder",
                           str(folder)], check=True, capture_output=True, text=True)
    return time.perf_counter() - began, float(done.stdout.split()[-1]) / 2**20


def difference(ours: pa.Table, theirs: pa.Table) -> float:
    """The largest relative difference of a value; infinite where one is missing and the other is not."""
    worst = 0.0
    for name in SQL:
        a, b = (rows[name].cast(pa.float64()).to_numpy() for rows in (ours, theirs))
        if not np.array_equal(np.isnan(a), np.isnan(b)):
            return float("inf")
        worst = max(worst, float(np.nanmax(np.abs(a - b) / np.maximum(1.0, np.abs(a)))))
    return worst


def main() -> None:
    """Time every contender in turns and print or write the page."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--loans", type=int, default=1_000_000)
    options.add_argument("--payments", type=int, default=30_000_000)
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--out", type=Path)
    options.add_argument("--contender", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.contender:
        pq.write_table(CONTENDERS[chosen.contender](chosen.folder), chosen.folder / f"{chosen.contender}.parquet")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder, chosen.loans, chosen.payments)
        told: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
        for _ in range(chosen.rounds):
            for name, runs in told.items():
                runs.append(run(name, folder))
                print(f"{name}: {runs[-1][0]:.1f} s, {runs[-1][1]:.1f} GB", flush=True)
        made = {name: pq.read_table(folder / f"{name}.parquet") for name in CONTENDERS}
    best = {name: min(seconds for seconds, _ in runs) for name, runs in told.items()}
    page = HEAD.format(loans=chosen.loans, payments=chosen.payments, rounds=chosen.rounds,
                       cores=len(os.sched_getaffinity(0)))
    for name, runs in told.items():
        page += (f"| {name} | {best[name]:.1f} | {best[name] / best['SQL by hand']:.2f} | "
                 f"{max(memory for _, memory in runs):.1f} | {difference(made['Tollgate'], made[name]):.1g} |\n")
    if chosen.out:
        chosen.out.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
