"""A training run stage by stage, each on a machine that has never seen the ones before it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import scratch
from scratch import Scratch
from tests.processes import places

from tollgate import stages
from tollgate.gates import GATES
from tollgate.terminal.answers import Answer
from tollgate.versioning import run_stage

# DVC's own, of a library of its own.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")

RUN = "weekly"
AS_OF = ("--book", "consumer", "--as-of", "2007-01-01")
MADE = ["snapshot", "features", "split", "sweep", "train", "evaluate", "gate", "refit"]


def another_machine(project: Scratch) -> None:
    """Forget everything that is not in the lake, the store, the DVC remote or a server."""
    for name in ("workspaces", "dvc-cache"):
        shutil.rmtree(project.data / name, ignore_errors=True)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scratch, dict[str, Answer]]]:
    """A run whose every stage ran on another machine, and the stages' answers; its gates refuse it."""
    project = scratch.make(tmp_path_factory.mktemp("moved") / "project", book="consumer",
                           sweep={"trials": 2, "rounds_max": 40},
                           gates={"auc_min": 0.99, "bootstrap_draws": 20})
    project.simulate(300)
    project.ask("ingest", "history", "consumer", "--as-of", "2007-01-01")
    project.ask("run", "open", RUN, *AS_OF)
    answers = {}
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in project.places.items():
                patch.setenv(name, value)
            for stage in MADE:
                another_machine(project)
                answers[stage] = stages.answer(stage, run_stage(RUN, stage) / "run")
        another_machine(project)
        yield project, answers
    finally:
        project.stop()


def test_every_stage_goes_on_from_what_the_ones_before_it_left(moved: tuple[Scratch, dict[str, Answer]]) -> None:
    _, answers = moved
    told = answers["snapshot"]["labels"]
    assert answers["features"]["rows"] == answers["snapshot"]["rows"] == told["good"] + told["bad"]
    assert 300 * 23 <= sum(told.values()) < 300 * 24  # most of the newest month waits for its last reports
    assert answers["evaluate"]["rows"] == answers["split"]["test"]
    assert len(answers["gate"]["gates"]) == len(GATES)


def test_a_stage_that_is_run_again_elsewhere_answers_the_same(moved: tuple[Scratch, dict[str, Answer]]) -> None:
    project, answers = moved
    assert project.ask("run", "stage", RUN, "train") == {"run": RUN, **answers["train"]}


def test_what_a_killed_stage_left_of_dvcs_own_locks_holds_up_no_later_one(
        moved: tuple[Scratch, dict[str, Answer]]) -> None:
    project, answers = moved
    left = project.data / "workspaces" / RUN / ".dvc" / "tmp" / "rwlock"
    held = {"write": {str(left.parents[2] / "run" / "split.parquet"): {"pid": os.getpid(), "cmd": "dvc"}}, "read": {}}
    project.ask("run", "stage", RUN, "split")
    for torn in ("", json.dumps(held)):
        left.write_text(torn, encoding="utf-8")
        assert project.ask("run", "stage", RUN, "split") == {"run": RUN, **answers["split"]}


def test_a_gate_is_read_on_a_machine_that_has_nothing_of_the_run(moved: tuple[Scratch, dict[str, Answer]]) -> None:
    project, _ = moved
    another_machine(project)
    assert project.ask("run", "gate", RUN, "ks")["verdict"] == "pass"
    refused = project.run("tollgate", "run", "gate", RUN, "auc")
    assert refused.returncode == 3
    assert "The gate auc refuses: AUC is" in refused.stderr
    assert "it must be above 0.99" in refused.stderr


