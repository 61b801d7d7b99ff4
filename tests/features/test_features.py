"""The one transformation library: the same for a row, a batch and any order; nothing unseen passes for a neighbour."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import keep_model

from tollgate.books import Book, Feature, category, load_book, number, ratio
from tollgate.books.shipped import consumer
from tollgate.errors import BadInput
from tollgate.features import Encoder, Model, check_sizes, digest_of, make_features
from tollgate.features.encode import LEVEL_ROWS_MIN

ROWS = 1_500


def applications(book: Book, seed: int = 2) -> pa.Table:
    """What the lake would hold of simulated loans, with gaps, and ``label``."""
    sent = consumer.simulate(seed=seed, rows_a_month=ROWS, first_month="2003-01", last_month="2003-01")
    label = sent["default_date"].is_valid().to_numpy().astype(np.int8)
    return pa.table({c.name: sent[c.source] for c in book.applications if not c.personal}).append_column(
        "label", pa.array(label))


@pytest.fixture(scope="module")
def book() -> Book:
    return load_book("consumer")


@pytest.fixture(scope="module")
def rows(book: Book) -> pa.Table:
    return applications(book)


@pytest.fixture(scope="module")
def folder(book: Book, rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small fitted model on disk."""
    made = tmp_path_factory.mktemp("model")
    keep_model(made, book, make_features(book, rows), rows["label"].to_numpy(), threshold=0.2)
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return Model.load(folder)


def only(book: Book, *features: object) -> Book:
    return replace(book, features=features)


def test_a_level_that_is_rare_or_was_never_seen_gets_a_code_of_its_own(book: Book) -> None:
    levels = only(book, category("state"))
    learned = Encoder.learn(levels, pa.table({"state": ["NY"] * LEVEL_ROWS_MIN + ["CA"] * LEVEL_ROWS_MIN
                                              + ["TX"] * (LEVEL_ROWS_MIN - 1)}))
    codes = learned.encode(pa.table({"state": pa.array(["CA", "NY", "TX", "ZZ", "", None])}))[:, 0]
    assert codes[:5].tolist() == [0, 1, 2, 2, 2]
    assert np.isnan(codes[5])


def test_the_vocabulary_does_not_depend_on_the_order_of_the_rows(book: Book, rows: pa.Table) -> None:
    features = make_features(book, rows)
    assert Encoder.learn(book, features.take(list(reversed(range(ROWS))))) == Encoder.learn(book, features)


def test_missing_stays_missing_and_infinite_becomes_missing(book: Book) -> None:
    shares = only(book, ratio("share", "loan_amount", "annual_income"))
    made = make_features(shares, pa.table({"loan_amount": pa.array([10.0, None, 10.0, float("inf"), 0.0]),
                                           "annual_income": pa.array([5.0, 5.0, 0.0, 5.0, 0.0])}))
    assert made["share"].to_pylist() == [2.0, None, None, None, None]
    assert np.isnan(Encoder.learn(shares, made).encode(made)[1:, 0]).all()


def test_a_category_that_a_function_of_pandas_does_not_know_is_missing_in_one_row_and_in_many(book: Book) -> None:
    known = Feature("use", "category", ("purpose",),
                    lambda purpose: pd.Series(purpose).map({"car": "thing"}).to_numpy())
    applied = pa.table({"purpose": ["car", "boat", None]})
    made = make_features(only(book, known), applied)["use"]
    assert made.to_pylist() == ["thing", None, None]
    alone = [make_features(only(book, known), applied.slice(k, 1))["use"][0].as_py() for k in range(3)]
    assert alone == made.to_pylist()


def test_a_loan_with_a_number_that_no_model_can_learn_from_is_named(book: Book) -> None:
    amounts = only(book, number("loan_amount"))
    loans = pa.chunked_array([["a", "b", "c"]])
    check_sizes(loans, make_features(amounts, pa.table({"loan_amount": [10.0, None, -3e38]})))
    with pytest.raises(BadInput, match=r"loan_amount of a loan is too large .*\(got: 1e\+300, loan b\)"):
        check_sizes(loans, make_features(amounts, pa.table({"loan_amount": [None, 1e300, 3.0]})))


