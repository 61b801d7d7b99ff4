"""The simulated book's worlds part at their onset, so that every one of them can be trained on the same past."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tollgate.books.shipped import consumer

ONSET = date(2007, 1, 1)


def world(scenario: str) -> tuple[pa.Table, pa.Table]:
    """Before and after the onset."""
    rows = consumer.simulate(seed=11, rows_a_month=60, first_month="2006-10", last_month="2007-03", scenario=scenario)
    before = pc.less(rows["application_date"], ONSET)
    return rows.filter(before), rows.filter(pc.invert(before))


@pytest.mark.parametrize("scenario", [s for s in consumer.WORLDS if s != "stationary"])
def test_a_scenario_changes_the_months_from_its_onset_on_and_nothing_before(scenario: str) -> None:
    usual, unusual = world("stationary"), world(scenario)
    assert unusual[0].equals(usual[0])
    assert not unusual[1].equals(usual[1])


def test_a_covariate_shift_moves_what_it_says_and_leaves_the_rest_as_drawn() -> None:
    _, usual = world("stationary")
    _, shifted = world("covariate_shift")
    moved = {name for name in usual.column_names if not usual[name].equals(shifted[name])}
    assert moved >= {"credit_score", "loan_amount", "true_probability"}
    assert not moved & {"loan_id", "annual_income", "debt_to_income_ratio", "state", "sex", "age_band"}
