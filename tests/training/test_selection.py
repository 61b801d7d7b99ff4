"""What most halves of the training rows choose is kept, and what tells nothing is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from training.conftest import changed

from tollgate.books import Book, number
from tollgate.config import Params
from tollgate.errors import BadInput
from tollgate.estimators import ESTIMATORS
from tollgate.training import select, selected
from tollgate.training.selection import _groups, _halved


@pytest.fixture
def book(book: Book) -> Book:
    """A book of two features that tell of the risk, one of them little, and of two that are noise."""
    return replace(book, features=tuple(number(name) for name in ("strong", "weak", "noise", "grains")))


def loans(count: int = 3_000, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns = {name: rng.normal(size=count) for name in ("strong", "weak", "noise")}
    columns["grains"] = np.rint(rng.exponential(3, count))
    odds = -1.5 + 1.2 * columns["strong"] + 0.5 * columns["weak"]
    return pa.table({**columns, "label": (rng.random(count) < 1 / (1 + np.exp(-odds))).astype(np.int8)})


def by_stability(params: Params, kind: str = "xgboost", **train: object) -> Params:
    return changed(params, train={"estimator": kind, "selection": "stability", **train})


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_features_that_tell_are_kept_and_noise_is_dropped(book: Book, params: Params, kind: str) -> None:
    found = select(book, loans(), None, by_stability(params, kind))
    assert {of["name"]: of["kept"] for of in found["features"]} == {
        "strong": True, "weak": True, "noise": False, "grains": False}
    assert [f.name for f in selected(book, found).features] == ["strong", "weak"]
    assert all(of["kept"] == (of["share"] >= 0.6) for of in found["features"])


def test_the_same_seed_chooses_the_same_and_another_halves_otherwise(book: Book, params: Params) -> None:
    rows = loans(1_200)
    once, again, other = (select(book, rows, None, by_stability(params).model_copy(update={"seed": seed}))
                          for seed in (1, 1, 2))
    assert once == again
    assert [of["share"] for of in once["features"]] != [of["share"] for of in other["features"]]


def test_without_a_selection_every_feature_stays(book: Book, params: Params) -> None:
    assert select(book, loans(), None, params) == {}
    assert selected(book, {}) is book


def test_where_nothing_tells_of_the_risk_no_model_is_made(book: Book, params: Params) -> None:
    rows = loans()
    shuffled = np.random.default_rng(5).permutation(rows["label"].to_numpy())
    noise = rows.set_column(rows.column_names.index("label"), "label", pa.array(shuffled))
    with pytest.raises(BadInput, match="No feature is chosen in 60% of the halves.*Lower train.selection_share"):
        select(book, noise, None, by_stability(params))


def test_a_half_without_a_default_is_refused(book: Book, params: Params) -> None:
    rows = loans(200)
    rare = rows.set_column(rows.column_names.index("label"), "label", pa.array(np.arange(200) == 7).cast(pa.int8()))
    with pytest.raises(BadInput, match="half of the training rows must hold paid and defaulted loans"):
        select(book, rare, None, by_stability(params))


def test_nobody_stands_in_both_halves_and_somebody_unknown_is_nobody_else() -> None:
    who = pa.array([None if k % 5 == 0 else f"P{k % 20}" for k in range(200)])
    first, second = _halved(_groups(who, 200), np.random.default_rng(1))
    assert (first ^ second).all() and 60 < first.sum() < 140
    names = np.array(who.to_pylist(), dtype=object)
    known = np.array([name is not None for name in names])
    assert not set(names[first & known]) & set(names[second & known])
    assert first[~known].any() and second[~known].any()
