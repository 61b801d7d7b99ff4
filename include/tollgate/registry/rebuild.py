"""Make a registered model again from what was recorded of it, in a scratch folder, and say whether it is the same."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tempfile
import tomllib
from datetime import date
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from tollgate import lake, services
from tollgate.books import load_book
from tollgate.config import PROJECT, settings
from tollgate.errors import BadInput, PassingFault, Refused
from tollgate.features import artefact_of, golden_differences
from tollgate.registry import ledger
from tollgate.registry.differences import of_models, of_predictions
from tollgate.registry.entries import Entry
from tollgate.registry.erasing import erasures_since
from tollgate.registry.known import registration
from tollgate.registry.origin import MODIFIED, Origin, code_digest
from tollgate.registry.registering import fetch_model, registered_file
from tollgate.registry.rivalry import no_rivals
from tollgate.registry.runs import flat, read_json
from tollgate.registry.standing import version_in
from tollgate.registry.surroundings import interpreter
from tollgate.registry.tracking import client, faults_named, name_of
from tollgate.registry.versions import Version

FIRST = "describe"               # an older model knows no such stage
NOT_OURS = (FIRST, "fetch", "history", "rivals")  # they bring data and rivals; here it is what the lake held then
NOT_THE_MODEL = ("gate", "register")  # they judge and record it


@faults_named()
def reproduce(book: str, version: str) -> dict[str, Any]:
    """Run the stages again on the recorded code, parameters and data, and compare model and predictions bit for bit.

    Where the libraries of now are not those of then, the recorded lock is installed in the scratch folder.

    Returns ``{"book", "version", "digest", "code", "libraries", "rows", "max_difference", "besides": [sentence]}`` for
    a model that came out the same; ``code`` and ``libraries`` say whose they were, ``besides`` what was not as it was.

    Raises:
        BadInput: there is no such version.
        Refused: it did not come out the same, or could not be made; lists everything that differs.
        PassingFault: MLflow or the lake did not answer.
    """
    entry = registration(book, version)
    model, origin = version_in(entry), entry.payload["origin"]
    home = settings().data / "reproduced"
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        folder = Path(scratch)
        made, evidence = fetch_model(book, version), registered_file(entry, "evidence.parquet", folder)
        code, code_told = checkout(origin, folder / "code")
        python, libraries, python_told = interpreter(origin, folder)
        besides, tampered = [*python_told, *code_told], _tampered(model, origin)
        tampered += [f"by today's code, {told}" for told in golden_differences(made)]
        try:
            failures = _rebuild(python, code, origin, folder)
        finally:
            services.stop_embedded(folder / "data")  # the sweep's
        besides += _other_book(origin, folder / "run" / "book.json")
        if failures:
            raise _refused(model, [*failures, *_erased_since(book, entry), *tampered, *besides])
        different = of_models(made, artefact_of(folder / "run"))
        rows, gap, told = of_predictions(evidence, folder / "run" / "evidence.parquet")
    if different or told or tampered:
        raise _refused(model, [*besides, *tampered, *different, *told])
    return {"book": book, "version": version, "digest": model.digest, "rows": rows, "max_difference": gap,
            "code": "this checkout" if code == PROJECT else origin["commit"], "libraries": libraries,
            "besides": besides}


def _erased_since(book: str, registered: Entry) -> list[str]:
    return [f"{entry.payload.get('loans')} loan(s) were erased since, as line {entry.seq} of the ledger tells: a model "
            "whose rows were among them cannot be made again" for entry in
            erasures_since(ledger.trusted(book), registered.seq)]


def _refused(model: Version, differences: list[str]) -> Refused:
    return Refused(f"{name_of(model.book)} version {model.version} was not made again: {'; '.join(differences)}",
                   value=f"{len(differences)} difference(s)",
                   remedy="Causes stand before their effects; restore what was recorded, then run it again.")


def _other_book(origin: Origin, made: Path) -> list[str]:
    """The code of the book, where it is not what was recorded; an older model recorded none apart."""
    if "book_files" not in origin or not made.exists():
        return []
    then, now = origin["book_files"], read_json(made)["files"]
    changed = sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))
    return [f"the code of the book was another in {', '.join(changed)}: that of now was run"] if changed else []


def _tampered(model: Version, origin: Origin) -> list[str]:
    """Parameters that MLflow's run no longer records as the ledger does; the ledger's are used."""
    found = client().get_run(model.run_id).data.params
    return [f"the parameter {key} is {found.get(key)} in MLflow, and was {value} when the model was registered"
            for key, value in flat(origin["params"]) if found.get(key) != str(value)]


def checkout(origin: Origin, folder: Path) -> tuple[Path, list[str]]:
    """A project folder that holds the recorded code, and what is not as recorded about it."""
    commit = origin["commit"]
    if code_digest(PROJECT) == origin["code"]:
        return PROJECT, []
    try:
        packed = subprocess.run(["git", "-C", str(PROJECT), "archive", "--format=zip",
                                 commit.removesuffix(MODIFIED), "--", "include", "dvc.yaml", "pyproject.toml"],
                                capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return PROJECT, [f"the code was another, and its commit {commit} is not in this repository, to which git fetch "
                         "--unshallow may bring it: the code of now was run"]
    with ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(folder)
    if code_digest(folder) == origin["code"]:
        return folder, []
    return folder, [f"the code was changed and not committed when the model was made: the commit {commit} as it stands "
                    "was run"]


def _rebuild(python: str, code: Path, origin: Origin, folder: Path) -> list[str]:
    """Run every stage that makes the model, in ``folder``; returns why it could not be made, if it could not."""
    import yaml

    params, run = origin["params"], folder / "run"
    run.mkdir()
    empty: dict[str, dict[str, Any]] = {name: {} for name, value in params.items() if isinstance(value, dict)}
    for name, content in (("lake", origin["lake"]), ("delta", origin["lake_versions"]),
                          ("champion", no_rivals(params["book"]))):
        (run / f"{name}.json").write_text(json.dumps(content), "utf-8")
    stages = yaml.safe_load((code / "dvc.yaml").read_text("utf-8"))["stages"]
    makes = [name for name in stages if name not in (*NOT_OURS, *NOT_THE_MODEL)]
    # What the book lays over them now is not laid over the recorded parameters.
    blocks = {} if FIRST in stages else {"books": {params["book"]: empty}}
    (folder / "params.yaml").write_text(yaml.safe_dump({**params, **blocks}), "utf-8")
    if FIRST in stages:
        if failed := _stage(FIRST, python, code, folder):
            return [f"its book cannot be loaded: {failed}"]
        (run / "params.yaml").write_text(yaml.safe_dump(params), "utf-8")
    failures: list[str] = []
    # As it stood at the pin; and if those files are gone, as it stands now: rows known before the as-of stay.
    for versions in (origin["lake_versions"], dict.fromkeys(origin["lake_versions"])):
        try:
            _copy_lake(params, versions, folder / "lake")
        except BadInput as gone:
            failures.append(str(gone))
            continue
        if failed := _stage(makes[0], python, code, folder):
            failures.append(f"the data is not what the model was made of, {_shown(origin['lake'])}: {failed}")
            continue
        later = ((name, _stage(name, python, code, folder)) for name in makes[1:])
        return [f"the stage {name} failed: {said}" for name, said in later if said][:1]
    return failures


def _shown(lake: dict[str, Any]) -> str:
    return ", ".join(f"{content['rows']} {name} {content['digest'][:12]}" for name, content in lake.items()
                     if isinstance(content, dict))


def _copy_lake(params: dict[str, Any], versions: dict[str, int | None], root: Path) -> None:
    """The book's tables as known before the as-of, at these Delta versions, as a lake of their own."""
    shutil.rmtree(root, ignore_errors=True)
    book = load_book(params["book"])
    for table in (lake.published(book, of.name) for of in book.tables):
        lake.copy(table, str(root), as_of=date.fromisoformat(params["as_of"]), at=versions[table.name])


