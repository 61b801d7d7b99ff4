from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.labels.small_books import (
    AS_OF,
    BOOKED,
    DECIDED,
    EVENTFUL,
    HORIZON,
    PAID_BY_MONTH,
    event,
    labels,
    views,
    with_lag,
)
from tests.published import publish

from tollgate import lake
from tollgate.books import Book, Event, Target
from tollgate.books.checking import faults_of
from tollgate.labels import BAD, GOOD, IMMATURE, INDETERMINATE, UNBOOKED, label, mature_before, read_labels
from tollgate.labels.places import places

ONE = [("L1", "2004-06-15")]


def of_one(book, *outcomes, as_of=AS_OF):
    """The label of a loan applied for on 2004-06-15 with these ``(reported, happened, event)``."""
    return labels(book, as_of, applications=ONE, outcomes=[("L1", *row) for row in outcomes])["L1"]


# -- Booked ---------------------------------------------------------------------------------------------------------

def test_a_book_of_booked_loans_alone_books_each_on_the_day_of_its_application():
    found = label(BOOKED, AS_OF, HORIZON, views(BOOKED, applications=ONE))
    assert found["booked_on"].to_pylist() == found["applied_on"].to_pylist() == [date(2004, 6, 15)]
    assert found["label"].to_pylist() == [GOOD]


def test_only_an_approved_loan_that_was_paid_out_has_a_label():
    decided = "2004-06-20"
    found = labels(DECIDED, applications=[(loan, "2004-06-15") for loan in ("A", "D", "N", "P", "W")],
                   decisions=[("A", "approved", decided, "2004-06-25"), ("D", "declined", decided, None),
                              ("N", "approved", decided, None), ("W", "withdrawn", decided, None)])
    assert found == {"A": GOOD, "D": UNBOOKED, "N": UNBOOKED, "P": UNBOOKED, "W": UNBOOKED}


def test_a_loan_that_is_booked_on_the_as_of_or_later_is_not_booked_yet():
    found = labels(DECIDED, applications=[("A", "2006-12-01"), ("B", "2006-12-01")],
                   decisions=[("A", "approved", "2006-12-02", "2007-01-01"),
                              ("B", "approved", "2006-12-02", "2006-12-31")])
    assert found == {"A": UNBOOKED, "B": IMMATURE}


def test_a_declined_loan_with_an_outcome_stays_unbooked():
    found = label(DECIDED, AS_OF, HORIZON, views(
        DECIDED, applications=ONE, decisions=[("L1", "declined", "2004-06-20", None)],
        outcomes=[("L1", "2005-01-01", "2005-01-01")]))
    assert (found["label"].to_pylist(), found["bad_on"].to_pylist(), found["early"].to_pylist()) == (
        [UNBOOKED], [None], [False])


# -- Horizon and lag ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("happened", "expected"), [("2006-06-30", BAD), ("2006-07-01", GOOD)])
def test_the_horizon_begins_with_the_booking_and_not_with_the_application(happened, expected):
    assert labels(DECIDED, applications=ONE, decisions=[("L1", "approved", "2004-06-20", "2004-06-30")],
                  outcomes=[("L1", happened, happened)]) == {"L1": expected}


def test_a_horizon_ends_with_the_month_where_that_has_no_such_day():
    found = labels(BOOKED, horizon=6, applications=[("A", "2004-08-31"), ("B", "2004-08-31")],
                   outcomes=[("A", "2005-02-28", "2005-02-28"), ("B", "2005-03-01", "2005-03-01")])
    assert found == {"A": BAD, "B": GOOD}


def test_a_default_that_is_still_to_be_reported_is_not_good_but_immature():
    """L4."""
    late = {"applications": [("L1", "2004-12-20")]}
    told = {**late, "outcomes": [("L1", "2007-02-10", "2006-12-10")]}
    assert labels(BOOKED, **late) == {"L1": GOOD}, "without a lag it would be called good"
    assert labels(with_lag(BOOKED, 62), **late) == {"L1": IMMATURE}
    assert labels(with_lag(BOOKED, 62), date(2007, 2, 23), **told) == {"L1": BAD}


