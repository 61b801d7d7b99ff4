"""The scorecard is a baseline worth beating: near the truth, the same wherever read, never without an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score
from training.conftest import changed

from tollgate import stages
from tollgate.books import Book
from tollgate.books.shipped import consumer
from tollgate.config import Params
from tollgate.errors import BadInput
from tollgate.features import Encoder, Model, make_features
from tollgate.registry.rivalry import no_rivals
from tollgate.training import learn_baseline

ROWS = 6_000


SENT = {"seed": 8, "rows_a_month": 1_000, "first_month": "2003-01", "last_month": "2003-06"}


def applied(book: Book) -> pa.Table:
    """The applications behind ``simulated``."""
    sent = consumer.simulate(**SENT)
    return pa.table({c.name: sent[c.source] for c in book.applications if not c.personal})


def simulated(book: Book) -> tuple[pa.Table, np.ndarray]:
    """Raw features with their label, and the true probability of default."""
    sent, rows = consumer.simulate(**SENT), make_features(book, applied(book))
    label = sent["default_date"].is_valid().to_numpy().astype(np.int8)
    return rows.append_column("label", pa.array(label)), sent["true_probability"].to_numpy()


def learned(book: Book, rows: pa.Table, folder: Path | None = None) -> Callable[[pa.Table], np.ndarray]:
    """What the scorecard of these rows predicts of others; read from its file where a folder is given."""
    encoder = Encoder.learn(book, rows)
    card = learn_baseline(encoder, rows)
    if folder is None:
        return lambda asked: card.predict(encoder.encode(asked))
    card.save(folder)
    (folder / "model.json").write_text(json.dumps({"book": book.name, "features": encoder.to_json(), "threshold": 0.5}))
    return Model.load_baseline(folder).predict_features


def one_input(book: Book, name: str) -> Book:
    return replace(book, features=tuple(f for f in book.features if f.name == name))


def test_on_rows_it_never_saw_it_ranks_almost_as_well_as_the_truth(book: Book) -> None:
    rows, truth = simulated(book)
    card = learned(book, rows.slice(0, ROWS // 2))
    unseen = rows.slice(ROWS // 2)
    label = unseen["label"].to_numpy()
    reached = roc_auc_score(label, card(unseen))
    assert roc_auc_score(label, truth[ROWS // 2:]) - reached < 0.03
    assert abs(card(unseen).mean() - label.mean()) < 0.02


def test_its_file_predicts_what_it_did_bit_for_bit_row_by_row_and_in_any_order(book: Book, tmp_path: Path) -> None:
    rows, _ = simulated(book)
    card = learned(book, rows)
    whole, again = card(rows), learned(book, rows, tmp_path)
    assert np.array_equal(again(rows), whole)
    assert [again(rows.slice(k, 1))[0] for k in range(50)] == whole[:50].tolist()
    assert np.array_equal(again(rows.take(np.arange(ROWS)[::-1])), whole[::-1])


def test_missing_is_a_bin_of_its_own(book: Book) -> None:
    few = one_input(book, "employment_years")
    years = np.tile([1.0, 5.0, 9.0, np.nan], 200)
    label = np.where(np.isnan(years), np.arange(800) % 8 < 4, np.arange(800) % 16 == 0).astype(np.int8)
    card = learned(few, pa.table({"employment_years": pa.array(years, from_pandas=True), "label": label}))
    known, unknown = card(pa.table({"employment_years": pa.array([5.0, None])}))
    assert unknown > 4 * known


def test_a_category_never_seen_scores_as_the_rare_ones_do(book: Book) -> None:
    few = one_input(book, "purpose")
    purpose = ["car"] * 400 + ["boat"] * 40
    rows = pa.table({"purpose": purpose, "label": [k % 20 == 0 for k in range(400)] + [k % 2 == 0 for k in range(40)]})
    card = learned(few, rows.set_column(1, "label", rows["label"].cast(pa.int8())))
    car, boat, yacht, missing = card(pa.table({"purpose": ["car", "boat", "yacht", None]}))
    assert yacht == boat > 4 * car
    assert 0 < missing < 1


@pytest.mark.parametrize("values", [[7.0] * 100, [None] * 100], ids=["constant", "all missing"])
def test_a_feature_that_says_nothing_leaves_the_base_rate(book: Book, values: list[float | None]) -> None:
    few = one_input(book, "employment_years")
    label = pa.array(np.arange(100) % 5 == 0).cast(pa.int8())
    card = learned(few, pa.table({"employment_years": pa.array(values, pa.float64()), "label": label}))
    asked = pa.table({"employment_years": pa.array([values[0]], pa.float64())})
    assert card(asked) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("text", [None, "{"], ids=["missing", "torn"])
def test_a_model_without_a_readable_scorecard_is_bad_input(tmp_path: Path, text: str | None) -> None:
    (tmp_path / "model.json").write_text('{"book": "consumer", "features": [], "threshold": 0.5}')
    if text is not None:
        (tmp_path / "scorecard.json").write_text(text)
    with pytest.raises(BadInput, match="scorecard beside the model in .* cannot be read.*run the train stage again"):
        Model.load_baseline(tmp_path)


def test_the_evidence_holds_what_the_scorecard_of_the_training_rows_says(book: Book, params: Params,
                                                                         tmp_path: Path) -> None:
    rows, _ = simulated(book)
    loans = pa.array([f"C{k:05d}" for k in range(ROWS)])
    part = pa.array(np.repeat(["train", "validation", "test"], ROWS // 3))
    pq.write_table(rows.append_column("loan_id", loans).append_column("applied_on", loans)
                   .append_column("sex", part).append_column("age_band", part), tmp_path / "features.parquet")
    pq.write_table(pa.table({"loan_id": loans, "split": part}), tmp_path / "split.parquet")
    pq.write_table(applied(book), tmp_path / "snapshot.parquet")
    pq.write_table(book.table("applications").schema().empty_table(), tmp_path / "declined.parquet")
    for name, record in (("sweep", {"best": {"params": {"max_depth": 2}}}), ("snapshot", {"digest": "d"}),
                         ("selection", {}),
                         ("champion", no_rivals(book.name))):
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    small = changed(params, sweep={"rounds_max": 5})
    stages.train(tmp_path, small)
    stages.evaluate(tmp_path, small)
    evidence = pq.read_table(tmp_path / "evidence.parquet").sort_by("loan_id")
    # Neither trained on nor chosen by: the test rows alone tell what the scores of later loans look like.
    assert sum(json.loads((tmp_path / "model" / "profile.json").read_text())["score"]["counts"]) == ROWS // 3
    expected = learned(book, rows.slice(0, ROWS // 3))(rows.slice(ROWS // 3))
    assert np.array_equal(evidence["baseline"].to_numpy(), expected)
