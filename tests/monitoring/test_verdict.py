from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tollgate import lake
from tollgate.errors import BadInput
from tollgate.monitoring import verdict_step
from tollgate.monitoring.verdict import has_tripped
from tollgate.requests import close, open_requests

if TYPE_CHECKING:
    from conftest import Night

JAN, FEB, MAR, APR, MAY, JUN = (date(2007, month, 1) for month in range(1, 7))
S, X = False, True


@pytest.mark.parametrize(("asked", "tripped"), [
    ([], False),
    ([X], False),            # one window is no trend
    ([X, X], True),
    ([X, S, X], True),       # two of the last three, the latest among them
    ([X, X, S], False),      # not the latest
    ([X, S, S, X], False),   # the first has left the three windows
    ([S, S, S], False),
])
def test_hysteresis(night: Night, asked: list[bool], tripped: bool) -> None:
    assert has_tripped(asked, night.params.monitoring) is tripped


def test_a_quiet_month_is_stable_and_nobody_is_told(night: Night) -> None:
    answer = night.run("stationary", FEB)
    assert answer["level"] == "stable" and not answer["tripped"]
    assert answer["request"] is None and answer["alerts"] == []
    assert "1,000 rows look like those that model v1 was trained on" in answer["sentence"]


def test_a_lasting_shift_asks_for_one_retrain_and_says_what_moved(night: Night) -> None:
    first = night.run("covariate_shift", FEB)
    assert first["level"] == "major" and not first["tripped"] and first["request"] is None
    assert "credit_score (PSI" in first["sentence"] and "2 are needed" in first["sentence"]
    second = night.run("covariate_shift", MAR)
    assert second["tripped"] and second["request"] == "consumer-v1-2007-03-01"
    assert "A retrain was requested" in second["sentence"]
    third = night.run("covariate_shift", APR)
    assert third["tripped"] and third["request"] is None
    assert "consumer-v1-2007-03-01 is still open" in third["sentence"]
    assert [(r["key"], r["as_of"]) for r in open_requests()] == [("consumer-v1-2007-03-01", "2007-03-01")]


def test_a_window_counts_by_the_rules_of_its_day_and_an_older_tollgates_by_its_level(night: Night) -> None:
    """R7."""
    looser = night.tuned(rules=[rule for rule in night.params.monitoring.rules if rule.action != "request"])
    assert looser.run("covariate_shift", FEB)["level"] == "major"
    assert not night.run("covariate_shift", MAR)["tripped"], "February asked for nothing"
    table = lake.verdicts("consumer")
    old = lake.read(table, filters=[("day", "=", "2007-02-01")]).drop_columns("asked").to_pylist()
    lake.replace_partitions(table, pa.Table.from_pylist(old, table.schema), ["2007-02-01"])
    assert night.verdict(MAR)["tripped"]


def test_one_bad_month_passes_without_a_request(night: Night) -> None:
    night.run("broken_feed", FEB)
    for as_of in (MAR, APR, MAY):
        assert night.run("stationary", as_of)["request"] is None
    assert open_requests() == []


def test_the_cool_down_holds_after_the_request_is_closed_and_then_ends(night: Night) -> None:
    night = night.tuned(cooldown_days=60)
    for as_of in (FEB, MAR):
        night.run("covariate_shift", as_of)
    close("consumer", "consumer-v1-2007-03-01", "challenger refused")
    assert night.run("covariate_shift", APR)["request"] is None
    assert night.run("covariate_shift", MAY)["request"] == "consumer-v1-2007-05-01"


def test_a_new_champion_starts_with_a_clean_record(night: Night) -> None:
    night.run("covariate_shift", FEB)
    answer = night.run("covariate_shift", MAR, version="2")
    assert answer["level"] == "major" and not answer["tripped"]


def test_too_few_rows_are_no_verdict(night: Night) -> None:
    night.publish("covariate_shift", FEB, rows=50)
    assert night.drift(FEB)["level"] == "unknown"
    answer = night.verdict(FEB)
    assert answer["level"] == "unknown" and answer["alerts"] == []
    assert "50 rows are too few" in answer["sentence"]


def test_running_a_night_again_gives_the_same_tables_and_no_second_request(night: Night, tables: Callable) -> None:
    for as_of in (FEB, MAR):
        night.run("covariate_shift", as_of)
    before = tables("consumer", MAR)
    night.drift(MAR)
    assert night.verdict(MAR)["request"] == "consumer-v1-2007-03-01"
    assert tables("consumer", MAR) == before
    close("consumer", "consumer-v1-2007-03-01", "promoted v2")
    night.verdict(MAR)
    after = tables("consumer", MAR)
    assert {**after, "requests": None} == {**before, "requests": None}
    assert open_requests() == []


def test_clearing_an_earlier_night_does_not_change_what_a_later_one_saw(night: Night, tables: Callable) -> None:
    for as_of in (FEB, MAR, APR):
        night.run("covariate_shift", as_of)
    before = tables("consumer", FEB)
    night.drift(FEB)
    night.verdict(FEB)
    assert tables("consumer", FEB) == before



def test_two_runs_of_the_same_night_racing_open_one_request(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    night.run("covariate_shift", FEB)
    night.publish("covariate_shift", MAR)
    night.drift(MAR)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        answers = list(pool.map(_verdict_of, [(night.book.name, night.params)] * 2))
    assert answers == ["consumer-v1-2007-03-01"] * 2
    assert len(open_requests()) == 1
    assert lake.read(lake.verdicts("consumer"), filters=[("day", "=", "2007-03-01")]).num_rows == 1


def _verdict_of(job: tuple) -> str | None:
    from tollgate.books import load_book
    book, params = job
    return verdict_step(load_book(book), MAR, params)["request"]


def test_a_verdict_before_drift_was_measured_says_what_to_run(night: Night) -> None:
    with pytest.raises(BadInput, match="tollgate monitor drift consumer"):
        verdict_step(night.book, FEB, night.params)