def _command_of(code: Path) -> str:
    """A program that runs ``tollgate`` as the code itself declares it: its module has moved since."""
    module, _, function = tomllib.loads((code / "pyproject.toml").read_text("utf-8"))["project"]["scripts"][
        "tollgate"].partition(":")
    return f"from {module} import {function}; {function}()"


def _stage(name: str, python: str, code: Path, folder: Path) -> str | None:
    """Run one stage of ``code`` in ``folder``, apart from everything else; returns the error that it ended with.

    Raises:
        PassingFault: it ended with exit code 75.
    """
    own = code / "include" / "books"
    places = {"TOLLGATE_PROJECT": str(code), "TOLLGATE_DATA": str(folder / "data"),
              "TOLLGATE_BOOKS": str(own if own.is_dir() and code != PROJECT else settings().books),
              "TOLLGATE_LAKE": str(folder / "lake"), "PYTHONPATH": str(code / "include")}
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TOLLGATE_")}
    done = subprocess.run([python, "-c", _command_of(code), "--json", "stage", name], cwd=folder,
                          env={**clean, **places}, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1].removeprefix("error: ")
    if done.returncode == PassingFault.exit_code:
        raise PassingFault(f"The stage {name} was cut short: {said}", value=name, remedy="Run it again.")
    return said
