"""What Airflow makes of the DAGs folder. Airflow lives in its own environment, so a child process loads it, once."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
DAG_FILES = sorted((PROJECT / "dags").glob("*.py"))
EDGES: dict[str, dict[str, list[str]]] = {
    "ingest_validate": {"files": ["audit", "refused"], "refused": [], "audit": []},
    "train_weekly": {
        "open": ["snapshot", "work"], "snapshot": ["features"], "features": ["split"], "split": ["work"],
        "work": ["sweep"], "sweep": ["train"], "train": ["evaluate"], "evaluate": ["gate"],
        "gate": ["gates", "refit"], "gates": ["approve"], "refit": ["register"], "register": ["approve"],
        "approve": ["promote", "reject"],
        "promote": [], "reject": []},
    "score_nightly": {"reopen": ["pin"], "pin": ["shadow", "shard"], "shard": ["compare", "publish"], "publish": [],
                      "shadow": ["compare"], "compare": []},
    "score_portfolio": {"reopen": ["pin"], "pin": ["shadow", "shard"], "shard": ["compare", "publish"], "publish": [],
                        "shadow": ["compare"], "compare": []},
    "monitor_drift": {"drift": ["guard", "verdict"], "performance": ["verdict"], "guard": ["verdict"],
                      "verdict": ["report", "tell"],
                      "report": [], "tell": []},
    "retrain_on_drift": {"drift": ["claim"], "claim": ["close", "train"], "train": ["wait"], "wait": ["close"],
                         "close": ["tell"], "tell": []},
    "monitor_operations": {"keep": ["feed"], "feed": ["tell"], "tell": []},
    "rollback_model": {"rollback": []},
}
BOOKS = ("card", "consumer", "instalment", "sba")
MAPPED = {("train_weekly", "work"), ("train_weekly", "gates"), ("score_nightly", "shard"), ("score_portfolio", "shard")}
HOUR, DAY = 3_600, 86_400
PARAMS: dict[str, set[str]] = {
    "ingest_validate": set(), "train_weekly": {"as_of", "trials", "reason"}, "score_nightly": {"as_of", "again"},
    "score_portfolio": {"as_of", "again"}, "monitor_drift": {"as_of"}, "retrain_on_drift": set(),
    "monitor_operations": {"as_of", "incident"}, "rollback_model": {"version", "reason"}}


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answer of describe.py."""
    home = tmp_path_factory.mktemp("airflow")
    env = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
           "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
           "AIRFLOW__CORE__UNIT_TEST_MODE": "False"}
    child = subprocess.run([str(PROJECT / ".venv-airflow/bin/python"), str(Path(__file__).with_name("describe.py"))],
                           capture_output=True, text=True, env=env, cwd=home, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
    answer: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return answer


@pytest.fixture(scope="session")
def kinds(seen: dict[str, Any]) -> dict[str, Any]:
    """The DAGs of one book, by their kinds."""
    return {kind: seen["dags"][f"{kind}__sba"] for kind in EDGES}


def test_airflow_loads_every_dag_and_the_plugin_without_an_error(seen: dict[str, Any]) -> None:
    assert seen["errors"] == {}
    assert seen["plugins"] == ["tollgate"]
    assert set(seen["dags"]) == {f"{kind}__{book}" for kind in EDGES for book in BOOKS}


@pytest.mark.parametrize("kind", EDGES)
def test_a_books_dags_differ_from_anothers_in_the_book_and_when_they_run_by_themselves(
        seen: dict[str, Any], kinds: dict[str, Any], kind: str) -> None:
    for book in BOOKS:
        mine = json.loads(re.sub(rf'(?<=["/_]){book}"', 'sba"', json.dumps(seen["dags"][f"{kind}__{book}"])))
        mine["tags"].sort()
        timed = dict.fromkeys(("schedule", "timetable")) if mine["schedule"] is None else {}
        assert {**mine, **timed} == {**kinds[kind], **timed}, book


def test_a_book_is_found_by_its_tag(seen: dict[str, Any]) -> None:
    for name, about in seen["dags"].items():
        assert {"tollgate", name.partition("__")[2]} < set(about["tags"])


def test_only_a_books_own_files_and_nights_start_its_dags(seen: dict[str, Any]) -> None:
    for book in BOOKS:
        assert seen["dags"][f"ingest_validate__{book}"]["watches"] == [f"landing/{book}"]
        assert seen["dags"][f"monitor_drift__{book}"]["watches"] == [f"scores/{book}"]


@pytest.mark.parametrize("dag", EDGES)
def test_the_tasks_follow_one_another_as_designed(kinds: dict[str, Any], dag: str) -> None:
    assert {name: task["downstream"] for name, task in kinds[dag]["tasks"].items()} == EDGES[dag]


@pytest.mark.parametrize("dag", EDGES)
def test_every_dag_and_task_says_what_it_does(kinds: dict[str, Any], dag: str) -> None:
    assert len(kinds[dag]["doc"]) > 100
    for name, task in kinds[dag]["tasks"].items():
        assert task["doc"], f"{dag}.{name} has no doc_md"


@pytest.mark.parametrize("dag", EDGES)
def test_every_param_is_typed_and_described(kinds: dict[str, Any], dag: str) -> None:
    params = kinds[dag]["params"]
    assert set(params) == PARAMS[dag]
    for name, param in params.items():
        assert param["type"], f"{dag}: {name} has no type"
        assert param["description"], f"{dag}: {name} has no description"


@pytest.mark.parametrize("dag", EDGES)
def test_the_form_asks_for_nothing_that_may_stay_empty(kinds: dict[str, Any], dag: str) -> None:
    """Airflow's page sends no form before every field is filled that has no "null" among its types."""
    for name, param in kinds[dag]["params"].items():
        assert not param["empty"], f"{dag}: the form cannot be sent without {name}"


def test_workers_gates_and_shards_are_mapped_under_readable_names(kinds: dict[str, Any]) -> None:
    mapped = {(dag, name): task["map_name"] for dag, about in kinds.items()
              for name, task in about["tasks"].items() if task["mapped"]}
    assert set(mapped) == MAPPED
    assert all("item[" in template for template in mapped.values())


def test_a_passing_fault_is_retried_for_more_than_five_minutes_and_nothing_catches_up(seen: dict[str, Any]) -> None:
    for dag, about in seen["dags"].items():
        assert about["catchup"] is False, dag
        for name, task in about["tasks"].items():
            # Airflow waits at least this long before each retry, and at most twice as long.
            least = sum(min(delay, task["retry_delay_at_most"]) for delay in task["retry_delays"])
            assert 300 < least < (2 * DAY if name == "keep" else HOUR), (dag, name)
            assert task["retry_delays"][0] <= 10, "the first retry comes soon"


def test_every_task_is_ended_when_its_command_hangs(kinds: dict[str, Any]) -> None:
    limits = {f"{dag}.{name}": task["seconds"] for dag, about in kinds.items()
              for name, task in about["tasks"].items()}
    assert all(limits.values()), limits
    long = {name for name, seconds in limits.items() if seconds > 2 * HOUR}
    assert long == {"ingest_validate.files", "train_weekly.work", "train_weekly.sweep"}
    assert max(limits.values()) == 12 * HOUR


def test_people_hear_of_every_task_that_fails_and_of_a_night_that_is_late(kinds: dict[str, Any]) -> None:
    """R5."""
    silent = {f"{dag}.{name}" for dag, about in kinds.items() for name, task in about["tasks"].items()
              if task["tells"] != ["failed__sba"]}
    assert silent == {"monitor_operations.keep"}, "it keeps what could not be written down, and would start itself"
    assert all(about["settles"] == ["end_incidents__sba"] * 2 for about in kinds.values())
    assert {kind: about["late_hours"] for kind, about in kinds.items() if about["late_hours"] is not None} == {
        "score_nightly": 6, "score_portfolio": 6}


def test_every_wait_has_an_end_but_the_one_for_drift(kinds: dict[str, Any]) -> None:
    waits = {f"{dag}.{name}": task["patience"] for dag, about in kinds.items()
             for name, task in about["tasks"].items() if task["waits"]}
    assert waits.pop("retrain_on_drift.drift") is None, "always on by design: it waits for a request"
    assert waits == {"train_weekly.approve": 7 * 24 * HOUR, "retrain_on_drift.wait": 8 * 24 * HOUR}


def test_what_runs_by_itself_and_when_stands_in_params_yaml(seen: dict[str, Any]) -> None:
    schedules = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))["schedules"]
    by_itself = {name: about["schedule"] for name, about in seen["dags"].items() if about["schedule"] is not None}
    for book in BOOKS:
        assert by_itself.pop(f"retrain_on_drift__{book}") == "@continuous", "always on: it waits for a request"
    assert by_itself == {f"{kind}__{book}": cron for book, entry in schedules.items() for kind, cron in entry.items()
                         if kind in EDGES}


