"""The stages of a run on a features file that is larger than the memory given to them, each under a hard limit.

The file is drawn at random with a known relation: 26 numbers, some missing, and four categories, over 36 months. From
it on the stages run as ``dvc repro`` runs them, each in a process of its own, which the kernel refuses more than
LIMIT_GB (``RLIMIT_DATA``: all memory but that of mapped files, touched or only asked for); ``peak memory`` is what was
resident, mapped files among it. At last ``train`` runs without a limit and with every matrix in memory: the model must
be the same bytes.

    python benchmarks/external_memory.py [ROWS [LIMIT_GB [ROUNDS]]]
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from home import own_home
from scipy.special import expit

from tollgate import stages
from tollgate.books import load_book
from tollgate.clock import months_before
from tollgate.config import load_params
from tollgate.features import encode
from tollgate.labels import mature_before
from tollgate.registry.rivalry import no_rivals
from tollgate.run_files import write_json, write_rows
from tollgate.stats.ranking import area_under

ROWS, LIMIT_GB, ROUNDS = 20_000_000, 4.0, 10
TRIALS = 2
NUMBERS, LEVELS = 26, {"home": 3, "purpose": 12, "state": 50, "branch": 400}
DRAWN = 500_000  # rows at a time
AS_OF, NAME = date(2007, 1, 1), "many"
STAGES = ("split", "sweep", "train", "evaluate")
MODULE = f"""\
from tollgate.books.description.book import Book
from tollgate.books.description.features import category, number
from tollgate.books.description.reasons import Reason
from tollgate.books.description.tables import BookTable, Column, outcomes_table

NUMBERS, LEVELS = [f"number_{{k}}" for k in range({NUMBERS})], {tuple(LEVELS)}
ID = Column(name="loan_id", source="ID", kind="text", doc="A number.", nullable=False)
BOOK = Book(
    name="{NAME}", title="Many loans", about="Drawn at random.", use="To measure memory.", limits=("Nobody's.",),
    tables=(
        BookTable(name="applications", key=("loan_id",), told=("applied_on",), columns=(
            ID, Column(name="applied_on", source="DAY", kind="date", doc="A day.", nullable=False),
            *(Column(name=name, source=name, kind="number", doc="A number.") for name in NUMBERS),
            *(Column(name=name, source=name, kind="text", doc="A level.") for name in LEVELS))),
        outcomes_table((
            ID, *(Column(name=name, source=name, kind="date", doc="A day.", known="later", why="an outcome",
                         nullable=name == "defaulted_on") for name in ("reported_on", "defaulted_on"))))),
    all_booked=True,
    features=(*(number(name, reason=Reason(name, high=f"{{name}} is high", low=f"{{name}} is low",
                                           missing=f"{{name}} is not known")) for name in NUMBERS),
              *(category(name, reason=Reason(name, value=name + " is {{value}}", missing=f"{{name}} is not known"))
                for name in LEVELS)),
    required=("number_1",), critical=("number_0",))
"""


def drawn(rows: int, seed: int, since: date, until: date) -> tuple[pa.Table, np.ndarray]:
    """Applications of these days with their label, and the true probability of default."""
    rng = np.random.default_rng([1, seed])
    numbers, codes = rng.normal(size=(NUMBERS, rows)), [rng.integers(0, count, rows) for count in LEVELS.values()]
    odds = (-2.5 + np.linspace(0.5, 0.02, NUMBERS) @ numbers + 0.3 * numbers[0] * numbers[1]
            + sum(0.4 * np.sin(code) for code in codes))
    truth = expit(odds)
    columns = {f"number_{k}": pa.array(values, mask=rng.random(rows) < 0.03 * ((k + 2) % 3))
               for k, values in enumerate(numbers)}
    for (name, count), code in zip(LEVELS.items(), codes, strict=True):
        columns[name] = pa.DictionaryArray.from_arrays(code, [f"{name} {k}" for k in range(count)]).cast(pa.string())
    day = np.datetime64(since) + rng.integers(0, (until - since).days, rows)
    return pa.table({"loan_id": [f"{seed:05d}-{k:07d}" for k in range(rows)], "applied_on": pa.array(day),
                     "label": (rng.random(rows) < truth).astype(np.int8), **columns}), truth


def write(path: Path, rows: int, since: date, until: date, test: date) -> float:
    """Write the features file; the area that the true probabilities reach on its test rows."""
    label, truth = list[np.ndarray](), list[np.ndarray]()
    with pq.ParquetWriter(path, drawn(1, 0, since, until)[0].schema) as out:
        for start in range(0, rows, DRAWN):
            piece, known = drawn(min(DRAWN, rows - start), start // DRAWN, since, until)
            out.write_table(piece)
            tests = piece["applied_on"].to_numpy() >= np.datetime64(test)
            label.append(piece["label"].to_numpy()[tests])
            truth.append(known[tests])
    return area_under(np.concatenate(label) == 1, np.concatenate(truth))


def prepared(run: Path, rows: int, rounds: int) -> float:
    """All that the stages find in a run's folder; the area that the true probabilities reach."""
    params = load_params(book=NAME, as_of=AS_OF, overrides={
        "sweep": {"trials": TRIALS, "rounds_first": rounds, "rounds_max": rounds}})
    stages.describe(run, params)
    book, cut = load_book(NAME), params.snapshot
    until = mature_before(book, AS_OF, cut.horizon_months)
    reached = write(run / "features.parquet", rows, months_before(until, cut.window_months), until,
                    months_before(until, params.split.test_months))
    os.link(run / "features.parquet", run / "snapshot.parquet")  # its features are the applications' own columns
    write_rows(run / "declined.parquet", book.table("applications").schema().empty_table())
    write_json(run / "snapshot.json", {"digest": "drawn"})
    write_json(run / "champion.json", no_rivals(NAME))
    return reached


