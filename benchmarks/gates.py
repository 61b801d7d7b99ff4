"""How long the gates take on a large run: 200,000 test loans of the consumer book, 1,000 bootstrap draws, a champion.

The stages make the run; the champion is the same fit from another seed, its scores in the evidence as the evaluate
stage writes them, so that every gate has something to judge. Prints, as JSON, the seconds of ``tollgate stage gate`` as
a process of its own, start and imports included, what of them it computed, and those of each gate. Two cores, as the
project asks:

    taskset -c 0,1 .venv/bin/python benchmarks/gates.py [TEST_ROWS]
"""

from __future__ import annotations

import json
import os
import resource
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
import yaml

from tollgate import lake, services, stages, training
from tollgate.books.shipped import consumer
from tollgate.config import PROJECT, Params, load_params, read_params_file
from tollgate.features import digest_of
from tollgate.gates import GATES
from tollgate.gates.evidence import Case
from tollgate.gates.run import judge
from tollgate.labels.evidence import count

AS_OF = date(2007, 1, 1)
MONTHS = 24
TEST_SHARE = 6 / MONTHS
CHANGES: dict[str, dict[str, Any]] = {"sweep": {"trials": 1, "workers": 1}, "gates": {"bootstrap_draws": 1_000}}


def settle(folder: Path) -> Params:
    """Write a workspace's params.yaml: what is shipped, with one trial and as many draws as are to be measured."""
    raw = read_params_file(PROJECT / "params.yaml")
    raw |= {"book": "consumer", "as_of": AS_OF} | {name: raw[name] | keys for name, keys in CHANGES.items()}
    (folder / "params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    return load_params(folder / "params.yaml")


def build(run: Path, params: Params, test_rows: int) -> None:
    """A run of the simulated book up to its evidence."""
    stages.describe(run, params)
    sent = consumer.simulate(seed=params.seed, rows_a_month=int(test_rows / TEST_SHARE / MONTHS),
                             first_month="2003-01", last_month="2004-12")
    rows = pa.table({c.name: sent[c.source] for c in consumer.APPLICATIONS if not c.personal})
    label = sent["default_date"].is_valid().to_numpy().astype(np.int8)
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
    stages.train(run, params.model_copy(update={"seed": params.seed + 1}))
    champion = (run / "model").rename(run.parent / "champion")
    _write(run / "champion.json", {"model": "consumer", "version": "1", "digest": digest_of(champion)})
    stages.train(run, params)
    pq.write_table(training.evidence(consumer.BOOK, run / "model", pq.read_table(run / "features.parquet"),
                                     pq.read_table(run / "split.parquet"), champion), run / "evidence.parquet")


def main(test_rows: int) -> None:
    """Build once, then judge twice: as the stage does it, and gate by gate."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, run = Path(scratch), Path(scratch) / "run"
        params = settle(folder)
        build(run, params, test_rows)
        load, began = os.getloadavg()[0], time.perf_counter()
        subprocess.run([Path(sys.executable).with_name("tollgate"), "stage", "gate"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        whole, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        verdicts = json.loads((run / "gates.json").read_text(encoding="utf-8"))["verdicts"]
        case, seconds = Case(run, params), {}
        _ = case.evidence, case.features, case.loans  # read once, whichever gate comes first
        for gate in GATES:
            began = time.perf_counter()
            judge(case, gate)
            seconds[gate] = round(time.perf_counter() - began, 2)
    print(json.dumps({
        "test_rows": len(case.label), "draws": params.gates.bootstrap_draws,
        "cores": len(os.sched_getaffinity(0)), "load_before": round(load, 1), "seconds_of_the_stage": round(whole, 1),
        "processor_seconds_of_the_stage": round(used.ru_utime + used.ru_stime, 1),
        "seconds_a_gate": seconds, "seconds_of_all_gates": round(sum(seconds.values()), 1),
        "verdicts": {v["gate"]: v["verdict"] for v in verdicts}}, indent=1))


def _write(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record), encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
