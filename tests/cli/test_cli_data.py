"""The verbs of a book's data, as a person and a program meet them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import scratch
from lender import as_csv, consumer_loans
from scratch import Scratch

OUTCOMES = "loan_id,reported_date,default_date\n"


@pytest.fixture
def project(tmp_path: Path) -> Scratch:
    return scratch.make(tmp_path / "project", book="consumer")


def sent(project: Scratch, *lines: str) -> Path:
    """A lender's file of outcomes, somewhere on the disk."""
    path = project.folder / "outcomes_mine.csv"
    path.write_text(OUTCOMES + "".join(f"{line}\n" for line in lines))
    return path


def landed(project: Scratch) -> Path:
    """The book's landing, with the loans L0 to L98 taken in."""
    landing = project.data / "landing" / "consumer"
    landing.mkdir(parents=True)
    (landing / "applications_0.csv").write_bytes(as_csv(consumer_loans(*({"loan_id": f"L{i}"} for i in range(99)))))
    project.ask("ingest", "file", "consumer", "applications_0.csv")
    return landing


def test_the_contract_is_shown_for_both_tables(project: Scratch) -> None:
    answer = project.ask("contract", "show", "consumer")
    assert answer["book"] == "consumer"
    assert [line["source"] for line in answer["outcomes"]] == ["loan_id", "reported_date", "default_date"]
    income = next(line for line in answer["applications"] if line["name"] == "annual_income")
    assert income["rule"] == "may be missing; >= 1; <= 5000000"


def test_a_check_counts_the_bad_rows_by_rule_and_touches_nothing(project: Scratch) -> None:
    project.tune(ingest={"orphan_share_max": 1.0})
    good = [f"L{i},2006-03-05,2006-02-01" for i in range(99)]
    path = sent(project, *good, "bad,2006-02-30,2006-02-01")
    answer = project.ask("contract", "check", str(path), "--book", "consumer")
    assert answer == {"book": "consumer", "file": "outcomes_mine.csv", "table": "outcomes", "received": 100,
                      "good": 99, "bad": 1, "verdict": "published",
                      "warnings": ["99 of 99 rows are about loans that no application names (100.0%): no application "
                                   "of consumer was published yet; land the applications first."],
                      "reasons": [{"rule": "not_a_date", "column": "reported_on", "rows": 1}]}
    assert not project.data.exists()


@pytest.mark.parametrize(("content", "said", "reasons"), [
    (f"{OUTCOMES}L1,soon,\n", "1 of its 1 rows are bad, more than 2.0%: 1 not_a_date in reported_on",
     [{"rule": "not_a_date", "column": "reported_on", "rows": 1}]),
    ("loan_id\nL1\n", "lacks a column of the contract (got: reported_date, default_date)",
     [{"rule": "missing_column", "column": "reported_date, default_date", "rows": 0}]),
])
def test_a_check_of_a_file_that_would_be_refused_answers_and_exits_with_3(
        project: Scratch, content: str, said: str, reasons: list[dict]) -> None:
    path = sent(project)
    path.write_text(content)
    done = project.run("tollgate", "contract", "check", str(path), "--book", "consumer")
    assert done.returncode == 3
    answer = json.loads(done.stdout)
    assert (answer["verdict"], answer["good"], answer["reasons"]) == ("refused", 0, reasons)
    assert said in done.stderr
    assert not project.data.exists()


@pytest.mark.parametrize(("name", "said"), [("loans.csv", "is called applications..., decisions..., outcomes..."),
                                            ("outcomes_none.csv", "does not exist")])
def test_a_file_that_cannot_be_checked_is_bad_input(project: Scratch, name: str, said: str) -> None:
    (project.folder / "loans.csv").write_text(OUTCOMES)
    done = project.run("tollgate", "contract", "check", str(project.folder / name), "--book", "consumer",
                       COLUMNS="500")
    assert done.returncode == 2
    assert said in done.stderr


def test_refused_rows_are_listed_by_rule_and_shown_one_by_one(project: Scratch) -> None:
    landing = landed(project)
    lines = [*(f"L{i},2006-03-05," for i in range(99)), "bad,2006-02-30,"]
    (landing / "outcomes_1.csv").write_text(OUTCOMES + "\n".join(lines))
    fingerprint = project.ask("ingest", "file", "consumer", "outcomes_1.csv")["fingerprint"]
    assert project.ask("quarantine", "list", "consumer")["quarantined"] == [
        {"fingerprint": fingerprint, "file": "outcomes_1.csv", "table": "outcomes", "rule": "not_a_date",
         "column": "reported_on", "rows": 1}]
    assert project.ask("ingest", "warnings", "consumer") == {"book": "consumer", "warnings": []}
    (row,) = project.ask("quarantine", "show", "consumer", fingerprint[:12])["rows"]
    assert row == {"row": 100, "rule": "not_a_date", "column": "reported_on", "value": "2006-02-30",
                   "record": {"loan_id": "bad", "reported_date": "2006-02-30", "default_date": ""}}
    done = project.run("tollgate", "quarantine", "show", "consumer", "none")
    assert done.returncode == 2
    assert "No file in the quarantine has this fingerprint (got: none)" in done.stderr


def test_a_release_is_signed_and_a_file_refused_whole_is_not_released(project: Scratch) -> None:
    landing = landed(project)
    (landing / "outcomes_1.csv").write_text(OUTCOMES + "".join(f"L{i},2006-03-05,\n" for i in range(99)) + "x,?,\n")
    (landing / "outcomes_2.csv").write_text(f"{OUTCOMES}L1,soon,\n")
    fingerprint = project.ask("ingest", "file", "consumer", "outcomes_1.csv")["fingerprint"]
    signed = ("--by", "Ann", "--why", "the lender said so")
    answer = project.ask("quarantine", "release", "consumer", fingerprint[:12], *signed)
    assert (answer["released"], answer["left"], answer["partitions"]) == (0, 1, ["2006-03"])
    assert project.run("tollgate", "ingest", "file", "consumer", "outcomes_2.csv").returncode == 3
    refused = next(line["fingerprint"] for line in project.ask("quarantine", "list", "consumer")["quarantined"]
                   if line["file"] == "outcomes_2.csv")
    done = project.run("tollgate", "quarantine", "release", "consumer", refused, *signed)
    assert done.returncode == 2
    assert "judge it anew: tollgate ingest file consumer outcomes_2.csv" in done.stderr
    unsigned = project.run("tollgate", "quarantine", "release", "consumer", fingerprint)
    assert unsigned.returncode == 2
