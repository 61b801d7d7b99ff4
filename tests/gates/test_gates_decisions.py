"""The gates on what the threshold does: whom it approves, what that costs, and who would be decided otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from tollgate.gates.evidence import Case

if TYPE_CHECKING:
    from tests.gates.conftest import Run


def declining(run: Run, threshold: float) -> Run:
    """The same model with another operating threshold, its evidence made anew."""
    run.edit("model/model.json", threshold=threshold)
    run.sign()
    return run


def with_costs(run: Run, of_default: float) -> Run:
    """The same run of a lender to whom an approved default is as dear as this."""
    train = run.params.train.model_copy(update={"cost_of_default": of_default})
    return replace(run, params=run.params.model_copy(update={"train": train}))


def scores(run: Run) -> np.ndarray:
    return run.rows("evidence")["score"].to_numpy()


def same(rows: pa.Table) -> np.ndarray:
    """The scores of the challenger itself."""
    return rows["score"].to_numpy()


def test_a_threshold_that_approves_two_in_a_hundred_is_refused_although_it_misses_no_default(run: Run) -> None:
    found = declining(run, float(np.quantile(scores(run), 0.02)))
    assert found.verdict("false_negatives").verdict == "pass"
    rate = found.verdict("approval_rate")
    assert rate.verdict == "refuse"
    assert rate.measured == pytest.approx(0.02, abs=0.002)
    assert "applications (2.0 %); it must be 20.0 % to 99.0 %. Choose another operating point" in rate.sentence


def test_a_threshold_that_approves_everybody_is_refused(run: Run) -> None:
    rate = declining(run, 1.0).verdict("approval_rate")
    assert (rate.verdict, rate.measured) == ("refuse", 1.0)
    assert rate.low < 1.0 == rate.high


def test_a_books_own_bounds_decide(good: Run) -> None:
    share = good.verdict("approval_rate").measured
    assert good.verdict("approval_rate", approval_min=share).verdict == "pass"
    assert good.verdict("approval_rate", approval_min=share + 0.001).verdict == "refuse"
    assert good.verdict("approval_rate", approval_max=share).verdict == "pass"
    assert good.verdict("approval_rate", approval_max=share - 0.001).verdict == "refuse"


def test_decisions_that_cost_more_than_approving_everybody_are_refused_and_what_would_pay_is_told(good: Run) -> None:
    assert good.verdict("cost").verdict == "pass"
    dear = with_costs(good, 1.0).verdict("cost")
    assert dear.verdict == "refuse"
    assert dear.measured > 1
    assert "approving everybody" in dear.sentence
    assert "train.operating_rule: cost_ratio" in dear.sentence
    pays = float(dear.sentence.split("as dear as ")[1].split(" good loans on")[0])
    assert with_costs(good, pays - 0.1).verdict("cost").verdict == "refuse"
    assert with_costs(good, pays + 0.1).verdict("cost").verdict == "pass"


def test_a_book_may_say_that_it_pays_more(good: Run) -> None:
    dear = with_costs(good, 1.0)
    measured = dear.verdict("cost").measured
    assert dear.verdict("cost", cost_max=measured + 0.01).verdict == "pass"
    assert dear.verdict("cost", cost_max=measured - 0.01).verdict == "refuse"


def test_approving_everybody_costs_what_approving_everybody_costs(run: Run) -> None:
    found = declining(run, 1.0).verdict("cost")
    assert found.measured == found.low == found.high == 1.0
    assert "They decline no default" in found.sentence


def test_the_interval_of_the_cost_is_that_of_resampling_the_loans(good: Run) -> None:
    found = good.verdict("cost")
    case, rng = Case(good.folder, good.params), np.random.default_rng(1)
    approved, bad, draws = case.score < case.threshold, case.label, []
    for i in rng.integers(0, len(bad), (400, len(bad))):
        draws.append((10 * np.sum(approved[i] & bad[i]) + np.sum(~approved[i] & ~bad[i])) / (10 * bad[i].sum()))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=0.01)


def test_without_a_champion_there_is_no_swap_set(good: Run) -> None:
    found = good.verdict("swap_set")
    assert (found.verdict, found.table) == ("n/a", ())


def test_a_champion_that_decides_alike_passes_and_nobody_is_swapped(run: Run) -> None:
    run.crown(same)
    found = run.verdict("swap_set")
    assert (found.verdict, found.measured, found.low, found.high) == ("pass", 0.0, 0.0, 0.0)
    swapped = {row["decision"]: row["loans"] for row in found.table}
    assert swapped["approved by the challenger alone"] == swapped["approved by the champion alone"] == "0"
    assert "0 loans are approved that it declines" in found.sentence


def test_the_swap_set_counts_who_changes_side_and_how_they_paid(run: Run) -> None:
    wider = float(np.quantile(scores(run), 0.75))
    run.crown(same, threshold=wider)
    found = run.verdict("swap_set")
    rows = run.rows("evidence")
    score, label = rows["score"].to_numpy(), rows["label"].to_numpy()
    test = np.array(rows["split"].to_pylist()) == "test"
    mine = Case(run.folder, run.params).threshold
    between = test & (score >= mine) & (score < wider)
    cells = {row["decision"]: row for row in found.table}
    assert int(cells["approved by the champion alone"]["loans"].replace(",", "")) == between.sum()
    assert int(cells["approved by the champion alone"]["defaults"]) == label[between].sum()
    assert cells["approved by the challenger alone"]["default rate"] == "-"
    assert sum(int(row["loans"].replace(",", "")) for row in found.table) == test.sum()
    assert f"{between.sum():,} loans are declined that it approves ({label[between].sum():,} of them" in found.sentence


def test_the_better_ranking_with_the_worse_threshold_is_refused_by_its_decisions(run: Run) -> None:
    run.crown(same)
    declining(run, float(np.quantile(scores(run), 0.25)))
    assert run.verdict("champion").verdict == "pass"
    found = run.verdict("swap_set")
    assert found.verdict == "refuse"
    assert found.low > 0.05
    assert "These decisions are worse than those of champion 3" in found.sentence


def test_decisions_cheaper_than_the_champions_pass(run: Run) -> None:
    run.crown(same, threshold=float(np.quantile(scores(run), 0.25)))
    found = run.verdict("swap_set")
    assert found.verdict == "pass"
    assert found.high < 0


def test_on_few_loans_nobody_can_tell_and_the_champion_stays(run: Run) -> None:
    rng = np.random.default_rng(3)
    run.crown(same)
    run.predict(lambda rows: np.clip(same(rows) * np.exp(rng.normal(0, 0.3, rows.num_rows)), 0, 1))
    rows = run.rows("evidence")
    run.write("evidence", rows.filter(pa.array(np.arange(rows.num_rows) % 30 == 0)))
    found = run.verdict("swap_set")
    assert found.verdict == "refuse"
    assert found.low < 0.05 < found.high
    assert "Cannot tell" in found.sentence
    assert "keep champion 3" in found.sentence


@pytest.mark.parametrize("told", [b"", b"nan", b"1.5", b"high"])
def test_evidence_that_does_not_say_where_the_champion_declines_is_refused(run: Run, told: bytes) -> None:
    run.crown(same)
    rows = run.rows("evidence")
    run.write("evidence", rows.replace_schema_metadata({**rows.schema.metadata, b"champion_threshold": told}))
    found = run.verdict("swap_set")
    assert found.verdict == "refuse"
    assert "holds no threshold of the champion" in found.sentence
    assert "Run the evaluate stage again" in found.sentence


def test_decisions_of_another_champion_are_refused(run: Run) -> None:
    run.crown(same)
    run.edit("champion.json", version="4", digest="d" * 64)
    assert "another champion" in run.verdict("swap_set").sentence


def test_the_evaluate_stage_writes_the_threshold_of_the_champion_that_it_scores_with(good: Run) -> None:
    from tollgate.books import load_book
    from tollgate.training import evidence

    model = good.folder / "model"
    rows = evidence(load_book("consumer"), model, good.rows("features"), good.rows("split"), model)
    assert float(rows.schema.metadata[b"champion_threshold"]) == Case(good.folder, good.params).threshold
