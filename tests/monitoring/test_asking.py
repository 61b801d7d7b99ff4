"""What asks for a retrain besides drift: a fall of the AUC, labels that matured, age; all in a book's one queue."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.monitoring.conftest import _world
from tests.published import publish

from tollgate import lake
from tollgate.monitoring.asking import new_labels
from tollgate.monitoring.rules import Baseline
from tollgate.monitoring.verdict import conclude
from tollgate.requests import close, open_requests

if TYPE_CHECKING:
    from conftest import Night

FEB, MAR, APR = (date(2007, month, 1) for month in (2, 3, 4))
TRAINED = {"1": date(2007, 1, 1)}
PROMISED = {"1": Baseline(decline_rate=0.2, auc=0.80, auc_error=0.002, rows=50_000)}


def _conclude(night: Night, as_of: date, **trained: date) -> dict[str, Any]:
    """A stationary night and what is concluded from it."""
    night.publish("stationary", as_of)
    night.drift(as_of)
    return conclude(night.book, as_of, night.params, PROMISED, trained or TRAINED)


def _matured(as_of: date, auc: float) -> None:
    """A cohort whose labels are mature by then."""
    table = lake.performance("consumer")
    row = {"day": as_of.isoformat(), "as_of": as_of, "scored_as_of": date(2005, 1, 1), "model_version": "1",
           "rows": 20_000, "labelled": 20_000, "defaults": 2_000, "auc": auc}
    lake.replace_partitions(table, pa.Table.from_pylist([row], table.schema), [as_of.isoformat()])


def _open() -> list[tuple[str, str]]:
    return [(request["key"], request["cause"]) for request in open_requests()]


def test_an_auc_that_fell_asks_for_a_retrain_once_and_not_within_the_cool_down(night: Night) -> None:
    _matured(FEB, 0.79)
    assert _conclude(night, FEB)["request"] is None
    _matured(MAR, 0.75)
    answer = _conclude(night, MAR)
    key = "consumer-performance-v1-2007-03-01"
    assert answer["request"] == key and _open() == [(key, "performance")]
    assert "AUC 0.750" in answer["sentence"] and "A retrain was requested, for AUC 0.750" in answer["sentence"]
    assert conclude(night.book, MAR, night.params, PROMISED, TRAINED) == answer, "running it again changes nothing"
    close("consumer", key, "refused at the gates", "refused")
    _matured(APR, 0.75)
    later = _conclude(night, APR)
    assert later["request"] is None and _open() == []
    assert f"No retrain was requested: {key}" in later["sentence"]


def test_labels_that_matured_since_the_training_ask_where_somebody_says_how_many(night: Night) -> None:
    world = _world("stationary", night.book)
    known = world.filter(pc.less(world["applied_on"], date(2006, 12, 1)))
    publish(night.book, "applications", known, number=100)
    night.decide(known, np.zeros(known.num_rows, bool))
    night.outcomes("stationary", known)
    sooner = night.params.snapshot.model_copy(update={"horizon_months": 6})
    night = replace(night, params=night.params.model_copy(update={"snapshot": sooner}))
    month, two = (new_labels(night.book, TRAINED["1"], as_of, 6) for as_of in (FEB, MAR))
    assert 500 < month < two
    assert _conclude(night, FEB)["request"] is None, "off unless somebody says how many"
    night = night.tuned(request_new_labels=month + 1)
    assert _conclude(night, FEB)["request"] is None
    assert _conclude(night, MAR)["request"] == "consumer-volume-v1-2007-03-01"
    assert _open() == [("consumer-volume-v1-2007-03-01", "volume")]


def test_an_old_champion_asks_at_its_own_pace_and_in_the_one_queue(night: Night) -> None:
    night = night.tuned(request_age_days=31)
    assert _conclude(night, FEB)["request"] == "consumer-schedule-v1-2007-02-01"
    assert _conclude(night, MAR)["request"] is None, "the first is open still"
    close("consumer", "consumer-schedule-v1-2007-02-01", "refused at the gates", "refused")
    assert _conclude(night, MAR)["request"] is None, "28 days after that verdict"
    assert _conclude(night, APR)["request"] == "consumer-schedule-v1-2007-04-01"
    assert _open() == [("consumer-schedule-v1-2007-04-01", "schedule")]


@pytest.mark.parametrize("version", ["2"])
def test_of_a_model_of_which_the_ledger_knows_nothing_only_what_was_measured_asks(night: Night, version: str) -> None:
    night = night.tuned(request_age_days=1, request_new_labels=1)
    assert _conclude(night, FEB, **{version: TRAINED["1"]})["request"] is None
