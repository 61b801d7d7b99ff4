"""A file held against the months before it: what no honest month explains refuses it, any other surprise is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tollgate.books import load_book
from tollgate.books.shipped.consumer import simulate
from tollgate.config import load_params
from tollgate.ingest.expectations.expect import Finding, findings, freshness
from tollgate.ingest.expectations.labels import label_flip, label_rate
from tollgate.ingest.expectations.observation import SAMPLE, Observation

BOOK = load_book("consumer")
PARAMS = load_params(book="consumer").ingest
# A text column without a vocabulary, as names of banks or codes of industries are.
COLUMNS = tuple(replace(c, isin=()) if c.name == "state" else c for c in BOOK.applications)
Months = list[pa.Table]


def rows_of(first: str, last: str, seed: int = 1) -> pa.Table:
    """Good applications under the lake's names and types."""
    sent = simulate(seed=seed, rows_a_month=500, first_month=first, last_month=last)
    return pa.table({c.name: sent[c.source] for c in BOOK.applications if not c.personal}).cast(
        BOOK.table("applications").schema())


@pytest.fixture(scope="module")
def months() -> Months:
    """Seven months of 2006, unchanged by any scenario."""
    rows = rows_of("2006-01", "2006-07")
    month = pc.month(rows["applied_on"])
    return [rows.filter(pc.equal(month, i)) for i in range(1, 8)]


def seen(*tables: pa.Table) -> Observation:
    observation = Observation(BOOK.table("applications"))
    for table in tables:
        observation.add(table)
    return observation


def found(now: pa.Table, before: Months) -> list[Finding]:
    return findings(COLUMNS, seen(now), seen(*before), seen(*before[-1:]), PARAMS)


def put(rows: pa.Table, name: str, values: object) -> pa.Table:
    at = rows.schema.get_field_index(name)
    return rows.set_column(at, rows.schema.field(name), pa.array(values, rows.schema.field(name).type))


def times(name: str, factor: float) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: put(rows, name, pc.multiply(rows[name], factor).combine_chunks())


def first_rows(name: str, value: object, count: int) -> Callable[[pa.Table], pa.Table]:
    """The first rows carry one value."""
    return lambda rows: put(rows, name, [value] * count + rows[name].to_pylist()[count:])


def test_a_month_like_those_before_is_no_surprise(months: Months) -> None:
    assert found(months[-1], months[:-1]) == []


@pytest.mark.parametrize(("change", "check", "column", "level"), [
    (times("annual_income", 0.001), "unit", "annual_income", "warning"),
    (times("debt_to_income_ratio", 100), "unit", "debt_to_income_ratio", "warning"),
    (times("loan_amount", 4), "median", "loan_amount", "warning"),
    (first_rows("loan_amount", 100_000.0, 60), "outliers", "loan_amount", "warning"),
    (first_rows("home_ownership", "own", 300), "distribution", "home_ownership", "warning"),
    (first_rows("debt_to_income_ratio", None, 200), "missing", "debt_to_income_ratio", "warning"),
    (first_rows("purpose", "car", 500), "constant", "purpose", "warning"),
    (first_rows("state", "XX", 100), "unseen", "state", "warning"),
    (lambda rows: put(rows, "state", [f"S{i}" for i in range(500)]), "unseen", "state", "warning"),
    (first_rows("annual_income", None, 500), "null_share", "annual_income", "refused"),
    (lambda rows: rows.slice(0, 40), "few_rows", None, "warning"),
    (lambda rows: pa.concat_tables([rows] * 10), "row_count", None, "refused"),
])
def test_one_change_is_one_finding_with_its_numbers(change: Callable[[pa.Table], pa.Table], check: str,
                                                    column: str | None, level: str, months: Months) -> None:
    (finding, *others) = found(change(months[-1]), months[:-1])
    assert (finding.check, finding.column, finding.level) == (check, column, level)
    assert (finding.value > finding.limit) or check in ("few_rows", "unit")
    assert not [other for other in others if other.column == column and check != "row_count"]
    assert column is None or column in finding.sentence


def test_ten_times_the_rows_refuse_and_five_times_do_not(months: Months) -> None:
    five = found(pa.concat_tables([months[-1]] * 5), months[:-1])
    assert [f for f in five if f.level == "refused"] == []


def test_a_long_extract_of_a_growing_book_is_held_against_its_own_earlier_months() -> None:
    before, grown = outcomes(20, 30, 40), outcomes(60, 120, 240, 480, first=4)
    assert [f.level for f in findings(BOOK.columns("outcomes"), grown, before, outcomes(40, first=3), PARAMS)] == []
    jumped = outcomes(60, 400, first=4)
    (finding,) = findings(BOOK.columns("outcomes"), jumped, before, outcomes(40, first=3), PARAMS)
    assert "2006-05 has 400 rows, 6.7 times the largest of the 4 months before (60;" in finding.sentence


