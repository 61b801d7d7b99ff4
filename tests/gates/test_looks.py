"""Looks at the same months are counted, and each asks for more than the one before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benchmarks.slide import RULES, WEEKLY, first_promotions, slid

from tollgate.stats.looks import look_confidence

if TYPE_CHECKING:
    from tests.gates.conftest import Run

TRIALS = 60


def look(digest: str, *against: str, first: str = "2004-09-01", last: str = "2004-12-31") -> dict[str, Any]:
    """A look of another run; the honest run's test loans are of the last months of 2004."""
    return {"digest": digest, "against": list(against), "window": {"first": first, "last": last}}


def test_all_looks_together_spend_what_one_test_may() -> None:
    spent = [1 - look_confidence(0.95, number) for number in range(1, 5_000)]
    assert all(np.diff(spent) < 0)
    assert 0.0499 < sum(spent) < 0.05


@pytest.mark.parametrize(("looks", "number"), [
    ((), 1),
    ((look("a", "9"), look("b", "9")), 3),
    ((look("a", "9"), look("a", "9")), 2),                                            # one model, judged twice
    ((look("a", "8"),), 1),                                                           # against another champion
    ((look("a", "9", last="2004-01-31", first="2003-08-01"),), 1),                    # at other months
])
def test_a_look_counts_the_other_models_that_were_compared_at_these_months(run: Run, looks: tuple[dict[str, Any], ...],
                                                                          number: int) -> None:
    run = run.against(run.beside(40), looks=looks)
    found = run.verdict("champion")
    assert f"This is look {number} at loans of these months against champion 9" in found.sentence
    assert f"with {100 * look_confidence(0.95, number):.4g} % confidence" in found.sentence


def test_the_tenth_look_refuses_what_the_first_lets_through(run: Run) -> None:
    first = run.against(run.beside(40)).verdict("champion")
    limit = {"champion_margin": -first.low + 1e-4}
    assert run.against(run.beside(40)).verdict("champion", **limit).verdict == "pass"
    tenth = run.against(run.beside(40), looks=[look(str(n), "9") for n in range(9)]).verdict("champion", **limit)
    assert tenth.verdict == "refuse"
    assert tenth.measured == first.measured and tenth.low < first.low
    assert "cannot tell" in tenth.sentence


def test_twenty_looks_let_a_model_on_the_margin_through_at_most_at_the_stated_rate() -> None:
    found = first_promotions("consumer", 4_000, -0.005, TRIALS)
    one, counted = (sum(week > 0 for week in found[rule]) for rule in RULES)
    assert counted <= 6 < one       # stated: 5 % of 60 trials; with one level for every look it is far more


def test_a_slide_stops_at_the_best_former_champion() -> None:
    alone, with_best = (slid(replace(WEEKLY, weeks=80), 3_000, rule, best, 6)
                        for rule, best in ((RULES[0], False), (RULES[1], True)))
    assert max(with_best) <= 1      # as much as .004 once: another .004 would be past the margin from the best
    assert sum(alone) > 6
