from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.monitoring.conftest import _world
from tests.published import publish

from tollgate import lake
from tollgate.monitoring import performance_step
from tollgate.monitoring.baselines import Baseline
from tollgate.monitoring.events import follow, fresh
from tollgate.monitoring.performance import came_true, decided
from tollgate.monitoring.rules import Signal, feed_signals, signals
from tollgate.monitoring.steps import record_drift
from tollgate.monitoring.window import load_window

if TYPE_CHECKING:
    from conftest import Night

JAN, FEB, MAR, APR, MAY, JUN = (date(2007, month, 1) for month in range(1, 7))
BASELINE = Baseline(decline_rate=0.20, auc=0.80, auc_error=0.002, rows=50_000)


def _signal(rank: int) -> Signal:
    return Signal("psi:x", rank, "info", 0.0, 0.0, "")


@pytest.mark.parametrize(("ranks", "told"), [
    ([0, 1, 1, 1], [1]),           # goes on at the same level
    ([1, 2, 3], [0, 1, 2]),        # worsens
    ([3, 2, 3], [0]),              # eases and comes back, never stable between
    ([3, 0, 3], [0, 2]),           # returns after being stable
    ([1, None, 1], [0]),           # a window that could not tell neither ends nor begins it
])
def test_one_event_is_told_once(ranks: list[int | None], told: list[int]) -> None:
    rows: list[dict[str, Any]] = []
    heard = []
    for k, rank in enumerate(ranks):
        now = [] if rank is None else [_signal(rank)]
        rows = follow(rows, now, JAN + timedelta(days=k), "1")
        heard += [k] * len(fresh(rows, now))
    assert heard == told


def _loud(night: Night, *measures: dict[str, Any]) -> dict[str, Signal]:
    found = signals(night.book, night.params.monitoring, [{"window_to": APR, **row} for row in measures])
    return {signal.event: signal for signal in found if signal.rank}


def _decisions(declined: float, rows: int = 5_000, refused: int = 0) -> list[dict[str, Any]]:
    """Measures of a window in which about this share is declined, by a model that was approved for 20 %."""
    measured = decided(np.arange(rows) < round(declined * rows), refused, BASELINE, 0.99)
    return [{"model_version": "1", **row} for row in measured]


def test_a_decline_rate_must_move_by_more_than_the_limit_and_than_luck(night: Night) -> None:
    assert _loud(night, *_decisions(0.2296)) == {}
    told = _loud(night, *_decisions(0.231))["decline_rate"]
    assert (told.severity, told.actions, told.limit) == ("warning", ("tell",), pytest.approx(0.23))
    assert told.text == ("23.1% of the applications are declined where v1 was approved for 20.0% (a move of more than "
                         "3.0%; luck explains 1.5%)")
    assert _loud(night, *_decisions(0.169))["decline_rate"].value == 0.169
    assert _loud(night, *_decisions(0.232, rows=250)) == {}
    assert _loud(night, *_decisions(0.251, rows=350)) == {}, "luck goes either way"
    assert _loud(night, *_decisions(0.257, rows=350))
    assert _loud(night, *_decisions(0.9, rows=50)) == {}


def _cohort(auc: float, defaults: int = 1_000, labelled: int = 5_000, scored: date = FEB) -> list[dict[str, Any]]:
    told = {"rows": labelled, "labelled": labelled, "defaults": defaults, "unbooked": 0, "indeterminate": 0,
            "decline_rate": 0.9, "auc": auc, "ks": 0.4}
    return [{"model_version": "1", "window_to": scored, "segment": f"scored {scored}", **row}
            for row in came_true(told, BASELINE, 0.99)]


def test_a_lower_auc_must_pass_the_limit_and_luck_on_the_newest_matured_cohort(night: Night) -> None:
    assert _loud(night, *_cohort(0.60, scored=JAN), *_cohort(0.79)) == {}
    told = _loud(night, *_cohort(0.76))["auc"]
    assert (told.limit, told.actions) == (0.784, ("review",))
    assert told.text == ("AUC 0.760 of the loans scored as of 2007-02-01 by v1, where its test months promised 0.800 "
                         "(the limit is 0.784; luck explains 0.022)")
    assert _loud(night, *_cohort(0.76, defaults=10)) == {}
    assert _loud(night, *_cohort(0.76, labelled=1_015)) == {}


def test_a_parity_gap_must_pass_the_limit_and_luck(night: Night) -> None:
    def loud(gap: float, null: float) -> dict[str, Signal]:
        return _loud(night, {"kind": "fairness", "subject": "sex", "segment": "female and male", "value": gap,
                             "reference": 0.0, "metric": "decline_rate_gap", "null_value": null, "p_value": None,
                             "n": 5_000})

    assert loud(0.12, 0.15) == loud(0.09, 0.05) == {}
    assert "female and male lie 12.0% apart" in loud(0.12, 0.05)["parity:sex"].text


