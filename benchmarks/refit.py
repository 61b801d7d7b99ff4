"""What a refit on all matured loans, and a calibration, are worth in the year after: the proof of the rule.

As of each January a model is trained by the pipeline's own stages. Then everything that the stage ``refit`` may do is
done whatever its rule says, and told beside what the rule says. Both fits, and both calibrated, score every loan that
was applied for in the year after, whose labels are those of a later as-of.

    python benchmarks/refit.py [BOOK ...]
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from home import own_home

from tollgate import gates, ingest, stages, training
from tollgate.books import Book, load_book
from tollgate.clock import add_months
from tollgate.config import Params, load_params
from tollgate.errors import BadInput
from tollgate.features import Calibration, Model, unweighted
from tollgate.stats.calibration import calibration_line, observed_over_expected
from tollgate.stats.intervals import normal_quantile
from tollgate.stats.ranking import paired

YEARS = range(2001, 2010)
CONFIDENCE = 0.95
CALIBRATION_MONTHS = 3  # of the judged fit, where it is calibrated


def later(day: date, months: int) -> date:
    """The same day so many months later."""
    moved: date = add_months(np.array([day], dtype="datetime64[D]"), months)[0].item()
    return moved


def matured(book: Book, as_of: date) -> date:
    """When the last loan of the year after has matured."""
    horizon = load_params(book=book.name).snapshot.horizon_months
    return later(as_of, 12 + horizon) + timedelta(days=book.target.lag_days + 62)  # booked in the second month at last


def run_stages(run: Path, params: Params, *names: str) -> None:
    """Run stages in a run folder, which is made if need be."""
    if not run.exists():
        run.mkdir(parents=True)
        stages.describe(run, params)
        stages.pin_lake(run, params)
    for name in names:
        stages.STAGES[name](run, params)


def changed(params: Params, **sections: dict[str, object]) -> Params:
    """The parameters with these values in their sections."""
    return params.model_copy(update={name: getattr(params, name).model_copy(update=values)
                                     for name, values in sections.items()})


def calibrated(run: Path, params: Params) -> Model:
    """The judged configuration with a line in log-odds, learned on months of its own."""
    params = changed(params, split={"calibration_months": CALIBRATION_MONTHS}, train={"calibration": "platt"})
    copy = run.with_name("calibrated")
    shutil.copytree(run, copy)
    run_stages(copy, params, "split", "train")
    return Model.load(copy / "model")


def measured(name: str, label: np.ndarray, score: np.ndarray, threshold: float) -> str:
    """One fit in the year after: what it misses and approves, and how far its scores are from what came."""
    ratio, (low, high) = observed_over_expected(label, score, CONFIDENCE)
    (_, slope), (_, error) = calibration_line(label, score)
    reach = normal_quantile((1 + CONFIDENCE) / 2) * error
    brier = np.mean((score - label) ** 2)
    return (f"    {name:18} missed {np.mean(score[label] < threshold):6.1%}  "
            f"approved {np.mean(score < threshold):6.1%}  o/e {ratio:.2f} ({low:.2f} to {high:.2f})  "
            f"slope {slope:.2f} ({slope - reach:.2f} to {slope + reach:.2f})  Brier {brier:.5f}")


def refusing(whose: str, verdicts: tuple[gates.Verdict, ...]) -> str:
    """Which of the verdicts on a fit refuse."""
    return f"{whose} refuse: {', '.join(v.gate for v in verdicts if v.verdict == 'refuse') or 'none'}"


def year(book: Book, as_of: date, scratch: Path) -> Iterator[str]:
    """Everything that is told of one January."""
    params = load_params(book=book.name, as_of=as_of)
    run = scratch / "then"
    run_stages(run, params, "snapshot", "features", "split", "sweep", "train")
    loans, _ = stages.matured_loans(run, params)
    known = scratch / "later"
    run_stages(known, load_params(book=book.name, as_of=matured(book, as_of)), "snapshot", "features")
    rows = pq.read_table(known / "features.parquet")
    day = rows["applied_on"]
    after = rows.filter(pc.and_(pc.greater_equal(day, as_of), pc.less(day, later(as_of, 12))))
    label, gated = after["label"].to_numpy() == 1, Model.load(run / "model")

    younger = training.fit_younger(loans, params)
    tests = loans.features.filter(pa.array(loans.tests))["loan_id"]
    by_judged = gates.judged_rows(run, params)
    rule = gates.judge_younger(run, params, by_judged, pa.table({"loan_id": tests, "score": younger}))
    found = training.refit_all(loans, younger, params)
    again = gates.judge_refit(run, params, by_judged, pa.table({"loan_id": tests, "score": found.scores[loans.tests]}),
                              found.point["threshold"])
    judged = gates.judge_refit(run, params, by_judged, pa.table({"loan_id": tests, "score": gated.predict_features(
        loans.features.filter(pa.array(loans.tests)))}), gated.threshold)
    raw = unweighted(found.fitted.predict(found.encoder.encode(after)), params.train.default_weight)
    before, now = gated.predict_features(after), found.calibration.apply(raw)
    (new, old), gain, (low, high) = paired(label, now, before, (1 + CONFIDENCE) / 2)
    yield (f"{book.name} {as_of.year}: {loans.features['label'].to_numpy().sum():,} defaults of {len(loans.part):,} "
           f"matured loans; the year after {label.sum():,} of {len(label):,}")
    yield (f"    rule: younger {rule[0].measured:+.4f} ({rule[0].low:+.4f} to {rule[0].high:+.4f}), agreement "
           f"{rule[1].measured:.3f}")
    yield f"    {refusing('of the judged fit', judged)}; {refusing('of the younger', (*rule, *again))}"
    yield f"    AUC {old:.4f} -> {new:.4f}: {gain:+.4f} ({low:+.4f} to {high:+.4f})"
    yield measured("gated", label, before, gated.threshold)
    try:
        with_line = calibrated(run, params)
        yield measured("gated, platt", label, with_line.predict_features(after), with_line.threshold)
    except BadInput as err:  # the months of its own may hold too little
        yield f"    gated, platt       {err}"
    yield measured("refit", label, now, found.point["threshold"])
    newest = loans.newest
    for kind in ("platt", "isotonic"):
        line = Calibration.learn(kind, loans.features["label"].to_numpy()[newest] == 1, found.scores[newest])
        point = training.operating_point(loans.features["label"].to_numpy()[newest], line.apply(found.scores[newest]),
                                         params.train)
        yield measured(f"refit, {kind}", label, line.apply(now), point["threshold"])


def main() -> None:
    """Print what is told of each book and year."""
    for name in sys.argv[1:] or ("sba", "consumer"):
        book = load_book(name)
        with own_home() as scratch:
            params = load_params(book=name)
            assert book.sender is not None
            book.sender.fetch(scratch / "data" / "sources" / name, lambda done, total: None, params.seed,
                              "stationary")
            ingest.bring_history(book, matured(book, date(YEARS[-1], 1, 1)), params.ingest)
            for january in YEARS:
                try:
                    for line in year(book, date(january, 1, 1), scratch / str(january)):
                        print(line, flush=True)
                except BadInput as err:  # too little of the book had matured by then
                    print(f"{name} {january}: {err}", flush=True)


if __name__ == "__main__":
    main()
