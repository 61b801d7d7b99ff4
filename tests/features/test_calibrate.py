"""A calibration makes shares of scores, on rows of its own, and never turns two loans round."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from small_model import keep_model

from tollgate.books import Book, load_book
from tollgate.errors import BadInput
from tollgate.features import Calibration, Model, make_features, unweighted

KINDS = ("none", "platt", "isotonic")


def drawn(seed: int, count: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of a book of about 2 %, scores that are too far apart and a third too low, and the truth."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-4.2, 0.8, count)
    return rng.random(count) < expit(odds), expit(-0.4 + 1.5 * (odds + 4.2) - 4.2), expit(odds)


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_what_it_gives_on_new_loans_is_the_share_that_defaults(kind: str) -> None:
    label, score, _ = drawn(1)
    found = Calibration.learn(kind, label, score)
    _, fresh, truth = drawn(2)
    said = found.apply(fresh)
    assert said.mean() == pytest.approx(truth.mean(), rel=0.1)
    top = fresh > np.quantile(fresh, 0.9)
    assert said[top].mean() == pytest.approx(truth[top].mean(), rel=0.15)
    assert not 0.9 < fresh[top].mean() / truth[top].mean() < 1.1


def test_platts_line_is_the_one_that_was_drawn() -> None:
    label, score, _ = drawn(3, 200_000)
    found = Calibration.learn("platt", label, score)
    assert found.slope == pytest.approx(1 / 1.5, abs=0.03)


@given(st.sampled_from(KINDS), st.lists(st.floats(0, 1), min_size=2, max_size=50))
def test_a_larger_score_never_means_less_and_every_answer_is_a_probability(kind: str, scores: list[float]) -> None:
    label, score, _ = drawn(1, 2_000)
    said = Calibration.learn(kind, label, score).apply(np.sort(np.array(scores)))
    assert (np.diff(said) >= 0).all() and (said >= 0).all() and (said <= 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_its_record_gives_the_same_bits_row_by_row(kind: str) -> None:
    label, score, _ = drawn(4, 2_000)
    found = Calibration.learn(kind, label, score)
    again = Calibration.from_json(json.loads(json.dumps(found.to_json())))
    whole = found.apply(score)
    assert again.apply(score).tobytes() == whole.tobytes()
    assert [again.apply(score[k:k + 1])[0] for k in range(100)] == whole[:100].tolist()


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_scores_that_rank_backwards_are_not_turned_round(kind: str) -> None:
    label, score, _ = drawn(5)
    with pytest.raises(BadInput, match="backwards.*slope -.*train.calibration to none"):
        Calibration.learn(kind, label, 1 - score)


@given(st.floats(0.001, 1000), st.lists(st.floats(0, 1), min_size=2, max_size=50))
def test_taking_back_the_weight_of_defaults_turns_no_two_round_and_keeps_certainty(
        weight: float, scores: list[float]) -> None:
    said = unweighted(np.sort(np.array([0.0, *scores, 1.0])), weight)
    assert (np.diff(said) >= 0).all() and (said[0], said[-1]) == (0, 1)


def test_the_weight_of_defaults_is_taken_back_as_so_many_paid_loans() -> None:
    score = np.array([0.5, 0.9, 0.01])
    assert np.allclose(logit(unweighted(score, 10.0)), logit(score) - np.log(10))
    assert unweighted(score, 1.0) is score
    assert np.isnan(unweighted(np.array([np.nan]), 10.0)).all()


def rewritten(folder: Path, **about: object) -> Model:
    """The model of a folder once its spec says this."""
    spec = folder / "model.json"
    spec.write_text(json.dumps(json.loads(spec.read_text()) | about))
    return Model.load(folder)


def kept(folder: Path) -> tuple[pa.Table, Model]:
    """The rows that a small model was fitted on, and the model."""
    from features.test_one_row import ROWS, applications

    book: Book = load_book("consumer")
    features = make_features(book, applications(book, 1, wild=0.0))
    keep_model(folder, book, features, np.random.default_rng(2).random(ROWS) < 0.3)
    return features, Model.load(folder)


def test_a_model_takes_the_weight_back_before_it_is_calibrated_and_explains_as_without(tmp_path: Path) -> None:
    features, plain = kept(tmp_path)
    model = rewritten(tmp_path, default_weight=10.0, calibration={"kind": "platt", "intercept": 0.5, "slope": 2.0})
    assert np.allclose(logit(model.predict_features(features)),
                       0.5 + 2 * (logit(plain.predict_features(features)) - np.log(10)))
    assert np.array_equal(model.contributions(features), 2 * plain.contributions(features))


def test_a_model_scores_and_explains_by_its_calibration(tmp_path: Path) -> None:
    features, plain = kept(tmp_path)
    model = rewritten(tmp_path, calibration={"kind": "platt", "intercept": 0.5, "slope": 2.0})
    assert np.allclose(logit(model.predict_features(features)), 0.5 + 2 * logit(plain.predict_features(features)))
    rest = logit(model.predict_features(features)) - model.contributions(features).sum(axis=1)
    assert np.ptp(rest) < 1e-4
    with pytest.raises(BadInput, match="there is no calibration beta"):
        rewritten(tmp_path, calibration={"kind": "beta"})