def test_a_loan_matures_when_horizon_and_lag_are_over():
    book = with_lag(BOOKED, 31)
    assert mature_before(book, date(2007, 2, 1), HORIZON) == date(2005, 1, 1)
    found = labels(book, date(2007, 2, 1), applications=[("A", "2004-12-31"), ("B", "2005-01-01")])
    assert found == {"A": GOOD, "B": IMMATURE}


def test_a_known_default_of_an_immature_loan_is_told_and_not_yet_a_label():
    found = label(BOOKED, AS_OF, HORIZON, views(BOOKED, applications=[("L1", "2006-01-01")],
                                                outcomes=[("L1", "2006-06-01", "2006-05-01")]))
    assert (found["label"].to_pylist(), found["bad_on"].to_pylist()) == ([IMMATURE], [date(2006, 5, 1)])


# -- What becomes of a loan -----------------------------------------------------------------------------------------

def test_of_two_defaults_of_a_loan_the_first_counts():
    """L7: a charge-off after the horizon does not undo the default within it."""
    assert of_one(EVENTFUL, ("2005-01-10", "2005-01-01", "default"), ("2006-12-10", "2006-12-01", "charge-off")) == BAD
    assert of_one(BOOKED, ("2005-01-10", "2005-01-01"), ("2006-12-10", "2006-12-01")) == BAD


def test_a_row_without_a_day_takes_back_what_was_reported_before_it():
    assert of_one(BOOKED, ("2005-01-10", "2005-01-01"), ("2005-03-01", None)) == GOOD


def test_what_was_taken_back_can_be_reported_again():
    assert of_one(BOOKED, ("2005-01-10", "2005-01-01"), ("2005-03-01", None), ("2005-05-01", "2005-01-01")) == BAD


def test_a_row_without_a_day_takes_back_its_own_event_alone():
    book = replace(EVENTFUL, target=replace(EVENTFUL.target, bad=(event("default"), event("charge-off"))))
    assert of_one(book, ("2005-01-10", "2005-01-01", "default"), ("2005-03-01", None, "charge-off")) == BAD
    assert of_one(book, ("2005-01-10", "2005-01-01", "charge-off"), ("2005-03-01", None, "charge-off")) == GOOD


def test_a_correction_of_one_loan_leaves_the_others_alone():
    found = labels(BOOKED, applications=[("A", "2004-06-15"), ("B", "2004-06-15")],
                   outcomes=[("A", "2005-01-10", "2005-01-01"), ("B", "2005-01-10", "2005-01-01"),
                             ("A", "2005-03-01", None)])
    assert found == {"A": GOOD, "B": BAD}


def test_a_prepaid_loan_is_good_unless_the_book_lists_it_as_indeterminate():
    prepaid = ("2005-01-10", "2005-01-01", "prepaid")
    assert of_one(EVENTFUL, prepaid) == GOOD
    listed = replace(EVENTFUL, target=replace(EVENTFUL.target, indeterminate=(event("prepaid", "refinanced"),)))
    assert of_one(listed, prepaid) == INDETERMINATE


def test_a_refinanced_loan_is_indeterminate_only_when_it_was_not_bad_before():
    default, refinanced = ("2005-05-10", "2005-05-01", "default"), ("2005-03-10", "2005-03-01", "refinanced")
    assert of_one(EVENTFUL, refinanced) == INDETERMINATE
    assert of_one(EVENTFUL, refinanced, default) == INDETERMINATE
    assert of_one(EVENTFUL, ("2005-06-10", "2005-06-01", "refinanced"), default) == BAD
    assert of_one(EVENTFUL, ("2006-06-20", "2006-06-16", "refinanced")) == GOOD, "after the horizon"
    assert of_one(EVENTFUL, ("2005-06-10", "2005-05-01", "refinanced"), default) == BAD, "on the very day"


