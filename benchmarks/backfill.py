"""Three years of `sba`, backfilled through Airflow month by month, each row held against the ledger.

    python -m benchmarks.backfill [--out docs/backfill.md]

In a home of its own, in the Airflow that `make demo` starts: two models are trained and approved through
`train_weekly`, each in force from its as-of, as a replay dates it, and the second is rolled back; then one
`airflow backfill create` asks for the nights, monitoring paused.
Who was champion on a night is taken from the ledger's lines, whose signatures are verified first; what a night had to
score, from the applications in the lake. A row that does not agree ends the benchmark with an error.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.demo_stack import Stack, started

from tollgate import lake, nights
from tollgate.books import load_book
from tollgate.clock import months_before
from tollgate.demo.airflow import OVER, dag_id

BOOK = "sba"
FIRST, SECOND, BACK = "2007-01-01", "2008-01-01", "2009-01-01"
NIGHTS = [months_before(date(2007, 2, 1), -k) for k in range(36)]  # each with the applications of the month before it
MONTHLY = {"score_nightly": "0 2 1 * *"}
# The gates as shipped refuse the boosted trees of the second as-of. What is shown is who scores a night, and not how
# well: a scorecard is let through in their place.
LET_THROUGH: dict[str, Any] = {
    "sweep": {"trials": 2}, "train": {"estimator": "scorecard", "refit": "never"},
    "books": {BOOK: {"labels": {"thinned_ratio_min": 0.25}, "gates": {
        "auc_min": 0.5, "ks_min": 0.1, "false_negative_max": 0.5, "cost_max": 20.0, "cost_margin": 0.99,
        "champion_margin": 0.2, "defaults_ratio_max": 10.0, "calibration_gap_max": 0.2, "slice_gap_max": 0.5,
        "calibration_slope_max": 5.0, "parity_gap_max": 0.99, "bootstrap_draws": 50}}}}
PATIENCE_SECONDS = 2 * 60 * 60
ASKED = ("demo", "airflow", "backfill", "create", "--dag-id", dag_id("score_nightly", BOOK),
         "--from-date", f"{NIGHTS[0]}", "--to-date", f"{NIGHTS[-1].replace(day=2)}", "--max-active-runs", "1")
PAGE = """# Three years, backfilled

Written by `python -m benchmarks.backfill --out docs/backfill.md`, on two cores. The real loans of `sba`, and two
changes of champion on the way: a model as of {first} that passed the gates as shipped, one as of {second} that passed
wider ones (a scorecard; who scores a night is shown, and not how well), both approved in `train_weekly`; from {back}
on the first one again, by `tollgate rollback`. `schedules.{book}.score_nightly` is "{cron}" in params.yaml, the first
of each month at 02:00; monitoring is paused. Then one command, in the Airflow that `make demo` starts:

    tollgate {asked}

{runs} runs, {succeeded} of them succeeded, in {minutes:.0f} minutes: {seconds:.0f} seconds a night.

The ledger's signatures hold (`tollgate ledger verify {book}`: {lines} lines, intact). By its lines these were in force:

| version | from | to | approved by |
|---|---|---|---|
{reigns}

Of each row of `scores` this was asked, and holds for all {rows:,}: its `model_version` and `snapshot_version` are those
of the ledger's champion of its day; its loan is an application of the month before its night; no loan stands twice, and
none of the {rows:,} applications of these months in the lake is missing; its night's line in `nights` names that
champion by its digest, and counts as many rows, scored, refused and declined.

