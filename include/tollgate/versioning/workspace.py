"""The workspace of one training run, on whichever machine its next stage lands.

A workspace is a small DVC project of its own: the project's ``dvc.yaml``, and ``run/`` with the run's parameters.
Its record (parameters, pins, lock) is kept in the store and its outputs in the DVC remote, so that a stage may run
on a machine that has never seen the ones before it, or has seen other results of them: the record decides, by hash.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

from tollgate.config import Params, load_params, settings
from tollgate.errors import BadInput, PassingFault
from tollgate.lake import Store
from tollgate.versioning.project import cache, pull, reproduce, standing_in
from tollgate.versioning.record import Output, differing, merge_stage, outputs

LOCK = "dvc.lock"
PARAMS = "run/params.yaml"
PINS = ("run/book.json", "run/lake.json", "run/champion.json", "run/delta.json")
DAY_SECONDS = 86_400
WAIT = 600.0  # seconds for another process of this machine that works in the same workspace


def folder_of(run: str) -> Path:
    """The local folder of a run's workspace. Raises ``BadInput`` for a name that is no plain folder name."""
    if not run or "/" in run or run.startswith("."):
        raise BadInput("A run id must be a plain folder name", value=run, remedy="Use letters, digits, - and _.")
    return settings().data / "workspaces" / run


def open_workspace(run: str, *, book: str, as_of: date, overrides: dict[str, dict[str, Any]],
                   pin: Callable[[Path, Params], None]) -> Params:
    """Lay out the workspace of a run, pin what it stands on, and keep its record; opening it again changes nothing.

    Args:
        overrides: settings laid over the book's own, by section: ``{"sweep": {"trials": 4}}``.
        pin: writes what the run stands on into its ``run/`` folder, these parameters included; called once in its life.

    Returns the parameters of the run.

    Raises:
        BadInput: the parameters are wrong, or the run was opened before with others.
    """
    params, folder, record = load_params(book=book, as_of=as_of, overrides=overrides), folder_of(run), _record(run)
    if record.exists(PARAMS) and record.read(PARAMS).decode() != params.to_yaml():
        raise BadInput(f"The run {run} was opened before with other parameters", value=run,
                       remedy="Give the new run another id.")
    with _alone(run):
        _lay_out(folder)
        # The parameters are the last to be kept: a record that has them has its pins.
        if not record.exists(PARAMS):
            pin(folder / "run", params)
            for name in (*PINS, PARAMS):
                record.write(name, (folder / name).read_bytes())
    restore(run, ())
    return params


def restore(run: str, needs: Sequence[str]) -> Path:
    """Bring the workspace to the run's record, whatever stands there; returns its folder.

    Args:
        needs: outputs of earlier stages, such as ``run/gates.json``: each has the content whose hash the record names,
            on whichever machine it was made.

    Raises:
        BadInput: there is no such run, or no stage of it has made that yet.
        PassingFault: the store or the DVC remote did not answer, or another process keeps the workspace.
    """
    record, folder = _read_record(run), folder_of(run)
    wanted = _recorded(run, record, needs)
    # What stands already is read beside a stage that runs here: a gate does not wait for the registration.
    if all(_holds(folder, name, record[name]) for name in (PARAMS, *PINS)) and not differing(folder, wanted):
        return folder
    with _alone(run):
        return _bring(run, needs)


def run_stage(run: str, stage: str) -> Path:
    """Run one DVC stage in its workspace, push what it made and keep the lock; returns the folder.

    Raises:
        TollgateError: the stage's own failure, with its own exit code.
        PassingFault: the DVC remote did not answer, or another process keeps the workspace.
    """
    needs = _reads(stage)
    with _alone(run):
        folder, record = _bring(run, needs), _record(run)
        with standing_in(folder) as repo:
            reproduce(repo, folder, stage)
        recorded = record.read(LOCK) if record.exists(LOCK) else None
        record.write(LOCK, merge_stage(recorded, (folder / LOCK).read_bytes(), stage))
    return folder


