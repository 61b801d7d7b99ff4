"""A file whose lines feed several tables: a line is published in all of them, or quarantined whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lender import bad_share
from small_lender import NAMES, small_book

from tollgate import lake
from tollgate.books import Book, Source
from tollgate.config import settings
from tollgate.errors import PassingFault, Refused
from tollgate.ingest import audit, check_file, ingest_file, quarantined_loan, release, take_in
from tollgate.ingest.publishing import publish
from tollgate.lake import Store

LIMITS = bad_share(1.0)
HEAD = [*NAMES, "REPORTED", "DEFAULTED"]
WIDE = Source(begins="loans", tables=("applications", "outcomes"))
BOOK = small_book(WIDE)


def row(number: int, **cells: str) -> dict[str, str]:
    return {"LOAN": f"L{number}", "DAY": "2006-02-28", "AMOUNT": "1000", "RATE": "5%", "INCOME": "10", "TERM": "12",
            "PURPOSE": "car", "NAME": "A B", "REPORTED": "2007-03-05", "DEFAULTED": "", **cells}


def put(*rows: dict[str, str], name: str = "loans.csv") -> str:
    lines = [HEAD, *(list(line.values()) for line in rows)]
    Store(settings().landing).write(f"small/{name}", "".join(",".join(line) + "\n" for line in lines).encode())
    return name


def both(book: Book, *columns: str) -> list[list[dict[str, Any]]]:
    return [lake.read(lake.published(book, name), columns=list(columns)).to_pylist()
            for name in ("applications", "outcomes")]


def test_a_line_that_one_table_refuses_is_published_in_none_and_told_by_that_table(home: object) -> None:
    put(row(1), row(2, TERM="x"), row(3, REPORTED="2006-02-30"), row(4, TERM="y", REPORTED=""), row(5))
    answer = ingest_file(BOOK, "loans.csv", LIMITS)
    assert (answer["table"], answer["received"], answer["published"], answer["quarantined"], answer["added"]) == (
        "applications, outcomes", 5, 2, 3, 4)
    assert answer["partitions"] == ["2006-02", "2007-03"]
    kept = [{"loan_id": "L1", "line": 2}, {"loan_id": "L5", "line": 6}]
    assert both(BOOK, "loan_id", "line") == [kept, kept]
    told = lake.read(lake.quarantine("small"), columns=["row", "line", "table", "rule", "column"]).to_pylist()
    assert sorted((t["row"], t["line"], t["table"], t["rule"], t["column"]) for t in told) == [
        (2, 3, "applications", "not_an_integer", "term"), (3, 4, "outcomes", "not_a_date", "reported_on"),
        (4, 5, "applications", "not_an_integer", "term"), (4, 5, "outcomes", "required", "reported_on")]
    assert audit(BOOK) == {"book": "small", "files": 1, "received": 5, "published": 2, "quarantined": 3}
    assert [line["table"] for line in quarantined_loan(BOOK, "L4")] == ["applications", "outcomes"]


def test_a_loan_is_traced_to_the_lines_of_its_files(home: object) -> None:
    ingest_file(BOOK, put(row(1), row(2)), LIMITS)
    ingest_file(BOOK, put(row(2, AMOUNT="7"), name="loans_b.csv"), LIMITS)
    names = {line["delivery"]: line["file"] for line in lake.read(lake.deliveries("small")).to_pylist()}
    traced = [(table.name, names[line["delivery"]], line["line"]) for table in BOOK.tables for line in
              lake.read(lake.published(BOOK, table.name), filters=[("loan_id", "=", "L2")]).to_pylist()]
    assert traced == [("applications", "loans.csv", 3), ("applications", "loans_b.csv", 2),
                      ("outcomes", "loans.csv", 3)]


def test_what_changed_is_counted_over_the_tables_and_the_same_lines_again_change_nothing(home: object) -> None:
    ingest_file(BOOK, put(row(1), row(2)), LIMITS)
    again = ingest_file(BOOK, put(row(2), row(1), name="loans_b.csv"), LIMITS)
    assert (again["published"], again["added"], again["restated"]) == (2, 0, 0)
    changed = ingest_file(BOOK, put(row(1, AMOUNT="7", DEFAULTED="2007-01-01"), name="loans_c.csv"), LIMITS)
    assert (changed["added"], changed["restated"]) == (0, 2)
    assert [sentence.partition(":")[0] for sentence in changed["warnings"]] == ["applications", "outcomes"]
    audit(BOOK)


def test_duplicates_are_told_by_each_tables_own_key(home: object) -> None:
    put(row(1), row(1, REPORTED="2007-04-05"), row(2))
    answer = ingest_file(BOOK, "loans.csv", LIMITS)
    (told,) = lake.read(lake.quarantine("small")).to_pylist()
    assert (answer["published"], told["row"], told["table"], told["rule"]) == (2, 2, "applications", "duplicate")


def test_loans_of_the_same_lines_are_no_orphans_and_a_report_before_its_application_is_refused(home: object) -> None:
    put(row(1), row(2, REPORTED="2006-01-05"))
    answer = ingest_file(BOOK, "loans.csv", LIMITS.model_copy(update={"orphan_share_max": 0.0}))
    assert (answer["published"], answer["warnings"]) == (1, [])
    (told,) = lake.read(lake.quarantine("small")).to_pylist()
    assert (told["table"], told["rule"], told["column"]) == ("outcomes", "before_application", "reported_on")


def test_whoever_is_killed_between_the_tables_ends_in_the_same_lake(home: object,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = lake.append_versions

    def dies(table: lake.Table, *args: Any) -> Any:
        if table.name == "outcomes":
            raise PassingFault("The lake did not answer", value="x", remedy="Again.")
        return real(table, *args)

    put(row(1), row(2, TERM="x"))
    monkeypatch.setattr(publish.lake, "append_versions", dies)
    with pytest.raises(PassingFault):
        ingest_file(BOOK, "loans.csv", LIMITS)
    with pytest.raises(PassingFault, match="a run is at work, or was killed at it"):
        audit(BOOK)
    monkeypatch.setattr(publish.lake, "append_versions", real)
    answer = ingest_file(BOOK, "loans.csv", LIMITS)
    assert (answer["published"], answer["added"]) == (1, 2)
    assert [len(rows) for rows in both(BOOK, "loan_id")] == [1, 1]
    audit(BOOK)


def test_a_file_that_restates_too_much_of_its_last_table_is_published_in_none(home: object) -> None:
    limits = bad_share(1.0).model_copy(update={"restated_share_max": 0.1})
    ingest_file(BOOK, put(*map(row, range(150))), limits)
    put(*(row(number, DEFAULTED="2007-01-01") for number in range(150)), row(999), name="loans_b.csv")
    with pytest.raises(Refused, match="restates 150 of the 150 rows"):
        ingest_file(BOOK, "loans_b.csv", limits)
    assert [len(rows) for rows in both(BOOK, "loan_id")] == [150, 150]
    audit(BOOK)


def test_a_line_is_released_into_all_its_tables_once_all_of_them_take_it(home: object) -> None:
    strict = small_book(WIDE, changes={"TERM": {"le": 10}, "INCOME": {"le": 10.0}})
    put(row(1, TERM="1"), row(2), row(3, TERM="1", REPORTED="2006-01-01"), row(4, REPORTED="2006-01-01"))
    answer = ingest_file(strict, "loans.csv", LIMITS)
    assert (answer["published"], answer["quarantined"]) == (1, 3)
    released = release(BOOK, answer["fingerprint"], "Ann", "terms were meant")
    assert (released["table"], released["released"], released["left"]) == ("applications, outcomes", 1, 2)
    kept = [{"loan_id": "L1", "line": 2, "version": 1}, {"loan_id": "L2", "line": 3, "version": 1}]
    assert both(BOOK, "loan_id", "line", "version") == [kept, kept]
    left = lake.read(lake.quarantine("small"), columns=["row", "table", "rule"]).to_pylist()
    assert left == [{"row": row, "table": "outcomes", "rule": "before_application"} for row in (3, 4)]
    assert audit(BOOK)["quarantined"] == 2
    assert release(BOOK, answer["fingerprint"], "Ann", "again")["released"] == 0


def test_a_check_beforehand_names_the_table_of_each_reason(home: object, tmp_path: Any) -> None:
    put(row(1), row(2, TERM="x"), row(3, REPORTED=""))
    path = tmp_path / "loans.csv"
    path.write_bytes(Store(settings().landing).read("small/loans.csv"))
    found = check_file(BOOK, path, LIMITS).answer()
    assert found["reasons"] == [{"rule": "not_an_integer", "column": "applications.term", "rows": 1},
                                {"rule": "required", "column": "outcomes.reported_on", "rows": 1}]
    with pytest.raises(Refused, match=r"1 not_an_integer in applications.term, 1 required in outcomes.reported_on"):
        ingest_file(BOOK, "loans.csv", bad_share(0.0))


def test_files_that_feed_the_same_table_are_taken_in_before_one_that_is_asked_for(home: object) -> None:
    book = small_book(WIDE, Source(begins="outcomes", tables=("outcomes",)))
    put(row(1), name="loans_a.csv")
    put(row(2), name="loans_b.csv")
    Store(settings().landing).write("small/outcomes.csv", b"LOAN,REPORTED,DEFAULTED\nL1,2007-05-01,\n")
    taken = take_in(book, LIMITS, before="outcomes.csv")
    assert [answer["file"] for answer in taken["files"]] == ["loans_a.csv", "loans_b.csv"]
