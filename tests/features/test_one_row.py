"""A row scores, and is explained, the same alone, in any batch and in any order: for every book, whatever its cells."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from small_model import keep_model

from tollgate.books import Book, Column, load_book
from tollgate.config import known_books
from tollgate.estimators import ESTIMATORS
from tollgate.features import Encoder, Model, make_features
from tollgate.scoring.shards import judge

ROWS, REASONS = 200, 4
EXTREMES = {"integer": [0, -(2**62), 2**62, None],
            "number": [0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 5e-324, None]}
STRANGE = ["", "never seen", "\x00", "ÄÖ\u4e2d", None]


def cells(column: Column, rng: np.random.Generator, *, wild: float) -> list[object]:
    """Values of a column within its bounds, of which a share is missing, unseen or extreme."""
    if column.kind == "date":
        return [column.ge] * ROWS
    if column.kind == "text":
        usual, odd = list(column.isin or ("11", "22", "44", "0", "1")), STRANGE
    else:
        low, high = float(column.ge or 0), float(column.le or 1_000_000)
        drawn = low + (high - low) * rng.random(50) ** 3
        usual = [int(x) for x in drawn] if column.kind == "integer" else drawn.tolist()
        odd = EXTREMES["integer" if column.kind == "integer" else "number"]
    pools = [odd if strange else usual for strange in rng.random(ROWS) < wild]
    return [pool[int(rng.integers(len(pool)))] for pool in pools]


def applications(book: Book, seed: int, *, wild: float) -> pa.Table:
    """Rows as the lake's schema allows them."""
    rng = np.random.default_rng(seed)
    columns = {column.name: cells(column, rng, wild=wild) for column in book.applications if not column.personal}
    columns["loan_id"] = [f"L{k}" for k in range(ROWS)]
    schema = book.table("applications").schema()
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in schema})


def past(book: Book) -> dict[str, pa.Table]:
    """Histories of the year before all loans."""
    rng = np.random.default_rng(7)
    histories = {}
    for table in book.histories:
        columns = {column.name: cells(column, rng, wild=0.3 if column.nullable else 0.0) for column in table.columns
                   if not column.personal}
        columns |= {column.name: [date(2001, 12, 31) + timedelta(int(days)) for days in rng.integers(1, 365, ROWS)]
                    for column in table.columns if column.kind == "date"}
        columns |= {name: [f"K{k}" for k in range(ROWS)] for name in table.key if isinstance(columns[name][0], str)}
        columns[str(table.entity)] = rng.choice(["11", "22", "44", "0", "1"], ROWS).tolist()
        schema = table.schema()
        histories[table.name] = pa.table(
            {field.name: pa.array(columns[field.name], field.type) for field in schema}
            | {"known_on": pa.array(columns[table.told[0]], pa.date32()), "version": pa.array([1] * ROWS)})
    return histories


def made(book: Book, rows: pa.Table) -> pa.Table:
    """The features of these rows and their histories."""
    return make_features(book, rows, past(book))


@pytest.fixture(scope="module", params=known_books())
def book(request: pytest.FixtureRequest) -> Book:
    return load_book(request.param)


@pytest.fixture(scope="module", params=ESTIMATORS)
def trained(request: pytest.FixtureRequest, book: Book,
            tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, pa.Table]:
    """A model's folder, and the scores that it gave before it was saved to the rows beside them."""
    rows = applications(book, 1, wild=0.05)
    features, label = made(book, rows), np.random.default_rng(2).random(ROWS) < 0.3
    encoder = Encoder.learn(book, features)
    finite = ~np.isinf(encoder.encode(features)).any(axis=1)
    kept = features.filter(pa.array(finite))
    folder = tmp_path_factory.mktemp(book.name)
    fitted = keep_model(folder, book, kept, label[finite], kind=request.param)
    return folder, fitted.predict(Model.load(folder).encoder.encode(kept)), kept


@pytest.fixture(scope="module")
def model(trained: tuple[Path, np.ndarray, pa.Table]) -> Model:
    return Model.load(trained[0])


def judged(book: Book, model: Model, rows: pa.Table) -> pa.Table:
    """What scoring keeps of these rows: score, decision, reasons."""
    return judge(model, rows, made(book, rows), reasons=REASONS)


def test_every_row_alone_in_batches_and_in_any_order_scores_and_reads_bit_for_bit_as_in_the_whole(
        book: Book, model: Model) -> None:
    rows = applications(book, 3, wild=0.3)
    whole = judged(book, model, rows)
    assert len(set(whole["score"].to_pylist())) > 50 and set(whole["decision"].to_pylist()) >= {"approve", "decline"}
    for size, until in ((1, 30), (7, 100), (64, ROWS)):
        parts = [judged(book, model, rows.slice(start, size)) for start in range(0, until, size)]
        assert pa.concat_tables(parts).slice(0, until).equals(whole.slice(0, until))
    order = np.random.default_rng(4).permutation(ROWS)
    assert judged(book, model, rows.take(order)).equals(whole.take(order))


def test_contributions_are_those_of_the_row_alone_bit_for_bit(book: Book, model: Model) -> None:
    features = made(book, applications(book, 5, wild=0.05)).slice(0, 40)
    features = features.filter(pa.array(~np.isinf(model.encoder.encode(features)).any(axis=1)))
    alone = [model.contributions(features.slice(k, 1)) for k in range(features.num_rows)]
    assert np.concatenate(alone).tobytes() == model.contributions(features).tobytes()


def test_a_saved_model_scores_bit_for_bit_as_what_was_trained(
        model: Model, trained: tuple[Path, np.ndarray, pa.Table]) -> None:
    _, before, rows = trained
    assert model.predict_features(rows).tobytes() == before.tobytes()


def test_scoring_learns_nothing_a_level_common_tonight_is_still_unseen(book: Book, model: Model) -> None:
    rows = applications(book, 6, wild=0.0)
    place = next(k for k, known in enumerate(model.encoder.inputs) if known.kind == "category")
    name = next(f for f in book.features if f.name == model.encoder.names[place]).uses[0]
    new = rows.set_column(rows.column_names.index(name), name, pa.array(["99"] * ROWS))
    codes = model.encoder.encode(made(book, new))[:, place]
    assert set(codes.tolist()) == {len(model.encoder.inputs[place].vocabulary)}
