"""From a loan's score back to everything that made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tollgate import lake
from tollgate.books import load_book
from tollgate.errors import BadInput
from tollgate.registry import ledger
from tollgate.registry.entries import Entry
from tollgate.registry.known import registered
from tollgate.registry.reopening import REOPENED
from tollgate.registry.sources import sources_of
from tollgate.registry.standing import COMMITS, answered_at, version_in

if TYPE_CHECKING:
    import pyarrow as pa


def trace(book: str, loan_id: str, quarantined: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Walk from a loan's scores to the lines of the files, to model versions, their runs, data, code and approvers.

    Args:
        quarantined: the loan's rows in the quarantine, as ``ingest.quarantined_loan`` answers.

    Returns:
        ``{"book", "loan_id", "scores": [row that counts, newest night first], "superseded": [row that counted until a
        newer attempt], "shadows": [row of another model], "models": {version: {"digest", "as_of", "mlflow_run", what
        ``origin_of`` recorded, "decisions": [{"at", "answered_at", "kind", "by", "comment", "effective_on",
        "ledger"}]}}, "reopened": [{"night", "replaces", "run", "by", "comment", "at"}] of the nights it stands in,
        "rows": what ``sources_of`` answers, "quarantined"}``.

    Raises:
        BadInput: the loan was never scored (its rows in the quarantine are named), or by a version that the ledger does
            not know.
        PassingFault: the lake did not answer.
    """
    rows, superseded, shadows = (_newest_first(lake.read(table(book), filters=[("loan_id", "=", loan_id)]))
                                 for table in (lake.scores, lake.superseded, lake.shadow_scores))
    if not (rows or superseded) and quarantined:
        first = quarantined[0]
        raise BadInput(f"No scores of this loan were published in {book}; it stands in the quarantine: "
                       f"{_and_more([_stands(line) for line in quarantined])}", value=loan_id,
                       remedy=f"tollgate quarantine show {book} {first['fingerprint'][:12]} shows the row as it came.")
    if not (rows or superseded):
        raise BadInput(f"No scores of this loan were published in {book}", value=loan_id,
                       remedy="Check the loan's number, and that its month was scored.")
    chain = ledger.trusted(book)
    versions = sorted({row["model_version"] for row in (*rows, *superseded, *shadows)})
    stood_in = {f"{row['population']}/{row['day']}" for row in (*rows, *superseded)}
    opened = [{name: entry.payload[name] for name in ("night", "replaces", "run", "by", "comment")} | {"at": entry.at}
              for entry in chain if entry.kind == REOPENED and entry.payload["night"] in stood_in]
    return {"book": book, "loan_id": loan_id, "scores": rows, "superseded": superseded, "shadows": shadows,
            "models": {version: _made_of(registered(book, chain, version), chain) for version in versions},
            "reopened": opened, "rows": sources_of(load_book(book), loan_id),
            "quarantined": list(quarantined)}


def _newest_first(rows: pa.Table) -> list[dict[str, Any]]:
    return [{**row, "as_of": row["as_of"].isoformat(), "applied_on": row["applied_on"].isoformat()}
            for row in sorted(rows.to_pylist(), key=lambda row: (row["day"], row["attempt"]), reverse=True)]


def _stands(line: dict[str, Any]) -> str:
    return f"{line['file']}, row {line['row']}: {line['rule']}" + (f" in {line['column']}" if line["column"] else "")


def _and_more(words: list[str], most: int = 3) -> str:
    return "; ".join(words[:most]) + (f"; and {len(words) - most} more" if len(words) > most else "")


def _made_of(entry: Entry, chain: list[Entry]) -> dict[str, Any]:
    model = version_in(entry)
    return {
        "digest": model.digest, "as_of": model.as_of.isoformat(), "mlflow_run": model.run_id,
        **entry.payload["origin"],
        "decisions": [{"at": e.at, "answered_at": answered_at(e), "kind": e.kind, "by": e.payload["by"],
                       "comment": e.payload["comment"], "effective_on": e.payload["effective_on"], "ledger": e.digest}
                      for e in chain if e.kind in COMMITS and version_in(e) == model],
    }
