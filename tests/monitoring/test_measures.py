"""Every number of a window equals that of the library which is known for it, and says what it should."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from evidently.legacy.calculations.stattests import psi_stat_test
from evidently.legacy.core import ColumnType
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from tollgate.config import PROJECT, load_params
from tollgate.monitoring.measures import Comparison, level_of, worst
from tollgate.stats.distributions import LAYOUT, counts, frozen

PARAMS = load_params(PROJECT / "params.yaml", book="consumer").monitoring
Measured = dict[str, dict[str, Any]]


def compare(kind: str, before: object, now: object, *, pieces: int = 1, score: object = None,
            confidence: float = PARAMS.confidence) -> tuple[Measured, Measured]:
    """The rows by metric of one feature, and of the score, which is the feature itself where it is a number."""
    type_ = pa.float64() if kind == "number" else pa.string()
    past, new = (pa.chunked_array([pa.array(side, type_, from_pandas=True)]) for side in (before, now))
    scores = np.asarray(now if score is None else score, dtype=float)
    sample = np.linspace(0, 1, len(past)) if kind == "category" or score is not None else np.asarray(before, float)
    profile = {"layout": LAYOUT, "features": {"x": frozen(kind, past)}, "score": frozen("number", sample)}
    profile = json.loads(json.dumps(profile))
    tests = Comparison(profile, pa.table({"x": past, "score": pa.array(sample, from_pandas=True)}))
    for part in np.array_split(np.arange(len(new)), pieces):
        tests.add(pa.table({"x": new.take(pa.array(part, pa.int64()))}), scores[part])
        tests.follow(scores[part])
    rows = tests.measures(PARAMS.model_copy(update={"confidence": confidence}))
    found = [{row["metric"]: row for row in rows if row["subject"] == name} for name in ("x", "score")]
    assert sum(map(len, found)) == len(rows), "one row a subject and metric"
    return found[0], found[1]


def fresh(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


WORLDS = {
    "continuous": (fresh(1).normal(size=3_000), fresh(2).normal(0.1, 1, 2_000)),
    "whole numbers": (fresh(3).poisson(20, 3_000).astype(float), fresh(4).poisson(21, 2_000).astype(float)),
    "half zeros": (fresh(5).lognormal(9, 2, 3_000) * fresh(6).integers(0, 2, 3_000),
                   fresh(7).lognormal(9.2, 2, 2_000) * fresh(8).integers(0, 2, 2_000)),
    "beyond the reference": (fresh(9).uniform(-1, 1, 500), fresh(10).uniform(4, 5, 700)),
    "two values": (fresh(11).integers(0, 2, 500) * 1.0, fresh(12).integers(0, 2, 50) * 1.0),
}


@pytest.mark.parametrize("world", WORLDS)
def test_ks_is_that_of_scipy(world: str) -> None:
    before, now = WORLDS[world]
    found, expected = compare("number", before, now, pieces=3)[0]["ks"], stats.ks_2samp(before, now, method="asymp")
    assert found["value"] == pytest.approx(expected.statistic, abs=1e-14)
    assert found["p_value"] == pytest.approx(expected.pvalue, rel=1e-12, abs=1e-300)
    assert (found["n"], found["reference_n"]) == (len(now), len(before))


NUMBERS = st.lists(st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, 5e-324]),
                             st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=40)


@settings(max_examples=200)
@given(NUMBERS, NUMBERS)
def test_ks_is_that_of_scipy_and_bins_are_counted_right_for_any_numbers(before: list, now: list) -> None:
    past, new = (np.array([v for v in side if v is not None]) for side in (before, now))
    found = compare("number", before, now, pieces=2, score=np.full(len(now), 0.5))[0]
    if not len(past) or not len(new):
        assert found["ks"]["value"] is None and found["psi"]["value"] is None
        return
    assert found["ks"]["value"] == pytest.approx(stats.ks_2samp(past, new, method="asymp").statistic, abs=1e-12)
    assert found["unseen"]["value"] == np.mean((new < past.min()) | (new > past.max()))
    assert found["missing"]["value"] == np.mean([v is None for v in now])
    entry = frozen("number", past)
    e, a = (counts(entry, side).bins for side in (past, new))
    assert found["kl"]["value"] == pytest.approx(stats.entropy(a, e), abs=1e-12)


@pytest.mark.parametrize("world", WORLDS)
def test_kl_and_js_are_those_of_scipy(world: str) -> None:
    before, now = WORLDS[world]
    found, entry = compare("number", before, now, pieces=3)[0], frozen("number", before)
    inner = np.array(entry["edges"])
    e, a = (np.bincount(np.digitize(side, inner), minlength=len(inner) + 1) for side in (before, now))
    assert found["kl"]["value"] == pytest.approx(stats.entropy(a, e), abs=1e-12)
    assert found["js"]["value"] == pytest.approx(jensenshannon(a, e, base=2), abs=1e-12)


def test_psi_is_that_of_evidently_and_chi_square_that_of_scipy_on_a_category() -> None:
    before, now = (fresh(seed).choice(list("abcde"), size, p=p) for seed, size, p in (
        (1, 4_000, [.3, .3, .2, .1, .1]), (2, 900, [.25, .3, .25, .15, .05])))
    found = compare("category", before, now, pieces=4, score=np.full(900, 0.5))[0]
    judged = psi_stat_test.func(pd.Series(before), pd.Series(now), ColumnType.Categorical, 0.1)
    assert found["psi"]["value"] == pytest.approx(judged[0], rel=1e-12)
    e, a = (np.unique(side, return_counts=True)[1] for side in (before, now))
    expected = stats.chi2_contingency([e, a], correction=False)
    assert found["chi_square"]["value"] == pytest.approx(expected.statistic, rel=1e-12)
    assert found["chi_square"]["p_value"] == pytest.approx(expected.pvalue, rel=1e-12)
    assert found["chi_square"]["null_value"] == pytest.approx(stats.chi2.ppf(PARAMS.confidence, 4))


@pytest.mark.parametrize(("k", "past_k"), [(0, 0), (3, 0), (30, 0), (8, 40), (60, 40), (1, 40), (400, 0), (400, 4_000)])
def test_shares_are_tested_exactly_as_by_fisher(k: int, past_k: int) -> None:
    before = [None] * past_k + [1.0, 2.0] * ((4_000 - past_k) // 2)
    now = [None] * k + [1.0] * (400 - k)
    found = compare("number", before, now, score=np.full(400, 0.5))[0]["missing"]
    tails = [stats.fisher_exact([[k, 400 - k], [past_k, 4_000 - past_k]], alternative=side).pvalue
             for side in ("less", "greater")]
    assert found["p_value"] == pytest.approx(min(1, 2 * min(tails)), rel=1e-9)
    assert (found["value"], found["reference"]) == (k / 400, past_k / 4_000)
    beyond = abs(found["value"] - found["reference"]) > found["null_value"] + 1e-12
    assert beyond == (found["p_value"] < 1 - PARAMS.confidence)


def _by_the_book(values: np.ndarray, tolerance: float) -> float:
    """Page and Hinkley's test, a value at a time, upwards and downwards."""
    most = 0.0
    for sign in (1, -1):
        total = rise = lowest = 0.0
        for i, value in enumerate(values, 1):
            total += value
            rise += sign * (value - total / i) - tolerance
            lowest = min(lowest, rise)
            most = max(most, rise - lowest)
    return most


