"""Registering what a training run made, and fetching it: whole, as it was judged, or a file of its run."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from tollgate.config import Params, settings
from tollgate.errors import BadInput, Refused
from tollgate.features import GATED, artefact_of, check_golden, digest_of, gated_fit
from tollgate.registry import keys, ledger
from tollgate.registry.aliases import (
    CHALLENGER,
    check_compared,
    decided_meanwhile,
    no_decision_since,
    point,
    repair_aliases,
)
from tollgate.registry.entries import Entry
from tollgate.registry.erased_evidence import expected
from tollgate.registry.facts import CARD, keep_facts
from tollgate.registry.former import check_rivals
from tollgate.registry.known import registration
from tollgate.registry.looks import check_looks, count_look, look_of
from tollgate.registry.origin import MODIFIED, origin_of
from tollgate.registry.people import trained_by
from tollgate.registry.runs import check_no_pickle, gates_passed, read_json, record_run, refit_of, refusals
from tollgate.registry.standing import REGISTERED, registrations, version_in
from tollgate.registry.tracking import bring, client, faults_named, name_of
from tollgate.registry.versions import ARTEFACT, Version, kept, rehash

DECIDED_ON = ("gates.json", "gates.html", "evidence.parquet")  # what a person, a proof or a rebuild goes by later
log = logging.getLogger(__name__)


@faults_named()
def register(run_folder: Path, params: Params) -> dict[str, Any]:
    """Record a run in MLflow and, when its gates passed, register its model as challenger.

    That it was judged, passed or refused, is counted in the ledger first. Running it again, also after a crash at any
    point, gives the same answer and adds nothing.

    Args:
        run_folder: the workspace's ``run/`` after the gate stage.

    Returns:
        ``{"version", "digest", "passed", "mlflow_run", "name", "refit"}``, the last a sentence; also written to
        ``run/registered.json``.

    Raises:
        Refused: the gates refused (the run is recorded all the same, ``version`` is null), evidence or refit are of
            another model, or champion, former champions or earlier looks are not those that the gates went by.
        BadInput: a file of the run is missing or is of another book or as-of, or the ledger's key is not held here.
        PassingFault: MLflow or the lake did not answer.
    """
    gates, compared = read_json(run_folder / "gates.json"), read_json(run_folder / "champion.json")
    snapshot, artefact = read_json(run_folder / "snapshot.json"), artefact_of(run_folder)
    _check(run_folder, params, snapshot)
    judged = digest_of(gated_fit(artefact))
    digest = judged if artefact == run_folder / "model" else digest_of(artefact)
    keys.signer()  # before anything is made that nobody could sign for
    look = look_of(run_folder, judged)
    if look is not None:
        count_look(params.book, look)
    now = repair_aliases(params.book)
    origin = origin_of(run_folder, params)
    if origin["commit"].endswith(MODIFIED):
        log.warning("%s: this model is made by code that no commit holds (%s); it can be made again only until that "
                    "code changes", params.book, origin["commit"])
    run_id = record_run(run_folder, params, digest, origin)
    passed, against = gates_passed(gates), refusals(gates)

    def answered(version: str | None) -> dict[str, Any]:
        answer = {"version": version, "digest": digest, "passed": passed, "mlflow_run": run_id, "name": params.book,
                  "refit": refit_of(run_folder)["why"]}
        (run_folder / "registered.json").write_text(json.dumps(answer, sort_keys=True, indent=2) + "\n", "utf-8")
        return answer

    answered(None)
    if not passed:
        said = dict.fromkeys(str(g.get("sentence", g)) for g in against)  # one cause may stop many gates
        raise Refused("The gates refused this model: " + " ".join(said),
                      value=", ".join(str(g.get("gate")) for g in against) or "no verdict",
                      remedy=f"Read /tollgate/{params.book}/gates/{run_id} of Airflow, which is gates.html "
                             f"of the MLflow run {run_id}; the champion stays.")
    _check_evidence(run_folder, gates, judged)
    earlier = [version_in(e) for e in registrations(ledger.trusted(params.book))]
    for version in earlier:
        if version.run_id == run_id:
            return answered(version.version)
    check_compared(now, compared.get("version"))
    check_rivals(now, compared, fetch_to_compare)
    if look is not None:
        check_looks(now.chain, look, compared["looks"])
    files = {CARD: keep_facts(run_folder, params, run_id),
             **{name: _digest(run_folder / name) for name in DECIDED_ON if (run_folder / name).exists()}}
    version = _create_version(params, digest, str(snapshot["digest"]), run_id)
    if version.version in {known.version for known in earlier}:
        raise Refused(f"MLflow gave a new version of {name_of(params.book)} a number that the ledger knows already",
                      value=version.version,
                      remedy="Restore MLflow's database: it is not the one that the ledger was written beside.")
    line = ledger.record(
        params.book, REGISTERED,
        {"model": version.to_json(), "compared_with": compared.get("version"),
         "metrics": read_json(run_folder / "metrics.json"), "origin": origin, "files": files,
         "decline_rate": read_json(artefact / "model.json")["operating"]["decline_rate"],
         "beside_champion": _beside_champion(run_folder / "evidence.parquet"),
         "trained_by": trained_by(), "trained_in": settings().trained_in or None},
        given=no_decision_since(now))
    if line is None:
        raise decided_meanwhile(version)
    point(params.book, CHALLENGER, version)
    return answered(version.version)


def _check(folder: Path, params: Params, snapshot: dict[str, Any]) -> None:
    stands = (snapshot.get("book"), snapshot.get("as_of"))
    if stands != (params.book, params.as_of.isoformat()):
        raise BadInput("The run's snapshot is of another book or as-of than params.yaml", value=stands,
                       remedy="Run the stages again from the snapshot on.")
    if not (folder / "model").is_dir():
        raise BadInput("The run holds no model", value=folder / "model", remedy="Run the train stage again.")
    artefact = artefact_of(folder)
    check_no_pickle(artefact)
    told, refitted = refit_of(folder)["refitted"], artefact != folder / "model"
    if told != refitted:
        raise Refused("The run's refit.json does not tell what is there: whether the model was fitted again",
                      value=told, remedy="Run the refit stage again.")
    if refitted and digest_of(gated_fit(artefact)) != digest_of(folder / "model"):
        raise Refused("The refit of the run holds another model than the one that was judged",
                      value=artefact / GATED, remedy="Run the refit stage again.")


def _check_evidence(folder: Path, gates: dict[str, Any], digest: str) -> None:
    """Raise ``Refused`` unless the gates and their evidence are of this very model."""
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(folder / "evidence.parquet").metadata or {}
    except (OSError, ValueError) as err:
        raise Refused("The run's evidence is missing or unreadable", value=folder / "evidence.parquet",
                      remedy="Run the evaluate stage again.") from err
    for what, of in (("evidence", metadata.get(b"model_digest", b"").decode()), ("gates", gates.get("model_digest"))):
        if of != digest:
            raise Refused(f"The run's {what} are of another model", value=of or "no digest",
                          remedy=f"Run evaluate and gate again for {digest}.")


def _beside_champion(evidence: Path) -> dict[str, float] | None:
    """What its scores and the champion's add up to on the test rows, as shares of them; None without a champion.

    ``error`` is the standard error of the logarithm of the two shares' ratio, the scores being paired (delta method).
    """
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pq.read_table(evidence, columns=["split", "score", "champion_score"])
    test = rows.filter(pc.and_(pc.equal(rows["split"], "test"), pc.is_valid(rows["champion_score"])))
    if not test.num_rows:
        return None
    mine, theirs = test["score"].to_numpy(), test["champion_score"].to_numpy()
    apart = mine / mine.mean() - theirs / theirs.mean()
    return {"model": float(mine.mean()), "champion": float(theirs.mean()),
            "error": float(apart.std() / np.sqrt(len(apart)))}


def _create_version(params: Params, digest: str, snapshot: str, run_id: str) -> Version:
    """The registry's version of this MLflow run; the one of an attempt that was cut short is reused."""
    from mlflow.exceptions import MlflowException

    mlflow, name = client(), name_of(params.book)
    try:
        mlflow.create_registered_model(name)
    except MlflowException as err:
        if err.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    found = mlflow.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    made = found[0] if found else mlflow.create_model_version(
        name, source=f"{mlflow.get_run(run_id).info.artifact_uri}/{ARTEFACT}", run_id=run_id,
        tags={"digest": digest, "snapshot": snapshot, "as_of": params.as_of.isoformat()})
    return Version(params.book, str(made.version), digest, snapshot, params.as_of, run_id)


