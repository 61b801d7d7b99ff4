"""`dvc repro` in a scratch project: all of it once, then nothing, then only what a change touches."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import scratch
from scratch import Scratch

from tollgate.config import PROJECT

STAGES = ["describe", "fetch", "history", "rivals", "snapshot", "features", "split", "sweep", "train", "evaluate",
          "gate", "refit", "register"]
ANEW = ["describe", "rivals"]   # what is looked at every time


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scratch, str]:
    """A project after its first ``dvc repro``, not to be changed, and what that said."""
    project = scratch.make(tmp_path_factory.mktemp("repro") / "project", book="consumer", sweep={"trials": 2},
                           gates={"bootstrap_draws": 20})
    project.simulate(600)
    try:
        said = project.repro()
    finally:
        project.stop()  # what serves cannot be copied
    return project, said


@pytest.fixture
def project(reproduced: tuple[Scratch, str], tmp_path: Path) -> Iterator[Scratch]:
    """A copy of it, to be changed."""
    folder = shutil.copytree(reproduced[0].folder, tmp_path / "project", symlinks=True)
    copy = Scratch(folder, folder / "data")
    yield copy
    copy.stop()


def ran(said: str) -> list[str]:
    return re.findall(r"^Running stage '(\w+)'", said, re.MULTILINE)


def result(project: Scratch, name: str) -> Any:
    return json.loads((project.folder / "run" / name).read_text(encoding="utf-8"))


def test_the_first_repro_runs_every_stage_and_ends_with_a_registered_model(reproduced: tuple[Scratch, str],
                                                                           project: Scratch) -> None:
    said = reproduced[1]
    assert sorted(ran(said)) == sorted(STAGES)
    registered = result(project, "registered.json")
    assert registered["passed"] is True
    assert registered["version"] == "1"
    assert [model["state"] for model in project.ask("models", "consumer")["models"]] == ["challenger"]


def test_a_second_repro_does_nothing(project: Scratch) -> None:
    said = project.repro()
    assert ran(said) == ANEW
    assert said.count("didn't change, skipping") == len(STAGES) - len(ANEW)


def test_another_limit_of_a_gate_runs_the_gates_and_the_register_again(project: Scratch) -> None:
    project.tune(gates={"ks_min": 0.31})
    again = ran(project.repro())
    assert again[:2] == ANEW and again[-1] == "register"
    assert sorted(again[2:-1]) == ["gate", "refit"]  # of which neither waits for the other


def test_after_a_promotion_repro_goes_on_by_itself(project: Scratch) -> None:
    digest = result(project, "registered.json")["digest"]
    project.ask("promote", "consumer", "1", "--digest", digest, "--by", "ann")
    assert ran(project.repro()) == [*ANEW, "evaluate", "gate", "register"]
    assert result(project, "champion.json")["version"] == "1"
    told = {verdict["gate"]: verdict["verdict"] for verdict in result(project, "gates.json")["verdicts"]}
    assert told["champion"] == "pass" and result(project, "registered.json")["version"] == "2"


def test_more_trials_run_the_sweep_again_and_nothing_before_it(project: Scratch) -> None:
    project.tune(sweep={"trials": 3})
    again = ran(project.repro())
    assert again[:4] == [*ANEW, "sweep", "train"]
    assert not set(again) & {"fetch", "history", "snapshot", "features", "split"}
    assert len(result(project, "sweep.json")["trials"]) == 3


def test_another_direction_in_the_book_trains_again_though_no_feature_changes(project: Scratch) -> None:
    code = project.folder / "code"
    shutil.copytree(PROJECT / "include", code)
    book = code / "tollgate" / "books" / "shipped" / "consumer.py"
    before, said = book.read_text(), 'number("loan_amount", monotone=1, '
    assert said in before
    book.write_text(before.replace(said, 'number("loan_amount", '))
    project.ask("stage", "describe", PYTHONPATH=str(code))
    said = project.run("dvc", "repro", "--dry").stdout
    assert {"history", "features", "sweep", "train", "evaluate", "gate"} <= set(ran(said))


def test_a_setting_of_another_book_or_of_monitoring_runs_nothing(project: Scratch) -> None:
    project.tune(monitoring={"min_sample": 300})
    path = project.folder / "params.yaml"
    path.write_text(path.read_text().replace("auc_min: 0.74", "auc_min: 0.75"))
    assert ran(project.repro()) == ANEW


def test_metrics_and_plots_are_shown_by_dvc(project: Scratch) -> None:
    shown = project.run("dvc", "metrics", "show")
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"auc\b", shown.stdout)
    drawn = project.run("dvc", "plots", "show")
    assert drawn.returncode == 0, drawn.stderr
    page = (project.folder / "dvc_plots" / "index.html").read_text(encoding="utf-8")
    assert all(title in page for title in ("ROC (test)", "Calibration (test)", "Scores by outcome", "Importance"))


def test_another_book_works_with_nothing_else_changed(project: Scratch) -> None:
    # Of two points the better one approves the ages 10.3 points apart; how far is far has tests of its own.
    project.tune(book="card", gates={"parity_gap_max": 0.15})
    said = project.repro()
    assert sorted(ran(said)) == sorted(STAGES)
    assert result(project, "snapshot.json")["book"] == "card"
    assert result(project, "registered.json")["passed"] is True
