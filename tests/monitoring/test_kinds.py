"""Kinds of drift are told apart, each by one sentence of evidence that respects a limit and luck both."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.monitoring.conftest import _world
from tests.published import publish
from tests.scored import publish_night

from tollgate import lake
from tollgate.config import Rule
from tollgate.monitoring.baselines import Baseline
from tollgate.monitoring.business import BUSINESS
from tollgate.monitoring.concept import calibration
from tollgate.monitoring.kinds import CANNOT_TELL, MOVED, STEADY, Conclusion, conclusions
from tollgate.monitoring.label_drift import at_maturity
from tollgate.monitoring.performance import estimated

if TYPE_CHECKING:
    from conftest import Night

KINDS = ("feature", "prediction", "label", "concept", "performance")
FEB, MAR, LATER = date(2007, 2, 1), date(2007, 3, 1), date(2009, 3, 31)
TESTED = Baseline(0.2, 0.85, 0.01, 10_000, 0.15)


def told(night: Night, *rows: dict[str, Any], feeds: tuple[dict[str, Any], ...] = ()) -> dict[str, Conclusion]:
    stamped = [{"model_version": "1", "window_from": FEB, "window_to": FEB, **row} for row in rows]
    found = conclusions(night.book, night.params.monitoring, stamped, feeds)
    assert [one.kind for one in found] == list(KINDS)
    assert all(one.sentence.endswith(".") and "\n" not in one.sentence for one in found)
    return {one.kind: one for one in found}


def psi(subject: str, value: float, level: str, n: int = 5_000) -> dict[str, Any]:
    return {"kind": "prediction" if subject == "score" else "feature", "subject": subject, "segment": None,
            "metric": "psi", "value": value, "reference": 0.0, "null_value": 0.004, "p_value": 1e-9, "n": n,
            "level": level}


def share(subject: str, metric: str, value: float, reference: float) -> dict[str, Any]:
    return {**psi(subject, value, None), "metric": metric, "reference": reference}  # type: ignore[arg-type]


@pytest.mark.parametrize(("scenario", "scored", "moved"), [
    ("stationary", "stationary", {}),
    ("covariate_shift", "covariate_shift", {"feature": "credit_score", "prediction": "PSI", "label": "same age"}),
    ("prior_shift", "stationary", {"label": "same age", "concept": "defaulted", "performance": "defaulted"}),
    ("concept_shift", "stationary", {"concept": "with debt_to_income_ratio"}),
    ("poisoned_labels", "poisoned_labels", {"label": "same age", "concept": "with state = OH defaulted",
                                            "performance": "AUC 0.7"})])
def test_each_world_is_told_by_its_kinds_and_by_no_other(night: Night, scenario: str, scored: str,
                                                         moved: dict[str, str]) -> None:
    """Two years after the onset; scores of a stationary world are those of a model that has not noticed.

    What turns the debt-to-income ratio round costs an AUC of 1,000 loans too little to be told from luck.
    """
    night = night.tuned(min_sample=100)
    before = _world(scenario, night.book)
    publish(night.book, "applications", before.drop_columns("true_probability"), number=1)
    if not night.book.all_booked:
        night.decide(before, np.zeros(before.num_rows, bool))
    night.outcomes(scenario)
    for day in (FEB, MAR):
        night.publish(scored, day)
    new = _world(scored, night.book).slice(18_000, 1_000)
    publish_night(night.book, LATER, new, new["true_probability"].to_numpy(), 0.15)
    night.drift(LATER)
    night.performance(LATER)
    kinds = {one["kind"]: one for one in night.verdict(LATER)["kinds"]}
    assert {kind for kind, one in kinds.items() if one["state"] == MOVED} == set(moved), kinds
    assert {kind for kind, one in kinds.items() if one["state"] == STEADY} == set(KINDS) - set(moved)
    assert all(evidence in kinds[kind]["sentence"] for kind, evidence in moved.items()), kinds


def test_before_any_label_is_mature_performance_is_estimated_and_said_to_be_blind(night: Night) -> None:
    found = {one["kind"]: one for one in _first_night(night)}
    assert (found["feature"]["state"], found["prediction"]["state"]) == (STEADY, STEADY)
    for kind in ("label", "concept", "performance"):
        assert found[kind]["state"] == CANNOT_TELL
    assert "moves no feature and no score, and is not seen before" in found["concept"]["sentence"]
    said = found["performance"]["sentence"]
    assert said.startswith("No label of a scored loan is mature yet; the scores until 2007-02-01 promise an AUC of 0.")
    assert "luck explains 0." in said and said.endswith(", which is blind to a change in what the features mean.")


def _first_night(night: Night) -> list[dict[str, Any]]:
    night.publish("stationary", FEB)
    night.drift(FEB)
    night.performance(FEB)
    return night.verdict(FEB)["kinds"]


def test_features_that_moved_are_named_with_what_moved_of_them_the_largest_first(night: Night) -> None:
    rows = [psi("credit_score", 0.31, "major"), psi("loan_amount", 0.02, "stable"), psi("annual_income", 0.12, "minor"),
            share("annual_income", "missing", 0.30, 0.01), share("loan_amount", "missing", 0.30, 0.01),
            share("state", "unseen", 0.04, 0.0), psi("state", 0.01, "stable")]
    found = told(night, *rows)["feature"]
    assert found == Conclusion("feature", MOVED, (
        "3 of 4 features moved beyond luck and the limits: credit_score (PSI 0.31, major), annual_income (PSI 0.12, "
        "minor), loan_amount (missing 30.0% where 1.0% was)."))
    many = told(night, *(psi(f"f{k}", 0.3 + k / 100, "major") for k in range(6)))["feature"]
    assert "f5 (PSI 0.35, major), f4" in many.sentence and many.sentence.endswith("f2 (PSI 0.32, major) and 2 more.")


def test_a_large_move_that_luck_explains_and_a_sure_one_within_the_limit_are_no_drift(night: Night) -> None:
    rng = np.random.default_rng(8)
    large = np.full(400, 0.02), np.arange(400) < 12               # half as many again, of eight
    small = np.full(40_000, 0.10), rng.random(40_000) < 0.11      # a tenth more, surely
    for score, bad in (large, small):
        rows = calibration(score, bad, 0.99)
        found = told(night.tuned(min_sample=100), *rows)["concept"]
        assert found.state == STEADY and found.sentence.startswith("Nothing moved beyond luck and the limit: ")
    assert abs(rows[0]["value"] - rows[0]["reference"]) > rows[0]["null_value"], "luck does not explain the second"
    worse = told(night, *calibration(np.full(40_000, 0.10), rng.random(40_000) < 0.14, 0.99))["concept"]
    assert worse.state == MOVED and "1.38 times the 10.00% that was promised" in worse.sentence


def test_of_a_book_in_which_few_default_the_limit_that_was_passed_can_be_read(night: Night) -> None:
    bad = np.random.default_rng(8).random(400_000) < 0.002
    found = told(night, *calibration(np.full(len(bad), 0.0005), bad, 0.99))["concept"]
    assert found.state == MOVED and "the 0.05% that was promised (a move of more than 0.01%; " in found.sentence


def test_one_sentence_tells_the_part_that_moved_most_and_how_many_others_did(night: Night) -> None:
    score = np.repeat([0.02, 0.05, 0.1, 0.2, 0.4], 2_000)
    bad = np.random.default_rng(9).random(len(score)) < np.repeat([0.06, 0.05, 0.1, 0.2, 0.8], 2_000)
    found = told(night, *calibration(score, bad, 0.99))["concept"]
    assert "scores of 40.00% to 40.00%" in found.sentence and "2.0" in found.sentence
    assert found.sentence.endswith("; so did 2 others.")


def test_labels_that_may_have_stopped_coming_are_no_evidence(night: Night) -> None:
    score, bad = np.full(5_000, 0.15), np.zeros(5_000, bool)
    rows = [*calibration(score, bad, 0.99), *at_maturity(bad, TESTED, 0.99), estimated(score, TESTED, 0.99)]
    assert {kind: one.state for kind, one in told(night, *rows).items()}["label"] == MOVED
    stopped = {"check": "stopped", "level": "refuse", "sentence": "The newest outcome known is of 2007-01-02"}
    found = told(night, *rows, feeds=(stopped, {"check": "late", "level": "ok", "sentence": "fine"}))
    assert found["label"] == Conclusion("label", CANNOT_TELL, (
        "Labels are not to be trusted: The newest outcome known is of 2007-01-02."))
    assert found["concept"].state == CANNOT_TELL
    assert found["performance"].sentence.startswith("Labels are not to be trusted (The newest outcome known")


def test_the_books_own_rule_is_the_yardstick_where_there_is_one(night: Night) -> None:
    rows = calibration(np.full(40_000, 0.10), np.arange(40_000) % 1_000 < 140, 0.99)
    assert told(night, *rows)["concept"].state == MOVED
    own = Rule.model_validate({"measure": "calibration", "condition": "moves", "limit": 0.5, "relative": True,
                               "severity": "warning", "action": "review"})
    lenient = night.tuned(rules=[*night.params.monitoring.rules, own])
    assert told(lenient, *rows)["concept"].state == STEADY


def test_too_few_loans_tell_nothing(night: Night) -> None:
    rows = [psi("credit_score", 0.3, "unknown", n=40), psi("score", 0.3, "unknown", n=40),
            *calibration(np.full(40, 0.1), np.arange(40) < 30, 0.99)]
    found = told(night, *rows)
    least = f"{night.params.monitoring.min_sample:,} are needed."
    assert found["feature"].sentence == f"40 loans are too few to tell; {least}"
    assert found["concept"].sentence.startswith("40 loans with mature labels are too few to tell, ")
    assert {one.state for one in told(night).values()} == {CANNOT_TELL}, "nor does nothing at all"


def test_scores_that_are_harder_to_tell_apart_are_seen_at_once(night: Night) -> None:
    rng = np.random.default_rng(10)
    apart, close = rng.beta(0.3, 2, 5_000), rng.beta(3, 20, 5_000)
    assert told(night, estimated(apart, TESTED, 0.99))["performance"].state == CANNOT_TELL
    found = told(night, estimated(close, TESTED, 0.99))["performance"]
    assert found.state == MOVED and "where the test months of v1 had 0.850" in found.sentence


def test_the_lake_keeps_the_evidence_that_the_answer_was_made_of(night: Night) -> None:
    kinds = _first_night(night)
    rows = lake.read(lake.measures("consumer"), filters=[("day", "=", FEB.isoformat())]).to_pylist()
    assert BUSINESS in {row["kind"] for row in rows}
    again = conclusions(night.book, night.params.monitoring, rows, lake.read(lake.feeds("consumer")).to_pylist())
    assert [{"kind": one.kind, "state": one.state, "sentence": one.sentence} for one in again] == kinds
