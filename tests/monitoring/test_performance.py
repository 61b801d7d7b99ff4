from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.labels.small_books import DECISIONS
from tests.published import publish
from tests.scored import publish_night

from tollgate import lake
from tollgate.books import Event, Target
from tollgate.errors import BadInput
from tollgate.labels import BAD, GOOD, UNBOOKED, read_labels
from tollgate.monitoring import performance_step
from tollgate.monitoring.cohorts import WATCHED_MONTHS
from tollgate.monitoring.performance import auc_error, decline_rates, matured, parity_gaps, widest
from tollgate.monitoring.rules import signals
from tollgate.monitoring.window import load_window
from tollgate.stats.ranking import area_under

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
        ("f", 200, 0.75), ("m", 200, 0.25), ("not stated", 1, 1.0), ("x", 2, 1.0)]
    (row,) = parity_gaps(rates, group_min=200, confidence=0.99)
    assert (row["subject"], row["segment"], row["value"], row["n"]) == ("sex", "f and m", 0.5, 400)
    assert row["null_value"] == pytest.approx(2.5758 * 0.05, rel=1e-3)
    assert widest([row]) == (row["value"], row["null_value"])
    assert widest(parity_gaps(rates, group_min=201, confidence=0.99)) == (None, None)


def test_a_wide_gap_of_a_small_group_does_not_hide_a_sure_one_between_large_groups(night: Night) -> None:
    """S4: 10.4 points between groups of 20,000 were silent, because a group of 200 lay 10.9 apart."""
    rows = {"f": (20_000, 0.504), "m": (20_000, 0.400), "not stated": (200, 0.509)}
    rates = [{"attribute": "sex", "group": group, "rows": n, "decline_rate": rate} for group, (n, rate) in rows.items()]
    gaps = parity_gaps(rates, group_min=200, confidence=0.999)
    by_pair = {row["segment"]: row for row in gaps}
    assert set(by_pair) == {"f and m", "f and not stated", "m and not stated"}
    small = by_pair["m and not stated"]
    assert by_pair["f and m"]["value"] < small["value"] < small["null_value"]
    gaps = [{**row, "window_to": FEB} for row in gaps]
    (signal,) = [one for one in signals(night.book, night.params.monitoring, gaps) if one.rank]
    assert signal.event == "parity:sex" and "f and m lie 10.4% apart (luck explains 1." in signal.text
    quiet = [{**row, "window_to": FEB} for row in parity_gaps(rates[1:], group_min=200, confidence=0.999)]
    assert [one.rank for one in signals(night.book, night.params.monitoring, quiet)] == [0], "luck explains it"


def test_tonights_decline_rate_is_on_record_before_any_label(night: Night) -> None:
    night.publish("stationary", FEB)
    answer = performance_step(night.book, FEB, night.params)
    measured = {row["metric"]: row for row in lake.read(lake.measures("consumer")).to_pylist()}
    assert "matured_auc" not in measured and measured["default_rate"]["value"] is None
    assert measured["decline_rate"]["value"] == answer["decline_rate"] > 0.1
    assert (measured["refused_share"]["value"], measured["refused_share"]["n"]) == (0.0, 1000)
    assert {g["attribute"] for g in answer["groups"]} == {"sex", "age_band"}
    assert sum(g["rows"] for g in answer["groups"] if g["attribute"] == "sex") == 1000
    assert answer["cohorts"] == []
    night.drift(FEB)
    performance_step(night.book, FEB, night.params)
    measures = lake.read(lake.measures("consumer")).to_pylist()
    kinds = {"feature", "prediction", "fairness", "decision", "performance", "business"}
    assert {row["kind"] for row in measures} == kinds, "one step keeps the other's"
    assert "female and male" in {row["segment"] for row in measures if row["subject"] == "sex"}


def test_a_night_of_before_the_book_named_a_protected_attribute_is_measured_without_it(night: Night) -> None:
    rows = night.publish("stationary", FEB)
    publish_night(night.book, MAR, rows.drop_columns(["sex"]), rows["true_probability"].to_numpy(), 0.15)
    answer = performance_step(night.book, MAR, night.params)
    assert {group["attribute"] for group in answer["groups"]} == {"age_band"} and answer["parity_gap"] is not None


