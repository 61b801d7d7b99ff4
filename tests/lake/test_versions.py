"""What was known when: every version of a row is kept, and an as-of read sees the one that was known then."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from published import publish

from tollgate import lake
from tollgate.books import Book, BookTable, Column, decisions_table, load_book

LIVE = date(2005, 12, 31)
AUGUST = date(2006, 8, 31)


@pytest.fixture
def book(anywhere: str) -> Book:
    return load_book("sba")


def loan(name: str, applied: date, employees: int = 4, **cells: Any) -> dict[str, Any]:
    return {"loan_id": name, "applied_on": applied, "employees": employees, "franchise": "0", "approved": 1000.0,
            "guaranteed": 500.0, **cells}


def seen(book: Book, as_of: date | None, **kwargs: Any) -> dict[str, int]:
    rows = lake.view(lake.applications(book), as_of=as_of, columns=["loan_id", "employees"], **kwargs)
    return dict(zip(rows["loan_id"].to_pylist(), rows["employees"].to_pylist(), strict=True))


def test_a_restated_row_is_seen_from_its_delivery_on_and_never_before(book: Book) -> None:
    publish(book, "applications", [loan("a", date(2005, 3, 1)), loan("b", date(2005, 4, 1))], live_on=LIVE)
    changes = publish(book, "applications", [loan("a", date(2005, 3, 1), 9), loan("b", date(2005, 4, 1))],
                      number=2, day=AUGUST, live_on=LIVE)
    assert (changes.restated, changes.unchanged, changes.added, dict(changes.columns)) == (1, 1, 0, {"employees": 1})
    assert seen(book, date(2005, 6, 1)) == seen(book, AUGUST) == {"a": 4, "b": 4}
    assert seen(book, date(2006, 9, 1)) == seen(book, None) == {"a": 9, "b": 4}


def test_before_the_book_was_live_the_lenders_own_day_is_believed_and_from_then_on_the_day_of_arrival(
        book: Book) -> None:
    publish(book, "applications", [loan("past", date(2004, 3, 1)), loan("last", date(2005, 12, 31))],
            day=LIVE, live_on=LIVE)
    publish(book, "applications", [loan("late", date(2006, 2, 1)), loan("forgotten", date(2005, 2, 1))],
            number=2, day=date(2010, 1, 15), live_on=LIVE)
    assert seen(book, date(2005, 12, 31)) == {"past": 4, "forgotten": 4}
    assert "late" not in seen(book, date(2010, 1, 15))
    assert set(seen(book, date(2010, 1, 16))) == {"past", "last", "late", "forgotten"}


def test_a_row_that_itself_tells_a_later_day_was_known_on_it_before_the_book_was_live(anywhere: str) -> None:
    def column(name: str, kind: Any) -> Column:
        return Column(name=name, source=name, kind=kind, doc="")

    sba = load_book("sba")
    decided: BookTable = decisions_table((column("loan_id", "text"), column("decided_on", "date"),
                                          column("decision", "text"), column("booked_on", "date")))
    book = replace(sba, tables=(*sba.tables, decided), all_booked=False)
    row = {"loan_id": "a", "decided_on": date(2004, 5, 1), "decision": "approved"}
    publish(book, "decisions", [row])
    changes = publish(book, "decisions", [{**row, "booked_on": date(2004, 6, 9)}], number=2)
    assert (changes.filled, changes.restated) == (1, 0)

    def booked(as_of: date) -> list[date | None]:
        return lake.view(lake.decisions(book), as_of=as_of)["booked_on"].to_pylist()

    assert booked(date(2004, 6, 9)) == [None]
    assert booked(date(2004, 6, 10)) == [date(2004, 6, 9)]


def test_the_first_delivery_sent_again_takes_a_correction_back(book: Book) -> None:
    first, second = [loan("a", date(2005, 3, 1), 4)], [loan("a", date(2005, 3, 1), 9)]
    for number, rows in enumerate((first, second, first), start=1):
        publish(book, "applications", rows, number=number, day=date(2006, number, 1), live_on=LIVE)
    assert [seen(book, date(2006, month, 2))["a"] for month in (1, 2, 3)] == [4, 9, 4]


def test_an_earlier_delivery_that_comes_last_is_left_aside_where_a_later_one_has_spoken(book: Book) -> None:
    publish(book, "applications", [loan("a", date(2005, 3, 1), 9)], number=2)
    changes = publish(book, "applications", [loan("a", date(2005, 3, 1), 4), loan("b", date(2005, 3, 1))], number=1)
    assert (changes.superseded, changes.added) == (1, 1)
    assert seen(book, None) == {"a": 9, "b": 4}


def test_a_delivery_that_was_killed_after_its_commit_adds_nothing_when_it_comes_again(book: Book) -> None:
    publish(book, "applications", [loan("a", date(2005, 3, 1), 4)])
    again = [publish(book, "applications", [loan("a", date(2005, 3, 1), 9), loan("b", date(2005, 3, 2))], number=2)
             for _ in range(2)]
    assert again[0] == again[1]
    assert again[0].restated == again[0].added == 1
    assert lake.count(lake.applications(book)) == 3


def test_a_filter_holds_of_the_version_that_is_shown_wherever_the_older_ones_stood(book: Book) -> None:
    publish(book, "applications", [loan("moves", date(2005, 3, 1)), loan("stays", date(2005, 3, 1))])
    publish(book, "applications", [loan("moves", date(2005, 9, 1))], number=2)
    march = [("applied_on", "<", date(2005, 4, 1))]
    assert seen(book, None, filters=march) == {"stays": 4}
    assert seen(book, None, filters=[("applied_on", ">", date(2005, 4, 1))]) == {"moves": 4}


def test_an_older_version_of_the_table_shows_what_it_showed(book: Book) -> None:
    publish(book, "applications", [loan("a", date(2005, 3, 1), 4)])
    pinned = lake.version(lake.applications(book))
    publish(book, "applications", [loan("a", date(2005, 3, 1), 9), loan("b", date(2005, 3, 1))], number=2)
    assert seen(book, None, at=pinned) == {"a": 4}


def test_a_lookup_finds_the_newest_version_of_the_loans_asked_for(book: Book) -> None:
    publish(book, "applications", [loan(name, date(2005, 3, 1)) for name in "abc"])
    publish(book, "applications", [loan("a", date(2005, 3, 1), 9)], number=2)
    found = lake.lookup(lake.applications(book), "loan_id", pa.array(["a", "c", "x"]), ["loan_id", "employees"])
    assert sorted((row["loan_id"], row["employees"]) for row in found.to_pylist()) == [("a", 9), ("c", 4)]


def test_what_a_check_refuses_is_not_written(book: Book) -> None:
    table, of = lake.applications(book), book.table("applications")
    publish(book, "applications", [loan("a", date(2005, 3, 1))])

    def refuse(changes: lake.Changes) -> None:
        raise RuntimeError(f"{changes.restated} restated")

    with lake.scratch() as disk, pytest.raises(RuntimeError, match="1 restated"):
        schema = pa.schema([("month", pa.string()), ("line", pa.int64()), *of.schema()])
        rows = lake.PartitionedRows(disk, schema, "month")
        rows.add(pa.Table.from_pylist([{**loan("a", date(2005, 3, 1), 9), "month": "2005-03"}], schema=rows.schema))
        lake.append_versions(table, of, rows, lake.Delivery(2, AUGUST, LIVE), refuse)
    assert seen(book, None) == {"a": 4}
