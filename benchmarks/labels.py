"""Labels of five million applications, and one night's matured cohorts over ten years of nights, beside the old ways.

Usage: python benchmarks/labels.py [--applications N] [--outcomes N] [--nights N] [--json FILE]

Each way runs in a process of its own on the same lake in a temporary folder; the best of three times counts, and the
peak is that of the whole process. The old ways are copied from the commit 1a7d719.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import write_deltalake

from tollgate import lake
from tollgate.books import Book, BookTable, load_book
from tollgate.clock import add_months, months_before
from tollgate.config import load_params
from tollgate.labels import BAD, label, needed, read_labels
from tollgate.lake.faults import location
from tollgate.training import pin_lake, take_snapshot

AS_OF, HORIZON, WATCHED = date(2013, 1, 1), 24, 12
FIRST = np.datetime64("2001-01-01")
A_NIGHT = 2_000
sba = load_book("sba")


def book(name: str) -> Book:
    """A book of booked loans alone: ``big`` with the columns of `sba`, else with those that labels are made of."""
    narrow = BookTable(name="applications", key=("loan_id",), told=("applied_on",), columns=tuple(
        column for column in sba.applications if not column.personal
        and (name == "big" or column.name in ("loan_id", "applied_on"))))
    outcomes = replace(sba.table("outcomes"), rules=(), columns=tuple(
        column for column in sba.columns("outcomes") if column.name in ("loan_id", "reported_on", "defaulted_on")))
    return replace(sba, name=name, tables=(narrow, outcomes), features=(), critical=(), required=())


def ids(count: int) -> np.ndarray:
    """Loan numbers of ten characters."""
    return np.char.add("L", np.char.zfill(np.arange(count).astype(str), 9))


def cells(table: lake.Table, count: int, rng: np.random.Generator) -> dict[str, Any]:
    """Something in every column but the loan and its day."""
    words = np.array([f"word {k}" for k in range(50)])
    own = [field for field in table.schema if field.name not in
           ("month", "known_on", "delivery", "version", "loan_id", "applied_on")]
    return {field.name: words[rng.integers(0, 50, count)] if pa.types.is_string(field.type)
            else rng.integers(1, 1_000, count).astype(field.type.to_pandas_dtype()) for field in own}


def put(table: lake.Table, rows: dict[str, Any], day: np.ndarray) -> None:
    """Write rows as one delivery would leave them."""
    size = len(day)
    whole = pa.table({"month": np.datetime_as_string(day.astype("datetime64[M]")), "known_on": pa.array(day),
                      "delivery": np.ones(size, np.int64), "version": np.ones(size, np.int64),
                      **rows}).cast(pa.schema([table.schema.field(name) for name in table.schema.names]))
    write_deltalake(location(table), whole, partition_by=["month"])


def fill(loans: int, outcomes: int, nights: int) -> None:
    """Two lakes: ``big`` with all loans, ``nightly`` with the scores of so many nights."""
    rng = np.random.default_rng(1)
    for name, many, bads in (("big", loans, outcomes), ("nightly", nights * A_NIGHT // 30, nights * A_NIGHT // 180)):
        applied = FIRST + np.sort(rng.integers(0, nights, many))
        table = lake.applications(book(name))
        put(table, {"loan_id": ids(many), "applied_on": pa.array(applied), **cells(table, many, rng)}, applied)
        bad = np.sort(rng.choice(many, bads, replace=False))
        defaulted = applied[bad] + rng.integers(1, 900, bads)
        put(lake.outcomes(book(name)), {"loan_id": ids(many)[bad], "reported_on": pa.array(defaulted),
                                        "defaulted_on": pa.array(defaulted)}, defaulted)
    table, parts = lake.scores("nightly"), []
    first = np.searchsorted(applied, np.arange(FIRST, FIRST + nights) - 30)
    for night, start in enumerate(first):
        day = FIRST + night
        size = int(np.searchsorted(applied, day) - start)
        score = rng.random(size)
        parts.append(pa.table({
            "day": [str(day)] * size, "as_of": pa.array(np.full(size, day)), "population": ["new"] * size,
            "attempt": [1] * size, "loan_id": ids(many)[start:start + size],
            "applied_on": pa.array(applied[start:start + size]), "status": ["scored"] * size,
            "refusal": pa.nulls(size, pa.string()), "score": score,
            "decision": np.where(score > .8, "decline", "approve"), "reasons": pa.nulls(size, pa.list_(pa.string())),
            "model_version": ["1"] * size, "snapshot_version": ["s"] * size, "run_id": ["r"] * size,
            }).cast(table.schema) if size else
            table.schema.empty_table())
        if len(parts) == 200 or night == nights - 1:
            write_deltalake(location(table), pa.concat_tables(parts), partition_by=["day"], mode="append")
            parts = []


def old_labels(applications: pa.Table, outcomes: pa.Table, horizon_months: int) -> np.ndarray:
    """The dictionary and the lists: 1 where a loan defaulted within the horizon of its application, else 0."""
    latest = outcomes.select(["loan_id", "reported_on", "defaulted_on"]).sort_by([("reported_on", "ascending")])
    defaulted = dict(zip(latest["loan_id"].to_pylist(), latest["defaulted_on"].to_numpy(zero_copy_only=False)
                         .astype("datetime64[D]"), strict=True))
    never = np.datetime64("NaT", "D")
    on = np.array([defaulted.get(loan, never) for loan in applications["loan_id"].to_pylist()],
                  dtype="datetime64[D]")
    applied = applications["applied_on"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
    return (on <= add_months(applied, horizon_months)).astype(np.int8)


def whole_snapshot() -> int:
    """The training rows of every loan that matured, with their labels, as the stages make them: pinned, then taken."""
    of, shipped = book("big"), load_params(book="sba", as_of=AS_OF)
    params = shipped.model_copy(update={"snapshot": shipped.snapshot.model_copy(update={
        "horizon_months": HORIZON, "window_months": 1_000})})
    return int(take_snapshot(of, params, pin_lake(of, params), {}).record["defaults"])


def old_cohorts() -> int:
    """One night's matured cohorts as they were: the dictionary anew for every scoring date, curves by scikit-learn."""
    from sklearn.metrics import roc_auc_score, roc_curve

    until = months_before(AS_OF, HORIZON)
    scores = lake.read(lake.scores("nightly"), filters=[
        ("day", ">=", months_before(until, WATCHED).isoformat()), ("day", "<=", until.isoformat()),
        ("population", "=", "new")])
    outcomes = lake.view(lake.outcomes(book("nightly")), as_of=AS_OF)
    days = sorted(scores["as_of"].unique().to_pylist())
    for day in days:
        cohort = scores.filter(pc.equal(scores["as_of"], day))
        found = old_labels(cohort, outcomes, HORIZON)
        roc_curve(found, cohort["score"].to_numpy())
        roc_auc_score(found, cohort["score"].to_numpy())
    return len(days)


