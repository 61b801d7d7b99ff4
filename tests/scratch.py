"""A scratch project: the real code by link, parameters and data of its own. And how to run commands in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from tests.processes import places

from tollgate import services
from tollgate.books.shipped import consumer
from tollgate.config import PROJECT

BIN = Path(sys.executable).parent
LINKS = (".venv", ".venv-airflow", "dags", "include", "plugins", "requirements")


@dataclass(frozen=True)
class Scratch:
    """A checkout in miniature at ``folder``, whose data lies in ``data``."""

    folder: Path
    data: Path

    @property
    def places(self) -> dict[str, str]:
        """What Tollgate has to be told to work here."""
        return {"TOLLGATE_PROJECT": str(self.folder), "TOLLGATE_DATA": str(self.data)}

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in the project's folder, with no settings but ours."""
        clean = {k: v for k, v in os.environ.items() if k not in places()}
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run([str(BIN / command[0]), *command[1:]], cwd=self.folder, capture_output=True, text=True,
                              env={**clean, "PATH": path, **self.places, **environment}, check=False)

    def ask(self, *arguments: str, **environment: str) -> dict[str, Any]:
        """The answer of a ``tollgate`` command that must succeed."""
        done = self.run("tollgate", *arguments, **environment)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def stop(self) -> None:
        """End the embedded database if a command started it, as ``make stop`` would."""
        services.stop_embedded(self.data)

    def repro(self) -> str:
        """``dvc repro``, which must succeed; what it said."""
        done = self.run("dvc", "repro")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def seed(self) -> int:
        """That of params.yaml."""
        return int(yaml.safe_load((self.folder / "params.yaml").read_text(encoding="utf-8"))["seed"])

    def simulate(self, rows_a_month: int, scenario: str = "stationary") -> None:
        """Put a smaller simulation where fetching the consumer book would put its own; a fetch finds it done."""
        origin = {b"seed": str(self.seed).encode(), b"scenario": scenario.encode()}
        rows = consumer.simulate(seed=self.seed, scenario=scenario, rows_a_month=rows_a_month)
        place = self.data / "sources" / "consumer"
        place.mkdir(parents=True)
        pq.write_table(rows.replace_schema_metadata(origin), place / "source.parquet")

    def tune(self, **changes: Any) -> None:
        """Change params.yaml: ``book=`` and other keys, or sections as mappings of what is laid over them."""
        path = self.folder / "params.yaml"
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key, value in changes.items():
            raw[key] = {**raw[key], **value} if isinstance(value, dict) else value
        path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")


def make(folder: Path, **changes: Any) -> Scratch:
    """Lay out a scratch project in ``folder``; ``changes`` as for ``Scratch.tune``."""
    folder.mkdir(parents=True)
    for name in LINKS:
        (folder / name).symlink_to(PROJECT / name, target_is_directory=True)
    for name in ("dvc.yaml", "params.yaml", ".dvcignore"):
        shutil.copyfile(PROJECT / name, folder / name)
    (folder / ".dvc").mkdir()
    shutil.copyfile(PROJECT / ".dvc" / "config", folder / ".dvc" / "config")
    (folder / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    project = Scratch(folder, folder / "data")
    project.tune(**changes)
    return project
