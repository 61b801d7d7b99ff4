"""What training, gates and monitoring measure on a lender that declines, beside the truth and beside the old way.

The simulated lender declines the riskier part of its applicants by a policy of its own, and keeps what would have
become of everybody. Its files go through ingestion, the stages and the gates as of 2007-01-01; the cohort is that of
October 2004. The old way counted every application without an outcome as paid, the declined among them.

    python benchmarks/declined.py [--seeds 5]
"""

from __future__ import annotations

import argparse
import json
import os
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
from tollgate.books import DECLINED, load_book
from tollgate.books.shipped import consumer
from tollgate.clock import add_months
from tollgate.config import Params, load_params
from tollgate.features import Model
from tollgate.gates import run_gates
from tollgate.stats.ranking import area_under

SHARES, AS_OF, ROWS_A_MONTH = (0.0, 0.2, 0.4), date(2007, 1, 1), 1_000
CHOICE = {"max_depth": 3, "learning_rate": 0.2, "min_child_weight": 20, "subsample": 0.9}
COHORT = (date(2004, 10, 1), date(2004, 11, 1))  # applied for in October: matured with their booking and the lag
WHAT = {
    "label_declined_truth": "bad rate of the declined: the truth", "label_declined_old": "... by the old labels",
    "label_declined_now": "... by the labels now",
    "rate_truth": "bad rate of all applicants: the truth", "rate_old": "bad rate trained on: the old way",
    "rate_now": "... now (booked loans)", "risk_old": "AUC of the true risk against the old labels",
    "risk_now": "... against the labels now",
    "gate": "AUC that the gates measure now", "gate_truth": "... of the same model and months, by the truth of all",
    "monitor_old": "matured AUC of a cohort: the old way", "monitor_now": "... now",
    "monitor_truth": "... by the truth of all applicants", "refused": "models that the gates refuse"}


def simulated(folder: Path, seed: int, share: float) -> pa.Table:
    """What the lender knows and more, where fetching the book would put it."""
    sent = consumer.simulate(seed=seed, rows_a_month=ROWS_A_MONTH, last_month="2006-12", declined=share,
                             withdrawn=consumer.WITHDRAWS)
    place = folder / "sources" / "consumer"
    place.mkdir(parents=True)
    pq.write_table(sent, place / "source.parquet")
    return sent.sort_by("loan_id")


@dataclass(frozen=True)
class World:
    """Everybody's applications as the lake shows them, in order of ``loan_id``, and what is held of each.

    Attributes:
        truth: bool, went or would have gone bad within the horizon of its booking. old: bool, the old label.
        now: the label of today, a name each. risk: the true probability. mature: applied for when labels had matured.
    """

    rows: pa.Table
    truth: np.ndarray
    old: np.ndarray
    now: np.ndarray
    risk: np.ndarray
    declined: np.ndarray
    mature: np.ndarray


def held(sent: pa.Table, params: Params) -> World:
    """Read the labels as of the day, and make the old ones of the same outcomes."""
    book, horizon = load_book("consumer"), params.snapshot.horizon_months
    rows = lake.view(lake.applications(book), as_of=AS_OF)
    kept = sent.filter(pc.is_in(sent["loan_id"], value_set=rows["loan_id"].combine_chunks()))
    applied = kept["application_date"].to_numpy().astype("datetime64[D]")
    outcomes = lake.view(lake.outcomes(book), as_of=AS_OF)
    at = pc.index_in(kept["loan_id"], value_set=outcomes["loan_id"].combine_chunks())
    defaulted = outcomes["defaulted_on"].take(at).to_numpy().astype("datetime64[D]")
    after = kept["default_after"].fill_null(10_000).to_numpy()
    return World(
        rows, after <= consumer.HORIZON_DAYS, defaulted <= add_months(applied, horizon),
        labels.read_labels(book, AS_OF, horizon)["label"].to_numpy(zero_copy_only=False),
        kept["true_probability"].to_numpy(), pc.equal(kept["decision"], DECLINED).to_numpy(),
        applied < np.datetime64(labels.mature_before(book, AS_OF, horizon)) - 30)


def measured(seed: int, share: float) -> dict[str, float]:
    """One lender, from its files to its gates and one cohort."""
    params = load_params(book="consumer", as_of=AS_OF).model_copy(update={"seed": seed})
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TOLLGATE_DATA"] = folder
        sent = simulated(Path(folder), seed, share)
        ingest.bring_history(load_book("consumer"), AS_OF, params.ingest)
        world, run = held(sent, params), Path(folder) / "run"
        told = np.isin(world.now, [labels.GOOD, labels.BAD])
        bad, mature = world.now == labels.BAD, world.mature
        score, report = trained(run, params, world.rows)
        days = world.rows["applied_on"].to_numpy().astype("datetime64[D]")
        cohort = (days >= np.datetime64(COHORT[0])) & (days < np.datetime64(COHORT[1]))
        tested = days >= np.datetime64(labels.mature_before(load_book("consumer"), AS_OF, 30))
        tested &= mature
        declined = mature & world.declined
        return {
            "label_declined_truth": rate(world.truth[declined]), "label_declined_old": rate(world.old[declined]),
            "label_declined_now": rate(bad[declined & told]),
            "rate_truth": rate(world.truth[mature]), "rate_old": rate(world.old[mature]),
            "rate_now": rate(bad[mature & told]),
            "risk_old": area_under(world.old[mature], world.risk[mature]),
            "risk_now": area_under(bad[mature & told], world.risk[mature & told]),
            "gate": json.loads((run / "metrics.json").read_text())["auc"],
            "gate_truth": area_under(world.truth[tested], score[tested]),
            "monitor_old": area_under(world.old[cohort], score[cohort]),
            "monitor_now": area_under(bad[cohort & told], score[cohort & told]),
            "monitor_truth": area_under(world.truth[cohort], score[cohort]),
            "refused": float(not report)}


def rate(labelled: np.ndarray) -> float:
    """The share of bad ones; nan where nobody has a label."""
    return float(labelled.mean()) if len(labelled) else float("nan")


def trained(run: Path, params: Params, rows: pa.Table) -> tuple[np.ndarray, bool]:
    """Every stage up to the gates, at one fixed point: the score of all applications, and whether the gates passed."""
    stages.pin(run, params.model_copy(update={"as_of": AS_OF}))
    (run / "sweep.json").write_text(json.dumps({"best": {"params": CHOICE}}))
    for stage in ("snapshot", "features", "split", "train", "evaluate"):
        stages.STAGES[stage](run, params)
    return Model.load(run / "model").predict(rows), run_gates(run, params).passed


def main() -> None:
    """Measure every lender at every seed, and print the table of docs/labels.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="lenders of each kind")
    seeds = parser.parse_args().seeds
    found: dict[float, list[dict[str, Any]]] = {share: [measured(seed, share) for seed in range(1, seeds + 1)]
                                                for share in SHARES}
    print("| measured | " + " | ".join(f"{share:.0%} declined" for share in SHARES) + " |")
    print("|---" * (len(SHARES) + 1) + "|")
    for what, title in WHAT.items():
        cells = []
        for share in SHARES:
            values = np.array([one[what] for one in found[share]])
            cells.append("no label" if np.isnan(values).all() else f"{int(values.sum())} of {seeds}"
                         if what == "refused" else f"{values.mean():.3f}")
        print(f"| {title} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
