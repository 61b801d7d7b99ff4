from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.labels.small_books import BOOKED, DECIDED, PAID_BY_MONTH, with_lag
from tests.published import publish

from tollgate.books import Book
from tollgate.config import PROJECT, load_params
from tollgate.labels import Finding, feed_evidence, findings, vintages
from tollgate.labels.vintage import arrivals

LIMITS = load_params(PROJECT / "params.yaml", book="consumer").labels
AS_OF = date(2007, 1, 1)
FIRST = np.datetime64("2003-01-01")


def judge(book: Book, as_of: date = AS_OF) -> dict[str, Finding]:
    """The findings of what the lake holds, by check."""
    return {found.check: found for found in findings(feed_evidence(book, as_of), book, as_of, LIMITS)}


def world(loans_a_month: int = 200, *, bad: float = 0.15, lag: int = 0, seed: int = 1) -> tuple[pa.Table, pa.Table]:
    """Four years of loans, of which a share goes bad within 700 days and is reported ``lag`` days later."""
    rng = np.random.default_rng(seed)
    size = 48 * loans_a_month
    applied = FIRST + np.sort(rng.integers(0, 1461, size))
    loans = pa.table({"loan_id": [f"{n:06d}" for n in range(size)], "applied_on": pa.array(applied)})
    goes = np.flatnonzero(rng.random(size) < bad)
    defaulted = applied[goes] + rng.integers(30, 700, len(goes))
    return loans, pa.table({"loan_id": loans["loan_id"].take(pa.array(goes)), "defaulted_on": pa.array(defaulted),
                            "reported_on": pa.array(defaulted + lag)})


def bring(book: Book, loans: pa.Table, outcomes: pa.Table) -> None:
    publish(book, "applications", loans)
    publish(book, "outcomes", outcomes, number=2)


def when(outcomes: pa.Table) -> np.ndarray:
    return outcomes["reported_on"].to_numpy().astype("datetime64[D]")


# -- Counts ---------------------------------------------------------------------------------------------------------

def counts(evidence: pa.Table) -> dict[str, int]:
    return {row["what"]: row["count"] for row in evidence.to_pylist()
            if row["booked"] is row["known"] is row["days"] is None}


def test_strays_of_every_kind_are_counted_as_of_the_day(home: Path) -> None:
    applied = date(2004, 6, 15)
    loans = ("007", "A1", "B", "C", "D")
    publish(DECIDED, "applications", [{"loan_id": loan, "applied_on": applied} for loan in loans])
    publish(DECIDED, "decisions", [
        {"loan_id": loan, "decided_on": applied, "decision": what, "booked_on": applied if what == "approved" else None}
        for loan, what in (("007", "approved"), ("A1", "approved"), ("B", "approved"), ("C", "declined"),
                           ("nobody", "approved"))], number=2)
    told = [("7", 10), (" a1", 10), ("B", -1), ("C", 10), ("D", 10), ("stranger", 10), ("B", 20)]
    publish(DECIDED, "outcomes", [
        {"loan_id": loan, "defaulted_on": applied + timedelta(days=days), "reported_on": date(2006, 1, 1) +
         timedelta(days=place)} for place, (loan, days) in enumerate(told)], number=3)
    assert counts(feed_evidence(DECIDED, AS_OF)) == {
        "applications": 5, "with_outcome": 6, "orphans": 3, "orphans_alike": 2, "early": 1, "unbooked": 2,
        "decisions": 5, "decision_orphans": 1}
    assert counts(feed_evidence(DECIDED, date(2006, 1, 2)))["orphans"] == 1, "only the first was known then"
    found = judge(DECIDED)
    assert found["orphans"].level == "refuse"
    assert "2 of them are but for zeros in front, blanks or case" in found["orphans"].sentence
    assert [found[check].level for check in ("early", "unbooked_outcomes", "decision_orphans")] == ["refuse"] * 3


