"""Monitoring where a step is cut off, nights come in another order, and labels come before their applications."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
import pytest
from tests.monitoring.conftest import _world
from tests.published import publish

from tollgate import lake
from tollgate.monitoring import alerts, performance_step, verdicts
from tollgate.requests import open_requests

if TYPE_CHECKING:
    from conftest import Night

FEB, MAR = date(2007, 2, 1), date(2007, 3, 1)


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_verdict_that_was_cut_off_amid_its_tables_is_whole_when_it_is_run_again(
        night: Night, tables: Callable, monkeypatch: pytest.MonkeyPatch, written: int) -> None:
    for as_of in (FEB, MAR):
        night.run("covariate_shift", as_of)
    whole = tables("consumer", MAR)
    for table in (lake.events("consumer"), lake.alerts("consumer"), lake.verdicts("consumer")):
        lake.replace_partitions(table, table.schema.empty_table(), [MAR.isoformat()])
    writes, write = iter(range(written)), lake.replace_partitions

    def cut_off(*arguments: Any) -> Any:
        next(writes)  # as a killed process would, it goes no further
        return write(*arguments)

    with monkeypatch.context() as dying, pytest.raises(StopIteration):
        dying.setattr(lake, "replace_partitions", cut_off)
        night.verdict(MAR)
    assert [row["as_of"] for row in verdicts("consumer")] == ["2007-02-01"], "half a verdict is none"
    night.verdict(MAR)
    assert tables("consumer", MAR) == whole
    assert [request["key"] for request in open_requests()] == ["consumer-v1-2007-03-01"]


def test_a_night_that_is_concluded_after_a_later_one_sees_nothing_of_it_and_is_seen_by_its_rerun(night: Night) -> None:
    for as_of in (FEB, MAR):
        night.publish("covariate_shift", as_of)
    night.drift(MAR)
    assert not night.verdict(MAR)["tripped"], "nothing is known of February yet"
    night.drift(FEB)
    february = night.verdict(FEB)
    assert february["level"] == "major" and not february["tripped"] and open_requests() == []
    assert {alert["since"] for alert in alerts("consumer")} == {"2007-03-01"}, "what is under way is of the last night"
    assert night.verdict(MAR)["request"] == "consumer-v1-2007-03-01"
    assert "2007-02-01" in {alert["since"] for alert in alerts("consumer")}


def test_labels_that_come_before_their_applications_are_told_until_these_come(night: Night) -> None:
    world = _world("stationary", night.book)
    early = world.filter(pc.less(world["applied_on"], date(2006, 12, 1)))
    night.outcomes("stationary", early)
    night.publish("stationary", FEB)
    night.drift(FEB)
    answer = performance_step(night.book, FEB, night.params)
    orphans = next(one for one in answer["feed"] if one["check"] == "orphans")
    assert orphans["level"] == "refuse" and "are in no application" in orphans["sentence"]
    night.verdict(FEB)
    assert "feed:orphans" in {alert["event"] for alert in alerts("consumer")}
    publish(night.book, "applications", early, number=100)
    night.decide(early, np.zeros(early.num_rows, bool))
    night.publish("stationary", MAR)
    night.drift(MAR)
    performance_step(night.book, MAR, night.params)
    night.verdict(MAR)
    assert "feed:orphans" not in {alert["event"] for alert in alerts("consumer")}
