"""A book of one's own at the command line: drafted, checked, held against a file and against its own fits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import scratch
from docs.examples import make_personal_loans
from scratch import Scratch


@dataclass(frozen=True)
class OwnBooks(Scratch):
    """A scratch project whose books lie in a folder of its own."""

    @property
    def places(self) -> dict[str, str]:
        return {**super().places, "TOLLGATE_BOOKS": str(self.folder / "books")}


@pytest.fixture
def project(tmp_path: Path) -> Scratch:
    """A scratch project with books of its own, and the file of a lender."""
    made = scratch.make(tmp_path / "project")
    make_personal_loans.write(made.folder / "personal_loans_2013-12.csv", rows=3_000)
    return OwnBooks(made.folder, made.data)


def test_a_draft_is_checked_and_reads_the_file_that_it_was_made_of(project: Scratch) -> None:
    told = project.ask("book", "new", "personal_loans", "--from", "personal_loans_2013-12.csv")
    assert told["next"].endswith("tollgate book check personal_loans personal_loans_2013-12.csv")
    assert Path(told["module"]) == project.folder / "books" / "personal_loans.py"
    found = project.ask("book", "check", "personal_loans", "personal_loans_2013-12.csv")
    assert (found["file"]["received"], found["file"]["bad"], found["file"]["verdict"]) == (3_000, 0, "published")
    assert f"cp personal_loans_2013-12.csv {project.data}/landing/personal_loans/" in found["next"]
    assert "dvc repro" in found["next"] and "start train_weekly__personal_loans in Airflow" in found["next"]
    assert not project.data.exists()

    again = project.run("tollgate", "book", "new", "personal_loans", "--from", "personal_loans_2013-12.csv")
    assert again.returncode == 2 and "There is a book called personal_loans" in again.stderr
    other = project.folder / "personal_loans_other.csv"
    other.write_text("a,b\n1,2\n", encoding="utf-8")
    refused = project.run("tollgate", "book", "check", "personal_loans", "personal_loans_other.csv")
    assert refused.returncode == 3
    assert "mend the file or the book" in json.loads(refused.stdout)["next"]


def test_several_files_may_follow_and_each_that_is_not_there_is_told(project: Scratch) -> None:
    two = ("personal_loans_2013-12.csv", "personal_loans_2014-01.csv")
    wrong = project.run("tollgate", "book", "new", "personal_loans", "--from", *two)
    assert wrong.returncode == 2 and two[1] in wrong.stderr
    make_personal_loans.write(project.folder / two[1], "2014-01")
    told = project.ask("book", "new", "personal_loans", "--from", *two)
    assert [file["file"] for file in told["files"]] == list(two)
    assert [file["rows"] for file in told["files"]] == [3_000, 900]


def test_after_a_fit_the_check_suggests_limits_and_changes_nothing(project: Scratch) -> None:
    project.ask("book", "new", "personal_loans", "--from", "personal_loans_2013-12.csv")
    verdict = {"gate": "auc", "verdict": "refuse", "measured": 0.78, "low": 0.764, "high": 0.8, "limit": 0.82,
               "sentence": "", "table": []}
    run = project.folder / "run"
    run.mkdir()
    (run / "gates.json").write_text(json.dumps({"book": "personal_loans", "as_of": "2013-07-01", "model_digest": "d",
                                                "verdicts": [verdict]}), encoding="utf-8")
    found = project.ask("book", "check", "personal_loans")
    assert found["suggested"]["params"] == (
        "gates:  # by the fits as of 2013-07-01\n  auc_min: 0.76  # 0.780 (0.764 to 0.800); 0.82 before\n")
    assert "paste what you stand behind into personal_loans.yaml" in found["next"]
    assert not (project.folder / "books" / "personal_loans.yaml").exists()
    assert "suggested" not in project.ask("book", "check", "card")
