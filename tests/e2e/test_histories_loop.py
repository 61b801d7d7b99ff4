"""A model that reads histories, of a book of several tables, from its training to its first report in a real Airflow.

What follows on drift is no other for such a book, and test_loop.py goes through it.

The last tests bring a second book, of the user's own, which nobody plays the lender of, and whose troubles are its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import scratch
import tenacity
from e2e.replaying import replayed
from pyarrow import csv
from scratch import Scratch

from tollgate import lake
from tollgate.books import load_book
from tollgate.books.shipped import consumer, instalment
from tollgate.demo.airflow import OVER, Airflow, dag_id, dags_of
from tollgate.gates import GATES

pytestmark = pytest.mark.long

BOOK, MONTHS = "instalment", 1
ROWS_A_MONTH = 600
# A small simulation: what is tested is the way through the DAGs, and not how good its model is.
OWN, OWN_RUN = "mine", "drift__mine-by-hand-2007-01-01"
SMALL = {"book": BOOK, "schedules": {OWN: {}}, "sweep": {"trials": 2}, "gates": {
    "bootstrap_draws": 50, "auc_min": 0.75, "false_negative_max": 0.4, "calibration_gap_max": 0.05,
    "slice_gap_max": 0.4, "cost_margin": 0.5, "defaults_ratio_max": 3.0}}


OWN_BOOK = """from dataclasses import replace

from tollgate.books import Source
from tollgate.books.shipped.consumer import BOOK as CONSUMER

BOOK = replace(CONSUMER, name="mine", title="My loans", sender=None,
               sources=(Source(begins="asked", tables=("applications",)),))
"""


@dataclass(frozen=True)
class Loop:
    """What the demo left behind: its project, its Airflow, and the folder of the user's own books."""

    project: Scratch
    airflow: Airflow
    books: str

    def ask(self, *command: str) -> dict[str, Any]:
        """The answer of a command that knows the user's own books."""
        return self.project.ask(*command, TOLLGATE_BOOKS=self.books)


until = tenacity.Retrying(retry=tenacity.retry_if_not_result(bool), wait=tenacity.wait_fixed(1),
                          stop=tenacity.stop_after_delay(600))


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    project = scratch.make(tmp_path_factory.mktemp("loop") / "project", **SMALL)
    instalment.fetch(project.data / "sources" / BOOK, lambda done, total: None, project.seed,
                     instalment.DOWNTURN, rows_a_month=ROWS_A_MONTH)
    books = project.folder.parent / "books"
    books.mkdir()
    (books / f"{OWN}.py").write_text(OWN_BOOK, encoding="utf-8")
    with replayed(project, BOOK, MONTHS, instalment.DOWNTURN, TOLLGATE_BOOKS=str(books)) as (airflow, _):
        yield Loop(project, airflow, str(books))


@pytest.mark.parametrize("dag", ["ingest_validate", "train_weekly", "score_nightly", "monitor_drift"])
def test_the_dags_have_successful_runs_and_no_failed_one(loop: Loop, dag: str) -> None:
    states = [run["state"] for run in loop.airflow.runs(dag_id(dag, BOOK))]
    assert "success" in states
    assert "failed" not in states


def test_the_month_is_scored_whole_by_the_champion_and_the_downturn_is_called_major(loop: Loop) -> None:
    asked = lake.read(lake.applications(load_book(BOOK)), filters=[("month", "=", "2007-01")])["loan_id"].to_pylist()
    scored = lake.read(lake.scores(BOOK), columns=["loan_id", "model_version"])
    assert sorted(scored["loan_id"].to_pylist()) == sorted(asked)
    assert set(scored["model_version"].to_pylist()) == {"1"}
    assert [row["level"] for row in lake.read(lake.verdicts(BOOK)).to_pylist()] == ["major"]


