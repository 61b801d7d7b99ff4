"""The claims of docs/alarms.md, on fewer years: a quiet world is quiet, and a drift is seen in its first month."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from benchmarks import alarms


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """A smaller population than the page's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alarms, "LOANS", 48_000)
        yield


def test_a_world_without_drift_alerts_in_no_more_windows_than_is_stated_and_asks_for_no_retrain() -> None:
    months = alarms.stationary(rows=500, years=12)
    told = [subject for month in months for subject in month.alerts]
    assert alarms.stated() == pytest.approx(0.09), "nine measures, each wrong in one window of a hundred"
    assert len(months) == 144 and len(told) <= alarms.stated() * len(months)
    assert not any(month.requested for month in months)


def test_a_shift_alerts_in_its_first_window_and_asks_for_a_retrain_in_its_second() -> None:
    life = alarms.Life(500, alarms.np.random.default_rng(1))
    quiet, first, second = alarms.go_through(life, ["stationary", "covariate_shift", "covariate_shift"], mature=9)
    assert not quiet.alerts and any("credit_score" in subject for subject in first.alerts)
    assert (quiet.requested, first.requested, second.requested) == (False, False, True)
