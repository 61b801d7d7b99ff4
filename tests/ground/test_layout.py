"""The rules of the house: what may stand in a file of the repository, and how large it may grow."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tollgate.config import PROJECT

# Joined from halves, so that this file may name what no file may hold.
BANNED = [a + b for a, b in (("pypi", ".org"), ("python", "hosted"), ("registry.npm", "js"), ("/wo", "rk/"),
                             ("/tmp/", "build"), ("/ro", "ot/"), ("/ho", "me/user"), ("/opt/", "pypi"))]
PINNED = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)(\[[^]]*\])?==(?P<version>\S+)")


def tracked() -> list[Path]:
    """Files in git, and those that the next `git add` would take."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=PROJECT,
                            capture_output=True, text=True, check=True).stdout
    return [PROJECT / name for name in listed.split("\0") if name and (PROJECT / name).is_file()]


def code(folder: str) -> list[Path]:
    return sorted((PROJECT / folder).rglob("*.py"))


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def plain(name: str) -> str:
    """A package's name as the registry compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_no_file_names_a_machine_path_or_a_registry() -> None:
    found = [f"{path.relative_to(PROJECT)}: {word}" for path in tracked() for word in BANNED
             if word.encode() in path.read_bytes()]
    assert not found


def test_no_secret_is_in_a_file() -> None:
    keys = re.compile(rb"AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY")
    urls = re.compile(rb"://[^\s/:@$\"']+:[^\s/@$\"'{]+@")  # a test may hold one, to see it masked
    found = [f"{path.relative_to(PROJECT)}: {at[0][:40]!r}" for path in tracked() if path.suffix != ".png"
             for shape in ((keys,) if "tests" in path.relative_to(PROJECT).parts else (keys, urls))
             if (at := shape.search(path.read_bytes()))]
    assert not found


@pytest.mark.parametrize("group", ["airflow", "pipeline"])
def test_every_requirement_is_locked_to_a_version_and_hashes(group: str) -> None:
    text = (PROJECT / "requirements" / f"{group}.txt").read_text(encoding="utf-8")
    entries = re.sub(r"\\\n", " ", text).splitlines()
    loose = [line for line in entries if line.strip() and not line.lstrip().startswith("#")
             and not (PINNED.match(line) and "--hash=sha256:" in line)]
    assert not loose


@pytest.mark.parametrize("group", ["airflow", "pipeline"])
def test_every_direct_dependency_has_a_floor_and_is_in_the_lock(group: str) -> None:
    wanted = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"][group]
    locked = {plain(at["name"]) for line in (PROJECT / "requirements" / f"{group}.txt").read_text().splitlines()
              if (at := PINNED.match(line))}
    for requirement in wanted:
        at = re.match(r"(?P<name>[A-Za-z0-9_.-]+)(\[[^]]*\])?(?P<rule>.*)", requirement)
        assert at is not None
        assert re.match(r"[>=]=\d", at["rule"]), f"{requirement} has no floor"
        assert plain(at["name"]) in locked, f"{requirement} is not in requirements/{group}.txt: run make lock"


def test_airflow_and_the_ml_stack_share_no_environment() -> None:
    def names(group: str) -> set[str]:
        text = (PROJECT / "requirements" / f"{group}.txt").read_text(encoding="utf-8")
        return {plain(at["name"]) for line in text.splitlines() if (at := PINNED.match(line))}

    assert not names("airflow") & {"pandas", "scikit-learn", "xgboost", "xgboost-cpu", "mlflow", "dvc", "optuna"}
    assert not {name for name in names("pipeline") if name.startswith("apache-airflow")}


def test_modules_stay_under_400_lines() -> None:
    long = {str(path.relative_to(PROJECT)): lines(path) for folder in ("include", "plugins", "tests", "benchmarks")
            for path in code(folder) if lines(path) >= 400}
    assert not long


def test_dag_files_stay_under_60_lines() -> None:
    long = {path.name: lines(path) for path in code("dags") if lines(path) >= 60}
    assert not long


def test_dag_files_import_only_the_standard_library_airflow_and_our_plugins() -> None:
    import ast
    import sys

    allowed = {*sys.stdlib_module_names, "airflow", *(p.name for p in (PROJECT / "plugins").iterdir() if p.is_dir())}
    for path in code("dags"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                named = [node.module or "."]
            else:
                continue
            assert all(name.split(".")[0] in allowed for name in named), f"{path.name} imports {named}"


def test_the_licence_is_the_whole_apache_2_text() -> None:
    import hashlib

    digest = hashlib.sha256((PROJECT / "LICENSE").read_bytes()).hexdigest()
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def test_every_target_of_the_makefile_is_in_its_help() -> None:
    said = subprocess.run(["make", "--no-print-directory", "help"], cwd=PROJECT, capture_output=True, text=True,
                          check=True).stdout
    phony = re.search(r"^\.PHONY:(.*)$", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == set(re.findall(r"^  make (\S+)", said, re.MULTILINE))
