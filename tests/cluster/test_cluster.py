"""The loop of a small book in the topology of docker-compose.yml, by two people who log in; and what may go wrong.

The tests keep the order of the file: each stands on what those before it did.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import psutil
import pytest
from tests.cluster import running
from tests.cluster.running import BOOK, Cluster
from tests.cluster.secrets import command_lines, files, leaks

pytestmark = pytest.mark.long

FIRST, NIGHT = "2007-01-01", "2007-02-01"
KNOCK = """
import json, sys
from tests.cluster.doors import DOORS, wrongly_open
addresses = json.loads('{addresses}')
print(json.dumps([said for door in DOORS for address in addresses[door.service]
                  if (said := wrongly_open(door, address))]))
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running.cluster(tmp_path_factory.mktemp("town")) as made:
        yield made


def test_a_book_is_taken_in_trained_and_approved_by_two_people(town: Cluster) -> None:
    town.land("2006-12", "--since", "2003-01")
    town.until(town.ingested)
    run = town.train(FIRST)
    town.approve()
    assert town.ended("train_weekly", run) == "success"
    decision = next(line for line in town.inside("worker-1", "history", BOOK)["decisions"]
                    if line["kind"] == "promotion-committed")
    assert decision["by"] == "approver"
    assert town.inside("worker-1", "ledger", "verify", BOOK)["intact"] is True
    assert {task["hostname"] for task in town.operator.tasks(town.dag("train_weekly"), run)
            if task["task_id"] in ("register", "approve", "promote")} == {"decider"}


def test_the_workers_have_climbed_every_rung_of_the_sweep_once_and_left_none_to_its_last_task(town: Cluster) -> None:
    task = f"/dags/{town.dag('train_weekly')}/dagRuns/by_hand__{FIRST}/taskInstances/work"
    answers = [town.operator.call("GET", f"{task}/xcomEntries/return_value?map_index={worker}")["value"]
               for worker in range(2)]
    scored = sorted((point["rung"], point["point"]) for answer in answers for point in answer["points"])
    assert [rung for rung, _ in scored] == [10] * 4 + [30] * 2
    assert len(set(scored)) == len(scored)


def test_a_worker_that_does_not_hold_the_key_cannot_decide(town: Cluster) -> None:
    done = town.project.run("tollgate", "cluster", "exec", "worker-1", "tollgate", "reject", BOOK, "1", "--by", "eve",
                            **town.ports)
    assert "The key that signs decisions is not held here" in done.stderr


def test_a_night_is_scored_once_and_monitored_though_a_worker_dies_in_the_middle_of_it(town: Cluster) -> None:
    town.land("2007-01")
    town.until(town.ingested)
    run = town.score(NIGHT)
    shard = town.until(lambda: next((task for task in town.operator.tasks(town.dag("score_nightly"), run)
                                     if task["task_id"] == "shard" and task["state"] == "running"), None))
    town.kill(shard["hostname"])
    assert town.ended("score_nightly", run) == "success"
    town.until(lambda: NIGHT in town.verdicts())
    scored = json.loads(town.python("worker-1", f"""
import json
from tollgate import lake
rows = lake.read(lake.scores("{BOOK}"), filters=[("day", "=", "{NIGHT}")]).to_pylist()
print(json.dumps([row["loan_id"] for row in rows]))"""))
    assert len(scored) == len(set(scored)) == running.ROWS_A_MONTH


def test_both_workers_have_run_tasks(town: Cluster) -> None:
    kinds = ("ingest_validate", "train_weekly", "score_nightly", "monitor_drift")
    hosts = {task["hostname"] for dag in map(town.dag, kinds)
             for run in town.operator.runs(dag) for task in town.operator.tasks(dag, run["dag_run_id"])}
    assert hosts >= {"worker-1", "worker-2"}


def test_no_door_opens_to_whoever_has_no_login(town: Cluster) -> None:
    addresses: dict[str, list[str]] = {}
    for one in town.ask("status")["services"]:
        addresses.setdefault(one["service"], []).append(one["address"])
    said = town.on_its_network(KNOCK.format(addresses=json.dumps(addresses)))
    assert json.loads(said.splitlines()[-1]) == []


def test_only_the_two_pages_can_be_reached_from_outside(town: Cluster) -> None:
    supervisor = json.loads((town.folder / "supervisor.pid").read_text())["pid"]
    family = {process.pid for process in [psutil.Process(supervisor), *psutil.Process(supervisor).children(True)]}
    outside = {link.laddr.port for link in psutil.net_connections("tcp") if link.pid in family
               and link.status == psutil.CONN_LISTEN}
    assert outside == {int(port) for port in town.ports.values()}


def test_no_secret_stands_in_a_log_an_xcom_or_a_list_of_processes(town: Cluster) -> None:
    admin = town.person("ADMIN")
    xcoms = [(f"XCom {entry['dag_id']} {entry['task_id']} {entry['key']}", json.dumps(admin.call(
        "GET", f"/dags/{entry['dag_id']}/dagRuns/{entry['run_id']}/taskInstances/{entry['task_id']}/xcomEntries/"
               f"{entry['key']}?map_index={entry['map_index']}")))
        for entry in admin.call("GET", "/dags/~/dagRuns/~/taskInstances/~/xcomEntries?limit=100")["xcom_entries"]]
    assert xcoms
    logs = [*files(town.folder / "logs"), *(("task log", log) for log in json.loads(town.python("worker-1", """
import json
from tollgate.lake import Store
store = Store("s3://tollgate/airflow-logs")
print(json.dumps([store.read(entry.path).decode(errors="replace") for entry in store.list("")]))""")))]
    assert len(logs) > 20
    assert leaks(list(town.secrets.values()), [*xcoms, *logs, *command_lines()]) == []


def test_stop_leaves_no_process_behind(town: Cluster) -> None:
    before = [one["pid"] for one in town.ask("status")["services"] if one["pid"]]
    assert len(before) == 11
    assert len(town.ask("stop")["stopped"]) == 12
    assert not [pid for pid in before if psutil.pid_exists(pid)]
    assert town.ask("status") == {"services": []}
