"""What a refit on all matured months would gain in the year after: the proof that a rule of refitting needs.

As of each January the best point of a sweep is fitted as the gates see it (validation and test months held out), and on
every matured month, with the rounds that the gated fit kept. Both score every loan that was applied for in the year
after, whose labels are those of a later as-of. The threshold of the gated fit is chosen on its validation months, that
of the refit on scores that no fit saw: five fits, each of which leaves out a fifth of the months and scores them.

A rule may only use what is known in that January. The one that is tried: fit once more on all but the test months, and
hold that younger fit against the gated one on the test months (``younger``, with its interval).

    python benchmarks/refit.py [BOOK ...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from home import own_home

from tollgate import ingest, stages, training
from tollgate.books import Book, load_book
from tollgate.clock import add_months
from tollgate.config import Params, load_params
from tollgate.errors import BadInput
from tollgate.estimators import estimator
from tollgate.features import unweighted
from tollgate.stats.ranking import paired
from tollgate.training.fit import learn

Score = Callable[[pa.Table], np.ndarray]
YEARS = range(2001, 2010)
CONFIDENCE = 0.95
BLOCKS = 5


@dataclass(frozen=True)
class Year:
    """Rows to learn from as of a January, as the split stage leaves them, and those of the year after."""

    params: Params
    features: pa.Table
    split: pa.Table
    after: pa.Table


def later(day: date, months: int) -> date:
    """The same day so many months later."""
    moved: date = add_months(np.array([day], dtype="datetime64[D]"), months)[0].item()
    return moved


def rows_as_of(book: Book, as_of: date, run: Path) -> tuple[Params, pa.Table]:
    """What the features stage leaves."""
    params = load_params(book=book.name, as_of=as_of)
    run.mkdir(parents=True)
    stages.pin_lake(run, params)
    for stage in ("snapshot", "features"):
        stages.STAGES[stage](run, params)
    return params, pq.read_table(run / "features.parquet")


def matured(book: Book, as_of: date) -> date:
    """When the last loan of the year after has matured."""
    horizon = load_params(book=book.name).snapshot.horizon_months
    return later(as_of, 12 + horizon) + timedelta(days=book.target.lag_days + 62)  # booked in the second month at last


def year(book: Book, as_of: date, scratch: Path) -> Year:
    """The rows of one January, and those of the year after with the labels that they came to have."""
    params, features = rows_as_of(book, as_of, scratch / "then")
    stages.split(scratch / "then", params)
    split = pq.read_table(scratch / "then" / "split.parquet")
    _, known = rows_as_of(book, matured(book, as_of), scratch / "later")
    day = known["applied_on"]
    after = known.filter(pc.and_(pc.greater_equal(day, as_of), pc.less(day, later(as_of, 12))))
    return Year(params, features, split, after)


def whole_fit(book: Book, rows: pa.Table, params: Params, choice: dict[str, Any], rounds: int) -> Score:
    """What a fit of so many rounds on all of these rows scores others."""
    encoder, inputs, learned = learn(book, rows, params)
    fitting = estimator(params.train.estimator).learner(inputs, learned, learned, params.seed,
                                                        params.sweep.threads).start(choice)
    fitting.to(rounds)
    fitted = fitting.at(rounds)
    return lambda others: unweighted(fitted.predict(encoder.encode(others)), params.train.default_weight)


def compared(book: Book, found: Year) -> dict[str, float]:
    """Both fits on the year after."""
    params, features = found.params, found.features
    folds = training.prepare_folds(book, features, found.split, params)
    choice = training.finish(training.open_study(params, "refit"), folds, params)["best"]["params"]
    gated = training.fit(training.prepare(book, features, found.split["split"], params), params, choice)
    validation = gated.parts.validation
    point = training.operating_point(validation.label == 1, gated.predict(validation.matrix), params.train)
    order = np.argsort(features["applied_on"].to_numpy(zero_copy_only=False), kind="stable")
    unseen = np.empty(len(order))
    for block in np.array_split(order, BLOCKS):
        fitted = whole_fit(book, features.take(np.setdiff1d(order, block)), params, choice, gated.rounds)
        unseen[block] = fitted(features.take(block))
    again = training.operating_point(features["label"].to_numpy() == 1, unseen, params.train)
    judged = pc.equal(found.split["split"], "test")
    test, earlier = features.filter(judged), features.filter(pc.invert(judged))
    younger = whole_fit(book, earlier, params, choice, gated.rounds)(test)
    _, younger_gain, (younger_low, younger_high) = paired(
        test["label"].to_numpy() == 1, younger, gated.predict(gated.parts.encoder.encode(test)), (1 + CONFIDENCE) / 2)
    label = found.after["label"].to_numpy() == 1
    before = gated.predict(gated.parts.encoder.encode(found.after))
    now = whole_fit(book, features, params, choice, gated.rounds)(found.after)
    (new, old), gain, (low, high) = paired(label, now, before, (1 + CONFIDENCE) / 2)
    told = {"loans": len(label), "default rate": label.mean(), "gated": old, "refit": new, "gain": gain, "low": low,
            "high": high, "younger": younger_gain, "younger low": younger_low, "younger high": younger_high,
            "rounds": gated.rounds, "matured loans": features.num_rows,
            "matured defaults": features["label"].to_numpy().sum()}
    for name, score, threshold in (("gated", before, point["threshold"]), ("refit", now, again["threshold"])):
        told |= {f"{name} missed": np.mean(score[label] < threshold), f"{name} approved": np.mean(score < threshold),
                 f"{name} o/e": label.sum() / score.sum()}
    return told


def main() -> None:
    """Print a table for each book."""
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
                    told = compared(book, year(book, date(january, 1, 1), scratch / str(january)))
                except BadInput as err:  # too little of the book had matured by then
                    print(f"{name} {january}: {err}", flush=True)
                    continue
                print(f"{name} {january}: " + ", ".join(f"{what} {value:,.4f}" for what, value in told.items()),
                      flush=True)


if __name__ == "__main__":
    main()