def test_a_score_is_traced_to_the_bureau_and_payment_rows_behind_it_by_file_and_line(loop: Loop) -> None:
    book = load_book(BOOK)
    scored = lake.read(lake.scores(BOOK), columns=["loan_id", "applied_on"])
    asked = lake.view(lake.applications(book)).filter(
        pc.field("loan_id").isin(scored["loan_id"].combine_chunks()))
    told = lake.view(lake.published(book, "payments"), as_of=date(2006, 12, 1))
    returned = asked.filter(pc.field("applicant_id").isin(told["applicant_id"].combine_chunks()))
    loan = returned["loan_id"][0].as_py()
    rows = loop.project.ask("trace", BOOK, loan)["rows"]
    assert {row["table"] for row in rows} == {"applications", "bureau", "payments"}
    applied = next(row for row in rows if row["table"] == "applications" and row["key"] == {"loan_id": loan})["told"]
    assert all(row["told"] < applied for row in rows if row["table"] in ("bureau", "payments"))
    landed = loop.project.data / "landing" / BOOK
    for row in rows:
        line = pq.read_table(landed / row["file"]).slice(row["line"] - 1, 1).to_pylist()[0]
        source = {column.name: column.source for column in book.columns(row["table"])}
        assert {name: str(line[source[name]]) for name in row["key"]} == row["key"]


def test_a_book_of_ones_own_without_a_sender_goes_from_its_landing_to_its_gates(loop: Loop) -> None:
    sent = consumer.simulate(seed=1, rows_a_month=600, last_month="2006-12")
    landing = loop.project.data / "landing" / OWN
    landing.mkdir(parents=True)
    for table, begins in (("applications", "asked"), ("decisions", "decisions"), ("outcomes", "outcomes")):
        day = {"applications": "application_date", "decisions": "decision_date", "outcomes": "reported_date"}[table]
        rows = sent.filter(pc.is_valid(sent[day])).select([column.source for column in consumer.COLUMNS[table]])
        part = landing / f"{begins}_to_2006.csv.part"
        csv.write_csv(rows, part)
        part.rename(part.with_suffix(""))  # with a watcher at work, a file is moved in whole
    for dag in dags_of(OWN):
        loop.airflow.pause(dag, False)
    until(lambda: loop.ask("ingest", "list", "--book", OWN)["files"] == [])
    loop.ask("requests", "open", OWN, "--as-of", "2007-01-01", "--reason", "my first model")
    training = dag_id("train_weekly", OWN)
    until(lambda: loop.airflow.state(training, OWN_RUN))

    def judged() -> list[str]:
        squares = [task["state"] for task in loop.airflow.tasks(training, OWN_RUN) if task["task_id"] == "gates"]
        return squares if squares and all(state in ("success", "failed") for state in squares) else []

    assert set(until(judged)) == {"success"} and len(judged()) == len(GATES)


def test_a_book_with_an_unanswered_approval_and_a_broken_feed_holds_up_no_other(loop: Loop) -> None:
    mine = dag_id("train_weekly", OWN)
    until(lambda: loop.airflow.questions(mine))
    (loop.project.data / "landing" / OWN / "asked_2007-01.csv").write_text("no,such,header\n1,2,3\n", encoding="utf-8")
    until(lambda: "failed" in {run["state"] for run in loop.airflow.runs(dag_id("ingest_validate", OWN))})

    loop.project.ask("land", BOOK, "--month", "2007-02")
    until(lambda: loop.project.ask("ingest", "list", "--book", BOOK)["files"] == [])
    night, other = dag_id("score_nightly", BOOK), dag_id("train_weekly", BOOK)
    loop.airflow.trigger(night, "by_hand", {"as_of": "2007-03-01"})
    loop.project.ask("requests", "open", BOOK, "--as-of", "2007-03-01", "--reason", "whether it waits")

    stood: set[str] = set()

    def closed() -> bool:
        for question in loop.airflow.questions(other):
            if question["task_instance"]["id"] in stood:  # the scheduler has seen the task wait
                loop.airflow.respond(question, "Approve", "this one alone")
            stood.add(question["task_instance"]["id"])
        return loop.project.ask("requests", "list", "--book", BOOK)["requests"] == []

    until(closed)
    assert until(lambda: (state := loop.airflow.state(night, "by_hand")) in OVER and state) == "success"
    assert len(loop.airflow.questions(mine)) == 1, "nobody has answered it"
    assert [request["state"] for request in loop.ask("requests", "list", "--book", OWN)["requests"]] == ["claimed"]