def cohorts(night: Night, tonight: date) -> list[dict]:
    """The matured cohorts as judged tonight, on a night of no rows (L10)."""
    nobody = lake.view(lake.applications(night.book)).slice(0, 0)
    publish_night(night.book, tonight, nobody, np.array([]), 0.5)
    return performance_step(night.book, tonight, night.params)["cohorts"]


def test_a_cohort_is_judged_when_its_last_label_is_mature_and_not_a_day_before(night: Night) -> None:
    night.outcomes("stationary")
    for as_of in (FEB, MAR):
        night.publish("stationary", as_of)

    def judged(tonight: date) -> list[str]:
        return [row["scored_as_of"] for row in cohorts(night, tonight)]

    assert night.book.target.lag_days == 30
    assert judged(date(2009, 2, 1) + timedelta(days=29)) == []
    assert judged(date(2009, 2, 1) + timedelta(days=30)) == ["2007-02-01"]
    assert judged(date(2009, 3, 31)) == ["2007-02-01", "2007-03-01"]
    assert WATCHED_MONTHS == 12
    assert judged(date(2010, 3, 4)) == ["2007-03-01"]
    (cohort,) = [row for row in cohorts(night, date(2009, 3, 3)) if row["scored_as_of"] == "2007-02-01"]
    assert cohort["rows"] == cohort["labelled"] == 1000 and cohort["defaults"] > 50
    assert cohort["auc"] > 0.8 and cohort["ks"] > 0.4 and cohort["false_negative_rate"] < 0.4
    rows = lake.read(lake.measures("consumer"), filters=[("day", "=", "2009-03-03")]).to_pylist()
    kept = {row["metric"]: row["value"] for row in rows if row["segment"] == "scored 2007-02-01"}
    told = {"matured_auc": "auc", "matured_ks": "ks", "miss_rate": "false_negative_rate"}
    assert [kept[metric] for metric in told] == [cohort[name] for name in told.values()]
    assert kept["unbooked_share"] == 0


def test_the_newest_of_small_nights_are_judged_together_by_the_rules(night: Night) -> None:
    night = night.tuned(min_sample=1_500)
    night.outcomes("prior_shift")
    for as_of in (FEB, MAR):
        night.publish("stationary", as_of)
    tonight = date(2009, 3, 31)
    cohorts(night, tonight)
    rows = [row for row in lake.read(lake.measures("consumer"), filters=[
        ("day", "=", tonight.isoformat()), ("kind", "=", "performance")]).to_pylist() if row["value"] is not None]
    together = [row for row in rows if row["segment"] == "scored 2007-02-01 to 2007-03-01"]
    assert {(row["n"], row["window_from"], row["window_to"]) for row in together} == {(2_000, FEB, MAR)}
    (signal,) = signals(night.book, night.params.monitoring, rows)
    assert signal.event == "default_rate" and signal.rank and "scored as of 2007-03-01" in signal.text
    alone = [row for row in rows if row not in together]
    assert signals(night.book, night.params.monitoring, alone) == [], "a night by itself is too few loans"


def test_a_correction_moves_a_cohorts_performance_once_it_is_known_and_not_before(night: Night) -> None:
    night.outcomes("stationary")
    night.publish("stationary", FEB)
    (before,) = cohorts(night, date(2009, 3, 5))
    loans = lake.read(lake.scores("consumer"), filters=[("day", "=", "2007-02-01")])["loan_id"].to_pylist()
    publish(night.book, "outcomes", [{"loan_id": loan, "reported_on": date(2009, 3, 5)} for loan in loans[:600]],
            number=99)
    assert cohorts(night, date(2009, 3, 5)) == [before]
    (after,) = cohorts(night, date(2009, 3, 6))
    assert 0 < after["defaults"] < before["defaults"]


