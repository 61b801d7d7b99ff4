"""One training run as one MLflow run: parameters, metrics, evidence, and every sweep trial as a child."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollgate.config import Params, settings
from tollgate.errors import BadInput, Refused
from tollgate.features import artefact_of
from tollgate.gates import GATES
from tollgate.registry.tracking import client, name_of
from tollgate.registry.versions import ARTEFACT

if TYPE_CHECKING:
    from mlflow.entities import Run

MODEL_DIGEST, GATES_DIGEST, TRIAL = "tollgate.model_digest", "tollgate.gates_digest", "tollgate.trial"
TRIAL_STATE = "tollgate.trial_state"
MODEL_FORMATS = (".ubj", ".txt", ".json", ".parquet")
FILES = ("gates.json", "gates.md", "gates.html", "evidence.parquet", "metrics.json", "snapshot.json", "champion.json",
         "sweep.json")
REFIT = "refit/refit.json"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a run folder. Raises ``BadInput`` when it is missing or is no JSON object."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as err:
        raise BadInput(f"{path.name} of the run is missing or is not JSON", value=path,
                       remedy="Run the stage that makes it again.") from err
    if not isinstance(found, dict):
        raise BadInput(f"{path.name} of the run must hold a JSON object", value=type(found).__name__,
                       remedy="Run the stage that makes it again.")
    return found


def refit_of(folder: Path) -> dict[str, Any]:
    """What ``refit.json`` tells of a run. Raises ``BadInput`` when it is missing."""
    return read_json(folder / REFIT)


def record_run(folder: Path, params: Params, digest: str, origin: dict[str, Any]) -> str:
    """Record a run folder in MLflow and give the MLflow run's id.

    A run of the same model and the same gates is reused, and completed if it was cut short, so that a retry adds
    nothing.
    """
    mlflow, experiment = client(), _experiment(params.book)
    tags = _tags(folder, params, digest, origin)
    same = " and ".join(f"tags.`{key}` = '{tags[key]}'" for key in (MODEL_DIGEST, GATES_DIGEST))
    found = mlflow.search_runs([experiment], same, max_results=1)
    if found and found[0].info.status == "FINISHED":
        return str(found[0].info.run_id)
    run: Run = found[0] if found else mlflow.create_run(
        experiment, run_name=f"{params.book} as of {params.as_of}", tags=tags)
    run_id = str(run.info.run_id)
    _log(run_id, dict(flat(params.model_dump(mode="json"))), read_json(folder / "metrics.json"))
    _log_files(run_id, folder)
    _log_trials(experiment, run_id, read_json(folder / "sweep.json"))
    mlflow.set_terminated(run_id)
    return run_id


def refusals(gates: dict[str, Any]) -> list[dict[str, Any]]:
    """The verdicts of ``gates.json`` that do not let the model through, and one for each gate that gave none."""
    told = gates.get("verdicts", [])
    silent = sorted({*GATES} - {verdict.get("gate") for verdict in told})
    return [*(verdict for verdict in told if verdict.get("verdict") not in ("pass", "n/a")),
            *({"gate": gate, "sentence": "A gate gave no verdict: run the gate stage again."} for gate in silent)]


def gates_passed(gates: dict[str, Any]) -> bool:
    """Whether ``gates.json`` says so, and every gate's own verdict too."""
    return gates.get("passed") is True and not refusals(gates)


def check_no_pickle(folder: Path) -> None:
    """Raise ``Refused`` when a model folder holds anything but a library's own format, JSON and Parquet."""
    strays = sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix not in MODEL_FORMATS)
    if strays:
        raise Refused("The model folder holds a file of a format that is never stored", value=", ".join(strays),
                      remedy=f"A model is kept as {', '.join(MODEL_FORMATS)} only.")


def _experiment(book: str) -> str:
    from mlflow.exceptions import MlflowException

    mlflow, name = client(), name_of(book)
    try:
        return str(mlflow.create_experiment(name, f"{settings().mlflow_artifacts.rstrip('/')}/{book}"))
    except MlflowException as err:
        if err.error_code != "RESOURCE_ALREADY_EXISTS" or (found := mlflow.get_experiment_by_name(name)) is None:
            raise
        return str(found.experiment_id)


def _tags(folder: Path, params: Params, digest: str, origin: dict[str, Any]) -> dict[str, str]:
    gates = read_json(folder / "gates.json")
    return {
        MODEL_DIGEST: digest,
        GATES_DIGEST: hashlib.sha256((folder / "gates.json").read_bytes()).hexdigest(),
        "tollgate.gates": "passed" if gates_passed(gates) else "refused",
        "tollgate.book": params.book,
        "tollgate.as_of": params.as_of.isoformat(),
        "tollgate.seed": str(params.seed),
        **{f"tollgate.{key}": value if isinstance(value, str) else json.dumps(value, sort_keys=True)
           for key, value in origin.items() if key != "params"},
    }


def flat(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a nested record, by their dotted path. Equal leaves are equal texts, whoever wrote the record."""
    for key, value in record.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _in_order(value)


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(one) for one in value] if isinstance(value, list) else value


def _log(run_id: str, params: dict[str, Any], metrics: dict[str, Any]) -> None:
    from mlflow.entities import Metric, Param

    numbers = {key: float(value) for key, value in metrics.items()
               if isinstance(value, int | float) and math.isfinite(value)}
    client().log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()],
                       metrics=[Metric(key, value, 0, 0) for key, value in numbers.items()])


def _log_files(run_id: str, folder: Path) -> None:
    client().log_artifacts(run_id, str(artefact_of(folder)), ARTEFACT)
    for path in (folder / name for name in (*FILES, REFIT)):
        if path.exists():
            client().log_artifact(run_id, str(path))
    for name in ("plots", "sweep"):
        if (folder / name).is_dir():
            client().log_artifacts(run_id, str(folder / name), name)


def _log_trials(experiment: str, run_id: str, sweep: dict[str, Any]) -> None:
    """One child a point: its score on every rung, the rung's rounds as the step. Failed only when it has no score.

    A child that an earlier try left unfinished is completed; one that it finished is left alone.
    """
    from mlflow.entities import Metric, Param

    mlflow = client()
    there = {run.data.tags[TRIAL]: run for run in mlflow.search_runs(
        [experiment], f"tags.`mlflow.parentRunId` = '{run_id}'", max_results=1000)}
    for trial in sweep.get("trials", []):
        name, state = str(trial["point"]), trial["state"]
        child = there.get(name) or mlflow.create_run(experiment, run_name=f"trial {name}", tags={
            "mlflow.parentRunId": run_id, TRIAL: name, TRIAL_STATE: state})
        if child.info.status == "RUNNING":
            mlflow.log_batch(child.info.run_id, [Metric("auc", rung["auc"], 0, rung["budget"])
                                                 for rung in trial["rungs"]],
                             [Param(key, str(value)) for key, value in trial["params"].items()])
            mlflow.set_terminated(child.info.run_id, "FAILED" if state == "failed" else "FINISHED")