def test_in_a_replay_the_nights_that_somebody_names_run_and_none_of_todays_date(seen: dict[str, Any]) -> None:
    nights = [f"2007-02-0{day}T02:00:00+00:00" for day in (2, 3, 4)]
    assert seen["replayed"] == {"by itself": None, "named": nights}


def test_scores_start_the_monitoring_of_their_partition(kinds: dict[str, Any]) -> None:
    assert kinds["score_nightly"]["tasks"]["publish"]["outlets"] == ["scores/sba"]
    assert kinds["monitor_drift"]["timetable"] == "PartitionedAssetTimetable"
    assert kinds["ingest_validate"]["tasks"]["files"]["outlets"] == ["applications/sba", "decisions/sba",
                                                                     "histories/sba", "outcomes/sba"]


def test_a_refused_file_and_counts_that_do_not_add_up_each_fail_the_run(kinds: dict[str, Any]) -> None:
    audit = kinds["ingest_validate"]["tasks"]["audit"]
    assert audit["teardown"]
    assert audit["fails_the_run"]


def test_one_drift_is_one_retrain_and_its_request_is_closed_however_the_training_ends(
        seen: dict[str, Any], kinds: dict[str, Any]) -> None:
    retrain = kinds["retrain_on_drift"]
    assert retrain["max_active_runs"] == 1
    assert retrain["tasks"]["close"]["teardown"]
    assert seen["words"] == {
        "approved": ["promoted", "promoted"], "declined": ["rejected", "rejected"],
        "refused": ["refused", "refused at the gates"], "unreached": ["failed", "failed at register"],
        "broken": ["failed", "failed at snapshot"], "removed": ["failed", "ended without a decision"]}


