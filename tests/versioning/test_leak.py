"""A column that nobody knew at the application, made a feature by hand, does not get past the gates."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import scratch

from tollgate.books.shipped.sba import LENDER_DATE
from tollgate.config import PROJECT

ROWS = 3_000
SMALL = {"snapshot": {"min_rows": 500, "min_defaults": 50}, "split": {"test_months": 9, "validation_months": 9},
         "sweep": {"trials": 1, "rounds_max": 10}, "gates": {"bootstrap_draws": 20}}


def write_release(path: Path) -> None:
    """A file like the release's, with its trap: the term of a charged-off loan is what it had run."""
    rng = np.random.default_rng(1)
    rows = []
    for k in range(ROWS):
        day = date(2002, 1, 1) + timedelta(days=int(rng.integers(0, 1_095)))
        bad, term = bool(rng.random() < 0.2), int(rng.choice([60, 84, 120]))
        charged = (day + timedelta(days=int(rng.integers(100, 700)))).strftime(LENDER_DATE) if bad else ""
        amount = f"${int(rng.integers(10, 300)) * 1_000:,}.00 "
        rows.append({
            "LoanNr_ChkDgt": f"{k:010d}", "Name": "A", "City": "B", "Zip": "1", "State": str(rng.choice(["NY", "CA"])),
            "Bank": "C", "BankState": "NY", "NAICS": str(rng.choice(["451120", "722410"])),
            "ApprovalDate": day.strftime(LENDER_DATE), "Term": str(term - int(bad) * int(rng.integers(1, 12))),
            "NoEmp": str(rng.integers(1, 50)), "NewExist": str(rng.choice(["1", "2"])), "CreateJob": "0",
            "RetainedJob": "0", "FranchiseCode": "1", "UrbanRural": "1", "RevLineCr": "N", "LowDoc": "N",
            "GrAppv": amount, "SBA_Appv": amount, "ChgOffDate": charged, "ChgOffPrinGr": amount if bad else "$0.00 ",
            "MIS_Status": "CHGOFF" if bad else "P I F"})
    path.parent.mkdir(parents=True)
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_the_term_of_a_loan_as_a_feature_is_refused_and_the_message_says_why(tmp_path: Path) -> None:
    project = scratch.make(tmp_path / "project", book="sba", **SMALL)
    write_release(project.data / "sources" / "sba" / "train.csv")
    (project.folder / "include").unlink()
    code = shutil.copytree(PROJECT / "include", project.folder / "include")
    book = code / "tollgate" / "books" / "shipped" / "sba.py"
    before, said = book.read_text(), 'number("employees", '
    assert said in before
    book.write_text(before.replace(said, f'number("term"), {said}'))
    stages = ["describe", "history", "rivals", "snapshot", "features", "split", "sweep", "train", "evaluate", "gate",
              "refit"]
    work = ("from pathlib import Path; from tollgate import stages; from tollgate.config import load_params\n"
            f"for name in {stages}: stages.STAGES[name](Path('run'), load_params())\n"
            "import sys; from tollgate.cli.main import main; sys.argv = ['tollgate', 'stage', 'register']; main()")
    try:
        done = subprocess.run([sys.executable, "-c", work], cwd=project.folder, capture_output=True, text=True,
                              check=False, env={**os.environ, **project.places, "PYTHONPATH": str(code)})
    finally:
        project.stop()
    assert done.returncode == 3, done.stderr
    said = done.stderr.splitlines()[-1]
    assert "feature term uses term, which is not known at the application" in said
    assert "the release carries the term at resolution" in said
    verdicts = json.loads((project.folder / "run" / "gates.json").read_text())["verdicts"]
    leakage = next(verdict for verdict in verdicts if verdict["gate"] == "leakage")
    assert leakage["verdict"] == "refuse"
    assert "term alone reaches AUC" in leakage["sentence"]