@pytest.mark.parametrize("pieces", [1, 7])
def test_page_and_hinkley_is_that_of_the_book_and_sees_a_rise_and_a_fall(pieces: int) -> None:
    before = fresh(1).beta(2, 8, 5_000)
    same = fresh(2).beta(2, 8, 2_000)
    for moved, loud in ((same, False), (np.append(same[:1_000], same[1_000:] + 0.1), True),
                        (np.append(same[:1_000], same[1_000:] * 0.5), True)):
        found = compare("number", before, moved, pieces=pieces)[1]["page_hinkley"]
        assert found["value"] == pytest.approx(_by_the_book(moved / before.std(), 0.1), rel=1e-9)
        assert (found["value"] > found["null_value"]) is loud


def test_what_luck_explains_is_exceeded_as_rarely_as_is_stated() -> None:
    """Without any drift, at 90 %, three standard errors about 20 of 200 windows; those of Siddiqi's kind stay below."""
    over = dict.fromkeys(("psi", "kl", "js", "ks", "page_hinkley"), 0)
    before = fresh(3).beta(2, 8, 20_000)
    for seed in range(200):
        of_feature, of_score = compare("number", before, fresh(100 + seed).beta(2, 8, 400), confidence=0.9)
        for metric in over:
            row = {**of_feature, **of_score}[metric]
            over[metric] += row["value"] > row["null_value"]
    assert all(8 <= over[metric] <= 33 for metric in ("psi", "kl", "js", "ks")), over
    assert over["page_hinkley"] <= 33, over


def test_a_feature_of_zeros_for_the_most_part_is_not_blind() -> None:
    """S1."""
    before = np.where(fresh(1).random(10_000) < 0.92, 0, fresh(2).lognormal(5, 1, 10_000))
    same = np.where(fresh(3).random(2_000) < 0.92, 0, fresh(4).lognormal(5, 1, 2_000))
    more = np.where(fresh(3).random(2_000) < 0.40, 0, fresh(4).lognormal(5, 1, 2_000))
    assert compare("number", before, same)[0]["psi"]["level"] == "stable"
    assert compare("number", before, more)[0]["psi"]["level"] == "major"
    entry = frozen("number", before)
    zeros, others = counts(entry, before).bins
    assert (zeros, others) == (np.sum(before == 0), np.sum(before > 0)), "zero has a bin of its own"


