from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_model import keep_model

from tollgate.books import load_book
from tollgate.books.shipped.consumer import simulate
from tollgate.errors import BadInput
from tollgate.features import Encoder, make_features
from tollgate.monitoring.reference import read_profile
from tollgate.stats.distributions import LAYOUT, counts, frozen, psi_and_null
from tollgate.training import freeze, reference_sample

BOOK = load_book("consumer")


def _features(rows_a_month: int = 200) -> tuple[pa.Table, np.ndarray]:
    world = simulate(seed=3, rows_a_month=rows_a_month, first_month="2006-01", last_month="2006-12")
    return make_features(BOOK, world), world["true_probability"].to_numpy()


def test_a_profile_survives_json_and_gives_its_own_counts_back() -> None:
    features, scores = _features()
    profile = json.loads(json.dumps(freeze(features, scores, BOOK)))
    assert list(profile["features"]) == [f.name for f in BOOK.features]
    for name, entry in profile["features"].items():
        found = counts(entry, features[name])
        assert (found.bins.tolist(), found.missing, found.unseen) == (entry["counts"], entry["missing"], 0)
        assert found.known + found.missing == features.num_rows
    assert counts(profile["score"], scores).bins.tolist() == profile["score"]["counts"]


def test_every_quantile_bin_of_the_reference_holds_about_a_tenth() -> None:
    features, scores = _features(1_000)
    profile = freeze(features, scores, BOOK)
    assert len(profile["score"]["edges"]) == 9
    np.testing.assert_allclose(np.array(profile["score"]["counts"]) / len(scores), 0.1, atol=0.001)


def test_a_rare_one_among_zeros_has_a_bin_of_its_own() -> None:
    features, scores = _features()
    values = np.zeros(features.num_rows)
    values[:24] = 1.0
    features = features.set_column(0, "credit_score", pa.array(values))
    assert freeze(features, scores, BOOK)["features"]["credit_score"]["counts"] == [2_376, 24]


@given(st.lists(st.one_of(st.sampled_from([0.0, 1.0, 2.0]), st.floats(allow_nan=False, allow_infinity=False)),
                min_size=1, max_size=80))
def test_a_value_that_fills_more_than_a_quantile_is_a_bin_of_its_own(values: list[float]) -> None:
    """S1."""
    numbers = np.array(values)
    entry = frozen("number", numbers)
    for value in np.unique(numbers):
        here = numbers == value
        if np.mean(here) > 0.1 or len(np.unique(numbers)) <= 10:
            (where,) = np.flatnonzero(counts(entry, numbers[here]).bins)
            assert entry["counts"][where] == np.sum(here)


def test_missing_and_unseen_are_in_no_bin_and_a_number_beyond_its_range_is_in_the_last_one_too() -> None:
    category = {"kind": "category", "levels": ["CA", "NY"]}
    told = ["NY", None, "ZZ", "NY", "CA"]
    for values in (pa.chunked_array([told[:2], told[2:]]), np.array(told, object)):
        found = counts(category, values)
        assert (found.bins.tolist(), found.unseen, found.missing, found.known) == ([1, 2], 1, 1, 3)
    number = {"kind": "number", "edges": [1.0, 2.0], "least": 0.0, "largest": 4.0}
    found = counts(number, np.array([0.0, 1.0, 5.0, np.nan]))
    assert (found.bins.tolist(), found.unseen, found.missing) == ([1, 1, 1], 1, 1)
    empty = counts(number, pa.chunked_array([], pa.float64()))
    assert (empty.bins.tolist(), empty.unseen, empty.missing) == ([0, 0, 0], 0, 0)


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1, max_size=60))
def test_no_bin_of_a_number_is_empty_in_its_own_reference(values: list[float | None]) -> None:
    entry = frozen("number", pa.chunked_array([pa.array(values, pa.float64())]))
    assert sum(entry["counts"]) + entry["missing"] == len(values)
    assert all(entry["counts"]) or all(v is None for v in values)


def _model(folder: Path, profile: dict) -> tuple[pa.Table, np.ndarray]:
    features, scores = _features()
    (folder / "profile.json").write_text(json.dumps(profile))
    pq.write_table(reference_sample(features, np.where(np.arange(len(scores)) < 9, np.nan, scores), 1),
                   folder / "reference.parquet")
    return features, scores[9:]


def test_a_profile_of_an_older_tollgate_is_made_anew_of_the_reference_rows(tmp_path: Path) -> None:
    old = {"kind": "number", "edges": [], "shares": [1.0, 0.0], "rows": 2_400}
    features, scores = _model(tmp_path, {"features": {"credit_score": old, "purpose": old}, "score": old})
    profile = read_profile(tmp_path)
    assert profile == {"layout": LAYOUT, "score": frozen("number", scores), "features": {
        "credit_score": frozen("number", features["credit_score"]), "purpose": frozen("category", features["purpose"])}}


def test_a_profile_of_a_newer_tollgate_is_refused_with_what_to_do(tmp_path: Path) -> None:
    _model(tmp_path, {"layout": LAYOUT + 1, "features": {}, "score": {}})
    with pytest.raises(BadInput, match=f"newer Tollgate.*layouts up to {LAYOUT}"):
        read_profile(tmp_path)


def test_the_reference_sample_is_seeded_bounded_and_in_order() -> None:
    features, scores = _features(2_000)
    sample = reference_sample(features, scores, 7)
    assert sample.num_rows == 20_000
    assert sample.equals(reference_sample(features, scores, 7))
    assert not sample.equals(reference_sample(features, scores, 8))
    places = {value: i for i, value in enumerate(scores.tolist())}
    at = [places[value] for value in sample["score"].to_pylist()]
    assert at == sorted(at)


def test_without_drift_new_scores_look_like_the_reference_because_it_holds_none_that_were_fitted_on(
        tmp_path: Path) -> None:
    world = simulate(seed=4, rows_a_month=1_000, first_month="2006-01", last_month="2006-12")
    features = make_features(BOOK, world)
    label = world["default_date"].is_valid().to_numpy()
    fitted = keep_model(tmp_path, BOOK, features.slice(0, 3_000), label[:3_000], rounds=150)
    score = fitted.predict(Encoder.learn(BOOK, features.slice(0, 3_000)).encode(features))

    def windows_beyond_luck(known: np.ndarray) -> int:
        entry, found = freeze(features.slice(0, 6_000), known, BOOK)["score"], 0
        for start in range(6_000, 12_000, 600):
            now = counts(entry, score[start:start + 600]).bins
            moved = psi_and_null(np.array(entry["counts"]), now, 0.99)
            assert moved is not None
            found += moved[0] > moved[1]
        return found

    fresh = np.where(np.arange(6_000) < 3_000, np.nan, score[:6_000])
    assert windows_beyond_luck(fresh) <= 1
    assert windows_beyond_luck(np.where(np.isnan(fresh), score[:6_000], np.nan)) > 2
    assert reference_sample(features.slice(0, 6_000), fresh, 1)["score"].null_count == 3_000
