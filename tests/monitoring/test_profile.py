from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from small_model import keep_model

from tollgate.books import load_book
from tollgate.books.shipped.consumer import simulate
from tollgate.features import Encoder, make_features
from tollgate.stats.distributions import frozen, psi, psi_null, shares
from tollgate.training import freeze, reference_sample

BOOK = load_book("consumer")


def _features(rows_a_month: int = 200) -> tuple[pa.Table, np.ndarray]:
    world = simulate(seed=3, rows_a_month=rows_a_month, first_month="2006-01", last_month="2006-12")
    return make_features(BOOK, world), world["true_probability"].to_numpy()


def test_a_profile_survives_json_and_gives_its_own_shares_back() -> None:
    features, scores = _features()
    profile = json.loads(json.dumps(freeze(features, scores, BOOK)))
    assert profile["score"]["rows"] == profile["features"]["credit_score"]["rows"] == features.num_rows
    assert list(profile["features"]) == [f.name for f in BOOK.features]
    for name, entry in profile["features"].items():
        assert shares(entry, features[name]).tolist() == entry["shares"]
    assert shares(profile["score"], scores).tolist() == profile["score"]["shares"]


def test_every_quantile_bin_of_the_reference_holds_about_a_tenth() -> None:
    features, scores = _features(1_000)
    profile = freeze(features, scores, BOOK)
    assert len(profile["score"]["edges"]) == 9
    np.testing.assert_allclose(profile["score"]["shares"][:-1], 0.1, atol=0.001)


def test_a_rare_one_among_zeros_has_a_bin_of_its_own() -> None:
    features, scores = _features()
    values = np.zeros(features.num_rows)
    values[:24] = 1.0
    features = features.set_column(0, "credit_score", pa.array(values))
    assert freeze(features, scores, BOOK)["features"]["credit_score"]["shares"] == [0.99, 0.01, 0.0]


def test_missing_and_unseen_have_places_of_their_own() -> None:
    category = {"kind": "category", "levels": ["CA", "NY"]}
    assert shares(category, pa.chunked_array([["NY", None], ["ZZ", "CA"]])).tolist() == [0.25, 0.25, 0.25, 0.25]
    assert shares(category, np.array(["NY", None, "ZZ", "NY"], dtype=object)).tolist() == [0, 0.5, 0.25, 0.25]
    number = {"kind": "number", "edges": [1.0, 2.0]}
    assert shares(number, np.array([0.0, 1.0, 5.0, np.nan])).tolist() == [0.25, 0.25, 0.25, 0.25]
    assert shares(number, pa.chunked_array([], pa.float64())).tolist() == [0, 0, 0, 0]


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1, max_size=60))
def test_no_bin_of_a_number_is_empty_in_its_own_reference(values: list[float | None]) -> None:
    found = frozen("number", pa.chunked_array([pa.array(values, pa.float64())]))["shares"]
    assert abs(sum(found) - 1) < 1e-9
    assert all(share > 0 for share in found[:-1]) or all(v is None for v in values)


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
            actual = shares(entry, score[start:start + 600])
            bins = int(np.sum((np.array(entry["shares"]) > 0) | (actual > 0)))
            moved = psi(np.array(entry["shares"]), actual, entry["rows"], 600)
            found += moved > psi_null(bins, entry["rows"], 600, 0.99)
        return found

    fresh = np.where(np.arange(6_000) < 3_000, np.nan, score[:6_000])
    assert windows_beyond_luck(fresh) <= 1
    assert windows_beyond_luck(np.where(np.isnan(fresh), score[:6_000], np.nan)) > 2
    assert reference_sample(features.slice(0, 6_000), fresh, 1)["score"].null_count == 3_000
