"""Taking loans out of the evidence that MLflow keeps of every judged run, and following its digest past that.

The ledger signs what the evidence of a version was when it was registered. An erasure signs what it has become.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tollgate.registry import ledger
from tollgate.registry.entries import Entry
from tollgate.registry.erasing import ERASED
from tollgate.registry.standing import JUDGED, REGISTERED, version_in
from tollgate.registry.tracking import client, faults_named, name_of

LOAN, EVIDENCE = "loan_id", "evidence.parquet"


@faults_named()
def erase_from_evidence(book: str, loans: Sequence[str], *, known: Callable[[str], Sequence[str]],
                        replacing: Callable[[str, str, str], None], dry_run: bool = False
                        ) -> tuple[dict[str, int], list[str]]:
    """Take these loans out of the evidence of every run that was judged, passed or refused.

    MLflow is asked only where the ledger knows of such a run.

    Args:
        known, replacing: as of ``nights.erase_from_nights``.

    Returns how many rows went, or would, by the MLflow run; and a sentence for all that was left as it is.

    Raises:
        Refused: the ledger is not to be trusted. PassingFault: MLflow did not answer.
    """
    chain = ledger.trusted(book)
    gone: dict[str, int] = {}
    left: list[str] = []
    if not any(entry.kind in (JUDGED, REGISTERED) for entry in chain):
        return gone, left
    signed = {version_in(entry).run_id: entry for entry in chain if entry.kind == REGISTERED}
    wanted = pa.array(list(loans), pa.string())
    for run in _runs(book):
        with tempfile.TemporaryDirectory() as folder:
            if EVIDENCE not in {entry.path for entry in client().list_artifacts(run)}:
                continue
            path = Path(client().download_artifacts(run, EVIDENCE, folder))
            try:
                rows = pq.read_table(path)
            except pa.ArrowInvalid:
                left.append(f"{EVIDENCE} of the MLflow run {run} cannot be read: delete it")
                continue
            theirs = pc.is_in(rows[LOAN], value_set=wanted)
            count = int(pc.sum(theirs).as_py() or 0)
            if not count:
                continue
            gone[run] = count
            before, where = _digest(path), _place(run)
            if run in signed and before not in (expected(chain, signed[run], EVIDENCE), *known(where)):
                left.append(f"{EVIDENCE} of the MLflow run {run} changed after registration, and was left: restore it "
                            "and run this again, or delete it")
            elif not dry_run:
                pq.write_table(rows.filter(pc.invert(theirs)), path)
                replacing(where, before, _digest(path))
                client().log_artifact(run, str(path))
    return gone, left


def expected(chain: Sequence[Entry], registered: Entry, name: str) -> str | None:
    """The SHA-256 that a file kept with a registered version has by the ledger; None where it told none of it.

    That of its registration, or what the erasures since have made of it, one after the other.
    """
    digest: str | None = registered.payload.get("files", {}).get(name)
    for entry in chain:
        had = entry.payload.get("files", {}).get(_place(version_in(registered).run_id, name), []) if (
            entry.kind == ERASED) else []
        if digest in had:
            digest = had[-1]
    return digest


def _place(run: str, name: str = EVIDENCE) -> str:
    return f"mlflow/{run}/{name}"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _runs(book: str) -> list[str]:
    """The MLflow runs of the book's trainings, also deleted ones, whose files MLflow keeps; trials keep no evidence."""
    from mlflow.entities import ViewType

    experiment = client().get_experiment_by_name(name_of(book))
    found: list[str] = []
    token = None
    while experiment is not None:
        page = client().search_runs([experiment.experiment_id], run_view_type=ViewType.ALL, max_results=1000,
                                    page_token=token)
        found += [str(run.info.run_id) for run in page if "mlflow.parentRunId" not in run.data.tags]
        token = page.token
        if not token:
            break
    return found