def test_refused_applications_are_no_part_of_the_measures(night: Night) -> None:
    night.publish("stationary", FEB, refused=300)
    assert performance_step(night.book, FEB, night.params)["groups"][0]["rows"] < 700
    assert night.drift(FEB)["rows"] == 700
    night = night.tuned(window_days=1)
    night.publish("stationary", MAR, refused=1_000)
    assert performance_step(night.book, MAR, night.params)["decline_rate"] is None
    assert night.drift(MAR)["level"] == "unknown"


def test_a_night_without_scores_says_to_score_first(night: Night) -> None:
    with pytest.raises(BadInput, match="score_nightly for consumer as of 2007-02-01"):
        performance_step(night.book, FEB, night.params)


@pytest.fixture
def decided(night: Night) -> Night:
    """A night of a lender that tells its decisions."""
    if not night.book.all_booked:
        return night
    return replace(night, book=replace(night.book, tables=(*night.book.tables, DECISIONS), all_booked=False))


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_the_declined_are_no_good_loans_in_training_or_in_monitoring(decided: Night, share: float) -> None:
    """L1."""
    loans = decided.publish("stationary", FEB, booked=False)
    true, bad = loans["true_probability"].to_numpy(), loans["defaulted_on"].is_valid().to_numpy()
    declined = true >= np.quantile(true, 1 - share)
    decided.decide(loans, declined)
    decided.outcomes("stationary", loans.filter(pa.array(~declined)))
    tonight = date(2009, 3, 5)

    label = read_labels(decided.book, tonight, 24)["label"].to_numpy(zero_copy_only=False)
    counts = {name: int(np.sum(label == name)) for name in (GOOD, BAD, UNBOOKED)}
    assert counts == {GOOD: int(np.sum(~declined & ~bad)), BAD: int(np.sum(~declined & bad)),
                      UNBOOKED: int(declined.sum())}
    (cohort,) = cohorts(decided, tonight)
    assert (cohort["rows"], cohort["labelled"], cohort["unbooked"]) == (1000, 1000 - declined.sum(), declined.sum())
    assert cohort["auc"] == pytest.approx(area_under(bad[~declined], true[~declined]))
    as_if_paid = area_under(bad & ~declined, true)
    assert as_if_paid < cohort["auc"] - 0.1, "an outcome that never came is no good news"
    assert cohort["decline_rate"] == pytest.approx(np.mean(true >= 0.15)), "of all that were scored"


def test_a_cohort_waits_for_the_loan_of_it_that_was_booked_last(decided: Night) -> None:
    loans = decided.publish("stationary", FEB, booked=False)
    late = np.where(np.arange(loans.num_rows) == 7, 90, 2)
    decided.decide(loans, np.zeros(loans.num_rows, bool), late)
    booked = loans["applied_on"][7].as_py() + timedelta(days=90)
    mature = booked.replace(year=booked.year + 2) + timedelta(days=31)
    assert cohorts(decided, mature - timedelta(days=1)) == []
    (cohort,) = cohorts(decided, mature)
    assert cohort["labelled"] == 1000


def test_an_indeterminate_loan_is_left_out_and_counted(night: Night) -> None:
    voided = Target(lag_days=30, void=(Event(table="outcomes", on="reported_on"),))
    night = replace(night, book=replace(night.book, target=voided))
    loans = night.publish("stationary", FEB)
    night.outcomes("stationary", loans.filter(pc.is_valid(loans["defaulted_on"])))
    (cohort,) = cohorts(night, date(2009, 3, 5))
    bad = loans["defaulted_on"].is_valid().to_numpy().sum()
    assert (cohort["indeterminate"], cohort["labelled"], cohort["defaults"]) == (bad, 1000 - bad, 0)
    assert cohort["auc"] is None


def test_a_night_reads_the_applications_as_they_were_known_then(night: Night) -> None:
    loans = night.publish("stationary", FEB)
    restated = loans.set_column(loans.column_names.index("credit_score"), "credit_score",
                                pa.array([850] * loans.num_rows))
    publish(night.book, "applications", restated, number=99, day=date(2007, 8, 1), live_on=date(2007, 1, 1))
    seen = load_window(night.book, FEB, night.params.monitoring).applications
    assert seen["credit_score"].to_pylist() == loans["credit_score"].to_pylist()