def test_refused_rows_are_told_when_they_are_surely_more_than_the_limit(night: Night) -> None:
    assert _loud(night, *_decisions(0.2, refused=200)) == {}
    assert _loud(night, *_decisions(0.2, refused=300)) == {}, "5.7 %, and luck explains the rest"
    told = _loud(night, *_decisions(0.2, refused=400))["refused"]
    assert (told.severity, told.limit) == ("warning", 0.05)
    assert told.text == "400 of 5,400 applications could not be scored (7.4%; luck explains 0.9% of it), over 5.0%"
    assert _loud(night, *_decisions(0.2, rows=0, refused=5_000))["refused"].value == 1.0
    assert _loud(night, *_decisions(0.2, rows=10, refused=100)) == {}


def _feature(name: str, **changed: object) -> dict[str, Any]:
    """A feature's row of ``measures`` by the KS test, unless it is of another metric."""
    return {"kind": "feature", "subject": name, "metric": "ks", "value": 0.2, "reference": 0.0, "null_value": 0.005,
            "p_value": 1e-9, "n": 5000, "level": None, **changed}


def test_three_features_failing_ks_together_page_and_small_distances_do_not(night: Night) -> None:
    names = [f.name for f in night.book.features]
    assert _loud(night, *map(_feature, names[:2])) == {}
    assert _loud(night, *map(_feature, names[:3]))["ks"].severity == "page"
    assert _loud(night, *(_feature(name, value=0.05) for name in names)) == {}
    assert _loud(night, *(_feature(name, p_value=0.02) for name in names)) == {}


def test_a_feature_that_is_not_critical_moves_without_a_message(night: Night) -> None:
    assert _loud(night, _feature("purpose", metric="psi", level="major", value=0.5)) == {}
    minor = _feature("credit_score", metric="psi", level="minor", value=0.15)
    assert set(_loud(night, minor)) == {"psi:credit_score"}


def _share(name: str, metric: str, value: float, reference: float, **changed: object) -> dict[str, Any]:
    return _feature(name, metric=metric, value=value, reference=reference, **changed)


def test_any_feature_that_is_missing_or_unseen_in_another_share_of_the_rows_is_told(night: Night) -> None:
    """S7: also one that is not critical."""
    told = _loud(night, _share("purpose", "missing", 1.0, 0.0), _share("state", "unseen", 0.2, 0.01))
    assert told["missing:purpose"].text == (
        "100.0% of the rows have no purpose, where 0.0% were to be expected (a move of more than 5.0%; luck explains "
        "0.5%)")
    assert told["unseen:state"].severity == "warning" and set(told) == {"missing:purpose", "unseen:state"}
    assert set(_loud(night, _share("purpose", "missing", 0.1, 0.3))) == {"missing:purpose"}, "either way"
    for quiet in (_share("purpose", "missing", 0.34, 0.30), _share("purpose", "missing", 1.0, 0.0, n=199),
                  _share("purpose", "missing", 0.2, 0.1, null_value=0.12), _share("state", "unseen", 0.0, 0.1)):
        assert _loud(night, quiet) == {}


def test_a_feature_that_goes_wholly_missing_alerts_once_though_it_decides_nothing(night: Night) -> None:
    """S7 and S9."""
    told = [_without(night, as_of, "purpose", pa.string()) for as_of in (FEB, MAR)]
    ((alert,), second) = (one["alerts"] for one in told)
    assert alert["key"] == "missing:purpose:v1" and alert["severity"] == "warning"
    assert "100.0% of the rows have no purpose" in alert["message"] and second == []
    assert told[0]["level"] == "stable" and "purpose (missing 100%)" in told[0]["sentence"]
    assert "look like those" not in told[0]["sentence"]


def test_of_a_critical_feature_that_goes_wholly_missing_nobody_reads_that_none_moved(night: Night) -> None:
    assert "annual_income" in night.book.critical
    sentence = _without(night, FEB, "annual_income", pa.float64())["sentence"]
    assert sentence == (
        "On 1,000 rows no PSI of a critical feature or of the score drifted from model v1. In another share of them "
        "than in the training: annual_income (missing 100%). Nothing was done.")


def _without(night: Night, as_of: date, feature: str, kind: pa.DataType) -> dict[str, Any]:
    """The verdict of a night that has no value of a feature."""
    night.publish("stationary", as_of)
    window = load_window(night.book, as_of, night.params.monitoring)
    gone = pa.nulls(window.features.num_rows, kind)
    place = window.features.column_names.index(feature)
    window = replace(window, features=window.features.set_column(place, feature, gone))
    record_drift(night.book, as_of, night.params, window, night.model)
    return night.verdict(as_of)


