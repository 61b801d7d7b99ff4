"""All six DAGs, once, through a real Airflow, over a small simulated book whose world shifts after the first model.

The last eight tests change what the others look at: alone in the suite, these keep the order of the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
import scratch
import tenacity
from e2e import killed
from e2e.replaying import replayed
from listening import posts
from scratch import Scratch

from tollgate import lake, nights
from tollgate.books import load_book
from tollgate.config import settings
from tollgate.demo.airflow import KINDS, Airflow, dag_id
from tollgate.gates import GATES

BOOK = "consumer"
ROWS_A_MONTH = 600
SMALL = {"book": BOOK, "sweep": {"trials": 2}, "gates": {"bootstrap_draws": 50},
         # What is not scheduled cannot be backfilled; and every night is late, a third of a second after it is queued.
         "schedules": {BOOK: {"score_nightly": "0 2 * * *", "late_hours": 1e-4}}}
NIGHTS = ("2007-02-01", "2007-03-01", "2007-04-01")  # the drift rule wants two windows; the third has the new champion
TRAIN, SCORE = dag_id("train_weekly", BOOK), dag_id("score_nightly", BOOK)
FIRST = "demo__2007-01-01"
TASKS = f"/dags/{TRAIN}/dagRuns/{FIRST}/taskInstances"
# What a stage of train_weekly writes; registered.json names the MLflow run, which is another every time.
COMPARED = ("lake.json", "champion.json", "snapshot.parquet", "snapshot.json", "features.parquet", "split.parquet",
            "sweep.json", "model", "evidence.parquet", "metrics.json", "plots", "gates.json", "gates.md", "gates.html",
            "refit")


@dataclass(frozen=True)
class Loop:
    """What the demo left behind: its project, its Airflow, and what it told the user."""

    project: Scratch
    airflow: Airflow
    said: str
    heard: list[tuple[str, Any]]

    def told(self, subject: str) -> list[dict[str, Any]]:
        """What people were told of a subject."""
        return [alert for _, alert in self.heard if alert["subject"] == subject]

    def run(self, dag: str, run_id: str) -> dict[str, list[str | None]]:
        """The names of a run's mapped squares, by task."""
        squares: dict[str, list[str | None]] = {}
        for task in self.airflow.tasks(dag, run_id):
            squares.setdefault(task["task_id"], []).append(task["rendered_map_index"])
        return squares

    def scores(self, night: str) -> pa.Table:
        return lake.read(lake.scores(BOOK), filters=[("day", "=", night)])


def processes_of(project: Scratch) -> list[str]:
    """Every process that was started for this project, however deep below."""
    found = []
    for process in psutil.process_iter():
        try:
            # PostgreSQL writes what its processes do over where their environment was; they stand in their data.
            here = project.data in Path(process.cwd()).parents
            if here or process.environ().get("TOLLGATE_DATA") == str(project.data):
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    project = scratch.make(tmp_path_factory.mktemp("loop") / "project", **SMALL)
    project.simulate(ROWS_A_MONTH, "covariate_shift")
    program = killed.program(project.folder.parent / "killed")
    with posts() as (port, heard), replayed(
            project, BOOK, len(NIGHTS), "covariate_shift", TOLLGATE_BIN=str(program)) as (airflow, said):
        airflow.call("POST", "/connections", body={"connection_id": "tollgate_webhook", "conn_type": "http",
                                                   "schema": "http", "host": "127.0.0.1", "port": port})
        yield Loop(project, airflow, said, heard)


@pytest.mark.parametrize("kind", KINDS)
def test_every_dag_has_successful_runs_and_no_failed_one(loop: Loop, kind: str) -> None:
    states = [run["state"] for run in loop.airflow.runs(dag_id(kind, BOOK))]
    assert "success" in states
    assert "failed" not in states


def test_no_dag_file_failed_to_parse(loop: Loop) -> None:
    assert loop.airflow.import_errors() == []


