"""Two models on the same loans: what is beyond a limit, and how it is told. docs/guard.md has the rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.guard import LIMITS, PARAMS, Case, trials

from tollgate.config import Params
from tollgate.monitoring.paired import Approved, Pair, compare, either_approves, in_words
from tollgate.stats.ranking import area_under

N = 4_000
EQUAL_BY_ALL = ["within", "within", "within", "unknown"]


@pytest.fixture(scope="module")
def equal() -> Pair:
    """Two fits of the same truth that nobody could tell apart; of no loan is it known yet how it ended."""
    rng = np.random.default_rng(2)
    odds = rng.normal(-2, 1.5, N)
    champion, former = (1 / (1 + np.exp(-odds - rng.normal(0, 0.3, N))) for _ in range(2))
    return Pair(champion, former, champion >= 0.3, former >= 0.3, rng.random(N) < 1 / (1 + np.exp(-odds)),
                np.zeros(N, bool))


def levels(pair: Pair, params: Params = PARAMS, *, all_booked: bool = True) -> list[str]:
    return [row["level"] for row in compare(pair, params, all_booked=all_booked)]


def told(pair: Pair) -> str:
    return in_words(compare(pair, PARAMS, all_booked=True), "1", 6)


def test_equal_models_are_within_every_limit(equal: Pair) -> None:
    assert levels(equal) == EQUAL_BY_ALL
    assert levels(replace(equal, known=np.ones(N, bool))) == ["within"] * 4
    assert told(equal) == ""


def test_who_declines_many_more_is_told_by_both_sides_of_the_swap(equal: Pair) -> None:
    pair = replace(equal, champion_declines=equal.champion_declines | (np.arange(N) % 2 == 0))
    assert levels(pair) == ["beyond", *EQUAL_BY_ALL[1:]]
    only_champion = int(np.sum(pair.champion_declines & ~pair.former_declines))
    assert told(pair).startswith(f"on the same 4,000 loans it declines {only_champion:,} that version 1 approves")


def test_who_expects_far_fewer_defaults_is_told_and_so_is_who_expects_far_more(equal: Pair) -> None:
    assert levels(replace(equal, champion=equal.champion / 5)) == ["within", "beyond", *EQUAL_BY_ALL[2:]]
    assert levels(replace(equal, former=equal.former / 5)) == ["within", "beyond", *EQUAL_BY_ALL[2:]]
    assert "apart by more than 3 times" in told(replace(equal, champion=equal.champion / 5))


def test_defaults_are_expected_as_many_times_as_often_as_when_the_gates_judged_or_else_it_is_told(equal: Pair) -> None:
    """A model of a world that got worse rightly expects more of them than the one before it."""
    more, then = replace(equal, former=equal.former / 5), Approved(float(np.log(5)), 0.05)
    levels_then = [row["level"] for row in compare(more, PARAMS, all_booked=True, approved=then)]
    assert (levels(more), levels_then) == (["within", "beyond", *EQUAL_BY_ALL[2:]], EQUAL_BY_ALL)
    for now in (equal, replace(equal, former=equal.former / 25)):
        found = compare(now, PARAMS, all_booked=True, approved=then)
        assert found[1]["level"] == "beyond"
        assert "where it was 5 times on the rows of its gates, apart by more than 3 times" in in_words(found, "1", 6)
    unsure = compare(equal, PARAMS, all_booked=True, approved=replace(then, error=1.0))
    assert unsure[1]["level"] == "within", "what the gates saw was of few loans"


def test_labels_tell_a_worse_ranking_that_no_limit_before_them_does(equal: Pair) -> None:
    noise = np.random.default_rng(5).normal(0, 1.2, N)
    worse = 1 / (1 + np.exp(-np.log(equal.champion / (1 - equal.champion)) - noise))
    pair = replace(equal, champion=np.quantile(equal.champion, worse.argsort().argsort() / (N - 1)))
    assert levels(pair) == EQUAL_BY_ALL
    known = replace(pair, known=np.ones(N, bool))
    assert levels(known) == ["within", "within", "within", "beyond"]
    assert f"{int(pair.bad.sum()):,} of them bad within 6 months, is {area_under(pair.bad, pair.champion):.3f}" in told(
        known)


def test_of_few_loans_nothing_is_said(equal: Pair) -> None:
    few = Pair(*(getattr(equal, name)[:LIMITS.min_sample - 1] for name in Pair.__dataclass_fields__))
    assert levels(few) == ["unknown"] * 4
    ten_bad = replace(equal, known=np.isin(np.arange(N), [*np.flatnonzero(equal.bad)[:10],
                                                          *np.flatnonzero(~equal.bad)]))
    assert levels(ten_bad) == EQUAL_BY_ALL


def test_where_only_the_approved_are_booked_the_two_are_ranked_on_what_favours_neither(equal: Pair) -> None:
    """On all that the champion approved, an equal former one looks better: the worst by its own score are there."""
    many = 100_000
    rng = np.random.default_rng(6)
    odds = rng.normal(-1, 1.5, many)
    bad = rng.random(many) < 1 / (1 + np.exp(-odds))
    champion, former = (1 / (1 + np.exp(-odds - rng.normal(0, 1, many))) for _ in range(2))
    pair = Pair(champion, former, champion >= 0.3, former >= 0.3, bad, champion < 0.3)
    booked, fair = pair.known, pair.known & either_approves(pair)

    def ahead(of: np.ndarray) -> float:
        return area_under(bad[of], champion[of]) - area_under(bad[of], former[of])

    assert ahead(booked) < -0.02 and abs(ahead(fair)) < 0.015
    assert levels(pair)[3] == "beyond" and levels(pair, all_booked=False)[3] == "within"


@pytest.mark.parametrize(("champion", "metric"), [
    ("declines 80 %", "decline_rate_shift"), ("scores over 5", "log_defaults_ratio"),
    ("scores at random", "expected_auc_difference")])
def test_a_champion_that_is_not_what_was_approved_is_gone_within_a_month(champion: str, metric: str) -> None:
    found = trials(Case(champion, 2_000, follows=True), 5)
    assert all(one is not None and one[0] <= 30 and one[1] == metric for one in found)


@pytest.mark.parametrize("champion", [0.0, "as good, declines 55 %"])
def test_a_champion_as_good_stays_though_only_what_it_approves_is_booked(champion: float | str) -> None:
    assert trials(Case(champion, 2_000, follows=True), 3) == [None] * 3


def test_a_far_worse_ranking_is_gone_when_the_first_labels_are_mature() -> None:
    assert all(one is not None and one[1] == "auc_difference" for one in trials(Case(-0.08, 2_000, follows=False), 2))
