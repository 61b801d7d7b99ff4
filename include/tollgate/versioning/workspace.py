"""The workspace of one training run, on whichever machine its next stage lands.

A workspace is a small DVC project of its own: the project's ``dvc.yaml``, the run's ``params.yaml``, and ``run/``.
Its record (parameters, pins, lock) is kept in the store and its outputs in the DVC remote, so that a stage may run
on a machine that has never seen the ones before it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollgate.config import Params, load_params, read_params_file, settings
from tollgate.errors import BadInput, PassingFault, Refused, TollgateError
from tollgate.lake import Store

if TYPE_CHECKING:
    from dvc.repo import Repo

LOCK = "dvc.lock"
PINS = ("run/lake.json", "run/champion.json", "run/delta.json")
PARAMS = "params.yaml"


def folder_of(run: str) -> Path:
    """The local folder of a run's workspace. Raises ``BadInput`` for a name that is no plain folder name."""
    if not run or "/" in run or run.startswith("."):
        raise BadInput("A run id must be a plain folder name", value=run, remedy="Use letters, digits, - and _.")
    return settings().data / "workspaces" / run


def open_workspace(run: str, *, book: str, as_of: date, overrides: dict[str, dict[str, Any]],
                   pin: Callable[[Path, Params], None]) -> Path:
    """Lay out the workspace of a run, pin what it stands on, and keep its record; opening it again changes nothing.

    Args:
        overrides: settings laid over the book's own block, by section: ``{"sweep": {"trials": 4}}``.
        pin: writes the run's pins into its ``run/`` folder; called once in the life of a run.

    Returns the folder, with ``params.yaml``, ``dvc.yaml`` and the pins in it.

    Raises:
        BadInput: the parameters are wrong, or the run was opened before with others.
    """
    import yaml

    folder = folder_of(run)
    load_params(settings().project / PARAMS, book=book, as_of=as_of)  # refused before anything is laid out
    raw = read_params_file(settings().project / PARAMS)
    raw["book"], raw["as_of"] = book, as_of.isoformat()
    for section, values in overrides.items():
        raw["books"][book][section] = {**raw["books"][book][section], **values}
    content = yaml.safe_dump(raw, sort_keys=False)
    record = _record(run)
    if record.exists(PARAMS) and record.read(PARAMS).decode() != content:
        raise BadInput(f"The run {run} was opened before with other parameters", value=run,
                       remedy="Give the new run another id.")
    _lay_out(folder)
    (folder / PARAMS).write_text(content, encoding="utf-8")
    params = load_params(folder / PARAMS)
    # The parameters are the last to be kept: a record that has them has its pins.
    if not record.exists(PARAMS):
        pin(folder / "run", params)
        for name in PINS:
            record.write(name, (folder / name).read_bytes())
        record.write(PARAMS, content.encode())
    return restore(run, ())


def restore(run: str, needs: Sequence[str]) -> Path:
    """Bring what is missing of ``needs`` from the DVC remote, wherever it was made; returns the workspace's folder.

    Args:
        needs: outputs of earlier stages, such as ``run/gates.json``.

    Raises:
        BadInput: there is no such run, or no stage of it has made that yet.
        PassingFault: the DVC remote did not answer.
    """
    record, folder = _record(run), folder_of(run)
    if not record.exists(PARAMS):
        raise BadInput("There is no such run", value=run, remedy="Open it first: tollgate run open.")
    _lay_out(folder)
    for name in (PARAMS, *PINS):
        _bring(record, folder, name)
    missing = [name for name in needs if not (folder / name).exists()]
    if missing:
        _bring(record, folder, LOCK)
        if unmade := sorted(set(missing) - _made(folder)):
            raise BadInput("No stage of the run has made this yet", value=", ".join(unmade),
                           remedy=f"See in Airflow how far {run} has come; a stage that failed says why in its log.")
        with _dvc(folder) as repo, _remote_faults("fetch", missing):
            repo.pull(targets=missing)
    return folder


