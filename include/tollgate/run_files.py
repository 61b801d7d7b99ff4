"""The files of a run folder, as stages read and write them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tollgate.errors import BadInput
from tollgate.features import TableFile


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises ``BadInput`` when it is not there or is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise missing(path) from None
    except ValueError as err:
        raise BadInput(f"{path.name} cannot be read as JSON: it is damaged or was cut short", value=path,
                       remedy="Run the stage that writes it again: `dvc repro` does.") from err


def read_rows(path: Path) -> pa.Table:
    """A Parquet file, whole. Raises ``BadInput`` when it is not there."""
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise missing(path) from None


def open_rows(path: Path) -> TableFile:
    """The rows of a Parquet file that may be larger than memory. Raises ``BadInput`` when it is not there."""
    try:
        return TableFile.open(path)
    except FileNotFoundError:
        raise missing(path) from None


def missing(path: Path) -> BadInput:
    """What is told of a file that a stage needs."""
    return BadInput("A stage's input is not there", value=path,
                    remedy="Run the stages before it: `dvc repro` runs what is needed.")


def write_json(path: Path, record: Any) -> None:
    """Write it so that equal records give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, sort_keys=True, indent=2) + "\n", encoding="utf-8")


def write_rows(path: Path, rows: pa.Table) -> None:
    """Write a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path)


def write_pieces(path: Path, pieces: Iterator[pa.Table]) -> None:
    """Write a Parquet file piece by piece, of which there is at least one."""
    first = next(pieces)
    with pq.ParquetWriter(path, first.schema) as out:
        for piece in chain([first], pieces):
            out.write_table(piece)


def write_csv(path: Path, columns: dict[str, list[Any]]) -> None:
    """Write columns of equal length under their names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