def test_a_few_strays_are_a_warning(home: Path) -> None:
    loans, outcomes = world()
    stray = outcomes.slice(0, 1).set_column(0, "loan_id", pa.array(["stranger"]))
    bring(BOOKED, loans, pa.concat_tables([outcomes, stray]))
    found = judge(BOOKED)
    assert found["orphans"].level == "warn" and found["orphans"].sentence.startswith("1 of ")
    assert found["early"].level == "ok"


def test_a_loan_counts_once_from_the_month_in_which_it_was_first_known_to_be_bad(home: Path) -> None:
    """Neither a second row nor a restated one moves it."""
    publish(BOOKED, "applications", [{"loan_id": loan, "applied_on": date(2004, 6, 15)} for loan in "AB"])
    row = {"loan_id": "A", "reported_on": date(2005, 3, 10), "defaulted_on": date(2005, 3, 1)}
    other = {"loan_id": "B", "reported_on": date(2005, 5, 10), "defaulted_on": date(2005, 5, 1)}
    publish(BOOKED, "outcomes", [row, other], number=2)
    publish(BOOKED, "outcomes", [{**row, "event": "restated"}], number=3, day=date(2006, 2, 1),
            live_on=date(2006, 1, 1))
    publish(BOOKED, "outcomes", [{**row, "reported_on": date(2005, 9, 1)}], number=4)
    bad = [row for row in feed_evidence(BOOKED, AS_OF).to_pylist() if row["what"] == "bad"]
    assert [(row["booked"], row["known"], row["count"]) for row in bad] == [
        (date(2004, 6, 1), date(2005, 3, 1), 1), (date(2004, 6, 1), date(2005, 5, 1), 1)]


def test_what_was_taken_back_is_not_counted_as_bad(home: Path) -> None:
    publish(BOOKED, "applications", [{"loan_id": "A", "applied_on": date(2004, 6, 15)}])
    publish(BOOKED, "outcomes", [
        {"loan_id": "A", "reported_on": date(2005, 3, 10), "defaulted_on": date(2005, 3, 1)},
        {"loan_id": "A", "reported_on": date(2005, 4, 10)}], number=2)
    assert sum(row["what"] == "bad" for row in feed_evidence(BOOKED, AS_OF).to_pylist()) == 0
    assert sum(row["what"] == "bad" for row in feed_evidence(BOOKED, date(2005, 4, 1)).to_pylist()) == 1


def test_a_target_by_days_past_due_is_counted_from_the_payments(home: Path) -> None:
    publish(PAID_BY_MONTH, "applications", [{"loan_id": "A", "applied_on": date(2004, 6, 15)}])
    publish(PAID_BY_MONTH, "payments", [{"loan_id": "A", "due_on": date(2004, 6 + n, 28), "days_past_due": 30 * n}
                                        for n in range(6)], number=2)
    rows = feed_evidence(PAID_BY_MONTH, AS_OF).to_pylist()
    assert [row["known"] for row in rows if row["what"] == "bad"] == [date(2004, 9, 1)]
    assert len([row for row in rows if row["what"] == "arrived"]) == 6, "every payment shows that the feed lives"


# -- Arrivals -------------------------------------------------------------------------------------------------------

def test_an_honest_feed_is_silent_in_every_month(home: Path) -> None:
    bring(BOOKED, *world())
    for month in np.arange(np.datetime64("2004-01"), np.datetime64("2007-01")):
        found = judge(BOOKED, month.astype("datetime64[D]").item())
        assert {name: one.level for name, one in found.items() if one.level not in ("ok", "unknown")} == {}, month
    assert set(one.level for one in found.values()) == {"ok"}


def test_files_that_bring_a_months_outcomes_at_once_are_no_silence(home: Path) -> None:
    loans, outcomes = world()
    months = when(outcomes).astype("datetime64[M]")
    publish(BOOKED, "applications", loans)
    for number, month in enumerate(np.unique(months[months < np.datetime64("2006-12")])):
        publish(BOOKED, "outcomes", outcomes.filter(pa.array(months == month)), number=2 + number,
                day=((month + 1).astype("datetime64[D]") + 4).item(), live_on=date(2005, 1, 1))
    for as_of in (date(2005, 2, 4), date(2005, 3, 1), date(2006, 7, 4), date(2007, 1, 4)):
        found = judge(BOOKED, as_of)
        assert (found["stopped"].level, found["thinned"].level) == ("ok", "ok"), as_of


