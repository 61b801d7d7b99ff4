"""A night from the lake to the lake, against the bare model on the same rows in memory, in one run.

A simulated month of applications lies in the lake. Timed is what the tasks of a night do one after the other in one
process: pin, shards, publish; then ``Booster.inplace_predict`` on the encoded rows, the same on one thread, and
``mlflow.pyfunc`` over a pandas frame of the same features. The champion comes from a folder: MLflow is not asked.
Prints rows a second, each as a share of the bare model's, and the seconds of each step; those of the processors beside
them, for other work may run on the machine. Before that the pin and its first shard, each in a process of its own,
for the peak of its memory. Of more than COMPARED rows only the night itself is measured: the bare model would need
all of them in memory.

    python benchmarks/night.py [ROWS]
"""

from __future__ import annotations

import subprocess
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
from tollgate.books import LOAN, load_book
from tollgate.books.shipped import consumer
from tollgate.config import Params, load_params, settings
from tollgate.features import Model, digest_of, make_features

NIGHT = date(2007, 2, 1)
TRAINED_ON = 20_000
GOAL = 0.6
COMPARED = 2_000_000
WRITTEN = 2_500_000  # applications that one file of the lake holds


class Bare(mlflow.pyfunc.PythonModel):
    """The booster as MLflow would serve it."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """P(default) of a frame of raw features."""
        return self.model.predict_features(pa.Table.from_pandas(model_input, preserve_index=False))


def fill(rows: int) -> None:
    """A month of applications, each known on the day it was asked for, some at a time."""
    book = load_book("consumer")
    table = lake.applications(book)
    names = {column.name: column.source for column in consumer.APPLICATIONS}
    for k, start in enumerate(range(0, rows, WRITTEN)):
        sent = consumer.simulate(seed=3 + k, rows_a_month=min(WRITTEN, rows - start), first_month="2007-01",
                                 last_month="2007-01")
        one = pa.array(np.ones(sent.num_rows, np.int64))
        cells = {"month": pc.strftime(sent["application_date"], format="%Y-%m"), "known_on": sent["application_date"],
                 LOAN: pa.array([f"C{i:08d}" for i in range(start, start + sent.num_rows)]),
                 "delivery": pa.repeat(k + 1, sent.num_rows), "version": one, "line": one}
        made = pa.table({field.name: cells.get(field.name, sent[names.get(field.name, field.name)]
                                               if field.name in names else one) for field in table.schema})
        write_deltalake(f"{settings().lake}/consumer/applications", made.cast(table.schema), partition_by=["month"],
                        mode="append")


def seconds(step: Callable[[], Any]) -> np.ndarray:
    """How long a step takes: by the clock, and of the processors."""
    began = np.array([time.perf_counter(), time.process_time()])
    step()
    return np.array([time.perf_counter(), time.process_time()]) - began


def know(run: Path) -> None:
    """Let the model in a run's folder be the champion, without MLflow."""
    version = registry.Version("consumer", "1", digest_of(run / "model"), "snapshot", date(2007, 1, 1), "run")
    registry.champion_on = lambda book, day: version
    registry.models = lambda book: []
    registry.fetch_to_score = lambda book, number: run / "model"


def step_alone(what: str, run: Path) -> None:
    """One step of a night, of an attempt of its own, in this process; prints the peak of its memory, in GB."""
    know(run)
    if what == "pin":
        scoring.pin(load_book("consumer"), NIGHT, "alone", load_params(run.parent / "params.yaml"))
    else:
        scoring.score_shard(f"consumer/new/{NIGHT}/1", int(what))
    # Not getrusage: what it tells begins with the peak of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(int(status.split("VmHWM:")[1].split()[0]) / 2**20)


def peak_alone(what: str, run: Path) -> float:
    """The peak of memory of a step in a process of its own, in GB."""
    told = subprocess.run([sys.executable, __file__, "--step", what, run], check=True, capture_output=True, text=True)
    return float(told.stdout.split()[-1])


def score_night(params: Params) -> tuple[str, dict[str, np.ndarray]]:
    """The steps of a night, one after the other: its attempt, and what each took."""
    book, took = load_book("consumer"), {}
    pinned: dict[str, Any] = {}
    took["pin"] = seconds(lambda: pinned.update(scoring.pin(book, NIGHT, "night", params)))
    took["shards"] = sum(seconds(lambda one=one: scoring.score_shard(one["attempt"], one["shard"]))
                         for one in pinned["shards"])
    took["publish"] = seconds(lambda: scoring.publish(pinned["attempt"]))
    return pinned["attempt"], took


def main(rows: int) -> None:
    """Build, score, compare."""
    with own_home(), tempfile.TemporaryDirectory() as folder:
        params = settle(Path(folder))
        run = Path(folder) / "run"
        build(run, params, TRAINED_ON)
        fill(rows)
        peaks = {"pin": peak_alone("pin", run), "shard": peak_alone("0", run)}
        know(run)
        key, steps = score_night(params)
        scored = lake.count(lake.scores("consumer"))
        pin = nights.read_pin(nights.attempt_of(key))
        night = sum(steps.values())
        print(f"{scored:,} rows, {pin.shards} shards; seconds by the clock (of the processors): "
              + ", ".join(f"{name} {took[0]:.2f} ({took[1]:.2f})" for name, took in steps.items()))
        print(f"a million rows: {night[0] / scored * 1e6:.2f} s ({night[1] / scored * 1e6:.2f} s of the processors); "
              "peak of memory, each step in a process of its own: "
              + ", ".join(f"{name} {peak:.2f} GB" for name, peak in peaks.items()), flush=True)
        if rows > COMPARED:
            return
        model = Model.load(run / "model")
        book = load_book("consumer")
        features = pa.concat_tables([make_features(book, nights.read_population(pin, k)) for k in range(pin.shards)])
        matrix = model.encoder.encode(features)
        booster = xgboost.Booster(model_file=run / "model" / "model.ubj")
        bare = {}
        for threads in (0, 1):
            booster.set_param({"nthread": threads})
            bare[threads] = np.min([seconds(lambda: booster.inplace_predict(matrix)) for _ in range(3)], axis=0)
        frame = features.to_pandas()
        served = seconds(lambda: Bare(model).predict(None, frame))
        for name, took in (("the night", night), ("bare", bare[0]), ("bare, one thread", bare[1]),
                           ("pyfunc over pandas", served)):
            print(f"{name}: {scored / took[0]:,.0f} rows/s, {bare[0][0] / took[0]:.2f} of bare; of the processors "
                  f"{took[1] / scored * 1e6:.2f} us a row, {bare[0][1] / took[1]:.2f} of bare"
                  + (f" (goal: {GOAL})" if name == "the night" else ""), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        step_alone(sys.argv[2], Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
