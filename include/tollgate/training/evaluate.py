"""Evidence once: the predictions that gates recompute everything from, and the plots people look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollgate.books import Book
from tollgate.config import Params
from tollgate.errors import BadInput
from tollgate.features import Model, TableFile, digest_of
from tollgate.stats.calibration import calibration_line, observed_over_expected, quantile_bins
from tollgate.stats.intervals import around, normal_quantile, wilson
from tollgate.stats.ranking import area_under, auc_interval, average_precision_draws, ks_interval
from tollgate.training.operating import decision_costs
from tollgate.training.slices import cut_slices, rank_slices, slice_columns

CURVE_POINTS = 200
BINS = 10
CONFIDENCE = 0.95       # of the intervals of run/metrics.json, which inform; the gates have their own
DRAWS = 200


def evidence(book: Book, folder: Path, features: pa.Table | TableFile, split: pa.Table | TableFile,
             champion: Path | None, former: Sequence[Path] = ()) -> pa.Table:
    """Validation and test rows with their scores; the gates call it again and compare.

    Args:
        folder: the challenger's model folder, its scorecard in it.
        features: ``run/features.parquet``; split: ``run/split.parquet``, row by row the same loans.
        champion: the champion's model folder, or None when there is none.
        former: model folders of former champions. The one that ranks the validation rows best is scored: the test
            rows have no say in the choice of whom they compare.

    Returns:
        Rows sorted by ``(split, loan_id)``: ``loan_id``, ``applied_on``, ``split``, ``label``, ``score``,
        ``champion_score``, ``former_score`` (of the best former champion), ``baseline`` (the score of the challenger's
        scorecard) and the columns that slices are cut from. The digests of the three models are in the schema's
        metadata, empty for a model that there is not, so that evidence of another model is recognised; so is the
        champion's threshold, by which it decides of the same rows.

    Raises:
        BadInput: the two tables are not of the same rows, or a model cannot be read.
    """
    if features["loan_id"] != split["loan_id"]:
        raise BadInput("run/features.parquet and run/split.parquet are not of the same rows", value=folder,
                       remedy="Run the split stage again.")
    judged = pc.is_in(split["split"], pa.array(["validation", "test"]))
    rows, part = features.filter(judged), split.filter(judged)["split"]
    best = best_former(former, rows.filter(pc.equal(part, "validation")))
    reigning = Model.load(champion) if champion is not None else None

    def scored(model: Model | None) -> pa.Array:
        return pa.nulls(rows.num_rows, pa.float64()) if model is None else pa.array(model.predict_features(rows))

    table = pa.table({
        "loan_id": rows["loan_id"], "applied_on": rows["applied_on"], "split": part, "label": rows["label"],
        "score": scored(Model.load(folder)), "champion_score": scored(reigning),
        "former_score": scored(Model.load(best) if best is not None else None),
        "baseline": scored(Model.load_baseline(folder)),
        **{name: rows[name] for name in slice_columns(book)},
    })
    digests = {f"{role}_digest".encode(): digest_of(model).encode() if model is not None else b""
               for role, model in (("model", folder), ("champion", champion), ("former", best))}
    digests[b"champion_threshold"] = repr(reigning.threshold).encode() if reigning is not None else b""
    return table.sort_by([("split", "ascending"), ("loan_id", "ascending")]).replace_schema_metadata(digests)


def best_former(former: Sequence[Path], validation: pa.Table | TableFile) -> Path | None:
    """The model folder that ranks these rows with their ``label`` best, the first among equals; None without any."""
    label = validation["label"].to_numpy() == 1
    return max(former, default=None,
               key=lambda folder: area_under(label, Model.load(folder).predict_features(validation)))


def metrics(rows: pa.Table, threshold: float, params: Params) -> dict[str, float]:
    """Flat numbers of the test rows, for ``dvc metrics`` and MLflow; gates recompute their own.

    Each NAME with an interval has its two-sided 95 % ends beside it as ``NAME_low`` and ``NAME_high``. ``cost`` is per
    application, in units of one good loan declined; ``cost_without_model`` is that of approving everyone.
    """
    from sklearn.metrics import average_precision_score, brier_score_loss

    test = rows.filter(pc.equal(rows["split"], "test"))
    label, score = test["label"].to_numpy() == 1, test["score"].to_numpy()
    approved, count, defaults = score < threshold, len(label), int(label.sum())
    missed, kept = int((approved & label).sum()), int(approved.sum())
    auc, auc_ends = auc_interval(label, score, CONFIDENCE)
    ks, ks_ends = ks_interval(label, score, CONFIDENCE)
    precision = float(average_precision_score(label, score))
    brier = float(brier_score_loss(label, score))
    brier_reach = normal_quantile((1 + CONFIDENCE) / 2) * float(np.std((score - label) ** 2)) / np.sqrt(count)
    (intercept, slope), errors = calibration_line(label, score)
    reach = normal_quantile((1 + CONFIDENCE) / 2) * errors
    ratio, ratio_ends = observed_over_expected(label, score, CONFIDENCE)
    ends = {
        "auc": auc_ends, "gini": (2 * auc_ends[0] - 1, 2 * auc_ends[1] - 1),
        "ks": ks_ends,
        "average_precision": around(precision, average_precision_draws(
            label, score, DRAWS, np.random.default_rng(params.seed)), CONFIDENCE),
        "brier": (brier - brier_reach, brier + brier_reach),
        "calibration_intercept": (intercept - reach[0], intercept + reach[0]),
        "calibration_slope": (slope - reach[1], slope + reach[1]),
        "observed_over_expected": ratio_ends,
        "label_rate": wilson(defaults, count, CONFIDENCE),
        "false_negative_rate": wilson(missed, defaults, CONFIDENCE),
        "approval_rate": wilson(kept, count, CONFIDENCE),
    }
    found = {
        "rows": float(count), "label_rate": defaults / count, "auc": auc, "gini": 2 * auc - 1, "ks": ks,
        "average_precision": precision, "brier": brier, "calibration_intercept": float(intercept),
        "calibration_slope": float(slope), "observed_over_expected": ratio, "threshold": threshold,
        "false_negative_rate": missed / defaults, "approval_rate": kept / count,
        "cost": float(decision_costs(label, approved, params.train.cost_of_default).mean()),
        "cost_without_model": params.train.cost_of_default * defaults / count,
    }
    return found | {f"{name}_{end}": float(value) for name, both in ends.items()
                    for end, value in zip(("low", "high"), both, strict=True)}


def cost_curve(label: np.ndarray, score: np.ndarray, of_default: float) -> dict[str, list[float]]:
    """Cost by the share that a threshold approves; loans of equal scores are approved together or not at all."""
    decisions = [score < cut for cut in np.quantile(score, np.linspace(0, 1, CURVE_POINTS))]
    return {"approval_rate": [float(approved.mean()) for approved in decisions],
            "cost": [float(decision_costs(label, approved, of_default).mean()) for approved in decisions]}


def plots(book: Book, rows: pa.Table, model: Model, params: Params) -> dict[str, dict[str, list[Any]]]:
    """The columns of ``plots/NAME.csv``, each file a curve or a table of the test rows."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    test = rows.filter(pc.equal(rows["split"], "test"))
    label, score = test["label"].to_numpy() == 1, test["score"].to_numpy()
    false_positive, true_positive, _ = roc_curve(label, score)
    precision, recall, _ = precision_recall_curve(label, score)
    along = np.linspace(0, 1, CURVE_POINTS)
    edges = np.linspace(0, max(float(score.max()), 1e-9), 4 * BINS + 1)
    paid, defaulted = ((np.histogram(score[kind], edges)[0] / max(int(kind.sum()), 1)).tolist()
                       for kind in (~label, label))
    slices = rank_slices(cut_slices(book, test)[0], label, score)
    gains = model.gains()
    ranked = sorted(gains, key=lambda name: -gains[name])
    return {
        "roc": {"false_positive_rate": along.tolist(),
                "true_positive_rate": np.interp(along, false_positive, true_positive).tolist()},
        "precision_recall": {"recall": along.tolist(),
                             "precision": np.interp(along, recall[::-1], precision[::-1]).tolist()},
        "calibration": _calibration(label, score),
        "cost": cost_curve(label, score, params.train.cost_of_default),
        "slices": {"slice": [s.name for s in slices], "rows": [s.rows for s in slices],
                   "defaults": [s.defaults for s in slices], "auc": [s.area for s in slices],
                   "behind": [s.behind for s in slices]},
        "scores": {"score": edges[:-1].tolist(), "paid": paid, "defaulted": defaulted},
        "importance": {"feature": ranked, "gain": [gains[name] for name in ranked]},
    }


def _calibration(label: np.ndarray, score: np.ndarray) -> dict[str, list[float]]:
    """Mean score and default rate, with its interval, of each quantile bin of the score."""
    bins = quantile_bins(score, BINS)
    within = [bins == code for code in np.unique(bins)]
    ends = [wilson(int(label[rows].sum()), int(rows.sum()), CONFIDENCE) for rows in within]
    return {"predicted": [float(score[rows].mean()) for rows in within],
            "observed": [float(label[rows].mean()) for rows in within],
            "low": [low for low, _ in ends], "high": [high for _, high in ends]}
