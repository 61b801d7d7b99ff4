"""How often the checks of the outcomes feed speak when nothing is wrong, and how soon when something is.

Usage: TOLLGATE_DATA=... python benchmarks/feed.py [--json FILE]

Needs the sources of sba and consumer (`tollgate fetch BOOK`). Every month from 1998-01 (sba) or 2004-01 (consumer)
on is judged as a night would: by what was known before it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.books import Book, load_book
from tollgate.config import PROJECT, load_params, settings
from tollgate.labels import findings
from tollgate.labels.evidence import count
from tollgate.labels.targets import column, days

SPANS = {"sba": ("1998-01", "2011-01"), "consumer": ("2004-01", "2010-01")}
CHECKS = ("stopped", "thinned", "lag", "delivery", "orphans", "early")
Fault = Callable[[pa.Table, date], pa.Table]


def source(book: Book) -> dict[str, pa.Table]:
    """Applications and outcomes of the whole source under the lake's names, with the days as days."""
    found = {}
    for name in ("applications", "outcomes"):
        sender = book.require_sender()
        raw = sender.extract(settings().data / "sources" / book.name, name, sender.first_month, sender.last_month, None)
        columns = {}
        for of in book.columns(name):
            if of.name in ("loan_id", "applied_on", "reported_on", "defaulted_on"):
                values = raw[of.source]
                if of.kind == "date" and pa.types.is_string(values.type):
                    values = pc.strptime(values, format=of.format, unit="s").cast(pa.date32())
                columns[of.name] = values
        found[name] = pa.table(columns).sort_by("loan_id")
    return found


def judge(book: Book, rows: dict[str, pa.Table], as_of: date, fault: Fault | None = None) -> list[Any]:
    """The findings of one night."""
    outcomes = rows["outcomes"] if fault is None else fault(rows["outcomes"], as_of)
    views = {"applications": rows["applications"].filter(pc.less(rows["applications"]["applied_on"], as_of)),
             "outcomes": outcomes.filter(pc.less(outcomes["reported_on"], as_of))}
    known = {"outcomes": days(column(views["outcomes"], "reported_on"))}
    limits = load_params(PROJECT / "params.yaml", book=book.name).labels
    return findings(count(book, as_of, views, known), book, as_of, limits)


def stopped(months: int) -> Fault:
    """The feed ended so many months before the as-of."""
    def cut(outcomes: pa.Table, as_of: date) -> pa.Table:
        end = (np.datetime64(as_of, "M") - months).astype("datetime64[D]").item()
        return outcomes.filter(pc.less(outcomes["reported_on"], end))
    return cut


def thinned(share: float, months: int) -> Fault:
    """Only a share of the outcomes came in the last months."""
    def cut(outcomes: pa.Table, as_of: date) -> pa.Table:
        since = np.datetime64(as_of, "M") - months
        recent = outcomes["reported_on"].to_numpy() >= since
        lost = recent & (np.random.default_rng(1).random(outcomes.num_rows) >= share)
        return outcomes.filter(pa.array(~lost))
    return cut


def later(days_late: int) -> Fault:
    """Every outcome is reported so many days later."""
    def move(outcomes: pa.Table, as_of: date) -> pa.Table:
        moved = pa.array(outcomes["reported_on"].to_numpy() + np.timedelta64(days_late, "D"))
        return outcomes.set_column(outcomes.column_names.index("reported_on"), "reported_on", moved)
    return move


FAULTS: dict[str, Fault | None] = {
    "nothing is wrong": None,
    "stopped 2 months ago": stopped(2), "stopped 3 months ago": stopped(3), "stopped 7 months ago": stopped(7),
    "stopped 24 months ago": stopped(24),
    "30 % come since 3 months": thinned(.3, 3), "30 % come since 6 months": thinned(.3, 6),
    "60 % come since 12 months": thinned(.6, 12),
    "reported 60 days later than stated": later(60),
}


def table(name: str) -> list[dict[str, Any]]:
    """How many nights each check refuses or cannot tell, by fault."""
    book = load_book(name)
    book = replace(book, target=replace(book.target)) if book.all_booked else replace(
        book, tables=tuple(t for t in book.tables if t.name != "decisions"), all_booked=True)
    rows = source(book)
    first, last = SPANS[name]
    nights = [month.astype("datetime64[D]").item() for month in np.arange(np.datetime64(first), np.datetime64(last))]
    result = []
    for fault, change in FAULTS.items():
        spoke, silent, ratio = dict.fromkeys(CHECKS, 0), dict.fromkeys(CHECKS, 0), []
        for as_of in nights:
            for found in judge(book, rows, as_of, change):
                spoke[found.check] += found.level in ("refuse", "warn")
                silent[found.check] += found.level == "unknown"
                if found.check == "thinned" and found.value is not None:
                    ratio.append(found.value)
        result.append({"book": name, "fault": fault, "nights": len(nights), "spoke": spoke, "cannot_tell": silent,
                       "least_ratio": min(ratio, default=None)})
    return result


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--books", nargs="*", default=list(SPANS))
    chosen = parser.parse_args()
    rows = [row for name in chosen.books for row in table(name)]
    checks = ("stopped", "thinned", "lag", "delivery")
    print(f"| book | what is wrong | nights | {' | '.join(checks)} | cannot tell: stopped, thinned | least ratio |")
    print("|---|---|---|" + "---|" * (len(checks) + 2))
    for row in rows:
        told = " | ".join(str(row["spoke"][check]) for check in checks)
        least = "" if row["least_ratio"] is None else f"{row['least_ratio']:.2f}"
        print(f"| {row['book']} | {row['fault']} | {row['nights']} | {told} | "
              f"{row['cannot_tell']['stopped']}, {row['cannot_tell']['thinned']} | {least} |")
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
