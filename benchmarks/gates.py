"""How long the gates take on a large run: 200,000 test loans of the consumer book, 1,000 bootstrap draws.

Prints the seconds of each gate and of all of them, as JSON. Two cores, as the project asks:

    taskset -c 0,1 .venv/bin/python benchmarks/gates.py [TEST_ROWS]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tollgate import lake, stages
from tollgate.books import consumer
from tollgate.config import Params, load_params
from tollgate.gates import GATES, Report, run_gates, write_report
from tollgate.gates.evidence import Case
from tollgate.gates.run import judge

AS_OF = date(2007, 1, 1)
MONTHS = 24
TEST_SHARE = 6 / MONTHS
DRAWS = 1_000


def build(run: Path, params: Params, test_rows: int) -> None:
    """A run of the simulated book up to its evidence, by the stages themselves."""
    import pyarrow as pa

    run.mkdir()
    sent = consumer.simulate(seed=params.seed, rows_a_month=int(test_rows / TEST_SHARE / MONTHS),
                             first_month="2003-01", last_month="2004-12")
    rows = pa.table({c.name: sent[c.source] for c in consumer.APPLICATIONS if not c.personal})
    label = sent["default_date"].is_valid().to_numpy().astype(np.int8)
    rows = rows.append_column("label", pa.array(label)).sort_by("loan_id")
    pq.write_table(rows, run / "snapshot.parquet")
    for name, record in (("snapshot", {"book": "consumer", "as_of": AS_OF.isoformat(), "digest": lake.digest(rows)}),
                         ("champion", {"model": "consumer", "version": None, "digest": None})):
        (run / f"{name}.json").write_text(json.dumps(record))
    for stage in ("features", "split", "sweep", "train", "evaluate"):
        stages.STAGES[stage](run, params)


def main(test_rows: int) -> None:
    """Build once, then judge twice: gate by gate, and as the stage does it."""
    params = load_params(book="consumer", as_of=AS_OF)
    params = params.model_copy(update={
        "sweep": params.sweep.model_copy(update={"trials": 1, "workers": 1}),
        "gates": params.gates.model_copy(update={"bootstrap_draws": DRAWS})})
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        build(run, params, test_rows)
        whole = time.perf_counter()
        report: Report = run_gates(run, params)
        write_report(report, run)
        whole = time.perf_counter() - whole
        case, seconds = Case(run, params), {}
        _ = case.evidence, case.features  # read once, whichever gate comes first
        for gate in GATES:
            began = time.perf_counter()
            judge(case, gate)
            seconds[gate] = round(time.perf_counter() - began, 2)
    refused = {verdict.gate: verdict.sentence for verdict in report.verdicts if verdict.verdict == "refuse"}
    print(json.dumps({"test_rows": len(case.label), "draws": DRAWS, "seconds_a_gate": seconds,
                      "seconds_of_the_stage": round(whole, 1), "refused": refused}, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
