"""Rules are data: what a book writes into params.yaml is what is told, and how luck is kept out of many features."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
import pytest
from scipy import stats
from tests.monitoring.conftest import _world
from tests.scored import publish_night

from tollgate import lake
from tollgate.config import MEASURES, Rule
from tollgate.monitoring.measures import discovered
from tollgate.monitoring.rules import Signal, signals
from tollgate.requests import open_requests

if TYPE_CHECKING:
    from conftest import Night

FEB, MAR, APR, LATER = date(2007, 2, 1), date(2007, 3, 1), date(2007, 4, 1), date(2009, 3, 31)


def _rule(measure: str, condition: str, limit: float, **more: Any) -> Rule:
    return Rule.model_validate({"measure": measure, "condition": condition, "limit": limit, "severity": "warning",
                                "action": "tell", **more})


def _row(subject: str, metric: str = "psi", **changed: object) -> dict[str, Any]:
    return {"kind": "feature", "subject": subject, "segment": None, "metric": metric, "value": 0.3, "reference": 0.0,
            "null_value": 0.02, "p_value": 1e-12, "n": 5_000, "window_to": FEB, "level": None, **changed}


def _loud(night: Night, rules: list[Rule], *rows: dict[str, Any]) -> list[Signal]:
    params = night.params.monitoring.model_copy(update={"rules": rules})
    return [signal for signal in signals(night.book, params, rows) if signal.rank]


def test_every_measure_that_a_rule_may_be_about_is_measured(night: Night) -> None:
    night.outcomes("stationary")
    for day in (FEB, MAR, APR):
        night.publish("stationary", day)
    loans = _world("stationary", night.book).slice(0, 500)
    publish_night(night.book, LATER, loans, loans["true_probability"].to_numpy(), 0.15)
    night.drift(LATER)
    night.performance(LATER)
    rows = lake.read(lake.measures("consumer")).to_pylist()
    judged = {row["metric"] for row in rows if None not in (row["value"], row["reference"])}
    assert judged == set(MEASURES), "and nothing else is held against anything"
    of_features = {row["metric"] for row in rows if row["kind"] == "feature"}
    assert of_features == {name for name, measure in MEASURES.items() if measure.features}


def test_the_rules_on_one_feature_are_one_event_of_the_gravest_and_all_their_actions(night: Night) -> None:
    rules = [_rule("psi", "above", 0.1, of="features"), _rule("psi", "above", 0.25, of="critical", action="request"),
             _rule("psi", "above", 0.6, of="features", severity="page", action="page")]
    found = _loud(night, rules, _row("credit_score", value=0.9), _row("purpose"), _row("state", value=0.7))
    assert [(one.event, one.rank, one.severity, one.limit, one.actions) for one in found] == [
        ("psi:credit_score", 3, "page", 0.6, ("tell", "request", "page")),
        ("psi:purpose", 1, "warning", 0.1, ("tell",)), ("psi:state", 2, "page", 0.6, ("tell", "page"))]


def test_a_rule_on_any_measure_names_value_limit_and_luck(night: Night) -> None:
    chi = _rule("chi_square", "above", 50, of="features")
    (told,) = _loud(night, [chi], _row("purpose", "chi_square", value=80.0, null_value=13.3))
    assert told.text == "purpose moved: chi_square 80.000, over 50.000 (luck explains 13.300)"


def test_discoveries_are_those_of_scipy_and_of_many_features_without_any_drift_hardly_ever_one() -> None:
    rng = np.random.default_rng(1)
    found = bare = 0
    for _ in range(400):
        p_values = rng.random(20)
        sure = discovered([{"p_value": p} for p in p_values], 0.05)
        assert sure == (stats.false_discovery_control(p_values, method="by") <= 0.05).tolist()
        found += any(sure)
        bare += bool(np.any(p_values < 0.05))
    assert found <= 400 * 0.05 < 200 < bare
    assert discovered([{"p_value": None}, {"p_value": 0.3}], 0.05) == [True, False]


def test_a_small_p_value_that_one_of_many_features_has_is_no_discovery(night: Night) -> None:
    rules = [_rule("ks", "above", 0.1, of="features")]
    others = [_row(f"f{k}", "ks", value=0.01, p_value=0.5) for k in range(20)]
    one = _row("purpose", "ks", value=0.2, p_value=5e-4)
    assert _loud(night, rules, one) and _loud(night, rules, one, *others) == []
    assert _loud(night, rules, {**one, "p_value": 1e-6}, *others)


def test_whatever_rule_asks_for_a_retrain_gets_one_when_it_lasts(night: Night) -> None:
    night = night.tuned(rules=[_rule("decline_rate", "moves", 0.15, relative=True, action="request")])
    told = []
    for as_of in (FEB, MAR):
        night.publish("covariate_shift", as_of)
        night.drift(as_of)
        night.performance(as_of)
        told.append(night.verdict(as_of))
    assert "a rule asked for one in 1 of the last 3 windows, and 2 are needed" in told[0]["alerts"][0]["message"]
    assert told[1]["request"] == "consumer-performance-v1-2007-03-01"
    (request,) = open_requests()
    assert "are declined where v1 was approved for" in request["reason"]


def test_an_event_that_no_rule_is_about_any_more_ends(night: Night) -> None:
    assert night.run("broken_feed", FEB)["alerts"]
    night.tuned(rules=[_rule("decline_rate", "moves", 0.15)]).run("broken_feed", MAR)
    ended = [row for row in lake.read(lake.events("consumer")).to_pylist() if row["as_of"] == MAR]
    assert ended and {row["status"] for row in ended} == {"ended"}
    assert all(row["message"].endswith("no rule is about it any more") for row in ended)


def test_an_event_ends_where_the_rules_on_its_measure_look_at_it_no_more(night: Night) -> None:
    """A feature that is not critical, one that is judged with others from now on, and others that no longer are."""
    wide = [_rule("unseen", "rises", 0.05, of="features"), _rule("ks", "above", 0.1, of="features"),
            _rule("js", "above", 0.1, of="features", together=2)]
    narrow = [_rule("unseen", "rises", 0.05, of="critical"), _rule("ks", "above", 0.1, of="features", together=3),
              _rule("js", "above", 0.1, of="critical")]
    night.tuned(rules=wide).run("broken_feed", FEB)
    night.tuned(rules=narrow).run("broken_feed", MAR)
    told = {row["event"]: (row["status"], row["message"].endswith("no rule is about it any more"))
            for row in lake.read(lake.events("consumer")).to_pylist() if row["as_of"] == MAR}
    assert told == {
        "unseen:annual_income": ("lasts", False), "js:annual_income": ("began", False),
        **dict.fromkeys(("unseen:payment_to_income_ratio", "ks:annual_income", "ks:payment_to_income_ratio", "js"),
                        ("ended", True))}


@pytest.mark.parametrize(("scenario", "loud"), [("stationary", False), ("prior_shift", True)])
def test_scores_whose_promise_did_not_come_true_are_told_when_their_loans_have_matured(
        night: Night, scenario: str, loud: bool) -> None:
    """As if the model knew nothing of what tripled the odds of default."""
    night.outcomes(scenario)
    shown = night.publish("stationary", FEB)
    loans = _world(scenario, night.book)
    loans = loans.filter(pc.is_in(loans["loan_id"], shown["loan_id"].combine_chunks()))
    night.outcomes(scenario, loans)
    nobody = lake.view(lake.applications(night.book)).slice(0, 0)
    publish_night(night.book, LATER, nobody, np.array([]), 0.5)
    night.drift(LATER)
    night.performance(LATER)
    alerts = {alert["subject"]: alert["message"] for alert in night.verdict(LATER)["alerts"]}
    assert ("default_rate" in alerts) is loud
    if loud:
        assert "of the loans scored as of 2007-02-01 by v1 defaulted, where their scores promised" in alerts[
            "default_rate"] and alerts["default_rate"].endswith("Somebody is asked to look into it.")
