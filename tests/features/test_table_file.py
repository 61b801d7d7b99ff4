"""A table that stays in its file gives what the table in memory gives, piece by piece."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from features.test_features import applications
from small_model import keep_model

from tollgate.books import load_book
from tollgate.errors import BadInput
from tollgate.features import Encoder, Model, TableFile, make_features, table_file

PIECE = 7
TABLE = pa.table({"number": pa.array([None if k % 5 == 0 else k / 3 for k in range(40)], pa.float64()),
                  "level": pa.array([None if k % 7 == 0 else f"level {k % 3}" for k in range(40)]),
                  "place": pa.array(range(40))})


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TableFile:
    """Row groups and pieces that end in different places."""
    monkeypatch.setattr(table_file, "PIECE_ROWS", PIECE)
    pq.write_table(TABLE, tmp_path / "rows.parquet", row_group_size=11)
    return TableFile.open(tmp_path / "rows.parquet")


def test_it_gives_the_columns_and_rows_of_its_table(file: TableFile) -> None:
    assert file.read().equals(TABLE)
    assert (file.num_rows, file.column_names) == (40, TABLE.column_names)
    assert file["level"].equals(TABLE["level"])
    assert file.select(["place", "number"]).read().equals(TABLE.select(["place", "number"]))


def test_rows_that_are_chosen_twice_over_are_those_of_the_table(file: TableFile) -> None:
    first = pa.array(np.arange(40) % 3 != 1)
    second = pa.chunked_array([pa.array(np.arange(27) % 4 == 2)])
    chosen = file.filter(first).filter(second)
    assert chosen.read().equals(TABLE.filter(first).filter(second)) and chosen.num_rows == 7
    assert file.filter(first).num_rows == 27  # what was chosen from stays what it was
    places = pa.array([5, 0, 5, 2])
    assert chosen.take(places).equals(TABLE.filter(first).filter(second).take(places))


def test_no_piece_is_larger_than_a_piece_may_be(file: TableFile) -> None:
    for table in (file, TABLE):
        sizes = [piece.num_rows for piece in table_file.pieces(table)]
        assert sum(sizes) == 40 and max(sizes) == PIECE


def test_what_was_read_of_a_file_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_file, "PIECE_ROWS", 10_000)
    drawn = np.random.default_rng(1).normal(size=(4, 600_000))
    pq.write_table(pa.table(list(drawn), [f"number_{k}" for k in range(4)]), tmp_path / "rows.parquet",
                   row_group_size=20_000)
    before, most, rows = pa.total_allocated_bytes(), 0, 0
    for piece in TableFile.open(tmp_path / "rows.parquet").pieces():
        most, rows = max(most, pa.total_allocated_bytes() - before), rows + piece.num_rows
    assert rows == 600_000 and most < drawn.nbytes / 2


def test_a_file_without_rows_and_a_choice_of_none_are_empty_tables(file: TableFile) -> None:
    none = file.filter(np.zeros(40, dtype=bool))
    assert none.read().equals(TABLE.slice(0, 0)) and none["level"].type == pa.string()
    assert [piece.num_rows for piece in table_file.pieces(TABLE.slice(0, 0))] == [0]


def test_a_model_scores_a_file_bit_for_bit_as_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = load_book("consumer")
    rows = applications(book)
    features = make_features(book, rows)
    keep_model(tmp_path, book, features, rows["label"].to_numpy())
    model, whole = Model.load(tmp_path), Model.load(tmp_path).predict_features(features)
    pq.write_table(features, tmp_path / "rows.parquet")
    monkeypatch.setattr(table_file, "PIECE_ROWS", 400)
    assert model.predict_features(TableFile.open(tmp_path / "rows.parquet")).tobytes() == whole.tobytes()
    assert model.predict_features(features).tobytes() == whole.tobytes()
    assert model.predict_features(features.slice(0, 0)).shape == (0,)


def test_codes_and_gaps_in_batches_are_those_of_the_whole(file: TableFile) -> None:
    encoder = Encoder.from_json([{"name": "number", "kind": "number", "vocabulary": []},
                                 {"name": "level", "kind": "category", "vocabulary": ["level 0", "level 2"]}])
    whole = encoder.encode(TABLE)
    assert np.isnan(whole[0]).all() and {0.0, 1.0, 2.0} <= set(whole[:, 1].tolist())
    batches = list(encoder.batches(file))
    assert len(batches) > 40 / PIECE
    assert np.concatenate(batches).tobytes() == encoder.encode(file).tobytes() == whole.tobytes()


def test_a_file_without_an_input_is_told_of_as_a_table_is(file: TableFile) -> None:
    encoder = Encoder.from_json([{"name": "gone", "kind": "number", "vocabulary": []}])
    with pytest.raises(BadInput, match="no longer makes"):
        encoder.batches(file)