def run_stage(run: str, stage: str) -> Path:
    """Run one DVC stage in its workspace, push what it made and keep the lock; returns the folder.

    Raises:
        TollgateError: the stage's own failure, with its own exit code.
        PassingFault: the DVC remote did not answer.
    """
    folder = restore(run, _reads(stage))
    _bring(_record(run), folder, LOCK)
    with _dvc(folder) as repo:
        _reproduce(repo, folder, stage)
        with _remote_faults("push", stage):
            repo.push(targets=[stage])
    _record(run).write(LOCK, (folder / LOCK).read_bytes())
    return folder


def _made(folder: Path) -> set[str]:
    """The outputs of the stages that have run, by the lock."""
    import yaml

    lock = yaml.safe_load((folder / LOCK).read_text(encoding="utf-8")) if (folder / LOCK).exists() else {}
    return {out["path"] for stage in lock.get("stages", {}).values() for out in stage.get("outs", [])}


def _reads(stage: str) -> list[str]:
    """The outputs of earlier stages that a stage reads."""
    import yaml

    stages = yaml.safe_load((settings().project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    if stage not in stages:
        raise BadInput("dvc.yaml has no such stage", value=stage, remedy=f"Use one of: {', '.join(stages)}.")
    return [name for name in stages[stage].get("deps", []) if name.startswith("run/") and name not in PINS]


def _bring(record: Store, folder: Path, name: str) -> None:
    """Copy one small file of the record into the workspace, if the record has it and it differs."""
    if record.exists(name):
        content, path = record.read(name), folder / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@contextmanager
def _remote_faults(what: str, targets: object) -> Iterator[None]:
    try:
        yield
    except Exception as err:
        raise PassingFault(f"DVC could not {what} {targets}: {err}", value=settings().dvc_remote,
                           remedy="Check TOLLGATE_DVC_REMOTE, the disk and the network.") from err


def _reproduce(repo: Repo, folder: Path, stage: str) -> None:
    """Run the stage; a failing stage raises its own error, which it left in ``run/.failure.json``."""
    from dvc.exceptions import DvcException, ReproductionError

    run = folder / "run"
    failure_of(run).unlink(missing_ok=True)
    try:
        repo.reproduce(targets=[stage], single_item=True)
    except (ReproductionError, DvcException) as err:
        if failure_of(run).exists():
            raise _read_failure(run) from err
        raise BadInput(f"The DVC stage {stage} failed: {err.__cause__ or err}", value=stage,
                       remedy="Its log above says more.") from err


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


def _record(run: str) -> Store:
    return Store(f"{settings().store}/workspaces/{run}")


def _lay_out(folder: Path) -> None:
    """The fixed part of a workspace: the project's pipeline, its code by link, and DVC's settings."""
    project = settings().project
    (folder / ".dvc").mkdir(parents=True, exist_ok=True)
    (folder / "run").mkdir(exist_ok=True)
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copyfile(project / name, folder / name)
    link = folder / "include"
    if not link.is_symlink():
        link.symlink_to(project / "include", target_is_directory=True)
    (folder / ".dvc" / "config").write_text(
        "[core]\n    analytics = false\n    no_scm = true\n    remote = store\n"
        f"[cache]\n    dir = {settings().data / 'dvc-cache'}\n"
        f"['remote \"store\"']\n    url = {settings().dvc_remote}\n    verify = true\n", encoding="utf-8")


@contextmanager
def _dvc(folder: Path) -> Iterator[Repo]:
    """DVC standing in the workspace, its stages finding our command on the PATH."""
    from dvc.repo import Repo

    here, path = Path.cwd(), os.environ.get("PATH", "")
    os.chdir(folder)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{path}"
    try:
        with Repo(str(folder)) as repo:
            yield repo
    finally:
        os.chdir(here)
        os.environ["PATH"] = path
