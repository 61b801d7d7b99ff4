"""Every run that was judged stands in the ledger, passed or refused: a test that is asked again must know how often."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tollgate.errors import Refused
from tollgate.gates import earlier_looks, window_of
from tollgate.registry import ledger
from tollgate.registry.entries import Entry
from tollgate.registry.runs import gates_passed, read_json
from tollgate.registry.standing import JUDGED


def looks(chain: Sequence[Entry], versions: Iterable[str | None]) -> list[dict[str, Any]]:
    """The looks that compared a model with any of these versions, the oldest first.

    Returns of each the model's ``digest``, the versions ``against`` which it was judged, and the test ``window``.
    """
    wanted = set(versions)
    return [{key: entry.payload[key] for key in ("digest", "against", "window")}
            for entry in chain if entry.kind == JUDGED and wanted & set(entry.payload["against"])]


def look_of(run_folder: Path, digest: str) -> dict[str, Any] | None:
    """What the ledger keeps of a judged run; None where its evidence holds nothing that could be looked at.

    Args:
        run_folder: after the gate stage. digest: of its model folder.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(run_folder / "evidence.parquet", columns=["loan_id", "applied_on", "split"])
    except (OSError, ValueError):  # a column that is not there among them
        return None
    test = rows.filter(pc.equal(rows["split"], "test"))
    if test.num_rows == 0:
        return None
    compared = read_json(run_folder / "champion.json")
    made_by = (rows.schema.metadata or {}).get(b"former_digest", b"").decode()
    best = next((one["version"] for one in compared["former"] if one["digest"] == made_by), None)
    return {"digest": digest, "gates": hashlib.sha256((run_folder / "gates.json").read_bytes()).hexdigest(),
            "passed": gates_passed(read_json(run_folder / "gates.json")), "former_best": best,
            "against": [version for version in (compared["version"], best) if version is not None],
            "window": window_of(test)}


def count_look(book: str, look: dict[str, Any]) -> None:
    """Record a look once, however often its run is registered. Raises ``Refused`` when the ledger is broken."""

    def is_new(chain: Sequence[Entry]) -> bool:
        return not any(entry.kind == JUDGED and (entry.payload["digest"], entry.payload["gates"])
                       == (look["digest"], look["gates"]) for entry in chain)

    if is_new(ledger.trusted(book)):
        ledger.record(book, JUDGED, look, given=is_new)


def check_looks(chain: Sequence[Entry], look: dict[str, Any], pinned: Sequence[dict[str, Any]]) -> None:
    """Raise ``Refused`` when models were judged at these months that the level of this run's gates does not count."""
    for version in look["against"]:
        then, now = (earlier_looks(found, version, look["digest"], look["window"])
                     for found in (pinned, looks(chain, [version])))
        if now > then:
            raise Refused(f"Other models were compared with version {version} on these months since this run was "
                          f"opened: its gates judged as at look {then + 1}, and it is look {now + 1}",
                          value=f"{look['window']['first']} to {look['window']['last']}",
                          remedy="Open the run again, by `dvc repro`, in Airflow by a new run: the level counts looks.")