| night | rows | in force by the ledger | scored by | scored | refused | declined |
|---|---|---|---|---|---|---|
{nights}
"""


@dataclass(frozen=True)
class Reign:
    """A champion, as a line of the ledger made it: the model and the day from which on its scores count."""

    model: dict[str, Any]
    since: str
    by: str


def reigns(place: Stack) -> list[Reign]:
    """Every champion in turn, by the lines of the ledger whose signatures hold."""
    told = place.project.ask("ledger", "verify", BOOK)
    assert told["intact"] is True, told
    lines = sorted(place.project.ask("history", BOOK)["decisions"], key=lambda line: int(line["seq"]))
    return [Reign(line["payload"]["model"], line["payload"]["effective_on"], line["by"])
            for line in lines if line["kind"].endswith("-committed")]


def in_force(champions: Sequence[Reign], day: date) -> dict[str, Any]:
    """The champion of a day: of the last line that was in force by then."""
    return [reign.model for reign in champions if reign.since <= day.isoformat()][-1]


def prove(champions: Sequence[Reign]) -> list[dict[str, Any]]:
    """Hold every row against the ledger, the applications and the nights; what to tell of each night in turn."""
    asked = lake.read(lake.applications(load_book(BOOK)), columns=["loan_id", "month"]).to_pylist()
    rows = lake.read(lake.scores(BOOK), columns=["day", "loan_id", "model_version", "snapshot_version", "status",
                                                 "decision", "attempt", "run_id"]).to_pylist()
    assert len({row["loan_id"] for row in rows}) == len(rows), "a loan stands twice"
    published = {night.attempt.day: night for night in nights.publications(BOOK)}
    assert sorted(published) == NIGHTS == sorted({date.fromisoformat(row["day"]) for row in rows})
    told = []
    for day in NIGHTS:
        found, model, night = [row for row in rows if row["day"] == str(day)], in_force(champions, day), published[day]
        month = f"{months_before(day, 1):%Y-%m}"
        assert sorted(row["loan_id"] for row in found) == sorted(
            row["loan_id"] for row in asked if row["month"] == month), day
        by = {(row["model_version"], row["snapshot_version"], row["attempt"], row["run_id"]) for row in found}
        assert by == {(model["version"], model["snapshot"], night.attempt.number, night.run)}, (day, by, model)
        assert (night.version, night.digest) == (model["version"], model["digest"]), (day, night)
        status = Counter(row["status"] for row in found)
        declined = sum(row["decision"] == "decline" for row in found)
        assert (night.rows, night.scored, night.refused, night.declined) == (
            len(found), status["scored"], status["refused"], declined), (day, night, status)
        told.append({"night": str(day), "rows": len(found), "in force": model["version"],
                     "by": "".join(sorted({row["model_version"] for row in found})), "scored": status["scored"],
                     "refused": status["refused"], "declined": declined})
    return told


def train(place: Stack, as_of: str) -> None:
    """A model of that as-of becomes the champion."""
    run = place.train(as_of)
    place.approve()
    assert place.ended("train_weekly", run) == "success", f"see {run} of train_weekly"
    print(f"trained and approved as of {as_of}", flush=True)


def backfill(place: Stack) -> dict[str, Any]:
    """Change champions, backfill, prove; what the page tells."""
    train(place, FIRST)
    place.project.tune(**LET_THROUGH)
    train(place, SECOND)
    place.project.ask("rollback", BOOK, reigns(place)[0].model["version"], f"--as-of={BACK}",
                      "--reason=the second declines too many")
    began = time.monotonic()
    done = place.project.run("tollgate", *ASKED, TOLLGATE_AIRFLOW_PORT=os.environ["TOLLGATE_AIRFLOW_PORT"])
    assert done.returncode == 0, done.stderr[-3_000:]

    def ended() -> list[str]:
        runs = place.operator.runs(place.dag("score_nightly"))
        states = [run["state"] for run in runs if run["run_type"] == "backfill"]
        return states if len(states) == len(NIGHTS) and set(states) <= set(OVER) else []

    states = place.until(ended, PATIENCE_SECONDS)
    seconds = time.monotonic() - began
    champions = reigns(place)
    lines = place.project.ask("history", BOOK)["decisions"]
    return {"runs": len(states), "succeeded": states.count("success"), "seconds": seconds, "champions": champions,
            "lines": len(lines), "nights": prove(champions)}


def page(told: dict[str, Any]) -> str:
    """The page, in Markdown."""
    champions: list[Reign] = told["champions"]
    until = [*(reign.since for reign in champions[1:]), ""]
    return PAGE.format(
        first=FIRST, second=SECOND, back=BACK, cron=MONTHLY["score_nightly"], asked=" ".join(ASKED),
        book=BOOK, runs=told["runs"], succeeded=told["succeeded"], minutes=told["seconds"] / 60,
        seconds=told["seconds"] / told["runs"], lines=told["lines"],
        rows=sum(night["rows"] for night in told["nights"]),
        reigns="\n".join(f"| {one.model['version']} | {one.since} | {to} | {one.by} |"
                         for one, to in zip(champions, until, strict=True)),
        nights="\n".join("| " + " | ".join(str(cell) for cell in night.values()) + " |" for night in told["nights"]))


def main() -> None:
    """Backfill, and print or write the page."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, started(
            Path(folder), BOOK, NIGHTS[-1], ("train_weekly", "score_nightly"), schedules={BOOK: MONTHLY},
            scoring={"shards": 1}) as place:
        written = page(backfill(place))
    if chosen.out:
        chosen.out.write_text(written, encoding="utf-8")
    print(written)


if __name__ == "__main__":
    main()
