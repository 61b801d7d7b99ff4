from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from tollgate import lake
from tollgate.errors import BadInput
from tollgate.monitoring import performance_step
from tollgate.monitoring.performance import auc_error, decline_rates, matured, parity_gap
from tollgate.monitoring.steps import WATCHED_MONTHS

if TYPE_CHECKING:
    from conftest import Night

FEB, MAR = date(2007, 2, 1), date(2007, 3, 1)


def test_a_matured_cohort_by_hand() -> None:
    label, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9])
    assert matured(label, score, score >= 0.5) == {
        "defaults": 2, "auc": 0.75, "ks": 0.5, "false_negative_rate": 0.5}


def test_one_class_alone_has_no_auc() -> None:
    row = matured(np.zeros(3), np.array([0.1, 0.2, 0.3]), np.zeros(3, dtype=bool))
    assert row == {"defaults": 0, "auc": None, "ks": None, "false_negative_rate": None}


def test_the_standard_error_of_an_auc_is_about_what_simulation_gives() -> None:
    from sklearn.metrics import roc_auc_score

    rng, label = np.random.default_rng(2), np.r_[np.ones(60), np.zeros(600)]
    drawn = [roc_auc_score(label, rng.normal(label * 1.2, 1)) for _ in range(300)]
    assert auc_error(float(np.mean(drawn)), 60, 600) == pytest.approx(np.std(drawn), rel=0.2)


def test_decline_rates_by_group_and_the_gap_beside_what_luck_explains() -> None:
    declined = np.array([True] * 150 + [False] * 50 + [True] * 50 + [False] * 150 + [True] * 3)
    groups = pa.table({"sex": ["f"] * 200 + ["m"] * 200 + ["x", "x", None]})
    rates = decline_rates(declined, groups)
    assert [(r["group"], r["rows"], r["decline_rate"]) for r in rates] == [
        ("f", 200, 0.75), ("m", 200, 0.25), ("x", 2, 1.0)]
    gap, null = parity_gap(rates, group_min=200, confidence=0.99)
    assert gap == 0.5 and null == pytest.approx(2.5758 * 0.05, rel=1e-3)
    assert parity_gap(rates, group_min=201, confidence=0.99) == (None, None)


def test_tonights_decline_rate_is_on_record_before_any_label(night: Night) -> None:
    night.publish("stationary", FEB)
    answer = performance_step(night.book, FEB, night.params)
    (row,) = lake.read(lake.performance("consumer")).to_pylist()
    assert row["scored_as_of"] == FEB and row["auc"] is None and row["defaults"] is None
    assert row["decline_rate"] == answer["decline_rate"] > 0.1
    assert {g["attribute"] for g in answer["groups"]} == {"sex", "age_band"}
    assert sum(g["rows"] for g in answer["groups"] if g["attribute"] == "sex") == 1000
    assert answer["cohorts"] == []


def cohorts(night: Night, tonight: date) -> list[dict]:
    """The matured cohorts as judged tonight, whose own scores do not matter; only that there are some."""
    table = lake.scores("consumer")
    rows = lake.read(table, filters=[("day", "=", "2007-02-01")]).to_pylist()
    lake.replace_partitions(table, pa.Table.from_pylist(
        [{**row, "day": tonight.isoformat(), "as_of": tonight} for row in rows], table.schema), [tonight.isoformat()])
    return performance_step(night.book, tonight, night.params)["cohorts"]


def test_a_cohort_is_judged_when_its_last_label_is_mature_and_not_a_day_before(night: Night) -> None:
    night.outcomes("stationary")
    for as_of in (FEB, MAR):
        night.publish("stationary", as_of)

    def judged(tonight: date) -> list[str]:
        return [row["scored_as_of"] for row in cohorts(night, tonight)]

    assert judged(date(2009, 1, 31)) == []
    assert judged(date(2009, 2, 1)) == ["2007-02-01"]
    assert judged(date(2009, 3, 1)) == ["2007-02-01", "2007-03-01"]
    assert WATCHED_MONTHS == 12
    assert judged(date(2010, 2, 2)) == ["2007-03-01"]
    rows = lake.read(lake.performance("consumer"), filters=[("day", "=", "2009-02-01")]).to_pylist()
    (cohort,) = [row for row in rows if row["scored_as_of"] == FEB]
    assert cohort["rows"] == 1000 and cohort["defaults"] > 50
    assert cohort["auc"] > 0.8 and cohort["ks"] > 0.4 and cohort["false_negative_rate"] < 0.4


def test_a_correction_moves_a_cohorts_performance_once_it_is_known_and_not_before(night: Night) -> None:
    night.outcomes("stationary")
    night.publish("stationary", FEB)
    (before,) = cohorts(night, date(2009, 2, 1))
    table, month = lake.outcomes(night.book), "2009-02"
    loans = lake.read(lake.scores("consumer"), filters=[("day", "=", "2007-02-01")])["loan_id"].to_pylist()
    told = [{"loan_id": loan, "known_on": date(2009, 2, 1), "defaulted_on": None, "month": month}
            for loan in loans[:600]]
    lake.replace_partitions(table, pa.Table.from_pylist(told, table.schema), [month])
    assert cohorts(night, date(2009, 2, 1)) == [before]
    (after,) = cohorts(night, date(2009, 2, 2))
    assert 0 < after["defaults"] < before["defaults"]


def test_refused_applications_are_no_part_of_the_measures(night: Night) -> None:
    night.publish("stationary", FEB, refused=300)
    assert performance_step(night.book, FEB, night.params)["groups"][0]["rows"] < 700
    assert night.drift(FEB)["rows"] == 700
    night.publish("stationary", MAR, refused=1_000)
    assert performance_step(night.book, MAR, night.params)["decline_rate"] is None
    assert night.drift(MAR)["level"] == "unknown"


def test_a_night_without_scores_says_to_score_first(night: Night) -> None:
    with pytest.raises(BadInput, match="score_nightly for consumer as of 2007-02-01"):
        performance_step(night.book, FEB, night.params)
