"""The judge reads batch by batch, and says what one eager pass of Pandera over the whole file would say."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lender import as_csv, bad_share
from pandera.errors import SchemaErrors

from tollgate import lake
from tollgate.books import Book, Column, load_book
from tollgate.clock import today
from tollgate.config import known_books
from tollgate.errors import Refused
from tollgate.ingest import check_file, ingest_file, quarantined_rows, schema_of
from tollgate.ingest.publishing import publish
from tollgate.ingest.reading import columnar, delimited, json_lines

Drop = Callable[..., str]
Record = dict[str, Any]
TABLES = [(book, table) for book in known_books()
          for table in ("applications", *(event.table for event in load_book(book).target.bad))]
LANDED = date(2026, 1, 1)


@pytest.fixture
def tiny_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows a batch, in every format, and fewer of the quarantine's lines."""
    monkeypatch.setattr(publish, "LINES_AT_ONCE", 3)
    for read in (columnar, delimited, json_lines):
        monkeypatch.setattr(read, "BATCH_ROWS", 7)
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 2_000)


def good_cell(column: Column, place: int) -> Any:
    """A cell that keeps every rule; money and numbers, and days, are the same in every column."""
    if column.kind == "text":
        return column.isin[place % len(column.isin)] if column.isin else f"L{place:06d}"
    return column.le if column.kind == "date" else 1


def good_row(book: Book, table: str, place: int) -> Record:
    return {c.name: good_cell(c, place) for c in book.columns(table) if not c.personal}


def broken_rows(book: Book, table: str) -> list[tuple[str, Record]]:
    """``(rule, change)``: every rule of the table broken once, but for that of the key."""
    found: list[tuple[str, Record]] = []
    for column in book.columns(table):
        if column.personal:
            continue
        if not column.nullable:
            found.append(("required", {column.name: None}))
        step = pd.Timedelta(days=1) if column.kind == "date" else 1
        if column.ge is not None:
            found.append(("below_minimum", {column.name: column.ge - step}))
        if column.le is not None:
            found.append(("above_maximum", {column.name: column.le + step}))
        if column.isin:
            found.append(("not_in_vocabulary", {column.name: "no such"}))
        elif column.kind == "text":
            found += [("personal_data", {column.name: "jane@example.com"}), ("formula", {column.name: "=1+1"})]
    found.append(("from_the_future", {book.table(table).told[0]: date(2030, 1, 1)}))
    for rule in book.table(table).rules:
        first, second = (next(c for c in book.columns(table) if c.name == name) for name in rule.uses)
        found.append((rule.name, {first.name: first.le, second.name: second.ge}))
    return found


def eager(book: Book, table: str, rows: list[Record]) -> set[tuple[int, str, str]]:
    """``(row, rule, column)`` by the contract alone, over one frame."""
    schema = schema_of(book, table, LANDED)
    frame = pa.Table.from_pylist(rows, pa.schema([pa.field(f.name, f.type) for f in book.table(table).schema()]))
    with pytest.raises(SchemaErrors) as caught:
        schema.validate(frame.to_pandas(types_mapper=pd.ArrowDtype), lazy=True)
    between = {name: ", ".join(uses) for name, uses, _ in book.table(table).row_rules()
               if name == "duplicate" or (len(uses) > 1 and name != "from_the_future")}
    return {(case.index + 1, rule, between.get(rule, case.column))
            for case in caught.value.failure_cases.itertuples(index=False)
            for rule in [case.check.replace("not_nullable", "required")]}


