"""Personal data stops at landing: every byte that ingestion leaves elsewhere is searched for it."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from lender import as_csv, as_json_lines, as_parquet, consumer_loans, instalment_loans, sba_loans
from tests.ingest import apart
from tests.processes import move_to

from tollgate import lake
from tollgate.books import load_book
from tollgate.config import known_books

Drop = Callable[..., str]
MARK = "QXZ"
FREE_TEXT = {"an e-mail address": f"{MARK.lower()}@example.com", "a social security number": "078-05-1120",
             "a phone number": "(555) 010-0199", "a card number": "4111 1111 1111 1111"}
MARKS = [MARK, *FREE_TEXT.values()]


def good_row(book: str) -> dict[str, str]:
    """A good application of any book, marked wherever it is personal."""
    known = {"sba": sba_loans(good=1), "consumer": consumer_loans({}), "instalment": instalment_loans({})}.get(book)
    row = known[0] if known else {c.source: "1" for c in load_book(book).applications}
    return {**row, **{c.source: f"{MARK} {c.name} O'Person" for c in load_book(book).applications if c.personal}}


def files_of(book: str) -> dict[str, bytes]:
    """Good, bad, torn and refused files of a book, the person in every one of them."""
    columns = load_book(book).applications
    key = next(c.source for c in columns if c.name == "loan_id")
    good = good_row(book)
    texts = [c.source for c in columns if not c.personal and c.source != key]
    rows = [{**good, key: f"1{i}"} for i in range(4)]
    # Whatever the column: its row is refused, the cell masked.
    rows += [{**good, key: f"2{i}{j}", text: f"call {told}"} for i, text in enumerate(texts)
             for j, told in enumerate(FREE_TEXT.values())]
    whole = as_csv(rows)
    header, first, rest = whole.split(b"\r\n", 2)
    return {
        "applications_rows.csv": whole,
        "applications_good_rows.csv": as_csv(rows[:4]),
        "applications_packed.jsonl.gz": gzip.compress(as_json_lines([*rows, {**good, key: "9", texts[0]: "bad"}])),
        "applications_typed.parquet": as_parquet(rows),
        "applications_torn.csv": whole + first + b",one more\r\n",
        "applications_unpacked.jsonl": as_json_lines(rows)[:-20],
        "applications_headless.csv": first + b"\r\n" + rest,
        "applications_narrow.csv": header.replace(texts[-1].encode(), b"x", 1) + b"\r\n" + first + b"\r\n",
        "applications_latin.csv": whole.replace(MARK.encode(), MARK.encode() + b"\xe9", 1),
        "applications_cut.parquet": as_parquet(rows)[:-9],
        "applications_cut.csv.gz": gzip.compress(whole)[:-9],
        "applications_doubted.csv": whole,
        "applications_doubted.csv.manifest.json": MARK.encode(),
    }


def command_line(where: Mapping[str, str], log: str, arguments: list[str]) -> None:
    """The whole ``tollgate`` program, in a forked process, both of its streams in a file."""
    move_to(where)
    with Path(log).open("ab") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    sys.argv = ["tollgate", *arguments]
    from tollgate.cli.main import main

    main()


@pytest.mark.parametrize("book", known_books())
def test_no_byte_of_personal_data_leaves_landing(book: str, home: Path, drop: Drop, tmp_path: Path) -> None:
    log = tmp_path / "log"
    # Every way to be refused on one book; on the others, what depends on their columns.
    files = {name: content for name, content in files_of(book).items() if book == "sba" or name.endswith("rows.csv")}
    for name, content in files.items():
        drop(content, name, book)
    names = [name for name in files if not name.endswith(".manifest.json")]
    for name in names:
        assert apart.ended(command_line, str(log), ["--debug", "ingest", "file", book, name]) in (0, 3)
    checked = str(home / "landing" / book / names[0])
    assert apart.ended(command_line, str(log), ["--debug", "contract", "check", checked, "--book", book]) == 3
    for arguments in (["ingest", "list"], ["quarantine", "list", book]):
        assert apart.ended(command_line, str(log), ["--debug", *arguments]) == 0
    for fingerprint in lake.partitions(lake.quarantine(book)):
        assert apart.ended(command_line, str(log), ["--debug", "quarantine", "show", book, fingerprint]) == 0

    left = [path for path in home.rglob("*") if path.is_file() and home / "landing" not in path.parents]
    rows = {path: str(pq.read_table(path, partitioning=None).to_pylist()) for path in left
            if path.suffix == ".parquet"}
    told = {**{path: path.read_bytes().decode(errors="replace") for path in left}, **rows, log: log.read_text()}
    assert any("masked: " in text for text in rows.values())
    assert "Traceback" in told[log]
    for path, text in told.items():
        assert not [mark for mark in MARKS if mark in text], path