def test_mapped_squares_carry_names_a_person_can_read(loop: Loop) -> None:
    training, night = loop.run(TRAIN, FIRST), loop.run(SCORE, f"demo__{NIGHTS[0]}")
    assert sorted(map(str, training["gates"])) == sorted(GATES)
    assert sorted(map(str, training["work"])) == ["worker 0", "worker 1"]
    assert sorted(map(str, night["shard"])) == ["shard 0", "shard 1"]
    assert not {"reopen", "shadow", "compare"} & {task["task_id"] for task in loop.airflow.tasks(
        SCORE, f"demo__{NIGHTS[0]}") if task["state"] != "skipped"}


@pytest.mark.parametrize("night", NIGHTS)
def test_every_application_of_the_month_is_scored_exactly_once_by_the_champion(loop: Loop, night: str) -> None:
    month = f"{date(2007, date.fromisoformat(night).month - 1, 1):%Y-%m}"
    asked = lake.read(lake.applications(load_book(BOOK)), filters=[("month", "=", month)])["loan_id"].to_pylist()
    rows = loop.scores(night).to_pylist()
    assert sorted(row["loan_id"] for row in rows) == sorted(asked)
    assert len(rows) == ROWS_A_MONTH
    assert {row["model_version"] for row in rows} == {"2" if night == NIGHTS[-1] else "1"}
    assert {row["run_id"] for row in rows} == {f"{SCORE}__demo__{night}"}
    assert all(row["snapshot_version"] for row in rows)
    assert all(row["reasons"] for row in rows if row["decision"] == "decline")


def test_the_shift_is_called_major_and_trips_exactly_one_request_which_was_closed(loop: Loop) -> None:
    verdicts = {row["day"]: row for row in lake.read(lake.verdicts(BOOK)).to_pylist()}
    assert verdicts[NIGHTS[0]]["level"] == "major"
    assert [day for day, row in verdicts.items() if row["request"]] == [NIGHTS[1]]
    events = lake.read(lake.requests(BOOK)).sort_by("seq").to_pylist()
    assert [event["kind"] for event in events] == ["opened", "claimed", "closed"]
    assert events[-1]["result"].startswith(f"promoted by {TRAIN} run drift__")
    assert loop.project.ask("requests", "list") == {"requests": []}


@tenacity.retry(retry=tenacity.retry_if_not_result(bool), wait=tenacity.wait_fixed(0.5),
                stop=tenacity.stop_after_delay(120))
def over(loop: Loop, event: str) -> bool:
    """Whether an alert has ended: Airflow tells of a run's end once it has come to it."""
    return {alert["event"]: alert["status"] for alert in loop.project.ask("alerts", "list", BOOK, "--ended")["alerts"]
            }[event] == "ended"


def test_each_model_that_waited_for_a_person_was_an_alert_until_the_answer_and_nothing_failed(loop: Loop) -> None:
    assert over(loop, "waiting:v1") and over(loop, "waiting:v2")
    alerts = loop.project.ask("alerts", "list", BOOK, "--ended")["alerts"]
    waited = [alert for alert in alerts if alert["event"].startswith("waiting:")]
    assert all(f"Required Actions: {loop.airflow.url}" in alert["message"] for alert in waited)
    assert not [alert for alert in alerts if alert["event"].startswith("failed:")]


def test_a_night_that_is_late_is_an_alert_until_it_has_succeeded(loop: Loop) -> None:
    alerts = loop.project.ask("alerts", "list", BOOK, "--ended")["alerts"]
    late = [alert for alert in alerts if alert["event"] == f"late:{SCORE}"]
    assert late and {alert["severity"] for alert in late} == {"page"}
    assert over(loop, f"late:{SCORE}")


def oldest_first(loop: Loop) -> list[dict[str, Any]]:
    """The lines of the ledger."""
    return sorted(loop.project.ask("history", BOOK)["decisions"], key=lambda line: int(line["seq"]))


def test_the_retrained_model_met_its_gates_and_the_champion_before_it(loop: Loop) -> None:
    decisions = oldest_first(loop)
    registered = [line["payload"] for line in decisions if line["kind"] == "registered"]
    assert [line["compared_with"] for line in registered] == [None, "1"]
    assert registered[1]["model"]["as_of"] == NIGHTS[1]