def test_a_cured_loan_is_indeterminate_and_bad_when_it_goes_bad_again():
    default, cured = ("2005-02-10", "2005-02-01", "default"), ("2005-05-10", "2005-05-01", "cured")
    assert of_one(EVENTFUL, default, cured) == INDETERMINATE
    assert of_one(EVENTFUL, default, cured, ("2005-09-10", "2005-09-01", "default")) == BAD
    assert of_one(EVENTFUL, default, ("2006-07-10", "2006-07-01", "cured")) == BAD, "cured after the horizon"
    assert of_one(EVENTFUL, default, cured, ("2006-07-10", "2006-07-01", "default")) == INDETERMINATE
    assert of_one(EVENTFUL, cured) == GOOD
    assert of_one(EVENTFUL, default, ("2005-02-11", "2005-02-01", "cured")) == INDETERMINATE, "on the very day"


def test_fraud_voids_a_loan_whenever_it_is_found():
    for found in ("2004-07-01", "2006-12-20"):
        assert of_one(EVENTFUL, (found, found, "fraud")) == INDETERMINATE
        assert of_one(EVENTFUL, ("2005-02-10", "2005-02-01", "default"), (found, found, "fraud")) == INDETERMINATE


def test_an_event_that_the_target_does_not_name_changes_nothing():
    assert of_one(EVENTFUL, ("2005-02-10", "2005-02-01", "reminder sent")) == GOOD


def test_a_default_before_the_booking_is_not_believed_and_is_flagged():
    """L6."""
    found = label(BOOKED, AS_OF, HORIZON, views(BOOKED, applications=ONE, outcomes=[
        ("L1", "2005-01-10", "2004-06-14"), ("L1", "2005-01-11", "2005-01-01")]))
    assert (found["label"].to_pylist(), found["early"].to_pylist()) == ([INDETERMINATE], [True])
    assert of_one(BOOKED, ("2004-06-15", "2004-06-15")) == BAD, "on the very day it is possible"


def test_an_outcome_of_no_known_loan_touches_no_other():
    assert labels(BOOKED, applications=[("01", "2004-06-15"), ("02", "2004-06-15")],
                  outcomes=[("1", "2005-01-10", "2005-01-01"), ("03", "2005-01-10", "2005-01-01")]
                  ) == {"01": GOOD, "02": GOOD}


def test_a_loan_is_bad_when_it_is_as_many_days_past_due_as_the_target_says():
    rows = [("A", "2004-09-01", 89), ("A", "2004-10-01", 0), ("B", "2004-09-01", 60), ("B", "2004-10-01", 90),
            ("B", "2004-11-01", 120), ("C", "2006-08-01", 95), ("D", "2004-09-01", None)]
    views_of = views(PAID_BY_MONTH, applications=[(loan, "2004-06-15") for loan in "ABCD"], payments=rows)
    found = label(PAID_BY_MONTH, AS_OF, HORIZON, views_of)
    assert found["label"].to_pylist() == [GOOD, BAD, GOOD, GOOD]
    assert found["bad_on"].to_pylist() == [None, date(2004, 10, 1), None, None]


# -- As of ----------------------------------------------------------------------------------------------------------

def test_labels_are_those_that_were_known_at_the_as_of(home: Path):
    publish(BOOKED, "applications", [{"loan_id": "A", "applied_on": date(2004, 6, 15)},
                                     {"loan_id": "B", "applied_on": date(2004, 7, 15)}])
    publish(BOOKED, "outcomes", [{"loan_id": "A", "reported_on": date(2006, 11, 1), "defaulted_on": date(2005, 1, 1)}])
    publish(BOOKED, "outcomes", [{"loan_id": "A", "reported_on": date(2007, 3, 1)}], number=2)
    told = {as_of: read_labels(BOOKED, as_of, HORIZON)["label"].to_pylist()
            for as_of in (date(2006, 11, 1), date(2006, 11, 2), date(2007, 3, 2))}
    assert list(told.values()) == [[GOOD, GOOD], [BAD, GOOD], [GOOD, GOOD]]
    within = read_labels(BOOKED, AS_OF, HORIZON, since=date(2004, 7, 1), until=date(2004, 8, 1))
    assert within["loan_id"].to_pylist() == ["B"]
    pinned = lake.version(lake.outcomes(BOOKED)) - 1
    assert read_labels(BOOKED, date(2007, 3, 2), HORIZON, at={"outcomes": pinned})["label"].to_pylist() == [BAD, GOOD]


