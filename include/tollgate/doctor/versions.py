"""Whether what is installed is what the locks say, on both sides: the pipeline's environment and Airflow's."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path

from tollgate.config import Settings
from tollgate.doctor.findings import Finding, error, ok

SETUP = "Run `make setup`, or build the image again."
SHOWN = 4


def check_versions(here: Settings) -> Iterator[Finding]:
    """Libraries against the locks, and that Airflow finds the command that its tasks start."""
    yield from _compare("the pipeline's environment", here.project / "requirements" / "pipeline.txt", sys.path,
                        f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}")
    theirs = here.project / ".venv-airflow"
    libraries = sorted(theirs.glob("lib/python3*/site-packages"))
    if not libraries:
        yield error(f"Airflow's environment is missing (got: {theirs})", SETUP)
    else:
        yield from _compare("Airflow's environment", here.project / "requirements" / "airflow.txt",
                            [str(libraries[-1])], _python_of(theirs))
    for folder in (here.project / ".venv", theirs):
        if (folder / ".unfinished").exists():
            yield error(f"An environment was cut off while it was built (got: {folder})", SETUP)
    command = Path(os.environ.get("TOLLGATE_BIN") or here.project / ".venv" / "bin" / "tollgate")
    if not os.access(command, os.X_OK):
        yield error(f"The command that Airflow's tasks start is not there (got: {command})",
                    "Correct TOLLGATE_BIN." if os.environ.get("TOLLGATE_BIN") else SETUP)


def _compare(what: str, lock: Path, path: Iterable[str], python: str) -> Iterator[Finding]:
    if not lock.is_file():
        yield error(f"The lock of {what} is missing (got: {lock})", "Bring it back from the repository.")
        return
    wanted, held = locked(lock.read_text(encoding="utf-8"), python), _installed(path)
    differ = [f"{name} {held.get(name, 'missing')}, not {version}" for name, version in sorted(wanted.items())
              if held.get(name) != version]
    if differ:
        more = f", and {len(differ) - SHOWN} more" if len(differ) > SHOWN else ""
        yield error(f"Other libraries than the lock's are in {what}: {', '.join(differ[:SHOWN])}{more} "
                    f"(Python {python})", SETUP)
    else:
        yield ok(f"{len(wanted)} libraries of {what} are those of {lock.name} (Python {python})")


def locked(text: str, python: str) -> dict[str, str]:
    """The versions that a lock asks for under this Python, by the name as registries compare it."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    environment = {"python_full_version": python, "python_version": ".".join(python.split(".")[:2])}
    wanted = (Requirement(line.rstrip(" \\")) for line in text.splitlines() if line and line[0] not in "# -")
    return {canonicalize_name(one.name): next(iter(one.specifier)).version for one in wanted
            if one.marker is None or one.marker.evaluate(environment)}


def _installed(path: Iterable[str]) -> dict[str, str]:
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    for one in distributions(path=list(path)):
        if one.name:  # a folder that a cut-off installation left has none
            found.setdefault(canonicalize_name(one.name), one.version)  # the first on the path is what is imported
    return found


def _python_of(environment: Path) -> str:
    for line in (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name.strip() in ("version_info", "version"):
            return ".".join(value.strip().split(".")[:3])
    return f"{sys.version_info.major}.{sys.version_info.minor}.0"
