"""The facts of a model card: all that is known of a model when it is registered, which no later decision changes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollgate.books import Book, load_book
from tollgate.config import Params
from tollgate.features import Model, artefact_of
from tollgate.registry.runs import read_json, refit_of
from tollgate.registry.tracking import client
from tollgate.stats.intervals import wilson

if TYPE_CHECKING:
    import pyarrow as pa

CARD = "card.json"
DIRECTION = {1: "may only raise the risk", -1: "may only lower the risk", 0: "may do either"}


def keep_facts(run_folder: Path, params: Params, run_id: str) -> str:
    """Keep ``card.json`` with the MLflow run; returns its SHA-256. Equal runs give equal bytes."""
    content = json.dumps(facts(run_folder, params), sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    client().log_text(run_id, content, CARD)
    return hashlib.sha256(content.encode()).hexdigest()


def facts(run_folder: Path, params: Params) -> dict[str, Any]:
    """What the card says that no later decision changes. Raises ``BadInput`` when a file of the run is missing."""
    import pyarrow.parquet as pq

    book, model = load_book(params.book), Model.load(artefact_of(run_folder))
    judged = Model.load(run_folder / "model")
    gates, snapshot = read_json(run_folder / "gates.json"), read_json(run_folder / "snapshot.json")
    return {
        "title": book.title, "use": book.use, "limits": list(book.limits),
        "label": f"1 where the loan defaulted within {params.snapshot.horizon_months} months of its application, as "
                 "known before the as-of; else 0",
        "data": {key: snapshot[key] for key in ("rows", "defaults", "label_rate", "first_month", "last_month")},
        "features": _features(book, model), "selection": model.about.get("selection", {}),
        "operating": model.about["operating"], "metrics": read_json(run_folder / "metrics.json"),
        "gates": gates["verdicts"], "refit": refit_of(run_folder),
        "fairness": _fairness(book, pq.read_table(run_folder / "evidence.parquet"), judged.threshold,
                              params.gates.confidence),
        "confidence": params.gates.confidence,
    }


def _features(book: Book, model: Model) -> list[dict[str, Any]]:
    """The inputs of the model, one record each."""
    gains = model.gains()
    return [{"name": f.name, "made": f.doc or "the column as it is", "from": list(f.uses),
             "constraint": DIRECTION[f.monotone], "critical": f.name in book.critical,
             "gain": gains[f.name]} for f in book.taking(gains).features]


def _fairness(book: Book, evidence: pa.Table, threshold: float, confidence: float) -> list[dict[str, Any]]:
    """Approval by group of every protected attribute, of the test rows, with Wilson's interval."""
    import numpy as np
    import pyarrow.compute as pc

    test = evidence.filter(pc.equal(evidence["split"], "test"))
    approved, label = test["score"].to_numpy() < threshold, test["label"].to_numpy()
    found = []
    for attribute in book.protected():
        groups = np.array([str(value) if value is not None else "not stated" for value in test[attribute].to_pylist()])
        for group in sorted(set(groups)):
            of = groups == group
            count, rows, defaults = int(approved[of].sum()), int(of.sum()), int(label[of].sum())
            low, high = wilson(count, rows, confidence)
            found.append({"attribute": attribute, "group": group, "rows": rows, "approved": count / rows,
                          "low": low, "high": high, "default_rate": defaults / rows,
                          "missed": int((approved & of & (label == 1)).sum()) / defaults if defaults else None})
    return found
