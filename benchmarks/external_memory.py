"""A fit of XGBoost on a Parquet file in batches, under a hard limit of memory, beside the same fit on it all in memory.

The features file is drawn at random with a known relation: nine numbers, some missing, and three categories; one row
in twenty chooses the rounds, one in twenty is for the test, the others train. Each fit runs in a process of its own,
from the file to the scores of the test rows. The fit in batches is refused more than LIMIT_GB by the kernel
(``RLIMIT_DATA``: all memory but that of mapped files, touched or only asked for); ``peak memory`` is what was resident.

    python benchmarks/external_memory.py [ROWS [LIMIT_GB [ROUNDS]]]
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit

from tollgate import training
from tollgate.books import Book, category, load_book, number
from tollgate.config import load_params
from tollgate.features import TableFile
from tollgate.stats.ranking import area_under

ROWS, LIMIT_GB, ROUNDS = 20_000_000, 4.0, 10
NUMBERS, LEVELS = 9, {"home": 3, "purpose": 12, "state": 50}
DRAWN = 500_000  # rows at a time
CHOICE = {"max_depth": 6, "learning_rate": 0.3, "subsample": 0.8}
PARTS = np.array(["train"] * 18 + ["validation", "test"])


def book_of_many() -> Book:
    """A book of twelve inputs."""
    return replace(load_book("consumer"), features=(*(number(f"number_{k}") for k in range(NUMBERS)),
                                                    *(category(name) for name in LEVELS)))


def drawn(rows: int, seed: int) -> tuple[pa.Table, np.ndarray]:
    """Features with their label, and the true probability of default."""
    rng = np.random.default_rng([1, seed])
    numbers, codes = rng.normal(size=(NUMBERS, rows)), [rng.integers(0, count, rows) for count in LEVELS.values()]
    odds = (-2.5 + np.linspace(0.6, 0.05, NUMBERS) @ numbers + 0.3 * numbers[0] * numbers[1]
            + sum(0.5 * np.sin(code) for code in codes))
    truth = expit(odds)
    columns = {f"number_{k}": pa.array(values, mask=rng.random(rows) < 0.03 * (k % 3))
               for k, values in enumerate(numbers)}
    for (name, count), code in zip(LEVELS.items(), codes, strict=True):
        columns[name] = pa.DictionaryArray.from_arrays(code, [f"{name} {k}" for k in range(count)]).cast(pa.string())
    label = (rng.random(rows) < truth).astype(np.int8)
    return pa.table({"loan_id": [f"{seed:05d}-{k:07d}" for k in range(rows)], "label": label, **columns}), truth


def parts_of(rows: int) -> np.ndarray:
    """The part of each row: a cycle of twenty, so that none is without any."""
    return PARTS[np.arange(rows) % len(PARTS)]


def write(path: Path, rows: int) -> float:
    """Write the features file; the area that the true probabilities reach on its test rows."""
    label, truth, start = [], [], 0
    with pq.ParquetWriter(path, drawn(1, 0)[0].schema) as out:
        while start < rows:
            piece, known = drawn(min(DRAWN, rows - start), start // DRAWN)
            out.write_table(piece)
            test = parts_of(start + len(known))[start:] == "test"
            label.append(piece["label"].to_numpy()[test])
            truth.append(known[test])
            start += len(known)
    return area_under(np.concatenate(label) == 1, np.concatenate(truth))


def fitted(path: Path, whole: bool, rounds: int, limit_gb: float) -> dict[str, Any]:
    """Fit, and score the test rows; what it took."""
    if not whole:
        resource.setrlimit(resource.RLIMIT_DATA, (int(limit_gb * 1e9),) * 2)
    before, start, worked, book = memory(), time.perf_counter(), time.process_time(), book_of_many()
    params = load_params(book=book.name, as_of=date(2007, 1, 1))
    params = params.model_copy(update={"sweep": params.sweep.model_copy(update={"rounds_max": rounds})})
    file = TableFile.open(path)
    table, part = file.read() if whole else file, parts_of(file.num_rows)
    chosen = pa.array(part).dictionary_encode()
    found = training.fit(training.prepare(book, table, chosen, params), params, CHOICE)
    took, worked = time.perf_counter() - start, time.process_time() - worked
    test = table.filter(pa.array(part == "test"))
    score = np.concatenate([found.predict(batch) for batch in found.parts.encoder.batches(test)])
    with tempfile.TemporaryDirectory() as folder:
        found.fitted.save(Path(folder))
        model = hashlib.sha256(b"".join(kept.read_bytes() for kept in sorted(Path(folder).iterdir()))).hexdigest()
    return {"before": before, "peak": memory(), "seconds": took, "cpu": worked, "rounds": found.rounds, "model": model,
            "auc": area_under(test["label"].to_numpy() == 1, score)}


def memory() -> float:
    """The most resident memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def child(path: Path, how: str, rounds: int, limit_gb: float) -> dict[str, Any]:
    """The same in a process of its own."""
    # Arrow's own allocator reserves a gigabyte at once, which counts against the limit and is never touched.
    found = subprocess.run([sys.executable, __file__, "fit", path, how, str(rounds), str(limit_gb)], check=True,
                           stdout=subprocess.PIPE, text=True, env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"})
    answer: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Print a table line a fit."""
    if sys.argv[1:2] == ["fit"]:
        path, how, rounds, limit = sys.argv[2:]
        print(json.dumps(fitted(Path(path), how == "whole", int(rounds), float(limit))))
        return
    given = [kind(text) for kind, text in zip((int, float, int), sys.argv[1:], strict=False)]
    rows, limit_gb, rounds = (*given, *(ROWS, LIMIT_GB, ROUNDS)[len(given):])
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "features.parquet"
        truth = write(path, int(rows))
        print(f"{rows:,} rows, a file of {path.stat().st_size / 1e9:.2f} GB; the true probabilities reach {truth:.4f}")
        print("| fit | limit | peak memory | of it libraries | time (CPU) | rounds | AUC on test rows | the model |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        for how, limit in (("batches", f"{limit_gb:g} GB"), ("whole", "none")):
            took = child(path, how, int(rounds), limit_gb)
            print(f"| {how} | {limit} | {took['peak']:.2f} GB | {took['before']:.2f} GB | {took['seconds']:.0f} s "
                  f"({took['cpu']:.0f} s) | {took['rounds']} | {took['auc']:.6f} | {took['model'][:12]} |", flush=True)


if __name__ == "__main__":
    main()
