"""How long the gates take on a large run: 200,000 test loans of the consumer book, 1,000 bootstrap draws, rivals.

The stages make the run; the champion and the former champions are its model but for the last trees. All of them score
their loans again: validation and test by challenger, champion and scorecard, validation by every former champion, and
both by the best of these. Prints, as JSON, the seconds of a process of its own that judges and writes the report as
``tollgate stage gate`` does, start and imports included, what of them it computed, and those of each gate and of
scoring again. The rivals are handed over as folders: the stage has them from the registry. Two cores, as the project
asks:

    taskset -c 0,1 .venv/bin/python benchmarks/gates.py [TEST_ROWS]
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xgboost
import yaml

from tollgate import lake, services, stages, training
from tollgate.books.shipped import consumer
from tollgate.config import PROJECT, Params, load_params, read_params_file
from tollgate.features import digest_of
from tollgate.gates import GATES, run_gates, write_report
from tollgate.gates.evidence import Case
from tollgate.gates.run import judge
from tollgate.labels.evidence import count
from tollgate.registry.rivalry import no_rivals

AS_OF = date(2007, 1, 1)
MONTHS = 24
TEST_SHARE = 6 / MONTHS
FORMER = 5              # as many as the registry hands over at the most
CHANGES: dict[str, dict[str, Any]] = {"sweep": {"trials": 1, "workers": 1}, "gates": {"bootstrap_draws": 1_000}}


def settle(folder: Path) -> Params:
    """Write a workspace's params.yaml: what is shipped, with one trial and as many draws as are to be measured."""
    raw = read_params_file(PROJECT / "params.yaml")
    raw |= {"book": "consumer", "as_of": AS_OF.isoformat()} | {name: raw[name] | keys for name, keys in CHANGES.items()}
    (folder / "params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    return load_params(folder / "params.yaml")


def build(run: Path, params: Params, test_rows: int) -> None:
    """A run of the simulated book up to its evidence."""
    stages.describe(run, params)
    sent = consumer.simulate(seed=params.seed, rows_a_month=int(test_rows / TEST_SHARE / MONTHS),
                             first_month="2003-01", last_month="2004-12")
    rows = pa.table({c.name: sent[c.source] for c in consumer.APPLICATIONS if not c.personal})
    known_bad = pc.less(sent["reported_date"], AS_OF)  # as the feed counts them: a few are reported later
    label = pc.fill_null(known_bad, False).to_numpy(zero_copy_only=False).astype(np.int8)
    rows = rows.append_column("label", pa.array(label)).sort_by("loan_id")
    views = {table.name: pa.table({c.name: sent[c.source] for c in table.columns if not c.personal})
             for table in consumer.TABLES}
    views["outcomes"] = views["outcomes"].filter(pc.less(views["outcomes"]["reported_on"], AS_OF))
    known = {"outcomes": views["outcomes"]["reported_on"].to_numpy().astype("datetime64[D]").astype(np.int32)}
    feed = count(consumer.BOOK, AS_OF, views, known)
    pq.write_table(rows, run / "snapshot.parquet")
    pq.write_table(rows.slice(0, 0), run / "declined.parquet")
    pq.write_table(feed, run / "feed.parquet")
    _write(run / "snapshot.json", {"book": "consumer", "as_of": AS_OF.isoformat(), "digest": lake.digest(rows),
                                   "feed": lake.digest(feed)})
    for stage in (stages.features, stages.split, stages.sweep):
        stage(run, params)
    services.stop_embedded()  # the sweep's database
    stages.train(run, params)
    champion, *former = rivals_in(run.parent)
    trees = xgboost.Booster(model_file=run / "model" / "model.ubj")
    for number, folder in enumerate((champion, *former), 1):
        shutil.copytree(run / "model", folder)
        trees[:trees.num_boosted_rounds() - number].save_model(folder / "model.ubj")
    _write(run / "champion.json", {
        **no_rivals("consumer"), "version": "9", "digest": digest_of(champion),
        "former": [{"version": str(n), "digest": digest_of(folder)} for n, folder in enumerate(former, 1)]})
    pq.write_table(training.evidence(consumer.BOOK, run / "model", pq.read_table(run / "features.parquet"),
                                     pq.read_table(run / "split.parquet"), champion, former), run / "evidence.parquet")


def rivals_in(folder: Path) -> list[Path]:
    """The model folders of the champion and of as many former champions as are compared."""
    return [folder / f"rival-{number}" for number in range(1 + FORMER)]


def judge_all(folder: Path) -> None:
    """What the gate stage does, in a process of its own."""
    champion, *former = rivals_in(folder)
    run = folder / "run"
    write_report(run_gates(run, stages.read_described(run), champion, tuple(former)), run)


def main(test_rows: int) -> None:
    """Build once, then judge twice: as the stage does it, and gate by gate."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, run = Path(scratch), Path(scratch) / "run"
        params = settle(folder)
        build(run, params, test_rows)
        load, began = os.getloadavg()[0], time.perf_counter()
        subprocess.run([sys.executable, __file__, "--judge", folder], check=True, stdout=subprocess.DEVNULL)
        whole, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        verdicts = json.loads((run / "gates.json").read_text(encoding="utf-8"))["verdicts"]
        champion, *former = rivals_in(folder)
        case, seconds = Case(run, params, champion, tuple(former)), {}
        _ = case.features, case.loans  # read once, whichever gate comes first
        began = time.perf_counter()
        _ = case.evidence
        again = time.perf_counter() - began
        for gate in GATES:
            began = time.perf_counter()
            judge(case, gate)
            seconds[gate] = round(time.perf_counter() - began, 2)
    print(json.dumps({
        "test_rows": len(case.label), "draws": params.gates.bootstrap_draws,
        "cores": len(os.sched_getaffinity(0)), "load_before": round(load, 1), "seconds_of_the_stage": round(whole, 1),
        "processor_seconds_of_the_stage": round(used.ru_utime + used.ru_stime, 1),
        "seconds_of_scoring_again": round(again, 1), "seconds_a_gate": seconds,
        "seconds_of_all_gates": round(sum(seconds.values()), 1),
        "verdicts": {v["gate"]: v["verdict"] for v in verdicts}}, indent=1))


def _write(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--judge"]:
        judge_all(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
