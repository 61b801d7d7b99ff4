"""Rows judged a second: the streaming judge of `ingest` against one eager Pandera pass over a pandas frame.

    .venv/bin/python benchmarks/ingest_validation.py [ROWS]

Both judge the same Parquet file of simulated consumer applications by the same columns and rules, one row in a
thousand broken, each in a process of its own, in turn. A library is imported before the clock starts.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

ROUNDS = 3
BROKEN_EVERY = 1_000
MONTHS = 84  # of the simulated book
WRITTEN = 5_000_000  # rows that are simulated at a time
LIBRARIES = ("deltalake", "duckdb", "pandera.pandas", "pyarrow.parquet", "pydantic", "yaml",
             "tollgate.ingest.contract.judgement", "tollgate.ingest.reading.landed")


def make(path: Path, rows: int) -> None:
    """The file: as the lender sends it, its first column after the key out of bounds now and then."""
    import numpy as np
    import pyarrow as pa

    from tollgate.books.shipped.consumer import APPLICATIONS, simulate
    from tollgate.run_files import write_pieces

    names = [column.source for column in APPLICATIONS]

    def some(seed: int, start: int, many: int) -> pa.Table:
        table = simulate(seed=seed, rows_a_month=-(-many // MONTHS)).slice(0, many)
        score = table["credit_score"].to_numpy().copy()
        score[np.arange(0, many, BROKEN_EVERY)] = 9
        cells = {"credit_score": pa.array(score), "loan_id": pa.array([f"C{start + i:08d}" for i in range(many)])}
        return pa.table([cells.get(name, table[name]) for name in names], names=names)

    write_pieces(path, (some(1 + k, start, min(WRITTEN, rows - start))
                        for k, start in enumerate(range(0, rows, WRITTEN))))


def eager(path: Path) -> int:
    """How many rows are bad, by the plain way: file, pandas frame, Pandera."""
    import pandas as pd
    import pyarrow.parquet as pq
    from pandera.errors import SchemaErrors

    from tollgate.books import load_book
    from tollgate.ingest import schema_of

    book = load_book("consumer")
    landed = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
    schema = schema_of(book, "applications", landed)
    columns = {column.source: column.name for column in book.applications if not column.personal}
    for column in schema.columns.values():  # numpy's types instead of Arrow's
        column.dtype = None
        if column.name == "applied_on":
            for check in column.checks:
                check._check_kwargs = {key: pd.Timestamp(value) for key, value in check._check_kwargs.items()}
    frame = pq.read_table(path, columns=list(columns)).to_pandas(date_as_object=False).rename(columns=columns)
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as err:
        return err.failure_cases["index"].nunique()
    return 0


def streaming(path: Path) -> int:
    """How many rows are bad, by ingest's judge."""
    from tollgate.books import load_book
    from tollgate.config import load_params
    from tollgate.ingest import check_file

    limits = load_params(book="consumer").ingest.model_copy(update={"bad_share_max": 1.0})
    found = check_file(load_book("consumer"), path, limits)
    return found.received - found.good


def measure(side: str, path: Path) -> None:
    """Time one side in this process; the answer goes to standard output."""
    for library in LIBRARIES:
        import_module(library)

    begin = time.perf_counter()
    bad = {"eager": eager, "streaming": streaming}[side](path)
    print(json.dumps({"seconds": time.perf_counter() - begin, "bad": bad,
                      "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def main(rows: int) -> None:
    """Measure both sides in turn and print the best of each."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "applications.parquet"
        # Made by a child: what the parent has held would count as its children's peak.
        subprocess.run([sys.executable, __file__, "make", str(path), str(rows)], check=True)
        best: dict[str, dict[str, float]] = {}
        for _ in range(ROUNDS):
            for side in ("eager", "streaming"):
                done = subprocess.run([sys.executable, __file__, side, str(path)], capture_output=True, text=True,
                                      check=True, env={**os.environ, "TOLLGATE_DATA": folder})
                found = json.loads(done.stdout.splitlines()[-1])
                best[side] = min(found, best.get(side, found), key=lambda run: run["seconds"])
    if best["eager"]["bad"] != best["streaming"]["bad"]:
        sys.exit(f"The two disagree: {best}")
    for side, found in best.items():
        print(f"{side:>10}: {rows / found['seconds']:>12,.0f} rows/s, {found['megabytes']:>6,.0f} MB resident, "
              f"{found['bad']:,.0f} bad rows")
    print(f"     ratio: {best['eager']['seconds'] / best['streaming']['seconds']:.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(Path(sys.argv[2]), int(sys.argv[3]))
    elif len(sys.argv) == 3:
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) == 2 else 5_000_000)
