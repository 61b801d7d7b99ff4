"""Which nights a window takes in, and that windows which decide together share none."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from tests.monitoring.conftest import THRESHOLD, _world
from tests.scored import publish_night

from tollgate import lake, nights
from tollgate.config import settings
from tollgate.errors import BadInput
from tollgate.monitoring.steps import record_drift
from tollgate.monitoring.window import Window, load_window

if TYPE_CHECKING:
    from conftest import Night

FIRST = date(2007, 2, 1)


def _nights(night: Night, scenario: str, days: int, rows: int, version: str = "1") -> list[date]:
    """Daily nights of so many loans each."""
    world = _world(scenario, night.book)
    begin = world.num_rows // 2
    found = []
    for k in range(days):
        day, loans = FIRST + timedelta(days=k), world.slice(begin + k * rows, rows)
        loans = loans.set_column(loans.column_names.index("applied_on"), "applied_on",
                                 pa.array([day - timedelta(days=1)] * rows))
        publish_night(night.book, day, loans, loans["true_probability"].to_numpy(), THRESHOLD, version=version)
        found.append(day)
    return found


def _window(night: Night, day: date) -> Window:
    return load_window(night.book, day, night.params.monitoring)


def test_a_window_takes_in_whole_nights_until_there_are_rows_enough(night: Night) -> None:
    night = night.tuned(min_sample=250, window_days=31)
    days = _nights(night, "stationary", 5, 100)
    window = _window(night, days[4])
    assert (window.first, window.scores.num_rows) == (days[2], 300)
    assert window.features.num_rows == window.applications.num_rows == 300
    assert window.applications["loan_id"].to_pylist() == window.scores["loan_id"].to_pylist()
    assert (_window(night, days[1]).first, _window(night, days[1]).scores.num_rows) == (days[0], 200)


def test_a_window_reaches_no_further_than_its_days_nor_into_another_models_nights(night: Night) -> None:
    days = _nights(night, "stationary", 4, 50)
    assert _window(night.tuned(min_sample=1_000, window_days=2), days[3]).first == days[2]
    after = days[3] + timedelta(days=1)
    loans = _world("stationary", night.book).slice(0, 40)
    publish_night(night.book, after, loans, np.full(40, 0.1), THRESHOLD, version="2")
    assert _window(night.tuned(min_sample=1_000), after).first == after


def test_a_window_ends_before_a_night_whose_rows_are_kept_no_longer(night: Night) -> None:
    night = night.tuned(min_sample=250)
    days = _nights(night, "stationary", 3, 100)
    gone = nights.publication(night.book.name, days[1])
    assert gone is not None
    lake.Store(settings().store).delete(gone.attempt.path("pin.json"))
    assert (_window(night, days[2]).first, _window(night, days[2]).scores.num_rows) == (days[2], 100)
    with pytest.raises(BadInput, match="Nothing is pinned for this attempt"):
        _window(night, days[1])


def test_one_bad_night_is_not_counted_again_by_the_windows_that_still_hold_it(night: Night) -> None:
    """S3: a drift must stand in windows that share no row."""
    night = night.tuned(min_sample=300, windows=3, trips=2)
    for day in _nights(night, "stationary", 3, 100):
        _conclude(night, day)
    bad = FIRST + timedelta(days=3)
    loans = _world("covariate_shift", night.book)
    loans = loans.slice(loans.num_rows * 3 // 4, 280)
    publish_night(night.book, bad, loans, loans["true_probability"].to_numpy(), THRESHOLD)
    told = [_conclude(night, bad)]
    world = _world("stationary", night.book)
    for k in range(1, 4):
        few = world.slice(k * 5, 5)
        publish_night(night.book, bad + timedelta(days=k), few, few["true_probability"].to_numpy(), THRESHOLD)
        told.append(_conclude(night, bad + timedelta(days=k)))
    assert [one["level"] for one in told][:2] == ["major", "major"], "the same loans, in both"
    assert not any(one["tripped"] for one in told)
    rows = lake.read(lake.verdicts(night.book.name)).to_pylist()
    assert all(row["window_from"] <= row["as_of"] for row in rows)


def test_a_day_without_a_night_says_what_to_run(night: Night) -> None:
    with pytest.raises(BadInput, match="No night of consumer is published as of 2007-02-01.*run score_nightly"):
        _window(night, FIRST)


def _conclude(night: Night, day: date) -> dict:
    record_drift(night.book, day, night.params, _window(night, day), night.model)
    return night.verdict(day)
