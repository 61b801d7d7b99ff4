"""What asks for a retrain besides drift: a fall of the AUC, labels that matured, age; all in a book's one queue."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from tests.monitoring.boarded import register
from tests.monitoring.conftest import _world
from tests.published import publish

from tollgate.monitoring.asking import asks, new_labels
from tollgate.monitoring.rules import Signal
from tollgate.requests import close, open_requests

if TYPE_CHECKING:
    from conftest import Night

FEB, MAR, APR = (date(2007, month, 1) for month in (2, 3, 4))
TRAINED = date(2007, 1, 1)


def _conclude(night: Night, as_of: date) -> dict[str, Any]:
    """A stationary night and what is concluded from it."""
    night.publish("stationary", as_of)
    night.drift(as_of)
    return night.verdict(as_of)


def _open() -> list[tuple[str, str]]:
    return [(request["key"], request["cause"]) for request in open_requests()]


def test_rules_that_trip_on_what_became_of_the_loans_ask_for_performance_and_else_for_drift(night: Night) -> None:
    auc = Signal("auc", 1, "warning", 0.75, 0.78, "AUC 0.750", ("request",))
    psi = Signal("psi:credit_score", 1, "warning", 0.31, 0.25, "credit_score moved", ("request",))
    assert [(ask.cause, ask.reason) for causes in ([auc], [psi, auc], [])
            for ask in asks(night.book, FEB, night.params, "1", causes)] == [
        ("performance", "AUC 0.750"), ("drift", "drift from model v1: credit_score moved; AUC 0.750")]


def test_labels_that_matured_since_the_training_ask_where_somebody_says_how_many(night: Night) -> None:
    world = _world("stationary", night.book)
    known = world.filter(pc.less(world["applied_on"], date(2006, 12, 1)))
    publish(night.book, "applications", known, number=100)
    night.decide(known, np.zeros(known.num_rows, bool))
    night.outcomes("stationary", known)
    sooner = night.params.snapshot.model_copy(update={"horizon_months": 6})
    night = replace(night, params=night.params.model_copy(update={"snapshot": sooner}))
    register("1")
    month, two = (new_labels(night.book, TRAINED, as_of, 6) for as_of in (FEB, MAR))
    assert 500 < month < two
    assert _conclude(night, FEB)["request"] is None, "off unless somebody says how many"
    night = night.tuned(request_new_labels=month + 1)
    assert _conclude(night, FEB)["request"] is None
    assert _conclude(night, MAR)["request"] == "consumer-volume-v1-2007-03-01"
    assert _open() == [("consumer-volume-v1-2007-03-01", "volume")]


def test_an_old_champion_asks_at_its_own_pace_and_in_the_one_queue(night: Night) -> None:
    register("1")
    night = night.tuned(request_age_days=31)
    assert _conclude(night, FEB)["request"] == "consumer-schedule-v1-2007-02-01"
    assert _conclude(night, MAR)["request"] is None, "the first is open still"
    close("consumer", "consumer-schedule-v1-2007-02-01", "refused at the gates", "refused")
    assert _conclude(night, MAR)["request"] is None, "28 days after that verdict"
    assert _conclude(night, APR)["request"] == "consumer-schedule-v1-2007-04-01"
    assert _open() == [("consumer-schedule-v1-2007-04-01", "schedule")]


def test_of_a_model_of_which_the_ledger_knows_nothing_neither_labels_nor_age_ask(night: Night) -> None:
    assert _conclude(night.tuned(request_age_days=1, request_new_labels=1), FEB)["request"] is None