def test_a_shift_is_one_message_and_silent_while_it_goes_on(night: Night) -> None:
    first, second, third = (night.run("covariate_shift", as_of)["alerts"] for as_of in (FEB, MAR, APR))
    (drifted,) = [alert for alert in first if alert["key"].startswith("psi:")]
    assert "credit_score" in drifted["key"] and drifted["key"].endswith(":major:v1")
    assert "PSI" in drifted["message"] and "No retrain was requested" in drifted["message"]
    assert [alert["key"] for alert in second if not alert["key"].startswith("psi:")] == [
        "request:consumer-v1-2007-03-01"]
    assert not [alert for alert in second + third if alert["key"].startswith(("ks", "psi:credit_score"))]
    assert lake.read(lake.alerts("consumer")).num_rows == len(first) + len(second) + len(third)


def test_an_event_that_returns_after_a_stable_month_is_told_again(night: Night) -> None:
    keys = {as_of: [a["key"] for a in night.run(scenario, as_of)["alerts"]] for scenario, as_of in (
        ("broken_feed", FEB), ("stationary", MAR), ("broken_feed", APR))}
    assert keys[FEB] and not keys[MAR]
    assert keys[FEB] == ["psi:annual_income+payment_to_income_ratio:major:v1"] == keys[APR][:1]


def test_a_changed_decline_rate_reaches_the_business_with_the_verdict(night: Night) -> None:
    night.publish("covariate_shift", FEB)
    night.drift(FEB)
    night.performance(FEB)
    told = {alert["subject"]: alert for alert in night.verdict(FEB)["alerts"]}
    assert "are declined where v1 was approved for" in told["decline_rate"]["message"]


def _found(check: str, level: str) -> dict[str, Any]:
    return {"check": check, "level": level, "value": 1.0, "limit": 0.5, "sentence": check}


def test_what_cannot_be_told_of_a_feed_is_no_signal_and_a_stopped_feed_is_not_told_as_thin_too() -> None:
    rows = [_found("stopped", "refuse"), _found("thinned", "refuse"), _found("lag", "unknown"),
            _found("orphans", "warn"), _found("early", "ok")]
    assert [(s.event, s.rank, s.severity) for s in feed_signals(rows)] == [
        ("feed:stopped", 2, "warning"), ("feed:orphans", 1, "info"), ("feed:early", 0, "info")]


def test_a_feed_that_stops_is_told_once_whichever_model_is_in_force_and_again_when_it_stops_again(night: Night) -> None:
    told = {}
    for as_of, version, level in ((FEB, "1", "ok"), (MAR, "1", "refuse"), (APR, "2", "refuse"), (MAY, "2", "ok"),
                                  (JUN, "2", "refuse")):
        night.publish("stationary", as_of, version=version)
        night.drift(as_of)
        table = lake.feeds("consumer")
        row = {"day": as_of.isoformat(), "as_of": as_of, **_found("stopped", level)}
        lake.replace_partitions(table, pa.Table.from_pylist([row], table.schema), [as_of.isoformat()])
        told[as_of] = [alert["key"] for alert in night.verdict(as_of)["alerts"]
                       if alert["subject"] == "feed"]
    assert told == {FEB: [], MAR: ["feed:stopped"], APR: [], MAY: [], JUN: ["feed:stopped"]}


def test_a_night_after_the_outcomes_stopped_alerts_with_the_newest_that_is_known(night: Night) -> None:
    """L3."""
    world = _world("stationary", night.book)
    loans = world.filter(pc.less(world["applied_on"], date(2007, 7, 1)))
    for as_of in (date(2007, month, 1) for month in range(1, 8)):
        night.publish("stationary", as_of)
    rest = loans.filter(pc.less(loans["applied_on"], date(2006, 12, 1)))
    publish(night.book, "applications", rest, number=100)
    if not night.book.all_booked:
        night.decide(rest, np.zeros(rest.num_rows, bool))
    night.outcomes("stationary", loans.filter(pc.less(loans["reported_on"], date(2007, 3, 1))))
    for as_of in (date(2007, 3, 1), date(2007, 7, 1)):
        night.drift(as_of)
        performance_step(night.book, as_of, night.params)
        alerts = [alert for alert in night.verdict(as_of)["alerts"] if alert["subject"] == "feed"]
        assert [alert["key"] for alert in alerts] == (["feed:stopped"] if as_of.month == 7 else [])
    assert alerts[0]["severity"] == "warning"
    assert "The newest outcome known is of 2007-02-2" in alerts[0]["message"]
