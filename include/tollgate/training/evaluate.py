"""Evidence once: the predictions that gates recompute everything from, and the plots people look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.books import Book
from tollgate.errors import BadInput
from tollgate.features import Model, digest_of
from tollgate.training.scorecard import Scorecard

CURVE_POINTS = 200
BINS = 10


def evidence(book: Book, folder: Path, features: pa.Table, split: pa.Table,
             champion: Path | None) -> pa.Table:
    """Validation and test rows with their scores.

    Args:
        folder: the challenger's model folder, its scorecard in it.
        features: ``run/features.parquet``; split: ``run/split.parquet``, row by row the same loans.
        champion: the champion's model folder, or None when there is none.

    Returns:
        Rows sorted by ``(split, loan_id)``: ``loan_id``, ``applied_on``, ``split``, ``label``, ``score``,
        ``champion_score``, ``baseline`` (the score of the challenger's scorecard), the protected attributes and the
        category features. The digests of both models are in the schema's metadata, so that evidence of another model
        is recognised.
    """
    if features["loan_id"] != split["loan_id"]:
        raise BadInput("run/features.parquet and run/split.parquet are not of the same rows", value=folder,
                       remedy="Run the split stage again.")
    judged = pc.is_in(split["split"], pa.array(["validation", "test"]))
    rows, part = features.filter(judged), split.filter(judged)["split"]
    champion_score = (pa.array(Model.load(champion).predict_features(rows)) if champion is not None
                      else pa.nulls(rows.num_rows, pa.float64()))
    slices = [f.name for f in book.features if f.kind == "category" and f.name not in book.protected()]
    table = pa.table({
        "loan_id": rows["loan_id"], "applied_on": rows["applied_on"], "split": part, "label": rows["label"],
        "score": pa.array(Model.load(folder).predict_features(rows)), "champion_score": champion_score,
        "baseline": pa.array(Scorecard.load(folder).predict_features(rows)),
        **{name: rows[name] for name in (*book.protected(), *slices)},
    })
    digests = {b"model_digest": digest_of(folder).encode(),
               b"champion_digest": digest_of(champion).encode() if champion is not None else b""}
    return table.sort_by([("split", "ascending"), ("loan_id", "ascending")]).replace_schema_metadata(digests)


def metrics(rows: pa.Table, threshold: float) -> dict[str, float]:
    """Flat numbers of the test rows, for ``dvc metrics`` and MLflow; gates recompute their own."""
    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score, roc_curve

    test = rows.filter(pc.equal(rows["split"], "test"))
    label, score = test["label"].to_numpy(), test["score"].to_numpy()
    false_positive, true_positive, _ = roc_curve(label, score)
    auc = float(roc_auc_score(label, score))
    return {
        "rows": float(test.num_rows), "label_rate": float(label.mean()), "auc": auc, "gini": 2 * auc - 1,
        "ks": float(np.max(true_positive - false_positive)),
        "average_precision": float(average_precision_score(label, score)),
        "brier": float(brier_score_loss(label, score)),
        "false_negative_rate": float(np.mean(score[label == 1] < threshold)),
        "approval_rate": float(np.mean(score < threshold)),
    }


def plots(rows: pa.Table, model: Model) -> dict[str, list[dict[str, Any]]]:
    """The rows of ``plots/NAME.csv``: roc, calibration, scores and importance, of the test rows."""
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import roc_curve

    test = rows.filter(pc.equal(rows["split"], "test"))
    label, score = test["label"].to_numpy(), test["score"].to_numpy()
    false_positive, true_positive, _ = roc_curve(label, score)
    along = np.linspace(0, 1, CURVE_POINTS)
    observed, predicted = calibration_curve(label, score, n_bins=BINS, strategy="quantile")
    edges = np.linspace(0, max(float(score.max()), 1e-9), 4 * BINS + 1)
    shares = [np.histogram(score[label == value], edges)[0] / max(int((label == value).sum()), 1) for value in (0, 1)]
    gain: dict[str, Any] = {**model.booster.get_score(importance_type="total_gain")}
    total = sum(gain.values()) or 1.0
    return {
        "roc": [{"false_positive_rate": float(x), "true_positive_rate": float(y)}
                for x, y in zip(along, np.interp(along, false_positive, true_positive), strict=True)],
        "calibration": [{"predicted": float(p), "observed": float(o)}
                        for p, o in zip(predicted, observed, strict=True)],
        "scores": [{"score": float(at), "paid": float(paid), "defaulted": float(defaulted)}
                   for at, paid, defaulted in zip(edges[:-1], *shares, strict=True)],
        "importance": [{"feature": name, "gain": gain.get(name, 0.0) / total}
                       for name in sorted(model.features, key=lambda n: -gain.get(n, 0.0))],
    }