def staged(name: str, run: Path, limit_gb: float) -> dict[str, Any]:
    """Run one stage, under a limit or with every matrix in memory; what it took and told."""
    if limit_gb:
        resource.setrlimit(resource.RLIMIT_DATA, (int(limit_gb * 1e9),) * 2)
    else:
        encode.IN_MEMORY = sys.maxsize
    start, worked = time.perf_counter(), time.process_time()
    stages.STAGES[name](run, stages.read_described(run))
    took = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - worked}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {**took, "peak": peak, "told": stages.answer(name, run)}


def child(name: str, run: Path, limit_gb: float) -> dict[str, Any]:
    """The same in a process of its own."""
    # Arrow's own allocator reserves a gigabyte at once, which counts against the limit and is never touched.
    found = subprocess.run([sys.executable, __file__, "stage", name, run, str(limit_gb)], check=True,
                           stdout=subprocess.PIPE, text=True, env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"})
    answer: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return answer


def told(name: str, answer: dict[str, Any]) -> str:
    """What came of a stage."""
    match name:
        case "split":
            return ", ".join(f"{answer[part]:,} {part}" for part in ("train", "validation", "test"))
        case "sweep":
            return f"{answer['trials']} points, best {answer['best']['auc']:.6f}"
        case "train":
            return f"{answer['rounds']} rounds, `{answer['digest'][:12]}`"
    return f"AUC {answer['auc']:.6f}"


def main() -> None:
    """Print a table line a stage."""
    if sys.argv[1:2] == ["stage"]:
        name, run_of, limit = sys.argv[2:]
        print(json.dumps(staged(name, Path(run_of), float(limit))))
        return
    given = [kind(text) for kind, text in zip((int, float, int), sys.argv[1:], strict=False)]
    rows, limit_gb, rounds = (*given, *(ROWS, LIMIT_GB, ROUNDS)[len(given):])
    with own_home() as scratch:
        os.environ["TOLLGATE_BOOKS"] = str(scratch / "books")
        (scratch / "books").mkdir()
        (scratch / "books" / f"{NAME}.py").write_text(MODULE, encoding="utf-8")
        run = scratch / "run"
        truth = prepared(run, int(rows), int(rounds))
        print(f"{rows:,} rows, a file of {(run / 'features.parquet').stat().st_size / 1e9:.2f} GB; the true "
              f"probabilities reach {truth:.4f}")
        print("| stage | refused beyond | peak memory | time (CPU) | what came of it |")
        print("|---|---|---|---|---|", flush=True)
        for name, limit in (*((name, limit_gb) for name in STAGES), ("train", 0)):
            if not limit:
                shutil.rmtree(run / "model")
            took = child(name, run, limit)
            print(f"| `{name}` | {f'{limit:g} GB' if limit else 'nothing, all in memory'} | {took['peak']:.2f} GB | "
                  f"{took['seconds']:.0f} s ({took['cpu']:.0f} s) | {told(name, took['told'])} |", flush=True)


if __name__ == "__main__":
    main()
