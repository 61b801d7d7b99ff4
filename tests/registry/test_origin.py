"""Of which commit the code is that makes a model, in a repository and in an image without one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tollgate.config import PROJECT

TELL = "from tollgate import registry; print(registry.code_commit())"


def commit_told(project: Path, **environment: str) -> str:
    """What the code of a project says of itself."""
    done = subprocess.run([sys.executable, "-c", TELL], capture_output=True, text=True, check=True, cwd=project,
                          env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(project / "include"), **environment})
    return done.stdout.strip()


def test_an_image_tells_the_commit_that_it_was_built_from_and_a_repository_its_own(tmp_path: Path) -> None:
    project = tmp_path / "house"
    shutil.copytree(PROJECT / "include" / "tollgate", project / "include" / "tollgate",
                    ignore=shutil.ignore_patterns("__pycache__"))
    built = "0123456789" * 4
    assert commit_told(project) == "none"
    assert commit_told(project, TOLLGATE_COMMIT=built) == built
    git = ("git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "include"), ("commit", "-q", "-m", "all")):
        subprocess.run([*git, *words], check=True)
    own = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert commit_told(project, TOLLGATE_COMMIT=built) == own
    with (project / "include" / "tollgate" / "clock.py").open("a") as code:
        code.write("\n# changed\n")
    assert commit_told(project) == f"{own}-modified"
