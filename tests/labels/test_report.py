"""What a person sees of a book's labels: at the terminal, for a program, and as a page."""

from __future__ import annotations

import json
import re
from datetime import date
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console
from tests.published import publish
from typer.testing import CliRunner

from tollgate.books import load_book
from tollgate.cli.app import app
from tollgate.config import PROJECT, load_params
from tollgate.labels import labels_report, page, readable
from tollgate.terminal.answers import table

AS_OF = date(2007, 1, 1)


@pytest.fixture
def report(home: Path) -> dict[str, Any]:
    """Of the book sba with 12,000 loans of four years, whose outcomes ended in May of 2006."""
    rng = np.random.default_rng(3)
    applied = np.datetime64("2003-01-01") + np.sort(rng.integers(0, 1461, 12_000))
    bad = np.flatnonzero(rng.random(12_000) < 0.15)
    loans = np.array([f"{n:010d}" for n in range(12_000)])
    told = applied[bad] + rng.integers(60, 700, len(bad))
    kept = told < np.datetime64("2006-06-01")
    book = load_book("sba")
    publish(book, "applications", pa.table({
        "loan_id": loans, "applied_on": pa.array(applied), "franchise": ["0"] * 12_000,
        "approved": np.full(12_000, 1e5), "guaranteed": np.full(12_000, 5e4)}))
    publish(book, "outcomes", pa.table({"loan_id": loans[bad][kept], "reported_on": pa.array(told[kept]),
                                        "defaulted_on": pa.array(told[kept])}), number=2)
    return labels_report(book, AS_OF, load_params(PROJECT / "params.yaml", book="sba"))


def test_a_program_gets_every_label_finding_and_vintage(report: dict[str, Any]) -> None:
    done = CliRunner().invoke(app, ["--json", "labels", "sba", "--as-of", "2007-01-01"])
    answer = json.loads(done.stdout)
    assert answer == json.loads(json.dumps(report))
    assert sum(answer["labels"].values()) == 12_000
    assert answer["mature_before"] == "2005-01-01"
    assert [row["booked"] for row in answer["vintages"]] == [str(month) for month in np.arange(
        np.datetime64("2003-01"), np.datetime64("2007-01"))]
    assert {row["check"]: row["level"] for row in answer["findings"]}["stopped"] == "refuse"


def test_a_person_sees_it_in_eighty_columns(report: dict[str, Any]) -> None:
    shown = StringIO()
    console = Console(file=shown, width=80)
    answer = readable(report)
    for title in ("labels", "feed", "vintages by quarter"):
        console.print(table(title, answer[title], 80))
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    (first,) = [line for line in lines if "2003 Q1" in line]
    quarter = [row for row in report["vintages"] if row["booked"] in ("2003-01", "2003-02", "2003-03")]
    assert [cell.strip() for cell in first.strip("│ ").split("│")][:3] == [
        "2003 Q1", f"{sum(row['loans'] for row in quarter):,}", f"{sum(row['known_bad'] for row in quarter):,}"]
    assert "the feed of outcomes has" in shown.getvalue()


class _Checked(HTMLParser):
    """Every tag that is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_is_the_same_again(report: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "labels.html"
    done = CliRunner().invoke(app, ["--json", "labels", "sba", "--as-of", "2007-01-01", "--out", str(out)])
    assert json.loads(done.stdout)["page"] == str(out)
    written = out.read_text(encoding="utf-8")
    assert written == page(report)
    _Checked().feed(written)
    assert not re.search(r"(src|href)=\"(?!data:)|<script", written)
    assert "data:image/png;base64,iVBOR" in written
    assert "The newest outcome known is of 2006-05-31" in written


def test_a_book_without_a_row_has_a_page_too(home: Path) -> None:
    found = labels_report(load_book("sba"), AS_OF, load_params(PROJECT / "params.yaml", book="sba"))
    assert set(found["labels"].values()) == {0} and found["vintages"] == []
    assert "No loans." in page(found)
