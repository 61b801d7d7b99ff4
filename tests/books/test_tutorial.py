"""docs/your-own-book.md does what it says: its commands are run, its edits are made, its outputs are compared."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests import scratch
from tests.processes import places

from tollgate.config import PROJECT

PAGE = PROJECT / "docs" / "your-own-book.md"
FENCE = re.compile(r"^```(console|diff|yaml)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BY_HAND_MAX = 60
# What differs from machine to machine: the last digits of what was computed, digests, where things lie.
UNSTABLE = ((re.compile(r"\b[0-9a-f]{12,64}\b"), "DIGEST"), (re.compile(r"\d+\.\d+"), "N"), (re.compile(r"\s+"), " "))


@dataclass(frozen=True)
class Step:
    """A command of the page with the lines that it prints, or an edit of a file; ``...`` stands for lines left out."""

    command: str = ""
    printed: list[str] = field(default_factory=list)
    file: str = ""
    text: str = ""


def steps(page: str) -> Iterator[Step]:
    for kind, file, body in FENCE.findall(page):
        if kind == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, printed = part.partition("\n")
                yield Step(command, [line for line in printed.splitlines() if line.strip()])
        elif file:
            yield Step(file=file, text=body)


def edited(before: str, diff: str) -> str:
    """A text with the hunks of a diff made, which are told by what stands there, not by numbers of lines."""
    for hunk in re.split(r"^@@\n", diff, flags=re.MULTILINE):
        lines = hunk.splitlines()
        old, new = ("\n".join(line[1:] for line in lines if line[:1] in (" ", mark)) for mark in "-+")
        assert before.count(old) == 1, old
        before = before.replace(old, new)
    return before


def by_hand(page: str) -> dict[str, int]:
    """The lines that a person writes, by file: those that a diff adds, and the parameters as they are in the end."""
    return {file: len(body.splitlines()) if kind == "yaml" else sum(line.startswith("+") for line in body.splitlines())
            for kind, file, body in FENCE.findall(page) if file}


def stable(line: str) -> str:
    for pattern, word in UNSTABLE:
        line = pattern.sub(word, line)
    return line.strip()


class Terminal:
    """A person at a terminal in the project's folder."""

    def __init__(self, project: scratch.Scratch) -> None:
        self.folder = project.folder
        known = {k: v for k, v in os.environ.items() if k not in (*places(), "PYTHONDONTWRITEBYTECODE")}
        # Thirty programs are started: each library is compiled once, whatever the machine does otherwise.
        compiled = str(self.folder.parent / "compiled")
        self.environment = {**known, **project.places, "PYTHONPYCACHEPREFIX": compiled,
                            "PATH": f"{scratch.BIN}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb", "COLUMNS": "100",
                            "LINES": "50", "PWD": str(project.folder)}

    def run(self, command: str) -> str:
        """What a command prints; a variable that it exports stays."""
        if exported := re.fullmatch(r"export (\w+)=(.*)", command):
            self.environment[exported[1]] = exported[2].replace("$PWD", str(self.folder))
            return ""
        reads, writes = os.openpty()
        with subprocess.Popen(["bash", "-c", command], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=writes, stderr=writes) as process:
            os.close(writes)
            told = b"".join(iter(lambda: _some(reads), b""))
        os.close(reads)
        said = told.decode().replace("\r", "").replace(f"{self.folder.resolve()}/", "")
        assert process.returncode == 0 or "error:" in said.lower(), f"{command}\n{said}"
        return said


def _some(reads: int) -> bytes:
    try:
        return os.read(reads, 2**16)
    except OSError:  # the other end was closed
        return b""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    project = scratch.make(tmp_path / "project")
    (project.folder / "docs").symlink_to(PROJECT / "docs")
    yield Terminal(project)
    project.stop()


def test_the_page_does_what_it_says(terminal: Terminal) -> None:
    for step in steps(PAGE.read_text(encoding="utf-8")):
        if step.file:
            path = terminal.folder / step.file
            text = step.text if path.suffix == ".yaml" else edited(path.read_text(encoding="utf-8"), step.text)
            path.write_text(text, encoding="utf-8")
            continue
        said = terminal.run(step.command)
        rest = stable(said)
        for line in step.printed:
            wanted = stable(line.removesuffix("..."))
            assert wanted in rest, f"$ {step.command}\nexpected: {wanted}\nprinted:\n{said}"
            rest = rest[rest.index(wanted) + len(wanted):]


def test_no_more_is_written_by_hand_than_a_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert by_hand(page) == {"books/personal_loans.py": 15, "books/personal_loans.yaml": 8}
    assert sum(by_hand(page).values()) <= BY_HAND_MAX
    assert "14 lines of the module and 8 of parameters" in page