def test_a_feed_that_stopped_says_since_when_and_what_ought_to_have_come(home: Path) -> None:
    """L3: applications to 2006-12, outcomes only to 2006-05."""
    loans, outcomes = world()
    bring(BOOKED, loans, outcomes.filter(pa.array(when(outcomes) < np.datetime64("2006-06-01"))))
    found = judge(BOOKED)["stopped"]
    assert found.level == "refuse" and found.value > 200
    newest = when(outcomes)[when(outcomes) < np.datetime64("2006-06-01")].max()
    assert f"The newest outcome known is of {newest}" in found.sentence
    due = int(found.sentence.split("about ")[1].split(" loans")[0].replace(",", ""))
    came = int(np.sum((when(outcomes) > newest) & (when(outcomes) < np.datetime64(AS_OF))))
    assert due == pytest.approx(came, rel=0.15), "as many as really came"


@pytest.mark.parametrize(("share", "since", "level"), [
    (0.3, "2006-10-01", "refuse"), (0.3, "2006-01-01", "refuse"), (0.3, "2005-07-01", "refuse"),
    (0.8, "2006-07-01", "ok")])
def test_a_thinned_feed_is_told_from_its_own_past(home: Path, share: float, since: str, level: str) -> None:
    loans, outcomes = world(400)
    lost = (when(outcomes) >= np.datetime64(since)) & (np.random.default_rng(1).random(outcomes.num_rows) >= share)
    bring(BOOKED, loans, outcomes.filter(pa.array(~lost)))
    found = judge(BOOKED)["thinned"]
    assert found.level == level, found.sentence
    assert "loans became known as bad where the months before let expect" in found.sentence


def test_fewer_arrivals_than_expected_are_no_finding_while_luck_explains_them(home: Path) -> None:
    loans, outcomes = world(50)
    window = np.flatnonzero((when(outcomes) >= np.datetime64("2006-10-01")) & (when(outcomes) < np.datetime64(AS_OF)))
    lost = np.isin(np.arange(outcomes.num_rows), window[12:])
    bring(BOOKED, loans, outcomes.filter(pa.array(~lost)))
    found = judge(BOOKED)["thinned"]
    assert found.value < LIMITS.thinned_ratio_min and found.level == "ok", found.sentence


def test_nothing_is_concluded_where_too_little_is_expected(home: Path) -> None:
    loans, outcomes = world(2)
    bring(BOOKED, loans, outcomes.filter(pa.array(when(outcomes) < np.datetime64("2006-06-01"))))
    found = judge(BOOKED)
    assert [found[check].level for check in ("stopped", "thinned", "lag", "delivery")] == ["unknown"] * 4
    assert "too few to tell" in found["stopped"].sentence and "20 are needed" in found["thinned"].sentence


def test_a_book_of_no_rows_or_no_outcomes_is_not_judged(home: Path) -> None:
    assert {one.level for one in judge(BOOKED).values()} == {"unknown", "ok"}
    publish(BOOKED, "applications", world()[0])
    found = judge(BOOKED)
    assert found["stopped"].level == "unknown" and "No outcome at all" in found["stopped"].sentence


def test_an_undated_book_is_judged_by_its_strays_alone(home: Path) -> None:
    book = replace(BOOKED, dated=False)
    bring(book, *world())
    assert set(judge(book)) == {"orphans", "early"}