def test_all_gates_are_read_at_once_on_a_machine_that_has_nothing_of_the_run(
        moved: tuple[Scratch, dict[str, Answer]]) -> None:
    project, answers = moved
    another_machine(project)
    clean = {name: value for name, value in os.environ.items() if name not in places()}
    children = {gate: subprocess.Popen([scratch.BIN / "tollgate", "run", "gate", RUN, gate], cwd=project.folder,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                       env={**clean, **project.places}) for gate in GATES}
    ended = {gate: (child.communicate()[1], child.returncode) for gate, child in children.items()}
    told = {gate["gate"]: 3 if gate["verdict"] == "refuse" else 0 for gate in answers["gate"]["gates"]}
    assert {gate: code for gate, (_, code) in ended.items()} == told, ended


def test_a_passing_fault_and_then_a_refusal_keep_their_exit_codes_through_dvc(
        moved: tuple[Scratch, dict[str, Answer]]) -> None:
    project, _ = moved
    another_machine(project)
    away = project.run("tollgate", "run", "stage", RUN, "register", TOLLGATE_MLFLOW="http://127.0.0.1:9")
    assert away.returncode == 75
    assert "TOLLGATE_MLFLOW" in away.stderr.splitlines()[-1]
    assert "Traceback" not in away.stderr
    refused = project.run("tollgate", "run", "stage", RUN, "register")
    assert refused.returncode == 3
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("error: The gates refused this model: AUC is")
    assert last.endswith("the champion stays.")
    assert "Traceback" not in refused.stderr


def test_bad_input_keeps_its_exit_code_through_dvc(moved: tuple[Scratch, dict[str, Answer]]) -> None:
    project, _ = moved
    project.ask("run", "open", "early", "--book", "consumer", "--as-of", "2004-01-01")
    early = project.run("tollgate", "run", "stage", "early", "snapshot")
    assert early.returncode == 2
    assert "As of 2004-01-01 the lake holds 0 matured loans of consumer" in early.stderr.splitlines()[-1]


def test_the_gate_report_of_a_refused_run_is_read_anywhere_and_one_that_was_not_made_yet_is_named(
        moved: tuple[Scratch, dict[str, Answer]]) -> None:
    project, _ = moved
    another_machine(project)
    assert "<h1>Refused</h1>" in project.ask("run", "report", RUN)["html"]
    project.ask("run", "open", "young", *AS_OF)
    young = project.run("tollgate", "run", "report", "young")
    assert young.returncode == 2
    assert young.stderr.splitlines()[-1].startswith(
        "error: No stage of the run has made this yet (got: run/gates.html).")


def test_a_remote_that_is_away_is_a_passing_fault(moved: tuple[Scratch, dict[str, Answer]]) -> None:
    project, _ = moved
    another_machine(project)
    lost = project.run("tollgate", "run", "gate", RUN, "ks", TOLLGATE_DVC_REMOTE=str(project.data / "nowhere"))
    assert lost.returncode == 75
    assert "Check TOLLGATE_DVC_REMOTE" in lost.stderr.splitlines()[-1]


def test_opening_a_run_again_changes_nothing_and_with_other_parameters_is_refused(
        moved: tuple[Scratch, dict[str, Answer]]) -> None:
    project, _ = moved
    first = project.ask("run", "open", RUN, *AS_OF)
    assert first["workers"] == [{"worker": 0, "name": "worker 0"}, {"worker": 1, "name": "worker 1"}]
    other = project.run("tollgate", "run", "open", RUN, *AS_OF, "--trials", "7")
    assert other.returncode == 2
    assert "opened before with other parameters" in other.stderr


@pytest.mark.parametrize("run", ["..", ".hidden", "a/b"])
def test_a_run_id_that_is_no_plain_folder_name_is_refused(moved: tuple[Scratch, dict[str, Answer]], run: str) -> None:
    refused = moved[0].run("tollgate", "run", "open", run, *AS_OF)
    assert refused.returncode == 2
    assert "must be a plain folder name" in refused.stderr


def test_a_run_that_was_never_opened_is_refused(moved: tuple[Scratch, dict[str, Answer]]) -> None:
    refused = moved[0].run("tollgate", "run", "stage", "unknown", "snapshot")
    assert refused.returncode == 2
    assert "There is no such run (got: unknown)" in refused.stderr
