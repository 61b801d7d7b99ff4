"""An honest model passes; every planted fault is refused, by the right gate and with the right words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from tollgate.books import consumer, sba
from tollgate.config import load_params
from tollgate.gates import GATES, Report
from tollgate.gates.evidence import Case
from tollgate.gates.fairness import parity

if TYPE_CHECKING:
    from tests.gates.conftest import Run

Fresh = Callable[..., "Run"]


def replaced(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """The consumer book with some of its attributes changed."""
    monkeypatch.setattr(consumer, "BOOK", replace(consumer.BOOK, **changes))


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
    assert {v.gate: v.verdict for v in report.verdicts} == {**dict.fromkeys(GATES, "pass"), "champion": "n/a"}
    assert f"{len(GATES) - 1} of {len(GATES)} gates" in report.summary


def test_every_interval_holds_its_measured_value(report: Report) -> None:
    found = {v.gate: v for v in report.verdicts if v.low is not None}
    assert set(found) == {"auc", "ks", "false_negatives", "calibration", "slices", "fairness"}
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


def test_a_state_whose_labels_were_turned_round_is_refused_by_slices_and_named(run: Run) -> None:
    rows = run.rows("evidence")
    label, ohio = rows["label"].to_numpy(), rows["state"].to_numpy(zero_copy_only=False) == "OH"
    flipped = pa.array(np.where(ohio, 1 - label, label).astype(np.int8))
    run.write("evidence", rows.set_column(rows.column_names.index("label"), "label", flipped))
    found = run.verdict("slices")
    assert found.verdict == "refuse"
    assert found.sentence.startswith("state = OH ranks worst: AUC ")
    assert found.low > 0.15
    assert found.table[0]["slice"] == "state = OH"


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
    run.write("evidence", run.rows("evidence").drop_columns(["credit_score"]))
    found = run.verdict("slices")
    assert found.verdict == "refuse"
    assert "evidence.parquet lacks the columns credit_score" in found.sentence


def test_a_calibration_gap_that_chance_alone_would_show_is_told_and_not_refused(run: Run) -> None:
    run.write("evidence", run.rows("evidence").slice(0, 400))
    found = run.verdict("calibration", calibration_gap_max=0.005)
    assert found.verdict == "pass"
    assert found.measured > 0.005
    assert "too small to tell: on 400 loans" in found.sentence
    run.predict(lambda rows: np.minimum(1, 2 * rows["score"].to_numpy()))
    assert run.verdict("calibration", calibration_gap_max=0.005).verdict == "refuse"


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


def test_a_test_too_small_to_tell_keeps_the_champion_and_says_so(run: Run) -> None:
    run.crown(nudged(0.4))
    rows = run.rows("evidence")
    run.write("evidence", rows.slice(0, 200))
    found = run.verdict("champion")
    assert found.verdict == "refuse"
    assert found.measured >= -0.005 > found.low
    assert "cannot tell" in found.sentence
    assert "keep champion 3" in found.sentence


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


def test_the_fairness_numbers_are_fairlearns_own(good: Run) -> None:
    import pyarrow.compute as pc
    from fairlearn.metrics import demographic_parity_difference, demographic_parity_ratio, equalized_odds_difference

    case = Case(good.folder, good.params)
    rows = case.evidence
    paid, approved = pc.equal(rows["label"], 0).to_numpy(), rows["score"].to_numpy() < case.threshold
    for attribute in ("sex", "age_band"):
        theirs = [metric(paid, approved, sensitive_features=rows[attribute].to_numpy()) for metric in (
            demographic_parity_difference, demographic_parity_ratio, equalized_odds_difference)]
        ours = parity(case, attribute)
        assert [ours.gap, ours.ratio, ours.odds] == pytest.approx(theirs)


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


def test_a_model_that_moves_the_wrong_way_is_refused_with_the_feature(fresh: Fresh,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    free = fresh(constraints=(0,) * len(consumer.BOOK.features))
    found = free.verdict("behaviour")
    assert found.verdict == "refuse"
    assert "the wrong way: more of it may only" in found.sentence
    assert found.measured >= 1
    replaced(monkeypatch, features=tuple(replace(f, monotone=0) for f in consumer.BOOK.features))
    assert free.verdict("behaviour").verdict == "pass"


def test_a_protected_attribute_among_the_inputs_is_refused(good: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(monkeypatch, applications=tuple(replace(c, protected=c.name == "state")
                                             for c in consumer.BOOK.applications))
    assert "the protected attribute state is an input" in good.verdict("behaviour").sentence


def test_predictions_that_the_model_would_not_make_are_refused(run: Run) -> None:
    run.predict(lambda rows: rows["score"].to_numpy() * 0.999)
    assert "scores differ from those of the evidence" in run.verdict("behaviour").sentence


def test_a_model_that_depends_on_its_batch_is_refused(good: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from tollgate.scoring import Model

    honest = Model.predict_features

    def relative(self: Model, features: pa.Table) -> np.ndarray:
        score = honest(self, features)
        return score if len(score) == 2_000 else score * 0.999

    monkeypatch.setattr(Model, "predict_features", relative)
    found = good.verdict("behaviour").sentence
    assert "another batch size changes the scores" in found
    assert "repeating the rows changes the scores" in found


def test_too_few_rows_or_defaults_are_refused(run: Run) -> None:
    small = run.params.snapshot.model_copy(update={"min_rows": 10_000, "min_defaults": 2_000})
    found = replace(run, params=run.params.model_copy(update={"snapshot": small})).verdict("data")
    assert found.verdict == "refuse"
    assert "test has 9,000 loans, fewer than 10,000" in found.sentence
    assert "test has 1,310 defaults, fewer than 2,000" in found.sentence


def test_a_snapshot_of_another_as_of_is_refused(run: Run) -> None:
    run.edit("snapshot.json", as_of="2006-01-01")
    assert "snapshot.json is as of 2006-01-01" in run.verdict("data").sentence


def test_a_model_of_another_snapshot_is_refused(run: Run) -> None:
    run.edit("model/model.json", snapshot="e" * 64)
    run.sign()
    assert "the model was trained on the snapshot eeeeeeeeeeee" in run.verdict("data").sentence


def test_a_snapshot_changed_after_its_digest_was_taken_is_refused(run: Run) -> None:
    run.write("snapshot", run.rows("snapshot").slice(1))
    found = run.verdict("data").sentence
    assert "snapshot.parquet is not what snapshot.json describes" in found
    assert "snapshot.parquet and features.parquet differ" in found


def test_evidence_with_its_hardest_loans_left_out_is_refused(run: Run) -> None:
    rows = run.rows("evidence")
    run.write("evidence", rows.filter(pa.array((rows["label"].to_numpy() == 0) | (rows["score"].to_numpy() > 0.1))))
    assert "not about exactly the test loans" in run.verdict("data").sentence


def test_features_and_split_of_different_loans_are_refused(run: Run) -> None:
    run.write("split", run.rows("split").slice(5))
    assert "features.parquet and split.parquet name different loans" in run.verdict("data").sentence


def test_training_on_loans_newer_than_the_test_is_refused(run: Run) -> None:
    rows = run.rows("split")
    swapped = {"train": "test", "test": "train", "validation": "validation"}
    run.write("split", pa.table({"loan_id": rows["loan_id"],
                                 "split": [swapped[part] for part in rows["split"].to_pylist()]}))
    assert "past the first test loan" in run.verdict("data").sentence


def test_a_run_without_a_model_is_refused(run: Run) -> None:
    shutil.rmtree(run.folder / "model")
    assert "The folder model is missing" in run.verdict("auc").sentence
    assert run.report().model_digest is None
