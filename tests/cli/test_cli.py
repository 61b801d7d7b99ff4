"""The command line as a person and a program meet it: real child processes, their words and their exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import scratch
from scratch import BIN, Scratch
from typer.main import get_command

from tollgate import registry
from tollgate.cli.app import app, app_of
from tollgate.cli.arguments import Panel
from tollgate.config import PROJECT, known_books

LEARNING = {"pandas", "sklearn", "scipy", "xgboost", "mlflow", "pandera", "evidently", "fairlearn", "optuna", "dvc",
            "duckdb", "matplotlib", "boto3", "psycopg2", "sqlalchemy"}
LAKE = {"numpy", "pyarrow", "deltalake"}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Scratch]:
    made = scratch.make(tmp_path / "project", book="consumer")
    yield made
    made.stop()


@pytest.fixture
def simulated(project: Scratch) -> Scratch:
    """A project whose source data is there, small."""
    project.simulate(20)
    return project


def refused(project: Scratch, *arguments: str, code: int, **environment: str) -> str:
    """The one line that a failing command says; checked to be one line, with no traceback and no answer."""
    done = project.run("tollgate", *arguments, **environment)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1, done.stderr
    assert done.stderr.splitlines()[-1] == said[0]
    assert "Traceback" not in done.stderr
    return said[0]


@pytest.mark.parametrize("arguments", [
    ("fetch", "mortgages"), ("land", "mortgages", "--month", "2006-01"), ("models", "mortgages"),
    ("ingest", "history", "mortgages", "--as-of", "2007-01-01"), ("ingest", "list", "--book", "mortgages"),
    ("monitor", "drift", "mortgages", "--as-of", "2007-01-01"), ("trace", "mortgages", "1"),
    ("requests", "claim", "mortgages", "k", "--run-id", "r"),
    ("run", "open", "r", "--book", "mortgages", "--as-of", "2007-01-01"), ("demo", "run", "--book", "mortgages"),
], ids=lambda arguments: " ".join(arguments[:2]))
def test_an_unknown_book_is_refused_with_the_known_ones(project: Scratch, arguments: tuple[str, ...]) -> None:
    said = refused(project, *arguments, code=2)
    assert said.startswith(f"error: Unknown book (got: mortgages). Use one of: {', '.join(known_books())}. Your own ")
    assert not project.data.exists()


@pytest.mark.parametrize(("month", "said"), [
    ("1999-12", "The book consumer has no such month (got: 1999-12). Its months are 2003-01 to 2012-03."),
    ("2012-04", "The book consumer has no such month (got: 2012-04). Its months are 2003-01 to 2012-03."),
    ("2006-13", "A month is written YYYY-MM (got: 2006-13). For example 2012-03."),
    ("March 2006", "A month is written YYYY-MM (got: March 2006). For example 2012-03."),
])
def test_a_month_outside_the_data_or_badly_written_is_refused(simulated: Scratch, month: str, said: str) -> None:
    assert refused(simulated, "land", "consumer", "--month", month, code=2) == f"error: {said}"
    assert not (simulated.data / "landing").exists()


def test_an_as_of_before_the_book_is_refused(simulated: Scratch) -> None:
    said = refused(simulated, "ingest", "history", "consumer", "--as-of", "2002-05-01", code=2)
    assert said == "error: The book consumer begins with 2003-01 (got: 2002-05-01). Stand at a later as-of."


def test_a_source_that_was_not_fetched_is_named_with_the_command_that_brings_it(project: Scratch) -> None:
    said = refused(project, "land", "consumer", "--month", "2006-01", code=2)
    assert "The source data of consumer is not here" in said
    assert "tollgate fetch consumer" in said


def test_a_malformed_parameter_is_refused_by_its_key_before_anything_runs(simulated: Scratch) -> None:
    simulated.tune(gates={"ks_min": 30})
    said = refused(simulated, "ingest", "history", "consumer", "--as-of", "2007-01-01", code=2)
    assert "params.yaml: gates.ks_min" in said
    assert "(got: 30)" in said
    assert not (simulated.data / "lake").exists()


def test_a_stage_without_what_it_needs_names_it_and_leaves_the_folder_as_it_was(project: Scratch,
                                                                              tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    said = refused(Scratch(empty, project.data), "stage", "snapshot", code=2, TOLLGATE_PROJECT=str(project.folder))
    assert said == ("error: A stage's input is not there (got: run/params.yaml). "
                    "Run the stages before it: `dvc repro` runs what is needed.")
    assert list(empty.iterdir()) == []


def test_a_lake_that_is_gone_is_not_trained_on(simulated: Scratch) -> None:
    simulated.ask("stage", "describe")
    pinned = simulated.folder / "run" / "lake.json"
    pinned.write_text('{"applications": {"rows": 480}}')
    (pinned.parent / "delta.json").write_text('{"applications": 7, "outcomes": 7}')
    said = refused(simulated, "stage", "snapshot", code=2)
    assert "The lake no longer shows what run/lake.json pinned" in said
    assert "dvc repro -f history" in said


def test_an_unknown_stage_is_refused_with_the_known_ones(project: Scratch) -> None:
    said = refused(project, "stage", "deploy", code=2)
    assert "Unknown stage (got: deploy). Use one of: describe, fetch, history, rivals, snapshot" in said


def test_an_mlflow_that_is_away_is_a_passing_fault(project: Scratch) -> None:
    said = refused(project, "promote", "consumer", "1", "--digest", "d" * 64, "--by", "me", code=75,
                   TOLLGATE_MLFLOW="http://someone:secret@127.0.0.1:9")
    assert "MLflow" in said
    assert "TOLLGATE_MLFLOW" in said
    assert "secret" not in said


@pytest.mark.parametrize("arguments", [("land", "consumer"), ("lend", "consumer"),
                                       ("land", "consumer", "--mouth", "2006-01"), ("demo", "run", "--months", "0")])
def test_a_wrong_call_is_a_usage_error(project: Scratch, arguments: tuple[str, ...]) -> None:
    assert re.search(r"See `tollgate [a-z ]*--help`\.$", refused(project, *arguments, code=2))


@pytest.mark.parametrize(("arguments", "said"), [
    (("ingest", "history", "consumer", "--as-of", "2007-02-30"),
     "A day is written YYYY-MM-DD (got: 2007-02-30). For example 2007-01-31."),
    (("reject", "consumer", "1", "--by=me", "--answered-at=2026-03-02T09:30:00"),
     "A moment is written with its day, its time and its zone (got: 2026-03-02T09:30:00). "
     "For example 2026-03-02T09:30:00+01:00."),
    (("promote", "consumer", "1", "--by=me", "--digest=8e10688fc20b"),
     "A digest is 64 characters of 0-9 and a-f (got: 8e10688fc20b). "
     "Give it whole, as the approval, the gate report and `tollgate --json models BOOK` do."),
])
def test_a_badly_written_value_is_refused_with_an_example(project: Scratch, arguments: tuple[str, ...],
                                                         said: str) -> None:
    assert refused(project, *arguments, code=2) == f"error: {said}"


@pytest.mark.parametrize("arguments", [
    ("requests", "open", "consumer", "--as-of=2007-03-01", "--reason=caf\udce9"),
    ("alerts", "begin", "consumer", "late:it", "--as-of=2007-03-01", "--message", "caf\udce9"),
])
def test_a_text_that_a_terminal_of_another_encoding_typed_is_refused_and_shown(project: Scratch,
                                                                              arguments: tuple[str, ...]) -> None:
    said = refused(project, *arguments, code=2)
    assert said.startswith(r"error: A text that was given is not in UTF-8 (got: 'caf\udce9'). Write it so")


def test_no_person_decides_in_the_name_of_the_guard(project: Scratch) -> None:
    said = refused(project, "rollback", "consumer", "1", "--reason", "I want it back", "--by", "Guard ", code=2)
    assert "No person decides in the name of the guard" in said and "(got: Guard )" in said


def test_debug_shows_the_traceback_and_the_default_does_not(project: Scratch) -> None:
    call = ("land", "consumer", "--month", "2006-01")
    quiet, loud = project.run("tollgate", *call), project.run("tollgate", "--debug", *call)
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr
    assert loud.returncode == quiet.returncode == 2
    assert loud.stderr.splitlines()[-1] == quiet.stderr.splitlines()[-1]


def test_a_program_gets_one_json_line(simulated: Scratch) -> None:
    done = simulated.run("tollgate", "land", "consumer", "--month", "2003-02")
    assert len(done.stdout.splitlines()) == 1
    answer = json.loads(done.stdout)
    assert answer["book"] == "consumer"
    assert answer["rows"]["applications"] == 20


def at_a_terminal(project: Scratch, *arguments: str) -> str:
    """What a person sees."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        try:
            child = subprocess.Popen([str(BIN / "tollgate"), *arguments], stdout=theirs, stderr=theirs, stdin=theirs,
                                     cwd=project.folder, env={"COLUMNS": "100", **os.environ, **project.places})
        finally:
            os.close(theirs)
        shown = b""
        while True:
            try:
                chunk = screen.read(4096)
            except OSError:  # the last other end was closed
                break
            if not chunk:
                break
            shown += chunk
        assert child.wait() == 0
    return shown.decode()