def fetch_model(book: str, version: str) -> Path:
    """The folder of a registered model on this machine, by the digest that the ledger names.

    A folder that is here already costs no contact with MLflow; another is downloaded and re-hashed.

    Raises:
        BadInput: the ledger knows no such version.
        Refused: the artefact in the store no longer has that digest.
        PassingFault: MLflow or its artefact store did not answer.
    """
    known = version_in(registration(book, version))
    return kept(known.digest) or rehash(known)


def fetch_to_score(book: str, version: str) -> Path:
    """As ``fetch_model``, and today's code makes of its golden rows what was approved.

    Raises:
        BadInput: the ledger knows no such version.
        Refused: the artefact is another, or its golden rows have other features or scores today.
        PassingFault: MLflow or its artefact store did not answer.
    """
    folder = fetch_model(book, version)
    check_golden(folder, f"{name_of(book)} version {version}")
    return folder


def fetch_to_compare(book: str, version: str) -> Path:
    """As ``fetch_to_score``, of the fit that the gates judged: one that was fitted again has seen the test months.

    Raises:
        As ``fetch_to_score``.
    """
    folder = fetch_to_score(book, version)
    judged = gated_fit(folder)
    if judged != folder:
        check_golden(judged, f"{name_of(book)} version {version}, as it was judged")
    return judged


def registered_file(line: Entry, name: str, folder: str | Path) -> Path:
    """A file that is kept with a version's MLflow run, downloaded, as it was when this line registered the version,
    or as an erasure since has left it.

    Raises:
        Refused: it is gone, or it was changed since.
    """
    model = version_in(line)
    path = bring(model.run_id, name, folder)
    known, found = line.payload.get("files", {}).get(name), _digest(path)
    if known not in (None, found) and found != expected(ledger.trusted(model.book), line, name):
        raise Refused(f"{name} of {name_of(model.book)} version {model.version} changed after registration",
                      value=found, remedy="Restore the file in the artefacts of its MLflow run.")
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