def tidy_workspaces(now: float, days: int, dry_run: bool = False) -> list[str]:
    """Delete this machine's copies of runs that nothing was written to for so many days; their names.

    Their records and what is in the DVC remote stay: the next stage of such a run brings it back.

    Args:
        now: the moment, in seconds since 1970. dry_run: tell, and delete nothing.

    Raises:
        PassingFault: another process works in one of them and does not end.
    """
    old = [folder.name for folder in sorted((settings().data / "workspaces").glob("*"))
           if folder.is_dir() and not folder.name.startswith(".") and _touched(folder) < now - days * DAY_SECONDS]
    for run in old if not dry_run else []:
        with _alone(run):
            shutil.rmtree(folder_of(run))
    return old


def _touched(folder: Path) -> float:
    """When anything in a folder was last written, in seconds since 1970."""
    found = folder.lstat().st_mtime
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # of a stage at work, which puts files in the place of others
            found = max(found, path.lstat().st_mtime)  # the link to the code is as old as the link, not as the code
    return found


def _bring(run: str, needs: Sequence[str]) -> Path:
    """The work of ``restore``, for whoever has the workspace alone: first the record's own files, then the outputs."""
    record, folder = _read_record(run), folder_of(run)
    wanted = _recorded(run, record, needs)
    _lay_out(folder)
    for name in (PARAMS, *PINS):
        _put(folder / name, record[name])
    if (lock := record.get(LOCK)) is not None:
        _put(folder / LOCK, lock)
    else:  # of a stage that was killed before its lock was kept
        (folder / LOCK).unlink(missing_ok=True)
    if missing := differing(folder, wanted):
        pull(folder, missing)
    return folder


def _recorded(run: str, record: dict[str, bytes], needs: Sequence[str]) -> list[Output]:
    """What the record's lock says of ``needs``."""
    made = outputs(record.get(LOCK))
    if unmade := sorted(set(needs) - set(made)):
        raise BadInput("No stage of the run has made this yet", value=", ".join(unmade),
                       remedy=f"See in Airflow how far {run} has come; a stage that failed says why in its log.")
    return [made[name] for name in needs]


def _read_record(run: str) -> dict[str, bytes]:
    """The small files of the run's record, the lock only once there is one. Raises ``BadInput`` for an unknown run."""
    record = _record(run)
    if not record.exists(PARAMS):
        raise BadInput("There is no such run", value=run, remedy="Open it first: tollgate run open.")
    return {name: record.read(name) for name in (PARAMS, *PINS, LOCK) if name != LOCK or record.exists(name)}


@contextmanager
def _alone(run: str) -> Iterator[None]:
    """No other process of this machine changes the workspace meanwhile; the system frees it when its holder dies."""
    from filelock import FileLock, Timeout

    folder = folder_of(run)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.parent / f".{run}.lock", timeout=WAIT):
            yield
    except Timeout as err:
        raise PassingFault(f"Another process has kept the workspace of the run for {WAIT / 60:.0f} minutes", value=run,
                           remedy="See in Airflow which task of the run is at work; run this again when it has ended."
                           ) from err


def _reads(stage: str) -> list[str]:
    """The outputs of earlier stages that a stage reads."""
    import yaml

    stages = yaml.safe_load((settings().project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    if stage not in stages:
        raise BadInput("dvc.yaml has no such stage", value=stage, remedy=f"Use one of: {', '.join(stages)}.")
    return [name for name in stages[stage].get("deps", []) if name.startswith("run/") and name not in (PARAMS, *PINS)]


def _holds(folder: Path, name: str, content: bytes) -> bool:
    path = folder / name
    return path.is_file() and path.read_bytes() == content


def _put(path: Path, content: bytes) -> None:
    """Write one small file whole, unless it stands there."""
    if not _holds(path.parent, path.name, content):
        Store(str(path.parent)).write(path.name, content)


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
        f"    site_cache_dir = {settings().data / 'dvc-state'}\n"
        f"[cache]\n    dir = {cache()}\n"
        f"['remote \"store\"']\n    url = {settings().dvc_remote}\n    verify = true\n", encoding="utf-8")