def test_a_person_at_a_terminal_sees_a_table_and_json_on_request(simulated: Scratch) -> None:
    simulated.ask("land", "consumer", "--month", "2003-02")
    table = at_a_terminal(simulated, "ingest", "list")
    assert "applications_2003-02.parquet" in table
    assert "│" in table
    assert "{" not in table
    for asked in (("--json", "ingest", "list"), ("ingest", "list", "--json")):
        assert json.loads(at_a_terminal(simulated, *asked))["files"][0]["name"] == "applications_2003-02.parquet"


def test_what_people_wrote_is_shown_as_they_wrote_it_and_commands_no_terminal(
        project: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in project.places.items():
        monkeypatch.setenv(name, value)
    registry.record("consumer", "note", {"by": "=1+1 [bold]", "comment": "[/nope]\x1b[2J\u202etfel",
                                         "model": {"book": "consumer", "version": "7"}, "metrics": {"auc": 0.8}})
    shown = at_a_terminal(project, "history", "consumer")
    cells = zip(*(line.split("│") for line in shown.splitlines() if line.startswith("│")), strict=True)
    column = ["".join(cell.strip() for cell in cells_of_one) for cells_of_one in cells]
    assert column[4:7] == ["7", "=1+1 [bold]", r"[/nope]\x1b[2J\u202etfel"]
    assert "\x1b[2J" not in shown and "\u202e" not in shown


def test_a_person_sees_of_a_version_what_a_line_of_a_narrow_terminal_holds(project: Scratch,
                                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**project.places, "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    model = registry.Version("consumer", "1", "8e10688fc20b" + "d" * 52, "5" * 64, date(2007, 1, 1), "e" * 32)
    registry.record("consumer", "registered", {
        "model": model.to_json(), "files": {"gates.json": "a" * 64},
        "metrics": {"auc": 0.90265, "ks": 0.644, "false_negative_rate": 0.1137}})
    line = next(line for line in at_a_terminal(project, "models", "consumer").splitlines() if "challenger" in line)
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "1", "challenger", "2007-01-01", "0.903", "0.644", "11.4%", "8e10688fc20b"]


def test_the_version_is_that_of_the_package(project: Scratch) -> None:
    assert project.run("tollgate", "--version").stdout == f"tollgate {metadata.version('tollgate')}\n"


def test_help_lists_the_exit_codes_and_every_group(project: Scratch) -> None:
    said = re.sub(r"\s+", " ", project.run("tollgate", "--help").stdout)
    assert "Exit codes: 0 done, 2 bad input, 3 refused by a gate or a contract, 75 try again later." in said
    for group in ("ingest", "contract", "quarantine", "run", "score", "monitor", "requests", "ledger", "demo"):
        assert f" {group} " in said


def verbs(under: Any, path: str = "tollgate") -> Iterator[tuple[str, Any]]:
    """Every verb and group of the command line by its whole name."""
    for name, verb in getattr(under, "commands", {}).items():
        yield f"{path} {name}", verb
        yield from verbs(verb, f"{path} {name}")


def test_help_says_what_every_verb_does_and_what_each_of_its_arguments_is() -> None:
    for name, verb in verbs(get_command(app)):
        assert verb.help, name
        for argument in verb.params:
            assert argument.help, f"{name}: {argument.name}"
            if argument.param_type_name == "argument":
                assert (argument.metavar or "").isupper(), f"{name}: {argument.name} is not written in capitals"


def test_help_lists_every_verb_under_a_heading() -> None:
    headings = {str(heading) for heading in Panel}
    for name, verb in get_command(app).commands.items():
        assert verb.rich_help_panel in headings, name


def test_the_door_of_one_verb_has_all_that_it_names_and_no_others() -> None:
    whole = dict(verbs(get_command(app)))
    for verb in get_command(app).commands:
        narrow = dict(verbs(get_command(app_of(["--json", verb, "list"]))))
        assert narrow.keys() == {path for path in whole if path.split()[1] == verb}
    assert app_of(["no", "such"]) is app_of(["--version"]) is app_of([]) is app


def loaded(project: Scratch, *arguments: str) -> set[str]:
    """The top-level packages that a command imports."""
    done = subprocess.run([sys.executable, "-X", "importtime", str(BIN / "tollgate"), *arguments], cwd=project.folder,
                          capture_output=True, text=True, check=True, env={**os.environ, **project.places})
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}


