"""A night from the lake to the lake, against the bare model on the same rows in memory, in one run.

A simulated month of applications lies in the lake. Timed is what the tasks of a night do one after the other in one
process: pin, shards, publish; then ``Booster.inplace_predict`` on the encoded rows, the same on one thread, and
``mlflow.pyfunc`` over a pandas frame of the same features. The champion comes from a folder: MLflow is not asked.
Prints rows a second, each as a share of the bare model's, the seconds of each step, and the peak of memory.

    python benchmarks/night.py [ROWS]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xgboost
from deltalake import write_deltalake
from gates import build, settle
from home import own_home

from tollgate import lake, nights, registry, scoring
from tollgate.books import load_book
from tollgate.books.shipped import consumer
from tollgate.config import settings
from tollgate.features import Model, digest_of, make_features

NIGHT = date(2007, 2, 1)
TRAINED_ON = 20_000
GOAL = 0.6


class Bare(mlflow.pyfunc.PythonModel):
    """The booster as MLflow would serve it."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """P(default) of a frame of raw features."""
        return self.model.predict_features(pa.Table.from_pandas(model_input, preserve_index=False))


def fill(rows: int) -> None:
    """A month of applications, each known on the day it was asked for."""
    book = load_book("consumer")
    sent = consumer.simulate(seed=3, rows_a_month=rows, first_month="2007-01", last_month="2007-01")
    table = lake.applications(book)
    one = pa.array(np.ones(sent.num_rows, np.int64))
    cells = {"month": pc.strftime(sent["application_date"], format="%Y-%m"), "known_on": sent["application_date"],
             "delivery": one, "version": one, "line": one}
    names = {column.name: column.source for column in consumer.APPLICATIONS}
    made = pa.table({field.name: cells.get(field.name, sent[names.get(field.name, field.name)]
                                           if field.name in names else one) for field in table.schema})
    write_deltalake(f"{settings().lake}/consumer/applications", made.cast(table.schema), partition_by=["month"])


def seconds(step: Callable[[], Any]) -> float:
    """How long a step takes."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def main(rows: int) -> None:
    """Build, score, compare."""
    with own_home(), tempfile.TemporaryDirectory() as folder:
        params = settle(Path(folder))
        run = Path(folder) / "run"
        build(run, params, TRAINED_ON)
        version = registry.Version("consumer", "1", digest_of(run / "model"), "snapshot", date(2007, 1, 1), "run")
        registry.champion_on = lambda book, day: version
        registry.models = lambda book: []
        registry.fetch_to_score = lambda book, number: run / "model"
        fill(rows)
        book, key = load_book("consumer"), f"consumer/new/{NIGHT}/1"
        steps = {"pin": seconds(lambda: scoring.pin(book, NIGHT, "night", params)),
                 "shards": sum(seconds(lambda k=k: scoring.score_shard(key, k)) for k in range(params.scoring.shards)),
                 "publish": seconds(lambda: scoring.publish(key))}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        scored = lake.count(lake.scores("consumer"))
        model, pin = Model.load(run / "model"), nights.read_pin(nights.attempt_of(key))
        features = pa.concat_tables([make_features(book, nights.read_population(pin, k)) for k in range(pin.shards)])
        matrix = model.encoder.encode(features)
        booster = xgboost.Booster(model_file=run / "model" / "model.ubj")
        bare = {}
        for threads in (0, 1):
            booster.set_param({"nthread": threads})
            bare[threads] = min(seconds(lambda: booster.inplace_predict(matrix)) for _ in range(3))
        frame = features.to_pandas()
        served = seconds(lambda: Bare(model).predict(None, frame))
        night = sum(steps.values())
        print(f"{scored:,} rows; seconds: " + ", ".join(f"{name} {took:.2f}" for name, took in steps.items())
              + f"; peak {peak:.2f} GB")
        for name, took in (("the night", night), ("bare", bare[0]), ("bare, one thread", bare[1]),
                           ("pyfunc over pandas", served)):
            print(f"{name}: {scored / took:,.0f} rows/s, {bare[0] / took:.2f} of bare"
                  + (f" (goal: {GOAL})" if name == "the night" else ""), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
