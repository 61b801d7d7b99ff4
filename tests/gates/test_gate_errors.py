"""The error rates of the gates, on test sets whose truth is known. docs/gate-errors.md has the long run of the same."""

from __future__ import annotations

from collections import Counter

import pytest
from benchmarks.gate_errors import champion_trials, fairness_trials, former_trials, honest_trials, outcome
from benchmarks.known_truth import true_auc, world
from benchmarks.planted_leaks import LEAKS, refusals, undirected

TRIALS = 40
ROWS = 12_000       # test loans of a run of the consumer book


def outcomes(difference: float, rows: int = ROWS) -> Counter[str]:
    """How often the champion gate said what, of a challenger whose true AUC is this much above its champion's."""
    return Counter(outcome(v) for v in champion_trials("consumer", rows, difference, TRIALS))


def test_the_two_models_of_a_trial_differ_by_exactly_what_is_said() -> None:
    w = world("consumer")
    for difference in (-0.01, 0.0):
        challenger, champion = w.pair(difference)
        assert true_auc(challenger, w.probability) - true_auc(champion, w.probability) == pytest.approx(difference,
                                                                                                        abs=1e-5)


def test_a_challenger_truly_worse_by_a_point_is_hardly_ever_promoted() -> None:
    assert outcomes(-0.01)["passed"] <= 2


def test_a_challenger_exactly_on_the_margin_is_promoted_about_as_often_as_the_confidence_says() -> None:
    assert outcomes(-0.005)["passed"] <= 8


def test_an_equal_challenger_is_promoted_and_never_called_worse() -> None:
    found = outcomes(0.0)
    assert found["passed"] >= 36
    assert found["worse"] == 0


def test_a_second_step_down_from_the_best_former_champion_is_stopped_by_it() -> None:
    champion, former_best = map(sum, zip(*former_trials("consumer", 0.008, TRIALS), strict=True))
    assert champion > former_best
    assert former_best <= 1


def test_on_few_loans_the_answer_is_that_no_one_can_tell() -> None:
    found = outcomes(-0.005, rows=500)
    assert found["cannot tell"] >= 30
    assert found["worse"] <= 6


def test_a_model_biased_through_a_proxy_fails_the_fairness_gate_and_an_unbiased_one_passes() -> None:
    biased, unbiased = fairness_trials(0.15, ROWS, TRIALS // 4), fairness_trials(0.0, ROWS, TRIALS // 4)
    assert sum(v.verdict == "refuse" for v in biased) >= 9
    assert all("by sex" in v.sentence.split("Then")[0] for v in biased)
    assert sum(v.verdict == "refuse" for v in unbiased) <= 1


def test_a_perfectly_calibrated_model_is_hardly_ever_refused_however_few_the_loans() -> None:
    found = [verdicts["calibration"] for verdicts, _ in honest_trials("consumer", 1_000, TRIALS)]
    assert sum(v.measured > 0.02 for v in found) >= 5
    assert sum(v.verdict == "refuse" for v in found) <= 6


CAUGHT = [name for name in LEAKS if name.startswith(("scenario", "days", "another", "the loan number", "a loan number",
                                                      "a branch", "a noisy copy of the label, AUC 0.95"))
          or name.endswith(("2 loans a level, encoded over all rows", "features.parquet"))]


@pytest.mark.parametrize("name", CAUGHT)
def test_a_planted_leak_is_caught_by_the_leakage_gate(name: str) -> None:
    assert "leakage" in refusals(name, seed=1, rows_a_month=300)


def test_a_fit_that_was_not_told_the_books_directions_is_caught_by_the_behaviour_gate() -> None:
    assert "behaviour" in undirected(seed=1, rows_a_month=300)