def test_a_burst_of_rows_that_differ_in_their_key_alone_is_told(months: Months) -> None:
    rows = months[-1]
    burst = rows.take([0] * 30).set_column(0, rows.schema.field("loan_id"), pa.array([f"B{i}" for i in range(30)]))
    (finding,) = found(pa.concat_tables([rows, burst]), months[:-1])
    assert (finding.check, finding.column) == ("identical_rows", None)
    assert "31 rows (5.8%) are equal in everything but their key; 1 at the most" in finding.sentence


def test_what_the_month_before_showed_already_is_not_told_again_unless_it_refuses(months: Months) -> None:
    change = times("annual_income", 0.001)
    assert found(change(months[-1]), [*months[:-2], change(months[-2])]) == []
    empty = first_rows("annual_income", None, 500)
    assert [f.check for f in found(empty(months[-1]), [*months[:-2], empty(months[-2])])] == ["null_share"]


def test_with_two_months_of_history_nothing_is_concluded(months: Months) -> None:
    broken = times("annual_income", 0.001)(pa.concat_tables([months[-1]] * 10))
    assert found(broken, months[:2]) == []
    assert found(broken, []) == []
    assert found(broken, months[:3]) != []


def test_a_closed_vocabulary_and_few_rows_are_not_judged_by_luck(months: Months) -> None:
    few = times("annual_income", 0.001)(months[-1]).slice(0, 99)
    assert [f.check for f in found(few, months[:-1])] in ([], ["few_rows"])


def test_the_sample_is_the_same_for_every_size_of_batch(months: Months) -> None:
    rows = pa.concat_tables([months[0]] * 100).combine_chunks()
    assert rows.num_rows > 4 * SAMPLE
    whole, cut = seen(rows), seen(*(rows.slice(at, 7_001) for at in range(0, rows.num_rows, 7_001)))
    assert whole.sample() == cut.sample()
    assert (whole.step, whole.rows, whole.months, whole.nulls) == (cut.step, cut.rows, cut.months, cut.nulls)
    assert SAMPLE <= whole.sample().num_rows <= 2 * SAMPLE


def test_a_few_late_rows_do_not_make_an_old_month_the_files_own(months: Months) -> None:
    assert seen(months[2].slice(0, 5), months[-1]).first_month() == "2006-07"
    assert seen(months[2], months[-1]).first_month() == "2006-03"


@pytest.mark.parametrize(("newest", "told"), [(None, False), ("2006-07", False), ("2006-09", False), ("2006-10", True)])
def test_a_stale_file_is_told_by_the_lakes_newest_month(newest: str | None, told: bool, months: Months) -> None:
    assert bool(freshness(seen(months[-1]), newest, PARAMS)) == told


def test_a_month_of_which_nothing_came_is_told_with_its_neighbours(months: Months) -> None:
    told = [finding.sentence for finding in found(months[5], months[:4]) if finding.check == "missing_months"]
    assert told == ["Nothing came of the 1 month(s) between 2006-04, the newest before this file, and 2006-06: a "
                    "delivery is missing, or nothing happened in them."]
    assert not [finding for finding in found(months[4], months[:4]) if finding.check == "missing_months"]


def outcomes(*counts: int, first: int = 1) -> Observation:
    """So many defaults in each month of 2006."""
    observation = Observation(BOOK.table("outcomes"))
    for month, rows in enumerate(counts, start=first):
        day = date(2006, month, 15)
        observation.add(pa.table({"loan_id": [f"{month}-{i}" for i in range(rows)], "reported_on": [day] * rows,
                                  "defaulted_on": [day] * rows}).cast(BOOK.table("outcomes").schema()))
    return observation


@pytest.mark.parametrize(("rows", "says"), [
    (450, "2006-05 reports 450 defaults, 2.25 times the usual 200 (limit 2)"), (390, ""), (110, ""),
    (90, "90 defaults, 0.45 times the usual 200 (limit 0.5)"), (30, "")])
def test_twice_or_half_the_usual_defaults_are_told(rows: int, says: str) -> None:
    told = list(label_rate("defaulted_on", outcomes(rows, first=5), outcomes(190, 200, 210, 200), PARAMS))
    assert [says in f.sentence for f in told] == ([True] if says else [])


def test_a_rate_that_the_month_before_had_already_is_not_told_again() -> None:
    assert list(label_rate("defaulted_on", outcomes(450, first=5), outcomes(190, 200, 210, 420), PARAMS)) == []


def test_a_value_whose_share_of_the_defaults_jumps_is_told_and_chance_is_not() -> None:
    def of(**counts: int) -> pa.Table:
        return pa.table({"state": [state for state, rows in counts.items() for _ in range(rows)]})

    past = of(OH=250, NY=1000, CA=750)
    assert list(label_flip(of(OH=30, NY=90, CA=80), past, PARAMS)) == []
    (finding,) = label_flip(of(OH=90, NY=60, CA=50), past, PARAMS)
    assert (finding.check, finding.column) == ("label_flip", "state")
    assert "45.0% of the 200 defaults are of state OH, 12.5% in the months before" in finding.sentence
    assert list(label_flip(of(OH=50, NY=30), past, PARAMS)) == []
