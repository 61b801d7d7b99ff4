"""What a longer horizon, or a wider gap in the split, buys and costs on `sba`, as two Markdown tables.

Every row is one run of the stages from the snapshot to the model, at one fixed point of the sweep, so that rows differ
in the horizon, the as-of and the gap alone. It is judged twice: on the matured months of its own test, and on the
applications of the year after its as-of, with labels of the same horizon that nobody could know then.

Run it as `python benchmarks/horizon.py`, with `TOLLGATE_DATA` at a folder to keep; it brings the book's whole history.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tollgate import ingest, labels, lake, stages
from tollgate.books import load_book
from tollgate.clock import months_before
from tollgate.config import Params, load_params, settings
from tollgate.features import Model
from tollgate.stats.ranking import auc_interval, ks_interval

BOOK = load_book("sba")
AS_OFS = (date(2006, 1, 1), date(2007, 1, 1), date(2008, 1, 1), date(2009, 1, 1))
HORIZONS, GAPS = (12, 18, 24, 36), (0, 1, 3, 6)
POINT = {"max_depth": 4, "learning_rate": 0.1, "min_child_weight": 30, "subsample": 0.9, "colsample_bytree": 0.8,
         "reg_lambda": 3}
CONFIDENCE = 0.95
HEAD = ("| {} | as-of | rows | defaults | label rate | matured test: AUC | KS | the year after: label rate | AUC | KS |"
        "\n|---|---|---|---|---|---|---|---|---|---|")


def parameters(as_of: date, horizon: int, gap: int) -> Params:
    """The book's own, with the minimum of defaults lowered: a short horizon has few, and that is a finding."""
    params = load_params(settings().project / "params.yaml", book=BOOK.name, as_of=as_of)
    return params.model_copy(update={
        "snapshot": params.snapshot.model_copy(update={"horizon_months": horizon, "min_defaults": 1}),
        "split": params.split.model_copy(update={"gap_months": gap})})


@dataclass(frozen=True)
class Judged:
    """One run, and what its model gives the loans of its two judges: label (bool) and score, each of shape (loans,).

    Attributes:
        record: ``snapshot.json``. test: the matured months of the run's own test. after: the year after the as-of.
    """

    record: dict[str, Any]
    test: tuple[np.ndarray, np.ndarray]
    after: tuple[np.ndarray, np.ndarray]


def bring_history() -> None:
    """Have every month of the book in the lake."""
    params = load_params(settings().project / "params.yaml", book=BOOK.name)
    folder = settings().data / "sources" / BOOK.name
    BOOK.require_sender().fetch(folder, lambda done, total: None, params.seed, "stationary")
    ingest.bring_history(BOOK, date(2015, 1, 1), params.ingest)
    pa.set_cpu_count(2)


def judge(params: Params) -> Judged:
    """Run the stages from the snapshot to the model, at the fixed point."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        stages.pin(run, params)
        (run / "sweep.json").write_text(json.dumps({"best": {"params": POINT}}))
        for stage in ("snapshot", "features", "split", "train"):
            stages.STAGES[stage](run, params)
        model, record = Model.load(run / "model"), json.loads((run / "snapshot.json").read_text())
        test = pq.read_table(run / "features.parquet").filter(
            pc.equal(pq.read_table(run / "split.parquet")["split"], "test"))
    after, label = approved(params.as_of, months_before(params.as_of, -12), params.snapshot.horizon_months)
    return Judged(record, (test["label"].to_numpy() == 1, model.predict_features(test)), (label, model.predict(after)))


def approved(since: date, until: date, horizon: int) -> tuple[pa.Table, np.ndarray]:
    """The applications from one day up to another, and whether each defaulted within the horizon, as is known now."""
    rows = lake.view(lake.applications(BOOK), filters=[("applied_on", ">=", since), ("applied_on", "<", until)])
    found = labels.read_labels(BOOK, date(2100, 1, 1), horizon, since=since, until=until)  # all that ever became known
    return rows, found["label"].to_numpy(zero_copy_only=False) == labels.BAD


def row(as_of: date, horizon: int, gap: int) -> str:
    """One run as a row of a table, without its first cell."""
    run = judge(parameters(as_of, horizon, gap))
    return (f"{as_of:%Y-%m} | {run.record['rows']:,} | {run.record['defaults']:,} | {run.record['label_rate']:.4f} | "
            f"{power(*run.test)} | {run.after[0].mean():.4f} | {power(*run.after)} |")


def power(bad: np.ndarray, score: np.ndarray) -> str:
    """AUC and KS, each with its interval."""
    auc, (low, high) = auc_interval(bad, score, CONFIDENCE)
    ks, (least, most) = ks_interval(bad, score, CONFIDENCE)
    return f"{auc:.3f} ({low:.3f}-{high:.3f}) | {ks:.3f} ({least:.3f}-{most:.3f})"


def main() -> None:
    """Bring the history, then print both tables."""
    bring_history()
    chosen = load_params(settings().project / "params.yaml", book=BOOK.name)
    print(HEAD.format("horizon"))
    for horizon in HORIZONS:
        for as_of in AS_OFS:
            print(f"| {horizon} months | {row(as_of, horizon, chosen.split.gap_months)}", flush=True)
    print("\n" + HEAD.format("gap"))
    for gap in GAPS:
        for as_of in AS_OFS:
            print(f"| {gap} month{'s' * (gap != 1)} | {row(as_of, chosen.snapshot.horizon_months, gap)}", flush=True)


if __name__ == "__main__":
    main()