# -- The same everywhere --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("width", [1, 7, 8, 9, 12, 13, 21])
def test_places_are_found_whatever_the_length_of_the_keys(width: int):
    rng = np.random.default_rng(width)
    same = "X" * (width // 3)

    def made(letters: str) -> str:
        return same + "".join(rng.choice(list(letters), width - len(same)))

    known = sorted({made("0123456789AZ") for _ in range(3_000)})
    mixed = [known[one][:-2] + known[other][-2:] for one, other in rng.integers(0, len(known), (500, 2))]
    wanted = [*rng.choice(known, 500), *(made("0123Z") for _ in range(500)), *(key[-width:] for key in mixed),
              *("".join(rng.choice(list("0123"), width)) for _ in range(500))]
    by_hand = {key: place for place, key in enumerate(known)}
    expected = [by_hand.get(key, -1) for key in wanted]
    assert places(pa.array(known), pa.array(wanted)).tolist() == expected
    assert places(pa.array(["", *known])[1:], pa.array(["", *wanted])[1:]).tolist() == expected, "of a slice"
    shuffled = rng.permutation(known).tolist()
    found = places(pa.array(shuffled), pa.array(wanted))
    assert [None if at < 0 else shuffled[at] for at in found] == [key if key in by_hand else None for key in wanted]


def test_places_of_keys_of_all_lengths():
    known, wanted = ["", "0", "00", "01", "1", "\u00e9t\u00e9", "\u4e2d"], ["1", "001", "01", "", "\u4e2d", "2"]
    assert places(pa.array(known), pa.array(wanted)).tolist() == [4, -1, 3, 0, 6, -1]
    assert places(pa.array([], pa.string()), pa.array(wanted)).tolist() == [-1] * 6
    assert places(pa.array(known), pa.array([], pa.string())).tolist() == []


MANY = """
import sys
from datetime import date, timedelta
sys.path[:0] = [{root!r}, {root!r} + "/tests"]
import numpy as np, pyarrow as pa
from tests.labels.small_books import BOOKED, views
from tollgate import lake
from tollgate.labels import label
pa.set_cpu_count(int(sys.argv[1]))
rng = np.random.default_rng(1)
day = lambda days: (date(2003, 1, 1) + timedelta(days=int(days))).isoformat()
loans = [(f"{{n:05d}}", day(rng.integers(0, 1500))) for n in range(3000)]
outcomes = {{(loans[n][0], day(rng.integers(0, 2000))): None for n in rng.integers(0, 3000, 2000)}}
rows = [(*key, key[1] if rng.random() < .8 else None) for key in outcomes]
print(lake.digest(label(BOOKED, date(2007, 1, 1), 24, views(BOOKED, applications=loans, outcomes=rows))))
"""


def test_labels_do_not_depend_on_the_number_of_threads():
    program = MANY.format(root=str(Path(__file__).parents[2]))
    answers = {subprocess.run([sys.executable, "-c", program, threads], check=True, capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": threads}).stdout for threads in ("1", "4")}
    assert len(answers) == 1


def test_labels_agree_with_a_plain_reading_of_the_definition():
    rng = np.random.default_rng(7)
    start = date(2004, 1, 1)
    loans = {f"{n:04d}": start + timedelta(days=int(rng.integers(0, 700))) for n in range(400)}
    kinds = ("default", "charge-off", "refinanced", "cured", "fraud", "reminder")
    rows = {}
    for _ in range(900):
        loan = f"{rng.integers(0, 420):04d}"
        reported = start + timedelta(days=int(rng.integers(0, 1095)))
        happened = None if rng.random() < .2 else reported - timedelta(days=int(rng.integers(0, 60)))
        rows[loan, reported] = (happened, str(rng.choice(kinds, p=(.4, .1, .15, .2, .05, .1))))
    found = labels(EVENTFUL, applications=[(loan, on.isoformat()) for loan, on in loans.items()], outcomes=[
        (loan, told.isoformat(), happened and happened.isoformat(), what)
        for (loan, told), (happened, what) in rows.items()])
    mine = {}
    for loan, booked in loans.items():
        until = booked.replace(year=booked.year + 2) if (booked.month, booked.day) != (2, 29) else date(
            booked.year + 2, 2, 28)
        said = {kind: [] for kind in ("bad", "refinanced", "cured", "fraud")}
        own = [(told, *what) for (of, told), what in rows.items() if of == loan]
        for told, happened, what in own:
            name = "bad" if what in ("default", "charge-off") else what
            same = ("default", "charge-off") if name == "bad" else (what,)
            taken = [t for t, h, w in own if h is None and w in same]
            if name in said and happened is not None and all(told > back for back in taken):
                said[name].append(happened)
        cured = max([on for on in said["cured"] if booked <= on <= until], default=date.min)
        bads = [on for on in said["bad"] if booked <= on <= until]
        again = min([on for on in bads if on > cured], default=None)
        closed = min([on for on in said["refinanced"] if booked <= on <= until], default=date.max)
        if until >= AS_OF:
            mine[loan] = IMMATURE
        elif said["fraud"] or any(on < booked for kind in ("bad", "refinanced", "cured") for on in said[kind]):
            mine[loan] = INDETERMINATE
        elif again is not None and again <= closed:
            mine[loan] = BAD
        else:
            mine[loan] = INDETERMINATE if bads or closed < date.max else GOOD
    assert found == mine
    assert set(mine.values()) == {GOOD, BAD, INDETERMINATE, IMMATURE}


# -- Targets that do not fit ----------------------------------------------------------------------------------------

def faults(book: Book) -> str:
    return "; ".join(fault.says for fault in faults_of(book))


def test_a_target_that_does_not_fit_its_book_is_refused_with_all_faults_at_once():
    said = faults(replace(BOOKED, target=Target(
        bad=(Event(table="payments", on="due_on"), Event(table="outcomes", on="charged_off_on"),
             Event(table="outcomes", on="event")),
        cures=(Event(table="outcomes", on="defaulted_on", column="event"),),
        void=(Event(table="outcomes", on="defaulted_on", isin=("fraud",)),), lag_days=-1)))
    for fault in ("bad: there is no table payments", "bad: the table outcomes has no column charged_off_on",
                  "bad: outcomes.event is no date", "cures: outcomes.event needs values, isin or ge",
                  "void: an event of outcomes has values and names no column for them", "lag_days: -1 is less than 0"):
        assert fault in said
    assert faults(replace(BOOKED, target=Target(bad=()))) == "bad: no event makes a loan bad"


def test_a_book_that_does_not_say_who_was_booked_is_refused() -> None:
    assert faults(BOOKED) == faults(DECIDED) == ""
    unsaid, twice = replace(BOOKED, all_booked=False), replace(DECIDED, all_booked=True)
    assert "all_booked: there is no table of decisions to say who was booked" in faults(unsaid)
    assert "all_booked: the book has a table of decisions" in faults(twice)


# -- An event that several columns may date ---------------------------------------------------------------------------

def test_the_first_date_that_a_row_fills_says_when_it_happened_so_that_no_default_is_without_a_day():
    either = replace(EVENTFUL, target=Target(bad=(replace(event("default"), on=("defaulted_on", "reported_on")),)))
    never_paid, paid = ("L1", "2005-03-31", None, "default"), ("L2", "2005-03-31", "2005-01-31", "default")
    found = label(either, AS_OF, HORIZON, views(either, applications=[("L1", "2004-06-15"), ("L2", "2004-06-15")],
                                                outcomes=[never_paid, paid]))
    assert found["label"].to_pylist() == [BAD, BAD]
    assert found["bad_on"].to_pylist() == [date(2005, 3, 31), date(2005, 1, 31)]
    assert of_one(EVENTFUL, never_paid[1:]) == GOOD  # with the one date alone


@pytest.mark.parametrize(("on", "says"), [
    ((), "an event of outcomes names no date on which it happened"),
    (("defaulted_on", "settled_on"), "the table outcomes has no column settled_on"),
    (("defaulted_on", "event"), "outcomes.event is no date"),
])
def test_each_of_the_dates_of_an_event_is_checked(on, says):
    wrong = replace(EVENTFUL, target=Target(bad=(replace(event("default"), on=on),)))
    assert any(says in fault.says for fault in faults_of(wrong))