@pytest.mark.parametrize("arguments", [("--help",), ("run", "open", "--help")])
def test_help_loads_nothing_heavy(project: Scratch, arguments: tuple[str, ...]) -> None:
    packages = loaded(project, *arguments)
    assert "typer" in packages
    assert not packages & (LEARNING | LAKE)


@pytest.mark.parametrize("arguments", [("requests", "list"), ("ingest", "list")])
def test_what_sensors_poll_loads_no_library_of_learning(project: Scratch, arguments: tuple[str, ...]) -> None:
    assert not loaded(project, *arguments) & LEARNING
    assert not (project.data / "postgres").exists()


def test_looking_at_the_model_board_loads_no_library_of_learning_and_none_of_drawing(project: Scratch) -> None:
    assert not loaded(project, "board", "consumer") & (LEARNING | {"matplotlib", "scipy"})
    assert not (project.data / "postgres").exists()


def test_a_disk_that_takes_no_more_leaves_no_part_of_a_file_in_landing(simulated: Scratch) -> None:
    # A limit on the size of a file makes the kernel stop the write midway, as a full disk does, without needing one.
    done = subprocess.run([str(BIN / "tollgate"), "land", "consumer", "--month", "2003-02"], cwd=simulated.folder,
                          env={**os.environ, **simulated.places}, capture_output=True, text=True, check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2_048, 2_048)))
    assert done.returncode == 75, done.stderr
    assert re.search(r"^error: Storage did not answer: File too large \(got: .*/landing/consumer/.*\)\. "
                     r"Check the disk space, the address and the network\.$", done.stderr, re.MULTILINE)
    assert [path for path in (simulated.data / "landing").rglob("*") if path.is_file()] == []
    assert simulated.ask("land", "consumer", "--month", "2003-02")["rows"]["applications"] == 20


def test_nothing_is_left_unimplemented() -> None:
    unfinished = re.compile(r"raise NotImplemented|# TODO|FIXME|XXX")  # a drafted book leaves a TODO to its owner
    code = [path for folder in ("include", "plugins", "dags") for path in (PROJECT / folder).rglob("*.py")]
    assert [str(path) for path in code if unfinished.search(path.read_text(encoding="utf-8"))] == []
