"""A fit on rows that stay in their file is the fit on the rows in memory, bit for bit."""

from __future__ import annotations

import gc
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_model import CHOICES, keep_model
from training.conftest import changed
from training.test_weights import loans

from tollgate.books import Book
from tollgate.config import Params
from tollgate.estimators import ESTIMATORS
from tollgate.features import Encoder, TableFile
from tollgate.training import Fit, evidence, fit, fit_inferred, learn_baseline, prepare, prepare_folds

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
    assert stored.auc(stored.start({}), 5) == whole.auc(whole.start({}), 5)


def test_rejected_applicants_are_added_to_rows_of_a_file_as_to_those_of_a_table(
        book: Book, params: Params, table: pa.Table, file: TableFile, tmp_path: Path) -> None:
    params = changed(params, train={"reject_inference": "fuzzy"}, sweep={"rounds_max": 5})
    unbooked = table.drop_columns(["label"]).slice(0, 300)
    whole, stored = (fit_inferred(book, rows, part_of(table), unbooked, params, CHOICES["xgboost"])
                     for rows in (table, file))
    assert kept(stored, tmp_path / "stored") == kept(whole, tmp_path / "whole")


def test_fits_at_once_on_rows_of_one_file_do_not_disturb_each_other(
        book: Book, params: Params, table: pa.Table, file: TableFile) -> None:
    choices = [{"max_depth": depth, "subsample": 0.7, "colsample_bytree": 0.6} for depth in (2, 3, 4)]
    learner, whole = (prepare(book, rows, part_of(table), params).learners[0] for rows in (file, table))
    with ThreadPoolExecutor(len(choices)) as pool:
        found = list(pool.map(lambda choice: learner.start(choice).to(12), choices))
    assert [scores.tobytes() for scores in found] == [whole.start(choice).to(12).tobytes() for choice in choices]


def test_pages_on_disk_are_gone_with_the_fit(
        book: Book, params: Params, table: pa.Table, file: TableFile, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    parts = prepare(book, file, part_of(table), params)
    parts.start(CHOICES["xgboost"]).to(2)
    assert list(scratch.rglob("*.page"))
    del parts
    gc.collect()
    assert not list(scratch.iterdir())


def test_the_evidence_of_a_file_is_that_of_its_table(
        book: Book, table: pa.Table, file: TableFile, tmp_path: Path) -> None:
    keep_model(tmp_path, book, table, table["label"].to_numpy())
    learn_baseline(Encoder.learn(book, table), table).save(tmp_path)
    loans_of = pa.array([f"L{k:05d}" for k in range(table.num_rows)][::-1])
    beside = {"loan_id": loans_of, "sex": table["state"], "age_band": table["state"]}
    rows = table
    for name, values in beside.items():
        rows = rows.append_column(name, values)
    parted = np.resize(["train", "validation", "test"], len(loans_of))
    split = pa.table({"loan_id": loans_of, "split": parted})
    for name, of in (("rows", rows), ("split", split)):
        pq.write_table(of, tmp_path / f"{name}.parquet", row_group_size=2_500)
    whole, stored = (evidence(book, tmp_path, *of, None, [tmp_path]) for of in (
        (rows, split), (TableFile.open(tmp_path / "rows.parquet"), TableFile.open(tmp_path / "split.parquet"))))
    for name, of in (("whole", whole), ("stored", stored)):
        pq.write_table(of, tmp_path / f"{name}.parquet")
    assert (tmp_path / "stored.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_the_baseline_of_a_file_is_that_of_its_table(book: Book, table: pa.Table, file: TableFile) -> None:
    encoder = Encoder.learn(book, table)
    assert learn_baseline(encoder, file).to_json() == learn_baseline(encoder, table).to_json()