def test_the_menu_opens_the_board_outside_of_airflows_frame_which_lets_no_link_out(seen: dict[str, Any]) -> None:
    assert [(view["href"], view.get("url_route"), view["category"]) for view in seen["menu"]] == [
        ("/tollgate/", None, "browse")]


def test_the_model_board_is_closed_to_strangers(seen: dict[str, Any]) -> None:
    assert seen["board_without_login"] == 401


def test_the_model_board_is_made_by_one_command_once_for_all_visitors(seen: dict[str, Any]) -> None:
    first, second, none, *nights = seen["board"]["pages"]
    assert first == second and first[:2] == [200, "made by board sba"]
    assert none[0] == 404 and "There is no book of this name (got: &lt;nosuch&gt;)." in none[1]
    assert [status for status, *_ in nights] == [200, 200, 422, 422]
    assert seen["board"]["asked"] == [
        "board sba", "board nosuch", "monitor page sba --as-of 2007-02-01",
        "monitor page sba --as-of 2007-02-01 --distributions"]


def test_no_page_of_the_model_board_runs_a_script_but_evidentlys_which_has_no_origin(seen: dict[str, Any]) -> None:
    policies = [policy for status, _, policy in seen["board"]["pages"] if status != 422]
    scripted = [policy for policy in policies if "script-src" in policy]
    assert len(policies) == 5 and all("default-src 'none'" in policy for policy in policies)
    assert scripted == [policies[4]] and scripted[0].endswith("sandbox allow-scripts")


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.stem)
def test_a_dag_file_is_short_and_is_wiring_only(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 60
    tree = ast.parse(source)
    modules = {name for node in ast.walk(tree) for name in _imported(node)}
    allowed = {*sys.stdlib_module_names, "airflow", "tollgate_airflow"}
    assert {name.partition(".")[0] for name in modules} <= allowed
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names.isdisjoint({"Variable", "Connection", "BaseHook", "open"})


def test_airflow_takes_no_module_of_the_package_for_a_plugin() -> None:
    """It would load operator.py as the module `operator`, in the place of the standard library's."""
    assert "tollgate_airflow/" in (PROJECT / "plugins/.airflowignore").read_text().splitlines()


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_the_approval_links_to_the_gate_report_and_the_card_and_the_board_serves_them(seen: dict[str, Any]) -> None:
    run, approval = "0123456789abcdef" * 2, seen["approval"]
    assert "| gate |" in approval["shown"]
    assert "- Fitted again." in approval["shown"]
    assert approval["links"] == {"The whole gate report": f"the answer of report sba {run}",
                                 "The model card": "the answer of card sba 3"}


def test_a_reason_is_shown_to_the_approver_as_it_was_written_and_is_no_line_of_the_question(
        seen: dict[str, Any]) -> None:
    line = "- Why it was trained: `drift 'x' - [The model card](/elsewhere)`"
    assert line in seen["approval"]["shown"].splitlines()


def test_a_page_that_cannot_be_made_says_why(seen: dict[str, Any]) -> None:
    strays = seen["approval"]["strays"]
    assert [status for status, _ in strays.values()] == [404, 422, 404, 422]
    assert "error: no &lt;such&gt; run" in strays["/runs/nosuch/gates"][1]


def test_the_tasks_around_the_gates_have_buttons_to_the_report_of_their_own_run(seen: dict[str, Any]) -> None:
    report = {"Gate report": "the answer of run report train_weekly__sba__scheduled__2007-01-01T03-00-00-00-00"}
    assert seen["buttons"] == {"gate": report, "gates": report, "register": report,
                               "approve": {**report, "Model card": "the answer of card sba 3"}}