@pytest.mark.parametrize(("name", "table"), TABLES)
def test_the_verdict_of_every_row_is_that_of_one_eager_pandera_pass(
        name: str, table: str, home: Path, tiny_batches: None, drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    book = load_book(name)
    monkeypatch.setenv("TOLLGATE_TODAY", LANDED.isoformat())
    broken = broken_rows(book, table)
    rows = [good_row(book, table, place) for place in range(3 * len(broken))]
    for place, (_, change) in enumerate(broken):
        rows[2 * place].update(change)
    # Keys that repeat in one batch and far apart, of good rows and of bad ones, and keys that are none.
    rows += [dict(rows[place]) for place in (1, 1, 2 * len(broken) + 1, 0, 4)]
    expected = eager(book, table, rows)
    assert {rule for _, rule, _ in expected} == {"duplicate", *(rule for rule, _ in broken)}
    assert len({(rule, column) for _, rule, column in expected}) > len({rule for rule, _ in broken})

    sent = pa.table({c.source: pa.array([row.get(c.name) for row in rows], None if c.personal else
                                        book.table(table).schema().field(c.name).type) for c in book.columns(table)})
    sink = io.BytesIO()
    pq.write_table(sent, sink)
    file = drop(sink.getvalue(), f"{table}.parquet", name)
    answer = ingest_file(book, file, bad_share(1.0))
    found = quarantined_rows(name, answer["fingerprint"])
    assert {(line["row"], line["rule"], line["column"]) for line in found["rows"]} == expected
    assert found["landed"] == "2026-01-01"


KINDS: list[Record] = [
    {}, {}, {}, {}, {"GrAppv": "a lot"}, {"GrAppv": "1e999"}, {"ApprovalDate": "30-Feb-06"}, {"State": "ZZ"},
    {"NoEmp": "-1"}, {"NoEmp": "4.5"}, {"GrAppv": "$2.00 "}, {"LoanNr_ChkDgt": ""}, {"LoanNr_ChkDgt": "0000000001"},
    {"LoanNr_ChkDgt": " 0000000002"}, {"State": "ZZ", "GrAppv": "?"}, {"Bank": 'A "B",\nC'},
]


def as_json_lines(rows: list[Record]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(rows: list[Record]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=5)
    return sink.getvalue()


def with_torn_lines(content: bytes, torn: bytes, draw: random.Random) -> tuple[bytes, int]:
    """Torn rows at the end, where no quoted line break can be met."""
    count = draw.randrange(4)
    return content + torn * count, count


@pytest.mark.parametrize("seed", range(6))
def test_received_is_published_plus_quarantined_over_many_batches_in_any_format(
        seed: int, sba: Book, tiny_batches: None, loans: Callable[..., list[Record]], drop: Drop, home: Path) -> None:
    draw = random.Random(seed)
    rows = loans(*(draw.choice(KINDS) for _ in range(draw.randrange(30, 80))))
    encode, ending, torn = [(as_csv, "csv", b"1,2,3\r\n"), (as_json_lines, "jsonl", b"{torn\n"),
                            (as_parquet, "parquet", b"")][seed % 3]
    content, malformed = with_torn_lines(encode(rows), torn, draw) if torn else (encode(rows), 0)
    name = drop(content, f"applications_{seed}.{ending}")
    checked = check_file(sba, home / "landing" / "sba" / name, bad_share(1.0))
    answer = ingest_file(sba, name, bad_share(1.0))
    held = lake.read(lake.applications(sba))
    bad = set(lake.read(lake.quarantine("sba"))["row"].to_pylist())
    # A cell with a line break makes two malformed lines of CSV.
    lines = [row for row in rows for _ in range(1 + row["Bank"].count("\n") * (ending == "csv"))]
    assert answer["received"] == checked.received == len(lines) + malformed
    assert answer["published"] == checked.good == held.num_rows == len(set(held["loan_id"].to_pylist()))
    assert answer["quarantined"] == len(bad) == answer["received"] - answer["published"]
    (row,) = lake.read(lake.received("sba")).to_pylist()
    assert (row["received"], row["published"], row["quarantined"]) == (
        answer["received"], answer["published"], answer["quarantined"])
    # The rows that are not in the quarantine are the ones that are published, each of them once.
    assert sorted(held["loan_id"].to_pylist()) == sorted(
        row["LoanNr_ChkDgt"].strip() for place, row in enumerate(lines, start=1) if place not in bad)


def test_a_fault_in_the_last_block_refuses_the_file_before_anything_is_written(
        sba: Book, tiny_batches: None, loans: Callable[..., list[Record]], drop: Drop) -> None:
    content = as_csv([*loans(good=60), *loans({"Bank": "CAF@"}, start=61)]).replace(b"@", b"\xe9")
    with pytest.raises(Refused, match="cannot be read"):
        ingest_file(sba, drop(content), bad_share(1.0))
    assert lake.version(lake.applications(sba)) == -1
    assert lake.read(lake.quarantine("sba"))["row"].to_pylist() == [0]


def test_a_quote_left_open_makes_all_lines_after_it_malformed_and_is_named(
        sba: Book, tiny_batches: None, drop: Drop, loans: Callable[..., list[Record]]) -> None:
    content = as_csv(loans(*[{"GrAppv": "60000", "SBA_Appv": "1000"}] * 60)).replace(b"FIFTH", b'"FIFTH', 1)
    with pytest.raises(Refused, match="A quote opened in line 2 is not closed there and takes lines 2 to 61 with it"):
        ingest_file(sba, drop(content), bad_share(0.02))
    assert lake.read(lake.received("sba"))["received"].to_pylist() == [60]


def test_a_row_longer_than_a_block_refuses_the_file(sba: Book, tiny_batches: None, drop: Drop,
                                                    loans: Callable[..., list[Record]]) -> None:
    with pytest.raises(Refused, match="a row of it is longer than 2,000 bytes"):
        ingest_file(sba, drop(as_csv(loans({}, {"Bank": "B" * 2_000}))), bad_share(1.0))


def test_a_row_from_the_future_is_told_by_the_day_on_which_its_file_was_first_seen(
        home: Path, drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    book = load_book("consumer")
    rows = b"loan_id,reported_date,default_date\nL1,2006-03-05,2006-03-05\nL2,2006-03-06,2006-03-06\n"
    name = drop(rows, "outcomes.csv", "consumer", written=0.0)  # as out of an archive: the file's own time says nothing
    for day in ("2006-03-05", "2006-03-06"):
        monkeypatch.setenv("TOLLGATE_TODAY", day)
        fingerprint = ingest_file(book, name, bad_share(1.0))["fingerprint"]
        (line,) = quarantined_rows("consumer", fingerprint)["rows"]
        assert [line[name] for name in ("row", "rule", "column", "value")] == [
            2, "from_the_future", "reported_on", "2006-03-06"]
        lake.replace_partitions(lake.received("consumer"), lake.received("consumer").schema.empty_table(),
                                [fingerprint])  # killed before it was written down: it is judged as on the first day


def test_a_days_end_is_that_of_the_books_time_zone(home: Path) -> None:
    assert today("Pacific/Auckland") >= today("UTC") >= today("America/Los_Angeles")
    assert today("Pacific/Kiritimati") > today("Pacific/Pago_Pago")  # 25 hours apart: never the same day


def test_a_correction_in_the_same_file_is_no_duplicate(home: Path, drop: Drop) -> None:
    book = load_book("consumer")
    rows = b"loan_id,reported_date,default_date\nL1,2006-03-05,2006-02-01\nL1,2006-05-05,\nL1,2006-05-05,2006-02-01\n"
    answer = ingest_file(book, drop(rows, "outcomes.csv", "consumer"), bad_share(1.0))
    assert lake.read(lake.outcomes(book))["defaulted_on"].to_pylist() == [date(2006, 2, 1), None]
    (line,) = quarantined_rows("consumer", answer["fingerprint"])["rows"]
    assert (line["row"], line["rule"], line["column"], line["value"]) == (
        3, "duplicate", "loan_id, reported_on", "L1, 2006-05-05")
