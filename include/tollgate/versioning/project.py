"""DVC at work in one workspace: bring outputs, run a stage, push what it made. Importing DVC takes over a second."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tollgate.config import settings
from tollgate.errors import BadInput, PassingFault, Refused, TollgateError
from tollgate.versioning.record import Output, differing

if TYPE_CHECKING:
    from dvc.repo import Repo

KILLED = re.compile(r"exited with (-\d+|1(29|[3-5]\d))$")  # by a signal, as Python and as a shell tell it


def cache() -> Path:
    """The content that this machine holds, shared by its runs."""
    return settings().data / "dvc-cache"


def pull(folder: Path, wanted: Sequence[Output]) -> None:
    """Bring these outputs of the lock into the workspace, in the place of whatever stands there.

    Raises:
        PassingFault: the DVC remote did not answer, or does not hold that content.
    """
    names = [out.path for out in wanted]
    for attempt in range(2):
        for out in wanted:
            # DVC takes a file whose size and times are those that it remembers for unchanged.
            if not (out.is_folder and (folder / out.path).is_dir()):
                _remove(folder / out.path)
            if attempt:
                # The copy of this machine is not what its name says (a disk that was full, a power cut).
                (cache() / "files" / "md5" / out.md5[:2] / out.md5[2:]).unlink(missing_ok=True)
        with standing_in(folder) as repo, _remote_faults("fetch", names):
            repo.pull(targets=names, force=True)
        if not (torn := [out for out in differing(folder, wanted) if not out.is_folder]):
            return
    raise PassingFault(f"The content of {', '.join(out.path for out in torn)} is not what the run's record names",
                       value=settings().dvc_remote, remedy="Run the stage that makes it again.")


def reproduce(repo: Repo, folder: Path, stage: str) -> None:
    """Run the stage unless nothing that it reads has changed, and push what it made.

    Raises:
        TollgateError: the stage's own failure, which it left in ``run/.failure.json``.
        PassingFault: the stage was killed, another process holds DVC's lock, or the DVC remote did not answer.
        BadInput: the stage crashed.
    """
    from dvc.exceptions import DvcException

    run = folder / "run"
    failure_of(run).unlink(missing_ok=True)
    try:
        repo.reproduce(targets=[stage], single_item=True)
    except DvcException as err:
        if failure_of(run).exists():
            raise _read_failure(run) from err
        raise _dvcs_own(err, stage) from err
    with _remote_faults("push", stage):
        repo.push(targets=[stage])


def _dvcs_own(err: Exception, stage: str) -> TollgateError:
    """What DVC itself says of a stage that left no error of ours."""
    from dvc.lock import LockError
    from dvc.stage.exceptions import StageCmdFailedError

    causes: list[BaseException] = [err]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    if any(isinstance(cause, LockError) for cause in causes):
        return PassingFault(f"Another process works in the workspace: {causes[-1]}", value=stage,
                            remedy="Run it again when that has ended.")
    if any(isinstance(cause, StageCmdFailedError) and KILLED.search(str(cause)) for cause in causes):
        return PassingFault(f"The process of the DVC stage {stage} was killed", value=stage,
                            remedy="See whether the machine ran out of memory, then run it again.")
    return BadInput(f"The DVC stage {stage} failed: {err.__cause__ or err}", value=stage,
                    remedy="Its log above says more.")


def failure_of(run: Path) -> Path:
    """Where a stage leaves its error for the process that started it; DVC passes on no exit code."""
    return run / ".failure.json"


def write_failure(run: Path, error: TollgateError) -> None:
    """Leave an error beside the run's files; a folder that holds no run is left as it is."""
    if not run.is_dir():
        return
    failure_of(run).write_text(json.dumps({"kind": type(error).__name__, "cause": error.cause,
                                           "value": None if error.value is None else str(error.value),
                                           "remedy": error.remedy}), encoding="utf-8")


def _read_failure(run: Path) -> TollgateError:
    left = json.loads(failure_of(run).read_text(encoding="utf-8"))
    kinds = {kind.__name__: kind for kind in (BadInput, Refused, PassingFault)}
    return kinds[left["kind"]](left["cause"], value=left["value"], remedy=left["remedy"])


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _remote_faults(what: str, targets: object) -> Iterator[None]:
    try:
        yield
    except Exception as err:
        raise PassingFault(f"DVC could not {what} {targets}: {err}", value=settings().dvc_remote,
                           remedy="Check TOLLGATE_DVC_REMOTE, the disk and the network.") from err


@contextmanager
def standing_in(folder: Path) -> Iterator[Repo]:
    """DVC standing in the workspace, which the caller has alone, its stages finding our command on the PATH."""
    from dvc.repo import Repo

    # DVC writes it in place: a kill may leave it torn, and every later DVC would refuse to read it.
    (folder / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
    here, path = Path.cwd(), os.environ.get("PATH", "")
    os.chdir(folder)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{path}"
    try:
        with Repo(str(folder)) as repo:
            yield repo
    finally:
        os.chdir(here)
        os.environ["PATH"] = path