def new_cohorts() -> int:
    """One night's matured cohorts."""
    from tollgate.monitoring.steps import _matured_cohorts

    return len(_matured_cohorts(book("nightly"), AS_OF, HORIZON))


def views() -> dict[str, pa.Table]:
    """What both ways of labelling are given."""
    of = book("big")
    return {name: lake.view(lake.published(of, name), as_of=AS_OF, columns=columns)
            for name, columns in needed(of).items()}


def old_whole(rows: dict[str, pa.Table]) -> int:
    """Labels as the snapshot made them: the outcomes of these loans, then the dictionary."""
    loans = rows["applications"]["loan_id"].combine_chunks()
    own = rows["outcomes"].filter(pc.is_in(rows["outcomes"]["loan_id"], loans))
    return int(old_labels(rows["applications"], own, HORIZON).sum())


def new_whole(rows: dict[str, pa.Table]) -> int:
    """Labels as they are made now."""
    return int(pc.sum(pc.equal(label(book("big"), AS_OF, HORIZON, rows)["label"], BAD)).as_py())


WAYS: dict[str, Callable[[], Callable[[], int]]] = {
    "labels, dictionary and lists": lambda: (lambda rows: lambda: int(old_labels(
        rows["applications"], rows["outcomes"], HORIZON).sum()))(views()),
    "labels, with the filter before it": lambda: (lambda rows: lambda: old_whole(rows))(views()),
    "labels, now": lambda: (lambda rows: lambda: new_whole(rows))(views()),
    "labels, now, from the lake": lambda: lambda: int(pc.sum(pc.equal(
        read_labels(book("big"), AS_OF, HORIZON)["label"], BAD)).as_py()),
    "a snapshot of 17 columns, pinned and taken": lambda: whole_snapshot,
    "cohorts, old": lambda: old_cohorts,
    "cohorts, now": lambda: new_cohorts,
}


ONCE = ("a snapshot of 17 columns, pinned and taken", "cohorts, old")


def measure(way: str, times: int) -> dict[str, Any]:
    """Seconds, peak memory and what came out."""
    run, best, found = WAYS[way](), float("inf"), 0
    for _ in range(times):
        start = time.perf_counter()
        found = run()
        best = min(best, time.perf_counter() - start)
    # Not ru_maxrss: that begins with the parent's.
    peak = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines()
                if line.startswith("VmHWM")) / 2**20
    return {"way": way, "seconds": best, "peak_gb": peak, "found": found}


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--applications", type=int, default=5_000_000)
    parser.add_argument("--outcomes", type=int, default=1_000_000)
    parser.add_argument("--nights", type=int, default=3_650)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.way:
        print(json.dumps(measure(chosen.way, 1 if chosen.way in ONCE else 3)))
        return
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "TOLLGATE_DATA": folder}
        os.environ["TOLLGATE_DATA"] = folder
        fill(chosen.applications, chosen.outcomes, chosen.nights)
        rows = [json.loads(subprocess.run([sys.executable, __file__, "--way", way], env=environment, check=True,
                                          capture_output=True, text=True).stdout) for way in WAYS]
    print("| way | seconds | times as fast | peak memory | found |\n|---|---|---|---|---|")
    old = {"labels": rows[0]["seconds"], "cohorts": rows[-2]["seconds"]}
    for row in rows:
        before = old.get(row["way"].split(",")[0])
        faster = f"{before / row['seconds']:.1f}" if before else ""
        print(f"| {row['way']} | {row['seconds']:.2f} | {faster} | {row['peak_gb']:.2f} GB | {row['found']:,} |")
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