# -- Lag ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("stated", "level"), [(0, "refuse"), (59, "refuse"), (60, "ok"), (90, "ok")])
def test_a_stated_lag_is_held_against_the_lags_of_the_data(home: Path, stated: int, level: str) -> None:
    book = with_lag(BOOKED, stated)
    bring(book, *world(lag=60))
    found = judge(book)["lag"]
    assert found.level == level
    assert ("state lag_days=60 in the book's Target" in found.sentence) == (level == "refuse")


def test_events_that_may_still_be_reported_do_not_shorten_the_lag(home: Path) -> None:
    """Of the youngest events only those reported soon are known: they would make any lag look short."""
    loans, outcomes = world(lag=0)
    happened, slow = when(outcomes), np.arange(outcomes.num_rows) % 10 == 0
    late = pa.array(happened + np.where(slow, 170, 5))
    bring(with_lag(BOOKED, 30), loans, outcomes.set_column(2, "reported_on", late))
    found = judge(with_lag(BOOKED, 30))["lag"]
    until = AS_OF - timedelta(days=180)
    measured = (happened < np.datetime64(until)) & (happened >= np.datetime64(until.replace(year=until.year - 2)))
    assert found.value == pytest.approx(slow[measured].mean(), rel=1e-12)
    assert "A lag of 170 days would do" in found.sentence


def test_files_that_come_late_are_a_warning_of_their_own(home: Path) -> None:
    loans, outcomes = world()
    publish(BOOKED, "applications", loans)
    old = pa.array(when(outcomes) < np.datetime64("2006-01-01"))
    publish(BOOKED, "outcomes", outcomes.filter(old), number=2, day=date(2006, 1, 1), live_on=date(2004, 1, 1))
    found = judge(BOOKED)
    assert (found["lag"].level, found["delivery"].level) == ("ok", "warn")


# -- Vintages -------------------------------------------------------------------------------------------------------

def small(as_of: date) -> Mapping[str, dict[str, Any]]:
    loans = [(f"{month}-{n}", date(2004, month, 10)) for month in (1, 2, 3) for n in range(10)]
    publish(BOOKED, "applications", [{"loan_id": loan, "applied_on": on} for loan, on in loans])
    told = [("1-0", 1, 2), ("1-1", 2, 3), ("1-2", 2, 3), ("2-0", 3, 4), ("2-1", 3, 5), ("3-0", 4, 5)]
    publish(BOOKED, "outcomes", [{"loan_id": loan, "defaulted_on": date(2004, happened, 20),
                                  "reported_on": date(2004, known, 5)} for loan, happened, known in told], number=2)
    return {row["booked"]: row for row in vintages(feed_evidence(BOOKED, as_of), as_of)}


def test_vintages_by_hand(home: Path) -> None:
    found = small(date(2004, 5, 1))
    assert {booked: (row["loans"], row["months_on_book"], row["known_bad"], row["by_month"])
            for booked, row in found.items()} == {
        "2004-01": (10, 3, 3, [0.0, 0.1, 0.3, 0.3]),
        "2004-02": (10, 2, 1, [0.0, 0.0, 0.1]),  # of its two defaults one was reported
        "2004-03": (10, 1, 0, [0.0, 0.0])}
    assert found["2004-01"]["expected_bad"] is None
    assert found["2004-02"]["expected_bad"] == pytest.approx(3.0)  # by two months on book, as January's
    assert found["2004-03"]["expected_bad"] == pytest.approx(0.5)  # one of twenty by one month on book


def test_only_months_that_are_over_are_in_a_vintage(home: Path) -> None:
    assert small(date(2004, 5, 1)) == {row["booked"]: row for row in vintages(
        feed_evidence(BOOKED, date(2004, 5, 31)), date(2004, 5, 31))}


def test_arrivals_are_laid_beside_what_the_months_before_let_expect(home: Path) -> None:
    bring(BOOKED, *world(1_000))
    rows = arrivals(feed_evidence(BOOKED, AS_OF), AS_OF, 24)
    assert (rows[0]["month"], rows[-1]["month"]) == ("2003-01", "2006-12")
    for row in rows[-12:]:
        assert row["known"] == pytest.approx(row["expected"], rel=0.35)