def test_the_drill_went_back_one_champion_and_forward_again(loop: Loop) -> None:
    decisions = oldest_first(loop)
    assert [line["payload"]["model"]["version"] for line in decisions if line["kind"].endswith("-committed")] == [
        "1", "2", "1", "2"]
    states = {model["version"]: model["state"] for model in loop.project.ask("models", BOOK)["models"]}
    assert states == {"1": "former champion", "2": "champion"}


def test_the_ledger_is_intact(loop: Loop) -> None:
    assert loop.project.ask("ledger", "verify", BOOK)["intact"] is True


def test_a_loan_is_traced_to_its_model_data_parameters_and_approver(loop: Loop) -> None:
    scored = loop.scores(NIGHTS[0]).to_pylist()[0]
    traced = loop.project.ask("trace", BOOK, scored["loan_id"])
    assert traced["scores"][0]["score"] == scored["score"]
    origin = traced["models"][scored["model_version"]]
    assert origin["snapshot"] == scored["snapshot_version"]
    assert origin["lake"]["as_of"] == "2007-01-01"
    assert origin["params"]["sweep"]["trials"] == 2
    assert len(origin["lock"]) == 64
    decision = origin["decisions"][0]
    assert decision["by"]
    assert "demo" in decision["comment"]
    answer = loop.airflow.call("GET", f"{TASKS}/approve/-1/hitlDetails/tries/1")
    to_the_millisecond = len("2026-03-02T08:30:00.000")
    assert decision["answered_at"][:to_the_millisecond] == answer["responded_at"][:to_the_millisecond]


def test_the_button_of_the_gate_task_leads_to_the_report_of_its_run(loop: Loop) -> None:
    button = loop.airflow.call("GET", f"{TASKS}/gate/links")["extra_links"]["Gate report"]
    page = requests.get(loop.airflow.url + button, timeout=60)
    assert page.status_code == 200
    assert "Tollgate gate report" in page.text and "<h1>Passed</h1>" in page.text


def test_every_night_has_a_report_a_person_can_open(loop: Loop) -> None:
    pages = [path.as_posix() for path in (loop.project.data / "store" / "reports" / BOOK).rglob("*.html")]
    assert all(any(night in page for page in pages) for night in NIGHTS)


def test_the_story_names_the_months_the_verdicts_and_the_pages(loop: Loop) -> None:
    for word in ("2007-01", "2007-02", "2007-03", "major", loop.airflow.url):
        assert word in loop.said


def files_below(run: Path, name: str) -> list[Path]:
    """The files of an output that is a folder, or the one that it is."""
    return [path.relative_to(run) for path in sorted((run / name).rglob("*")) if path.is_file()] or [Path(name)]


def test_dvc_repro_makes_byte_for_byte_what_train_weekly_made(loop: Loop, tmp_path: Path) -> None:
    project = scratch.make(tmp_path / "project", **SMALL)
    project.simulate(ROWS_A_MONTH)  # before its onset, the shifted world is the stationary one
    try:
        project.repro()
    finally:
        project.stop()
    alone, airflow = project.folder / "run", loop.project.data / "workspaces" / f"{TRAIN}__{FIRST}" / "run"
    for name in COMPARED:
        files = files_below(alone, name)
        assert files == files_below(airflow, name)
        for file in files:
            assert (alone / file).read_bytes() == (airflow / file).read_bytes(), f"{file} differs"


@tenacity.retry(retry=tenacity.retry_if_not_result(bool), wait=tenacity.wait_fixed(0.5),
                stop=tenacity.stop_after_delay(600))
def came_to(loop: Loop, task: str, *states: str) -> str | None:
    """The one of these states that a task of the first training comes to."""
    state = loop.airflow.call("GET", f"{TASKS}/{task}")["state"]
    return state if state in states else None


def ask_again(loop: Loop) -> str | None:
    """Clear the approval of the first training; where that leads."""
    loop.airflow.call("POST", f"/dags/{TRAIN}/clearTaskInstances", body={
        "dag_run_id": FIRST, "task_ids": ["approve"], "include_downstream": True, "only_failed": False,
        "reset_dag_runs": True, "dry_run": False})
    return came_to(loop, "approve", "awaiting_input", "failed")


