"""Whether scores hold once labels are mature: in all, in each band of the scores, in each part of the book."""

from __future__ import annotations

import json
import time
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.published import publish
from tests.scored import publish_night

from tollgate import lake, nights
from tollgate.books import load_book
from tollgate.labels import GOOD
from tollgate.monitoring.cohorts import Cohort, matured_cohorts, newest_judged, parted_by
from tollgate.monitoring.concept import BANDS, CALIBRATION, RESIDUAL, calibration
from tollgate.nights import tidy_nights
from tollgate.nights.tidying import DAY_SECONDS
from tollgate.stats.calibration import count_test
from tollgate.stats.intervals import garwood
from tollgate.training import slice_columns

if TYPE_CHECKING:
    from conftest import Night

FEB, MAR, APR, LATER = date(2007, 2, 1), date(2007, 3, 1), date(2007, 4, 1), date(2009, 5, 31)


def measured(night: Night, outcomes: str, *, months: tuple[date, ...] = (FEB, MAR)) -> dict[tuple[str, Any], dict]:
    """What is measured of the concept once loans scored in a stationary world have come out as another world has it;
    by subject and segment.
    """
    night.outcomes(outcomes)
    for day in months:
        night.publish("stationary", day)
    return seen(night)


def seen(night: Night) -> dict[tuple[str, Any], dict]:
    nobody = lake.view(lake.applications(night.book)).slice(0, 0)
    publish_night(night.book, LATER, nobody, np.array([]), 0.5)
    night.performance(LATER)
    rows = lake.read(lake.measures("consumer"), filters=[("day", "=", LATER.isoformat()), ("kind", "=", "concept")])
    return {(row["subject"], row["segment"]): row for row in rows.to_pylist()}


def beyond(rows: dict[tuple[str, Any], dict]) -> set[tuple[str, Any]]:
    """What lies further from its promise than luck explains."""
    return {key for key, row in rows.items() if abs(row["value"] - row["reference"]) > row["null_value"]}


def test_a_count_is_beyond_what_luck_explains_just_where_its_p_value_says_so() -> None:
    for expected in (0.4, 3.0, 12.5, 40.0):
        for defaults in range(90):
            p_value, null = count_test(defaults, expected, 0.99)
            assert (abs(defaults - expected) > null + 1e-9) == (p_value < 0.01), (defaults, expected)


def test_loans_that_default_as_their_scores_say_are_called_off_no_more_often_than_stated() -> None:
    rng = np.random.default_rng(3)
    score = rng.beta(1, 6, 1_500)
    wrong = sum(count_test(int(np.sum(rng.random(len(score)) < score)), float(score.sum()), 0.95)[0] < 0.05
                for _ in range(1_000))
    assert 0 < wrong <= 50 + 3 * np.sqrt(50)


def test_calibration_by_hand() -> None:
    score, bad = np.repeat([0.1, 0.5], 100), np.arange(200) % 4 == 0
    whole, low, high = calibration(score, bad, 0.95)
    assert [row["segment"] for row in (whole, low, high)] == [
        None, "scores of 10.00% to 10.00%", "scores of 50.00% to 50.00%"]
    assert [(row["value"], row["n"]) for row in (whole, low, high)] == [(0.25, 200), (0.25, 100), (0.25, 100)]
    assert [row["reference"] for row in (whole, low, high)] == pytest.approx([0.3, 0.1, 0.5])
    told = json.loads(low["parameters"])
    assert (told["defaults"], told["expected"], told["times"]) == (25, pytest.approx(10), pytest.approx(2.5))
    assert [told["low"], told["high"]] == pytest.approx([end / 10 for end in garwood(25, 0.95)])
    assert calibration(score[:0], bad[:0], 0.95) == []


def test_a_world_that_stands_still_is_as_promised_in_every_band_and_part(night: Night) -> None:
    rows = measured(night, "stationary")
    assert {row["metric"] for row in rows.values()} == {CALIBRATION, RESIDUAL}
    assert sum(row["metric"] == CALIBRATION for row in rows.values()) == BANDS + 1
    assert {("sex", "= female"), ("sex", "= male"), ("score", None)} <= set(rows)
    assert all(row["n"] >= night.params.monitoring.min_sample for row in rows.values() if row["metric"] == RESIDUAL)
    assert beyond(rows) == set()


def test_features_that_mean_something_else_show_in_the_parts_where_they_do(night: Night) -> None:
    """The debt-to-income ratio turns round: the whole hardly moves, its lowest and highest quarters do."""
    rows = {key: row for key, row in measured(night.tuned(min_sample=250), "concept_shift").items()
            if key[0] == "debt_to_income_ratio"}
    low, *_, high = sorted(rows.values(), key=lambda row: row["reference"])
    assert low["value"] > low["reference"] + low["null_value"]
    assert high["value"] < high["reference"] - high["null_value"]


