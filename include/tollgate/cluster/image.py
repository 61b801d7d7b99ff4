"""The image of our services as a folder: the files that the Dockerfile copies, and what it runs on them.

Of the Dockerfile's steps those are played that make our part of the image; the system below it (its packages, its user)
is this machine's own, which ``UNPLAYED`` says.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tollgate import registry
from tollgate.cluster.enter import Bind, Spec, in_namespaces
from tollgate.errors import PassingFault

UNPLAYED = ("FROM", "USER", "LABEL")  # and every RUN before USER: the system's packages
HOUSE = "/opt/tollgate"


@dataclass(frozen=True)
class Recipe:
    """What a Dockerfile does for us. ``copies`` are (sources, target), relative to the repository and to ``HOUSE``."""

    copies: tuple[tuple[tuple[str, ...], str], ...]
    runs: tuple[str, ...]
    environment: dict[str, str]


def read_recipe(text: str, arguments: Mapping[str, str] | None = None) -> Recipe:
    """The copies, the commands run as our user, and the environment of a Dockerfile, its build arguments put in."""
    copies, runs, environment, ours = [], [], {}, False
    told: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "USER":
            ours = True
        elif word == "COPY":
            *sources, target = [part for part in rest.split() if not part.startswith("--")]
            copies.append((tuple(sources), target))
        elif word == "RUN" and ours:
            runs.append(rest)
        elif word == "ARG":
            name, _, default = rest.partition("=")
            told[name] = (arguments or {}).get(name, default)
        elif word == "ENV":
            name, _, value = rest.partition("=")
            environment[name] = told.get(value.removeprefix("$"), value)
    return Recipe(tuple(copies), tuple(runs), environment)


def is_included(path: str, rules: list[str]) -> bool:
    """Whether a .dockerignore of the form "nothing but these" lets a file of the repository into the build."""
    kept = [rule[1:].rstrip("/") for rule in rules if rule.startswith("!")]
    never = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    inside = any(path == rule or path.startswith(f"{rule}/") for rule in kept)
    return inside and not any(fnmatch.fnmatch(part, rule) for part in path.split("/") for rule in never)


def files_of(project: Path, recipe: Recipe, rules: list[str]) -> dict[str, str]:
    """Every file that the image gets: its path below ``HOUSE``, and the one in the repository that it is a copy of."""
    found = {}
    for sources, target in recipe.copies:
        for source in sources:
            origin = project / source
            files = [p for p in sorted(origin.rglob("*")) if p.is_file()] if origin.is_dir() else [origin]
            for file in files:
                name = file.relative_to(project).as_posix()
                if not is_included(name, rules):
                    continue
                below = file.relative_to(origin).as_posix() if origin.is_dir() else ""
                base = target if origin.is_dir() or not target.endswith("/") else f"{target}{origin.name}"
                found[os.path.normpath(f"{base}/{below}" if below else base)] = name
    return found


def build(project: Path, folder: Path) -> dict[str, str]:
    """Lay the image out in ``folder`` anew and run the Dockerfile's own steps in it; returns its environment.

    Raises:
        PassingFault: a step failed.
    """
    docker = project / "docker"
    recipe = read_recipe((docker / "Dockerfile").read_text(encoding="utf-8"), {"COMMIT": registry.code_commit()})
    rules = (docker / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    wanted = files_of(project, recipe, rules)
    built = {".venv", ".venv-airflow", ".tools", "data"}
    for old in sorted(folder.glob("*")):
        if old.name not in built and not any(name.split("/")[0] == old.name for name in wanted):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for top in {name.split("/")[0] for name in wanted if "/" in name}:
        _drop_strays(folder / top, folder, wanted)
    for name, source in wanted.items():
        _copy(project / source, folder / name)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for step in recipe.runs:
        _run(step, folder)
    return recipe.environment


def _drop_strays(top: Path, folder: Path, wanted: dict[str, str]) -> None:
    for file in sorted(top.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and name not in wanted and "egg-info" not in name:
            file.unlink()


def _copy(source: Path, target: Path) -> None:
    """Copy one file with its times, so that `make` sees what changed and nothing else."""
    old = target.stat() if target.exists() else None
    new = source.stat()
    if old is None or (old.st_size, old.st_mtime_ns) != (new.st_size, new.st_mtime_ns):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _run(step: str, folder: Path) -> None:
    """One step of the Dockerfile, at the image's own place but with this machine's network and package caches."""
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    environment = {**os.environ, "UV_LINK_MODE": "copy", "PYTHON": str(python)}
    spec = Spec(name="build", command=("sh", "-c", step), environment=environment, cwd=HOUSE, whole_machine=True,
                binds=(Bind(str(folder), HOUSE),))
    done = subprocess.run(["unshare", "--user", "--map-root-user", *in_namespaces(spec, folder.parent)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PassingFault(f"A step of docker/Dockerfile failed: {step}",
                           value=(done.stderr or done.stdout).strip()[-600:],
                           remedy="Check the network to the package index and the disk, then run it again.")