def once_approved(loop: Loop) -> str | None:
    """How ``promote`` ends when whatever Airflow asks is approved, each time the question has stood for a while.

    Airflow loses an answer that comes before its scheduler has seen the task wait, and asks again
    (apache/airflow#72716).
    """
    stood: set[str] = set()

    def look() -> str | None:
        for question in loop.airflow.questions():
            if question["task_instance"]["id"] in stood:
                loop.airflow.respond(question, "Approve", "once more")
            stood.add(question["task_instance"]["id"])
        state = loop.airflow.call("GET", f"{TASKS}/promote")["state"]
        return state if state in ("failed", "success") else None

    return tenacity.Retrying(retry=tenacity.retry_if_not_result(bool), wait=tenacity.wait_fixed(2),
                             stop=tenacity.stop_after_delay(600))(look)


def test_an_approval_that_is_given_again_changes_nothing(loop: Loop) -> None:
    before = oldest_first(loop)
    assert ask_again(loop) == "awaiting_input"
    assert once_approved(loop) == "failed"  # version 2 has become champion since
    assert oldest_first(loop) == before


def test_nobody_is_asked_about_an_artefact_on_a_page_that_shows_another(loop: Loop) -> None:
    loop.airflow.call("PATCH", f"{TASKS}/register/xcomEntries/return_value", body={
        "value": {"name": BOOK, "version": "1", "digest": "f" * 64, "mlflow_run": "0" * 32, "refit": "None."}})
    assert ask_again(loop) == "failed"
    tries = loop.airflow.call("GET", f"{TASKS}/approve")["try_number"]
    assert "still shows the question" in str(loop.airflow.call("GET", f"{TASKS}/approve/logs/{tries}"))


def test_nights_that_were_missed_are_backfilled(loop: Loop) -> None:
    port = loop.airflow.url.rpartition(":")[2]
    done = loop.project.run("tollgate", "demo", "airflow", "backfill", "create", "--dag-id", SCORE,
                            "--from-date", "2007-02-02", "--to-date", "2007-02-05", "--max-active-runs", "1",
                            TOLLGATE_AIRFLOW_PORT=port)
    assert done.returncode == 0, done.stderr[-3_000:]

    def states() -> set[str]:
        return {run["state"] for run in loop.airflow.runs(SCORE) if run["run_type"] == "backfill"}

    tenacity.Retrying(retry=tenacity.retry_if_result(lambda found: not found <= {"success", "failed"}),
                      wait=tenacity.wait_fixed(1), stop=tenacity.stop_after_delay(600))(states)
    assert states() == {"success"}
    published = {str(night.attempt.day): night for night in nights.publications(BOOK)}
    assert {published[f"2007-02-0{day}"].version for day in (2, 3, 4)} == {"1"}
    assert {published[f"2007-02-0{day}"].rows for day in (2, 3, 4)} == {0}, "the nights around them have every loan"
    loans = lake.read(lake.scores(BOOK), columns=["loan_id"])["loan_id"]
    assert len(loans.unique()) == len(loans) == len(NIGHTS) * ROWS_A_MONTH


@tenacity.retry(retry=tenacity.retry_if_not_result(bool), wait=tenacity.wait_fixed(1),
                stop=tenacity.stop_after_delay(600))
def ended(loop: Loop, dag: str, run_id: str) -> str | None:
    """How a run ends."""
    state = loop.airflow.state(dag, run_id)
    return state if state in ("success", "failed") else None


def test_a_published_night_is_scored_once_more_where_the_form_says_why(loop: Loop) -> None:
    before, conf = loop.scores(NIGHTS[0]), {"as_of": NIGHTS[0]}
    loop.airflow.trigger(SCORE, "once_more", conf)
    assert ended(loop, SCORE, "once_more") == "failed"
    states = {task["task_id"]: task["state"] for task in loop.airflow.tasks(SCORE, "once_more")}
    assert (states["pin"], states["compare"]) == ("failed", "skipped")
    assert loop.scores(NIGHTS[0]).equals(before)
    loop.airflow.trigger(SCORE, "with_a_reason", {**conf, "again": "the auditor asks for it"})
    assert ended(loop, SCORE, "with_a_reason") == "success"
    now, kept = loop.scores(NIGHTS[0]), lake.read(lake.superseded(BOOK))
    assert set(now["attempt"].to_pylist()) == {2}
    assert now["score"].equals(before["score"])
    assert kept.drop_columns(["superseded_by"]).equals(before)
    assert loop.project.ask("history", BOOK)["decisions"][0]["comment"] == "the auditor asks for it"