def test_a_state_whose_labels_were_turned_round_is_the_part_that_stands_out(night: Night) -> None:
    rows = measured(night.tuned(min_sample=100), "poisoned_labels")
    assert ("state", "= OH") in beyond(rows)
    worst = max((row for row in rows.values() if row["metric"] == RESIDUAL),
                key=lambda row: abs(row["value"] - row["reference"]))
    assert (worst["subject"], worst["segment"]) == ("state", "= OH")
    assert not {key for key in beyond(rows) if key[0] == "state"} - {("state", "= OH")}


def test_parts_are_cut_by_what_was_known_when_the_loans_were_scored_also_where_the_nights_files_are_gone(
        night: Night) -> None:
    before = measured(night, "stationary")
    loans = lake.view(lake.applications(night.book), filters=[("applied_on", ">=", date(2007, 1, 1))])
    sexes = pc.if_else(pc.equal(loans["sex"], "male"), "female", "male")
    publish(night.book, "applications", loans.set_column(loans.column_names.index("sex"), "sex", sexes), number=99,
            day=date(2008, 1, 1), live_on=date(2007, 1, 1))
    tidy_nights("consumer", time.time() + 2 * DAY_SECONDS, 1, 1)
    assert not nights.was_pinned(nights.publications("consumer", until=MAR)[0].attempt)
    assert seen(night) == before


def test_parts_of_a_book_with_histories_are_cut_by_what_these_told_on_the_night(home: object) -> None:
    book, night = load_book("instalment"), date(2006, 4, 1)
    live = date(2003, 1, 1)
    asked = {"loan_amount": 9_000.0, "term_months": 24, "annual_income": 50_000.0, "purpose": "car",
             "applicant_id": "ann"}
    loans = [{**asked, "loan_id": "A", "applied_on": date(2005, 3, 10)},
             {**asked, "loan_id": "B", "applied_on": date(2006, 3, 10)}]
    publish(book, "applications", loans, number=1, day=date(2006, 3, 10), live_on=live)

    def pay(number: int, due: date, days_late: int) -> None:
        publish(book, "payments", [{"loan_id": "A", "applicant_id": "ann", "due_on": due, "amount_due": 400.0,
                                    "amount_paid": 0.0, "status": "open", "days_past_due": days_late,
                                    "reported_on": due + timedelta(days=5)}], number=number,
                day=due + timedelta(days=6), live_on=live)

    pay(2, date(2005, 12, 1), 0)
    pay(3, date(2006, 1, 1), 40)
    scores = pa.table({"as_of": [night], "loan_id": ["B"], "applied_on": [date(2006, 3, 10)]})
    columns, known = parted_by(book, Cohort(scores, np.array([GOOD], dtype=object)))
    assert known.tolist() == [0] and tuple(columns.column_names) == slice_columns(book)
    assert columns["late_share_12m"].to_pylist() == [0.5]
    pay(4, date(2006, 4, 1), 40)
    assert parted_by(book, Cohort(scores, np.array([GOOD], dtype=object)))[0] == columns


def test_the_newest_nights_of_one_model_are_taken_together_until_they_are_enough(night: Night) -> None:
    night.outcomes("stationary")
    for day, version in ((FEB, "1"), (MAR, "1"), (APR, "2")):
        night.publish("stationary", day, version=version)
    cohorts = matured_cohorts(night.book, LATER, night.params.snapshot.horizon_months)
    assert [(one.day, one.version, len(one)) for one in cohorts] == [
        (FEB, "1", 1_000), (MAR, "1", 1_000), (APR, "2", 1_000)]

    def taken(until: int, loans: int, days: int) -> list[date]:
        found = newest_judged(cohorts[:until], loans, days)
        return [] if found is None else sorted(set(found.scores["as_of"].to_pylist()))

    assert taken(3, 5_000, 60) == [APR], "another model's loans are another matter"
    assert taken(2, 5_000, 31) == [FEB, MAR]
    assert taken(2, 1_000, 31) == [MAR], "enough"
    assert taken(2, 5_000, 28) == [MAR], "too long ago"
    assert taken(0, 5_000, 31) == []


def test_an_erased_application_is_in_no_measure(night: Night) -> None:
    night = night.tuned(min_sample=100)
    rows = measured(night, "stationary")
    table = lake.applications(night.book)
    gone = lake.read(lake.scores("consumer"), filters=[("day", "=", MAR.isoformat())])["loan_id"][:300]
    lake.change_partitions(table, ["2007-02"], lambda there: there.filter(
        pc.invert(pc.is_in(there["loan_id"], value_set=gone.combine_chunks()))))
    after = seen(night)
    assert (rows["score", None]["n"], after["score", None]["n"]) == (1_000, 700)
    assert sum(after["sex", part]["n"] for part in ("= female", "= male")) == 700
