"""A fit on rows that stay in their file is the fit on the rows in memory, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_model import CHOICES
from training.conftest import changed
from training.test_weights import loans

from tollgate.books import Book
from tollgate.config import Params
from tollgate.estimators import ESTIMATORS
from tollgate.features import TableFile
from tollgate.training import Fit, fit, fit_inferred, prepare, prepare_folds

PIECE = 1_000


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """Nine months of loans: the last validates; every seventh income is missing, and every level of some states."""
    from tollgate.books.shipped import consumer

    rows = loans(consumer.BOOK)
    gap = pa.array(np.arange(rows.num_rows) % 7 == 0)
    for name in ("annual_income", "state"):
        place = rows.column_names.index(name)
        rows = rows.set_column(place, name, pa.compute.if_else(gap, None, rows[name]))
    return rows


@pytest.fixture
def file(table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TableFile:
    monkeypatch.setattr("tollgate.features.table_file.PIECE_ROWS", PIECE)
    monkeypatch.setattr("tollgate.features.encode.IN_MEMORY", 0)  # any file is too large for memory
    pq.write_table(table, tmp_path / "features.parquet", row_group_size=2_500)
    return TableFile.open(tmp_path / "features.parquet")


def part_of(rows: pa.Table) -> pa.ChunkedArray:
    """Training and validation rows among one another, and some of neither."""
    return pa.chunked_array([np.array(["train", "train", "unseen", "validation"])[np.arange(rows.num_rows) % 4]])


def kept(found: Fit, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    found.fitted.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_fit_from_a_file_is_the_fit_from_its_table(
        book: Book, params: Params, table: pa.Table, file: TableFile, kind: str, tmp_path: Path) -> None:
    params = changed(params, train={"estimator": kind, "default_weight": 3.0, "half_life_months": 6.0},
                     sweep={"rounds_max": 30})
    whole, batched = (fit(prepare(book, rows, part_of(table), params), params, CHOICES[kind]) for rows in (table, file))
    assert batched.parts.encoder == whole.parts.encoder
    assert kept(batched, tmp_path / "batched") == kept(whole, tmp_path / "whole")
    assert (batched.auc, batched.rounds) == (whole.auc, whole.rounds)


def test_training_rows_in_a_file_are_read_a_piece_at_a_time(
        book: Book, params: Params, table: pa.Table, file: TableFile) -> None:
    parts = prepare(book, file, part_of(table), params)
    sizes = [len(batch) for batch in parts.train.batches()]
    assert sum(sizes) == 4_500 and max(sizes) <= PIECE
    whole = prepare(book, table, part_of(table), params).train
    assert parts.train.matrix.tobytes() == whole.matrix.tobytes()
    assert np.isnan(whole.matrix).any() and parts.train.label.tobytes() == whole.label.tobytes()


def test_the_folds_of_a_sweep_can_lie_in_files(
        book: Book, params: Params, table: pa.Table, file: TableFile, tmp_path: Path) -> None:
    split = pa.table({"loan_id": pa.array(range(table.num_rows)), "fold_1": part_of(table)})
    pq.write_table(split, tmp_path / "split.parquet")
    (stored,), (whole,) = (prepare_folds(book, *rows, params)
                           for rows in ((file, TableFile.open(tmp_path / "split.parquet")), (table, split)))
    assert stored.auc(stored.learner.start({}), 5) == whole.auc(whole.learner.start({}), 5)


def test_rejected_applicants_are_added_to_rows_of_a_file_as_to_those_of_a_table(
        book: Book, params: Params, table: pa.Table, file: TableFile, tmp_path: Path) -> None:
    params = changed(params, train={"reject_inference": "fuzzy"}, sweep={"rounds_max": 5})
    unbooked = table.drop_columns(["label"]).slice(0, 300)
    whole, stored = (fit_inferred(book, rows, part_of(table), unbooked, params, CHOICES["xgboost"])
                     for rows in (table, file))
    assert kept(stored, tmp_path / "stored") == kept(whole, tmp_path / "whole")
