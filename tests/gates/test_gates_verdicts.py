"""An honest model passes; every planted fault is refused, by the right gate and with the right words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tollgate.books.shipped import sba
from tollgate.config import load_params
from tollgate.gates import GATES, Report
from tollgate.gates.evidence import Case
from tollgate.gates.fairness import parity

if TYPE_CHECKING:
    from tests.gates.conftest import Run



def mixed(share: float, seed: int = 1) -> Callable[[pa.Table], np.ndarray]:
    """Predictions of which a seeded share is shuffled among the rows."""

    def change(rows: pa.Table) -> np.ndarray:
        rng, score = np.random.default_rng(seed), rows["score"].to_numpy().copy()
        some = np.flatnonzero(rng.random(len(score)) < share)
        score[some] = score[rng.permutation(some)]
        return score

    return change


def nudged(spread: float, seed: int = 1) -> Callable[[pa.Table], np.ndarray]:
    """Predictions with a seeded noise on their log-odds."""

    def change(rows: pa.Table) -> np.ndarray:
        score = rows["score"].to_numpy()
        odds = np.log(score / (1 - score)) + np.random.default_rng(seed).normal(0, spread, len(score))
        return 1 / (1 + np.exp(-odds))

    return change


def test_an_honest_model_passes_every_gate_in_order(report: Report) -> None:
    assert tuple(v.gate for v in report.verdicts) == GATES
    assert report.passed
    assert {v.gate: v.verdict for v in report.verdicts} == {**dict.fromkeys(GATES, "pass"), "champion": "n/a",
                                                              "former_best": "n/a", "swap_set": "n/a"}
    assert f"{len(GATES) - 3} of {len(GATES)} gates" in report.summary


def test_every_interval_holds_its_measured_value(report: Report) -> None:
    found = {v.gate: v for v in report.verdicts if v.low is not None}
    assert set(found) == {"auc", "ks", "false_negatives", "approval_rate", "cost", "calibration", "expected_defaults",
                          "slices", "baseline", "fairness", "leakage"}
    assert all(v.low <= v.measured <= v.high for v in found.values())


def test_a_model_that_cannot_rank_is_refused_by_auc_and_ks(run: Run) -> None:
    run.predict(mixed(0.9))
    auc, ks = run.verdict("auc"), run.verdict("ks")
    assert auc.verdict == ks.verdict == "refuse"
    assert auc.measured < 0.6
    assert "it must be above 0.82" in auc.sentence
    assert "it must be above 0.3" in ks.sentence


def test_the_point_estimate_decides_and_the_sentence_tells_of_an_interval_that_reaches_below(good: Run) -> None:
    measured = good.verdict("auc").measured
    near = good.verdict("auc", auc_min=measured - 0.001)
    assert near.verdict == "pass"
    assert "reaches below" in near.sentence
    assert good.verdict("auc", auc_min=measured).verdict == "refuse"


def test_a_threshold_that_approves_too_many_defaults_is_refused_with_its_approval_rate(run: Run) -> None:
    run.edit("model/model.json", threshold=0.5)
    run.sign()
    found = run.verdict("false_negatives")
    assert found.verdict == "refuse"
    assert found.measured > 0.3
    assert "of all applications" in found.sentence


def test_metrics_json_is_not_believed(run: Run) -> None:
    (run.folder / "metrics.json").write_text('{"auc": 0.99, "ks": 0.99}')
    run.predict(mixed(0.9))
    assert run.verdict("auc").verdict == "refuse"


def test_scores_twice_too_high_are_refused_by_calibration(run: Run) -> None:
    run.predict(lambda rows: np.minimum(1, 2 * rows["score"].to_numpy()))
    found = run.verdict("calibration")
    assert found.verdict == "refuse"
    assert "Brier score" in found.sentence


def test_a_calibration_gap_that_chance_alone_would_show_is_told_and_not_refused(run: Run) -> None:
    run.write("evidence", run.rows("evidence").slice(0, 400))
    found = run.verdict("calibration", calibration_gap_max=0.005)
    assert found.verdict == "pass"
    assert found.measured > 0.005
    assert "too small to tell: on 400 loans" in found.sentence
    run.predict(lambda rows: np.minimum(1, 2 * rows["score"].to_numpy()))
    assert run.verdict("calibration", calibration_gap_max=0.005).verdict == "refuse"


def test_a_state_whose_labels_were_turned_round_is_refused_by_slices_and_named(run: Run) -> None:
    rows = run.rows("evidence")
    label, ohio = rows["label"].to_numpy(), rows["state"].to_numpy(zero_copy_only=False) == "OH"
    flipped = pa.array(np.where(ohio, 1 - label, label).astype(np.int8))
    run.write("evidence", rows.set_column(rows.column_names.index("label"), "label", flipped))
    found = run.verdict("slices")
    assert found.verdict == "refuse"
    assert "By the model, state = OH ranks worst: AUC " in found.sentence
    assert found.low > 0.15
    assert found.table[0]["slice"] == "state = OH"


def test_turned_labels_that_the_model_has_learned_are_told_by_the_scorecard(run: Run) -> None:
    rows = run.rows("evidence")
    ohio = rows["state"].to_numpy(zero_copy_only=False) == "OH"
    label, score = rows["label"].to_numpy(), rows["score"].to_numpy()
    flipped = pa.array(np.where(ohio, 1 - label, label).astype(np.int8))
    run.write("evidence", rows.set_column(rows.column_names.index("label"), "label", flipped))
    run.predict(lambda rows: np.where(ohio, 1 - score, score))
    found = run.verdict("slices")
    assert found.verdict == "refuse"
    assert found.low < 0.15
    assert re.match("The logistic scorecard, .* ranks state = OH backwards: AUC .* turned round", found.sentence)


def test_a_scorecard_that_ranks_no_better_than_a_coin_ranks_nothing_backwards(run: Run) -> None:
    rows, rng = run.rows("evidence"), np.random.default_rng(4)
    sex = np.where(rng.random(rows.num_rows) < 0.9, "female", "male")  # nearly the whole, from which it hardly differs
    run.write("evidence", rows.set_column(rows.column_names.index("sex"), "sex", pa.array(sex)))
    coin = rng.random(rows.num_rows) - 0.01 * rows["label"].to_numpy()
    run.predict(lambda rows: np.clip(coin, 0, 1), "baseline")
    assert "backwards" not in run.verdict("slices").sentence


def test_a_column_that_is_the_same_for_every_loan_is_no_slice(run: Run) -> None:
    rows = run.rows("evidence")
    run.write("evidence", rows.set_column(rows.column_names.index("state"), "state", pa.array(["OH"] * rows.num_rows)))
    assert not [row for row in run.verdict("slices", slice_gap_max=-1).table if "state" in row["slice"]]


def test_a_slice_is_refused_only_when_even_the_favourable_end_is_past_the_limit(good: Run) -> None:
    found = good.verdict("slices")
    assert good.verdict("slices", slice_gap_max=found.measured - 0.01).verdict == "pass"
    assert good.verdict("slices", slice_gap_max=found.low - 0.001).verdict == "refuse"


def test_slices_that_are_all_too_small_are_refused(run: Run) -> None:
    rows = run.rows("evidence")
    run.write("evidence", rows.slice(0, 120))
    found = run.verdict("slices")
    assert found.verdict == "refuse"
    assert "has 30 defaults and 30 paid loans" in found.sentence


def test_evidence_without_the_column_of_a_slice_is_refused(run: Run) -> None:
    run.forge(run.rows("evidence").drop_columns(["credit_score"]))
    found = run.verdict("slices")
    assert found.verdict == "refuse"
    assert "evidence.parquet lacks the columns credit_score" in found.sentence


def test_a_champion_that_is_better_keeps_its_place(run: Run) -> None:
    run.crown(lambda rows: rows["score"].to_numpy())
    run.predict(mixed(0.2))
    found = run.verdict("champion")
    assert found.verdict == "refuse"
    assert "worse than champion 3 by more than the margin of 0.005" in found.sentence


def test_a_challenger_equal_to_the_champion_passes(run: Run) -> None:
    run.crown(lambda rows: rows["score"].to_numpy())
    found = run.verdict("champion")
    assert found.verdict == "pass"
    assert found.measured == found.low == 0


def test_a_challenger_as_good_as_the_champion_passes_on_a_large_test(run: Run) -> None:
    run.crown(nudged(0.1))
    found = run.verdict("champion")
    assert found.verdict == "pass"
    assert found.low < found.measured < found.high


def test_a_model_behind_its_scorecard_is_refused(run: Run) -> None:
    run.predict(lambda rows: rows["score"].to_numpy(), "baseline")
    run.predict(mixed(0.01))
    found = run.verdict("baseline")
    assert found.verdict == "refuse"
    assert found.measured < 0
    assert "Use the scorecard" in found.sentence


def test_a_model_equal_to_its_scorecard_is_refused(run: Run) -> None:
    run.predict(lambda rows: rows["score"].to_numpy(), "baseline")
    assert run.verdict("baseline").verdict == "refuse"


def test_a_model_ahead_of_its_scorecard_on_too_few_loans_is_refused_for_want_of_evidence(run: Run) -> None:
    run.predict(nudged(1.5), "baseline")
    assert run.verdict("baseline").verdict == "pass"
    rows = run.rows("evidence")
    run.write("evidence", rows.filter(pa.array(np.arange(rows.num_rows) % 60 == 0)))
    found = run.verdict("baseline")
    assert found.verdict == "refuse"
    assert found.low < -0.005 < 0 < found.measured
    assert "the rule for that case is to refuse" in found.sentence


def test_evidence_without_the_scorecards_predictions_is_refused(run: Run) -> None:
    whole = run.rows("evidence")
    run.forge(whole.drop_columns(["baseline"]))
    assert "evidence.parquet lacks the columns baseline" in run.verdict("baseline").sentence
    run.write("evidence", whole)
    run.predict(lambda rows: np.where(np.arange(rows.num_rows) % 50 == 0, np.nan, rows["score"].to_numpy()), "baseline")
    assert "scorecard gives predictions that are missing or no probability" in run.verdict("baseline").sentence


def test_a_test_too_small_to_tell_keeps_the_champion_and_says_so(run: Run) -> None:
    run.crown(nudged(0.4))
    rows = run.rows("evidence")
    run.write("evidence", rows.slice(0, 200))
    found = run.verdict("champion")
    assert found.verdict == "refuse"
    assert found.measured >= -0.005 > found.low
    assert "cannot tell" in found.sentence
    assert "keep the champion" in found.sentence


def test_a_challenger_that_looks_worse_on_few_loans_is_not_called_worse(run: Run) -> None:
    run.crown(lambda rows: rows["score"].to_numpy())
    run.predict(mixed(0.05))
    rows = run.rows("evidence")
    run.write("evidence", rows.filter(pa.array(np.arange(rows.num_rows) % 20 == 0)))
    found = run.verdict("champion")
    assert found.verdict == "refuse"
    assert found.measured < -0.005 < found.high
    assert "cannot tell" in found.sentence
    assert "an equal model passes 80.0 % of tests of" in found.sentence


def test_a_champion_crowned_since_the_evaluation_is_refused(run: Run) -> None:
    run.crown(lambda rows: rows["score"].to_numpy())
    run.edit("champion.json", version="4", digest="d" * 64)
    found = run.verdict("champion")
    assert found.verdict == "refuse"
    assert "another champion" in found.sentence


def test_a_champion_of_another_book_is_refused(run: Run) -> None:
    run.crown(lambda rows: rows["score"].to_numpy())
    run.edit("champion.json", model="sba")
    assert "another book" in run.verdict("champion").sentence


def test_a_champion_without_scores_on_some_rows_is_refused(run: Run) -> None:
    run.crown(lambda rows: np.where(np.arange(rows.num_rows) % 50 == 0, np.nan, rows["score"].to_numpy()))
    assert "lacks champion scores" in run.verdict("champion").sentence


def test_a_model_unfair_by_construction_is_refused_and_the_attribute_named(run: Run) -> None:
    run.predict(lambda rows: np.clip(rows["score"].to_numpy() + 0.08 * (rows["sex"].to_numpy(zero_copy_only=False)
                                                                        == "female"), 0, 1))
    found = run.verdict("fairness")
    assert found.verdict == "refuse"
    assert found.measured > 0.2
    assert "by sex" in found.sentence.split("Then")[0]
    assert "breaks the four-fifths rule" in found.sentence


def test_a_model_that_approves_nobody_is_not_called_fair(run: Run) -> None:
    run.edit("model/model.json", threshold=0.0)
    run.sign()
    found = run.verdict("fairness")
    assert found.verdict == "refuse"
    assert "No test loan is approved in any group of sex" in found.sentence


def test_the_fairness_numbers_are_fairlearns_own(good: Run) -> None:
    from fairlearn.metrics import demographic_parity_difference, demographic_parity_ratio, equalized_odds_difference

    case = Case(good.folder, good.params)
    rows = case.evidence
    paid, approved = pc.equal(rows["label"], 0).to_numpy(), rows["score"].to_numpy() < case.threshold
    for attribute in ("sex", "age_band"):
        theirs = [metric(paid, approved, sensitive_features=rows[attribute].to_numpy()) for metric in (
            demographic_parity_difference, demographic_parity_ratio, equalized_odds_difference)]
        ours = parity(case, attribute)
        assert ours.odds is not None
        assert [ours.gap.value, ours.ratio.value, ours.odds.value] == pytest.approx(theirs)
        for measure in (ours.gap, ours.ratio, ours.odds):
            assert measure.interval[0] < measure.value < measure.interval[1]


def test_the_intervals_of_fairness_are_those_of_resampling_the_loans(good: Run) -> None:
    from fairlearn.metrics import MetricFrame, selection_rate

    case = Case(good.folder, good.params)
    sex, approved = case.evidence["sex"].to_numpy(zero_copy_only=False), case.score < case.threshold
    rng, gaps = np.random.default_rng(1), []
    for _ in range(100):
        drawn = rng.integers(0, len(sex), len(sex))
        rates = MetricFrame(metrics=selection_rate, y_true=approved[drawn], y_pred=approved[drawn],
                            sensitive_features=sex[drawn]).by_group
        gaps.append(rates["female"] - rates["male"])
    low, high = parity(case, "sex").gap.interval
    assert high < 2.5 * np.std(gaps) + abs(np.mean(gaps))
    assert high - low > np.std(gaps)


def test_small_protected_groups_are_named_and_not_judged(good: Run) -> None:
    found = good.verdict("fairness", group_min=1_500)
    assert found.verdict == "pass"
    assert "too small to judge: 60+" in found.sentence


def test_an_attribute_with_no_two_groups_large_enough_is_refused(good: Run) -> None:
    found = good.verdict("fairness", group_min=4_600)
    assert found.verdict == "refuse"
    assert "cannot be judged" in found.sentence


def test_a_book_without_protected_attributes_has_nothing_to_judge(run: Run) -> None:
    found = replace(run, params=load_params(book="sba")).verdict("fairness")
    assert not sba.BOOK.protected()
    assert (found.verdict, found.measured) == ("n/a", None)
    assert "sba" in found.sentence