def test_people_are_told_of_a_task_that_failed_until_it_succeeds(loop: Loop) -> None:
    alert, *again = loop.told(f"failed:{SCORE}.pin")
    # A monitoring run that tells what waits may tell it in the same second: twice, and never not at all.
    assert {other["message"] for other in again} <= {alert["message"]}, again
    assert (alert["book"], alert["as_of"], alert["severity"]) == (BOOK, NIGHTS[0], "warning")
    assert f"{SCORE}.pin failed at try 1: error: " in alert["message"]
    assert over(loop, f"failed:{SCORE}.pin")


def test_the_open_portfolio_is_scored_when_somebody_asks(loop: Loop) -> None:
    portfolios = dag_id("score_portfolio", BOOK)
    loop.airflow.pause(portfolios, False)
    loop.airflow.trigger(portfolios, "by_hand", {"as_of": NIGHTS[1]})
    assert ended(loop, portfolios, "by_hand") == "success"
    (night,) = nights.publications(BOOK, population=nights.PORTFOLIO)
    portfolio = lake.read(lake.scores(BOOK), filters=[("population", "=", nights.PORTFOLIO)])
    assert night.rows == portfolio.num_rows == len(portfolio["loan_id"].unique()) > ROWS_A_MONTH


def left_by(loop: Loop, run_id: str) -> tuple[Any, ...]:
    """What a run leaves that scores a published night once more: its files and rows, without who made them and when."""
    loop.airflow.trigger(SCORE, run_id, {"as_of": NIGHTS[0], "again": "to compare"})
    assert ended(loop, SCORE, run_id) == "success"
    attempt = nights.publications(BOOK, until=date.fromisoformat(NIGHTS[0]))[0].attempt
    files = {path.name: path.read_bytes() for path in Path(settings().store, "nights", str(attempt)).iterdir()}
    own = [json.loads(files.pop(name)) for name in ("claim.json", "pin.json")]
    pinned = {key: value for key, value in own[1].items() if key not in ("attempt", "run", "replaces")}
    # The scores' files tell whose they are, and so does the digest that their shard's record has of each.
    scored = {name: without_whose(pq.read_table(pa.BufferReader(files.pop(name))))
              for name in sorted(files) if name.startswith("scores-")}
    shards = [json.loads(files.pop(name)) for name in sorted(files) if name.startswith("shard-")]
    assert [shard["files"].pop(name) for shard, name in zip(shards, scored, strict=True)]
    night = [("day", "=", NIGHTS[0]), ("attempt", "=", attempt.number)]
    tables = [lake.read(table(BOOK), filters=night) for table in (lake.scores, lake.shadow_scores, lake.shadows)]
    assert all(table.num_rows for table in tables)
    return files, pinned, scored, shards, [without_whose(table) for table in tables]


def without_whose(rows: pa.Table) -> str:
    """The digest of rows, whoever made them."""
    return lake.digest(rows.select([name for name in rows.column_names if name not in ("attempt", "run_id")]))


def test_a_night_of_which_every_task_is_killed_once_has_the_same_rows_byte_for_byte(loop: Loop) -> None:
    loop.airflow.pause(dag_id("monitor_drift", BOOK), True)
    loop.project.tune(scoring={"shadows": ["2"]})
    undisturbed = left_by(loop, "undisturbed")
    for step in killed.NTH:
        (loop.project.folder.parent / "killed" / step).touch()
    assert left_by(loop, "killed") == undisturbed
    tries: dict[str, int] = {}
    for task in loop.airflow.tasks(SCORE, "killed"):
        tries[task["task_id"]] = max(task["try_number"], tries.get(task["task_id"], 0))
    assert tries == dict.fromkeys(killed.NTH, 2)


def test_stop_leaves_no_process_behind(loop: Loop) -> None:
    assert processes_of(loop.project)
    assert loop.project.ask("demo", "stop")["stopped"] == ["airflow", "mlflow", "postgres"]
    assert processes_of(loop.project) == []
