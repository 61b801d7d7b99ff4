"""What is wrong in how a book says its files are written is told when it is loaded, all of it at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from small_lender import APPLICATIONS, NAMES, small_book

from tollgate.books import Book, Reader, Source
from tollgate.books.checking import faults_of
from tollgate.books.page import render
from tollgate.errors import BadInput
from tollgate.ingest.reading import source_of


def told(book: Book) -> list[str]:
    return [fault.says for fault in faults_of(book)]


def of(begins: str = "loans", tables: tuple[str, ...] = ("applications",), **options: Any) -> Book:
    return small_book(Source(begins=begins, tables=tables, **options))


def test_a_book_with_readers_of_every_kind_is_good() -> None:
    assert told(small_book(
        Source(begins="loans", tables=("applications", "outcomes"), ignored=("", "X"), ignore_unknown=True,
               reader=Reader(delimiter=";", quote="", decimal=",", thousands=".", encoding="cp1252", skip_top=2)),
        Source(begins="loans_fixed", tables=("applications",), reader=Reader(names=tuple(NAMES), widths=(5,) * 8)),
    )) == []


@pytest.mark.parametrize(("book", "says"), [
    (small_book(Source(begins="a", tables=("applications",)), Source(begins="a", tables=("outcomes",))),
     "sources: 2 begin with 'a', so that a file is of either"),
    (of("outcomes"), "sources: 2 begin with 'outcomes', so that a file is of either"),
    (of(tables=("applications", "bureau")), "the source 'loans': there is no table bureau"),
    (of(tables=()), "the source 'loans': it feeds no table"),
    (of(tables=("outcomes", "outcomes")), "the source 'loans': it feeds outcomes 2 times"),
    (of(""), "the source '': no file in landing has a name that begins so"),
    (of(ignored=("AMOUNT",)), "the source 'loans': AMOUNT is ignored, and applications reads it"),
])
def test_a_source_that_cannot_be_meant_is_told(book: Book, says: str) -> None:
    assert told(book) == [says]


@pytest.mark.parametrize(("options", "says"), [
    ({"delimiter": ""}, "delimiter is one letter, and not ''"), ({"delimiter": ";;"}, "delimiter is one letter"),
    ({"quote": "''"}, "quote is one letter or none"), ({"delimiter": "\n"}, "delimiter is one letter, and not '\\n'"),
    ({"delimiter": "§"}, "delimiter is a letter of ASCII, and not '§'"),
    ({"delimiter": '"'}, "quote and delimiter are the same letter, '\"'"),
    ({"decimal": ",", "thousands": ","}, "decimal and thousands are the same letter, ','"),
    ({"decimal": "5"}, "decimal is '5', which is a part of numbers itself"),
    ({"encoding": "klingon"}, "Python knows no encoding 'klingon'"),
    ({"encoding": "base64"}, "Python knows no encoding 'base64'"),
    ({"skip_top": -1}, "skip_top is -1, less than 0"), ({"skip_bottom": -2}, "skip_bottom is -2, less than 0"),
    ({"widths": (3, 4)}, "2 widths for 0 names"), ({"names": ("A",), "widths": (0,)}, "a width is less than 1"),
    ({"names": ("A", "A")}, "2 names are A")])
def test_an_option_that_no_file_can_have_is_told(options: dict[str, Any], says: str) -> None:
    (one,) = told(of(reader=Reader(**options)))
    assert one.startswith(f"the source 'loans': reader: {says}")


@pytest.mark.parametrize(("changes", "says"), [
    ({"DAY": {"format": ("%d/%m/%Y", "%m/%d/%Y")}},
     "applications.applied_on: %d/%m/%Y and %m/%d/%Y read 02/01/2001 as two different days"),
    ({"DAY": {"format": ("%d-%m-%y", "%y-%m-%d")}}, "applications.applied_on: %d-%m-%y and %y-%m-%d read"),
    ({"DAY": {"format": ()}}, "applications.applied_on: a date needs a format"),
    ({"DAY": {"month_end": True}}, "applications.applied_on: month_end is for dates without a day"),
    ({"TERM": {"month_end": True}}, "applications.term: month_end is for dates, and it is integer"),
    ({"RATE": {"ge": 0.0, "le": 1.0}}, None),
    ({"DAY": {"format": ("%d.%m.%Y", "%Y-%m-%d", "%m/%d/%Y", "%Y%m%d")}}, None),
    ({"DAY": {"format": ("%Y-%m", "%Y-%m-%d"), "month_end": True}}, None)])
def test_dates_that_may_be_two_days_are_told(changes: dict[str, dict[str, Any]], says: str | None) -> None:
    found = told(small_book(changes=changes))
    assert [one.startswith(says or "") for one in found] == ([True] if says else [])


def test_a_column_that_is_personal_in_one_table_and_kept_in_another_is_told() -> None:
    book = of(tables=("applications", "outcomes"))
    name = replace(APPLICATIONS[-1], personal=False)
    leaking = book.with_columns("outcomes", (*book.columns("outcomes"), name))
    assert told(leaking) == ["the source 'loans': NAME is personal in applications and not in outcomes"]


def test_all_faults_are_told_at_once() -> None:
    book = of(tables=("bureau",), reader=Reader(delimiter="", decimal="x", widths=(1,)))
    assert len(told(book)) == 4


def test_a_file_is_of_the_longest_beginning_and_any_other_name_is_told_with_those_that_are() -> None:
    book = small_book(Source(begins="loans", tables=("applications",)), Source(begins="loans_b", tables=("outcomes",)))
    assert [source_of(book, name).begins for name in ("loans.csv", "loans_b.xlsx", "loans_2006.txt.gz")] == [
        "loans", "loans_b", "loans"]
    assert source_of(of(), "outcomes_2006.csv").tables == ("outcomes",)
    with pytest.raises(BadInput, match="is called loans..., loans_b..., and ends with .csv, .*xlsx.*got: applications"):
        source_of(book, "applications.csv")


def test_the_page_of_a_book_says_how_its_files_are_written() -> None:
    page = render(small_book(
        Source(begins="loans", tables=("applications", "outcomes"), ignored=("", "X"), ignore_unknown=True,
               reader=Reader(delimiter=";", skip_top=2, names=("A", "B"))),
        changes={"DAY": {"format": ("%d.%m.%Y", "%b-%y"), "month_end": True}}))
    assert ("| `loans...` | applications, outcomes | delimiter `';'`; skip_top 2; names `A`, `B` | what has no name, "
            "`X`, what the book does not know |") in page
    assert "`%d.%m.%Y` or `%b-%y`, a month being its last day" in page