def test_a_constant_has_anything_else() -> None:
    """S1."""
    for kind, was, new in (("number", 3.0, 3.5), ("category", "a", "b")):
        score = np.full(500, 0.5)
        same = compare(kind, [was] * 900, [was] * 500, score=score)[0]["unseen"]
        moved = compare(kind, [was] * 900, [was] * 450 + [new] * 50, score=score)[0]["unseen"]
        assert (same["value"], same["p_value"]) == (0.0, 1.0)
        assert moved["value"] == 0.1 > moved["null_value"] and moved["p_value"] < 1e-6


def test_newly_missing_rows_are_told_alike_whatever_the_size_of_the_reference() -> None:
    """S2: 3.3 % newly missing gave PSI 0.19 at 5,000 reference rows, and 0.37 at a million."""
    now = fresh(1).normal(size=3_000)
    now[:99] = np.nan
    for rows in (5_000, 60_000, 1_000_000):
        found = compare("number", fresh(2).normal(size=rows), now, score=np.full(3_000, 0.5))[0]
        assert found["psi"]["value"] < 0.02 and found["psi"]["level"] == "stable"
        assert found["missing"]["value"] == pytest.approx(0.033) and found["missing"]["p_value"] < 1e-6
        assert found["psi"]["n"] == 2_901 and found["missing"]["n"] == 3_000


def test_unseen_values_are_held_against_the_levels_that_were_seen_once() -> None:
    """S2; of the reference, 20 of 1,000 had a level that no other row had, so that a fiftieth is to be expected."""
    before = ["a"] * 980 + [f"rare {i}" for i in range(20)]
    for unseen, loud in ((10, False), (60, True)):
        found = compare("category", before, ["a"] * (500 - unseen) + ["new"] * unseen, score=np.full(500, 0.5))[0]
        assert found["unseen"]["reference"] == 0.02
        assert (found["unseen"]["value"] - 0.02 > found["unseen"]["null_value"]) is loud


def test_a_planted_shift_is_caught_in_a_window_of_200_rows() -> None:
    feature, score = compare("number", fresh(12).normal(size=20_000), fresh(13).normal(0.7, 1, 200))
    assert feature["psi"]["level"] == score["psi"]["level"] == "major"
    assert feature["ks"]["value"] > 0.2 and feature["ks"]["p_value"] < 1e-6


def test_a_million_rows_with_a_tiny_shift_are_stable_however_small_the_p_value() -> None:
    found = compare("number", fresh(13).normal(size=20_000), fresh(14).normal(0.05, 1, 1_000_000), pieces=4)[0]
    assert found["ks"]["p_value"] < 1e-6
    assert found["psi"]["value"] > found["psi"]["null_value"]
    assert found["psi"]["level"] == "stable"


def test_a_psi_has_the_names_of_the_field() -> None:
    assert [level_of(value) for value in (0.1, 0.11, 0.21, 0.26)] == ["stable", "minor", "moderate", "major"]


@pytest.mark.parametrize("kind", ["number", "category"])
@pytest.mark.parametrize("rows", [0, 1, PARAMS.min_sample - 1])
def test_a_small_or_empty_window_is_unknown_and_its_numbers_are_still_shown(kind: str, rows: int) -> None:
    before, now = ([1.0, 2.0] * 500, [2.0] * rows) if kind == "number" else (["a", "b"] * 500, ["b"] * rows)
    found, score = compare(kind, before, now, score=np.full(rows, 0.5))
    assert found["psi"]["level"] == score["psi"]["level"] == "unknown"
    assert {row["n"] for row in found.values()} == {rows}
    assert all((row["value"] is None) == (rows == 0) for row in (*found.values(), *score.values()))


@pytest.mark.parametrize("kind", ["number", "category"])
def test_a_feature_that_goes_wholly_missing_leaves_its_share_to_tell(kind: str) -> None:
    found = compare(kind, [1.0, 2.0] * 500 if kind == "number" else ["a", "b"] * 500, [None] * 600,
                    score=np.full(600, 0.5))[0]
    assert (found["missing"]["value"], found["missing"]["n"]) == (1.0, 600) and found["missing"]["p_value"] < 1e-9
    assert all(row["value"] is None for metric, row in found.items() if metric != "missing")
    assert found["psi"]["level"] == "unknown"


def test_a_measure_says_what_parameters_it_used() -> None:
    found, score = compare("number", *WORLDS["continuous"])
    assert json.loads(found["psi"]["parameters"]) == {
        "confidence": 0.99, "min_sample": 200, "false_discovery_rate": 0.01}
    assert json.loads(score["page_hinkley"]["parameters"]) == {"confidence": 0.99, "tolerance": 0.1}


def test_the_worst_level_ignores_the_unknown() -> None:
    assert worst(["stable", "unknown", "moderate"]) == "moderate"
    assert worst(["unknown"]) == "unknown"