def test_an_encoder_survives_its_json(book: Book, rows: pa.Table) -> None:
    learned = Encoder.learn(book, make_features(book, rows))
    assert Encoder.from_json(json.loads(json.dumps(learned.to_json()))) == learned


@settings(max_examples=25)
@given(chosen=st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=40))
def test_any_rows_in_any_order_score_bit_for_bit_as_in_the_whole_batch(model: Model, rows: pa.Table,
                                                                      chosen: list[int]) -> None:
    whole = model.predict(rows)
    assert model.predict(rows.take(chosen)).tobytes() == whole[chosen].tobytes()


def test_a_single_row_scores_bit_for_bit_as_in_the_batch(model: Model, rows: pa.Table) -> None:
    whole = model.predict(rows)
    alone = np.concatenate([model.predict(rows.slice(k, 1)) for k in range(0, ROWS, 17)])
    assert alone.tobytes() == whole[::17].tobytes()


def test_raw_features_score_as_the_applications_they_were_made_of(model: Model, book: Book, rows: pa.Table) -> None:
    assert model.predict_features(make_features(book, rows)).tobytes() == model.predict(rows).tobytes()


def test_a_column_that_is_no_feature_does_not_move_a_score(model: Model, rows: pa.Table) -> None:
    turned = rows.set_column(rows.column_names.index("sex"), "sex", pc.if_else(
        pc.equal(rows["sex"], "male"), "female", "male"))
    assert model.predict(turned).tobytes() == model.predict(rows).tobytes()


def test_contributions_add_up_to_the_log_odds(model: Model, book: Book, rows: pa.Table) -> None:
    features = make_features(book, rows.slice(0, 100))
    given = model.contributions(features)
    score = model.predict_features(features)
    rest = np.log(score / (1 - score)) - given.sum(axis=1)
    assert given.shape == (100, len(book.features))
    assert np.ptp(rest) < 1e-4  # the base, the same for every row


def test_no_rows_have_no_scores(model: Model, rows: pa.Table) -> None:
    assert model.predict(rows.slice(0, 0)).shape == (0,)
    assert model.contributions(make_features(load_book("consumer"), rows.slice(0, 0))).shape == (0, 10)


def test_a_models_digest_is_of_its_files_names_and_bytes_alone(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    assert digest_of(copy) == digest_of(folder)
    (copy / "model.json").rename(copy / "about.json")
    renamed = digest_of(copy)
    (copy / "about.json").write_text("{}")
    assert len({digest_of(folder), renamed, digest_of(copy)}) == 3


@pytest.mark.parametrize("broken", ["model.ubj", "model.json"])
def test_a_model_that_is_damaged_or_not_whole_is_refused(folder: Path, tmp_path: Path, broken: str) -> None:
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / broken).write_bytes(b"not a model")
    with pytest.raises(BadInput, match="cannot be read.*Fetch it from the registry again"):
        Model.load(copy)
    (copy / broken).unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        Model.load(copy)


def test_a_model_in_service_scores_on_after_its_book_retired_a_feature(book: Book, rows: pa.Table,
                                                                              model: Model) -> None:
    gone, *kept = book.features
    after = replace(book, features=tuple(kept), retired=(gone,))
    features = make_features(after, rows)
    assert np.array_equal(model.predict_features(features), model.predict(rows))
    assert gone.name not in Encoder.learn(after, features).names


def test_a_model_says_which_feature_its_book_no_longer_makes(book: Book, rows: pa.Table, model: Model) -> None:
    gone, *kept = book.features
    with pytest.raises(BadInput, match=f"no longer makes.*{gone.name}.*Keep them among the book's `retired` features"):
        model.predict_features(make_features(replace(book, features=tuple(kept)), rows))
