"""A bad champion, let through on purpose, and what the guard makes of it, from its first window to the ledger.

    python -m benchmarks.bad_champion [--out docs/bad-champion.md]

In a home of its own, in the Airflow that `make demo` starts, on the simulated book `consumer`. A model as of the first
day passes its gates as shipped and is approved. Then bad parameters make a bad model, which the gates as shipped
refuse; they are opened, the model is approved, and two months are scored and monitored. Another bad model is refused
by opened gates too. Whoever approves is this script.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.decade_told import error_in
from benchmarks.demo_stack import Stack, started

from tollgate import lake, nights
from tollgate.clock import months_before
from tollgate.config import load_params
from tollgate.demo.airflow import OVER
from tollgate.monitoring.paired import BEYOND, DECLINES, DEFAULTS, EXPECTED_AUC, GUARD, LABELLED_AUC, PAIRED

BOOK = "consumer"
FIRST = date(2007, 1, 1)
KINDS = ("train_weekly", "score_nightly", "monitor_drift")
GOOD = {"sweep": {"trials": 4}, "gates": {"bootstrap_draws": 50}}
OPENED: dict[str, Any] = {
    "auc_min": 0.5, "ks_min": 0.01, "false_negative_max": 0.99, "approval_min": 0.01, "cost_max": 20.0,
    "cost_margin": 0.99, "baseline_margin": 0.5, "champion_margin": 0.5, "parity_gap_max": 0.99, "slice_gap_max": 0.5,
    "calibration_gap_max": 0.2, "calibration_slope_max": 20.0, "defaults_ratio_max": 10.0}
NAMES = {DECLINES: "declined by it alone, less by the former alone", DEFAULTS: "log of the ratio of expected defaults",
         EXPECTED_AUC: "AUC, were the former's scores right, less the former's",
         LABELLED_AUC: "AUC on matured loans, less the former's"}


@dataclass(frozen=True)
class Bad:
    """A bad model.

    Attributes:
        how: by which parameters it is made. as_of: its training's. changes: of params.yaml.
    """

    how: str
    as_of: date
    changes: dict[str, Any]


DECLINES_ALL = Bad("`train.operating_rule: approval_rate`, `train.approval_rate_target: 0.05`", date(2007, 3, 1), {
    "train": {"operating_rule": "approval_rate", "approval_rate_target": 0.05}})
KNOWS_NOTHING = Bad(
    "A single tree of a single split: `sweep.rounds_first: 1`, `sweep.rounds_max: 1`, and "
    "`space.xgboost.max_depth: {low: 1, high: 1}`", date(2007, 5, 1), {
        "sweep": {"rounds_first": 1, "rounds_max": 1}, "space": {"xgboost": {"max_depth": {"low": 1, "high": 1}}}})
PAGE = """# A bad champion, let through on purpose

Written by `python -m benchmarks.bad_champion --out docs/bad-champion.md`: the simulated book `{book}`, 2,000
applications a month, through the Airflow that `make demo` starts. Version {good} passed the gates as shipped as of
{first} and was approved. For time a sweep has 4 trials, and intervals 50 resamples.

## It declines nearly everybody

{how}. By the gates as shipped its training as of {as_of} ends so:

> {refused}

So the gates are opened (`gates` of `books.{book}` in params.yaml: {opened}), and whoever approves says yes. It serves
for as long as [the guard](guard.md) lets it:

| night | scored by | loans | declined | mean score | what the guard concluded |
|---|---|---|---|---|---|
{nights}

What it measured on {night}, the first night of version {bad}:

| measure | value | on the rows of its gates | luck explains | limit | |
|---|---|---|---|---|---|
{measures}

What people were told that night, with severity `{severity}`:

> {alert}

`tollgate history {book}`, and `tollgate ledger verify {book}`: {lines} lines, intact.

| line | what | version | by | counts from |
|---|---|---|---|---|
{ledger}

The reason that stands in the ledger with the rollback:

> {reason}

## It knows next to nothing

{how_nothing}. By the gates as shipped its training as of {as_of_nothing} ends so:

> {refused_nothing}

With the same gates opened it is refused still:

> {refused_opened}
"""


def tune(place: Stack, changes: dict[str, Any], gates: dict[str, Any]) -> None:
    """Lay these over params.yaml as it is shipped."""
    shipped = load_params(book=BOOK).model_dump(mode="json")
    laid = {name: shipped[name] for name in ("train", "sweep", "gates", "space")}
    for over in (GOOD, changes, {"gates": gates}):
        laid = _laid_over(laid, over)
    place.project.tune(books={BOOK: {"monitoring": {"min_sample": 200}, **laid}})


def _laid_over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    return {**under, **{key: _laid_over(under[key], value) if isinstance(value, dict) else value
                        for key, value in over.items()}}


def train(place: Stack, as_of: date, run: str, *, passes: bool) -> str:
    """Ask for a model, and approve what passes; what a failed task said where it was refused."""
    place.train(str(as_of), run)
    if passes:
        place.approve()
    state = place.ended("train_weekly", run)
    assert state == ("success" if passes else "failed"), f"{run} came to {state}"
    said = [line["message"] for line in lake.read(lake.incidents(BOOK)).to_pylist() if line["run_id"] == run]
    print(f"{run}: {state}", flush=True)
    return "" if passes else f"{error_in(said[-1]).rpartition('. ')[0]}."  # an incident keeps the beginning


def pass_night(place: Stack, day: date) -> dict[str, Any]:
    """Score and judge a month; what came of it."""
    assert place.ended("score_nightly", place.score(str(day))) == "success", day
    place.until(lambda: str(day) in place.verdicts()
                and all(run["state"] in OVER for run in place.operator.runs(place.dag("monitor_drift"))))
    night = nights.publication(BOOK, day)
    assert night is not None
    scores = lake.read(lake.scores(BOOK), columns=["score"], filters=[("day", "=", str(day))])["score"].to_numpy()
    rows = lake.read(lake.measures(BOOK), filters=[("day", "=", str(day)), ("kind", "=", GUARD)]).to_pylist()
    told = {row["metric"]: row for row in rows}
    judged = told["judgement"]["level"] if "judgement" in told else "nothing to guard"
    print(f"{day}: version {night.version}, guard: {judged}", flush=True)
    return {"day": day, "version": night.version, "rows": night.rows, "declined": night.declined / night.rows,
            "score": float(np.nanmean(scores)), "judged": judged,
            "measures": [told[one] for one in PAIRED if one in told]}


def refuse(place: Stack, bad: Bad, gates: dict[str, Any], run: str) -> str:
    """Have a bad model refused; in which words."""
    tune(place, bad.changes, gates)
    return train(place, bad.as_of, f"{run}__{bad.as_of}", passes=False)


def rehearse(place: Stack) -> str:
    """A good champion, a bad one, and the months after it; the page, in Markdown."""
    tune(place, {}, {})
    train(place, FIRST, f"as_shipped__{FIRST}", passes=True)
    passed = [pass_night(place, months_before(FIRST, -k)) for k in (1, 2)]
    refused = refuse(place, DECLINES_ALL, {}, "as_shipped")
    tune(place, DECLINES_ALL.changes, OPENED)
    train(place, DECLINES_ALL.as_of, f"let_through__{DECLINES_ALL.as_of}", passes=True)
    tune(place, {}, {})
    passed += [pass_night(place, months_before(DECLINES_ALL.as_of, -k)) for k in (1, 2)]
    good, _, first, after = passed
    verified = place.project.ask("ledger", "verify", BOOK)
    lines = sorted(place.project.ask("history", BOOK)["decisions"], key=lambda line: int(line["seq"]))
    back = next(line for line in lines if line["kind"] == "rollback-committed")
    assert verified["intact"] is True and back["by"] == GUARD, lines
    assert good["version"] == back["version"] == after["version"] != first["version"] == back["payload"]["previous"]
    alert = next(row for row in lake.read(lake.alerts(BOOK)).to_pylist()
                 if row["day"] == str(first["day"]) and row["subject"] == GUARD)
    return PAGE.format(
        book=BOOK, good=good["version"], first=FIRST, how=DECLINES_ALL.how, as_of=DECLINES_ALL.as_of, refused=refused,
        opened=", ".join(f"`{name}: {value}`" for name, value in OPENED.items()),
        nights="\n".join(f"| {one['day']} | version {one['version']} | {one['rows']:,} | {one['declined']:.1%} | "
                         f"{one['score']:.3f} | {one['judged']} |" for one in passed),
        night=first["day"], bad=first["version"], measures="\n".join(map(_measure, first["measures"])),
        severity=alert["severity"], alert=alert["message"], lines=verified["entries"], reason=back["comment"],
        ledger="\n".join(f"| {one['seq']} | {one['kind']} | {one['version'] or ''} | {one['by'] or ''} | "
                         f"{one['payload'].get('effective_on', '')} |" for one in lines),
        how_nothing=KNOWS_NOTHING.how, as_of_nothing=KNOWS_NOTHING.as_of,
        refused_nothing=refuse(place, KNOWS_NOTHING, {}, "as_shipped"),
        refused_opened=refuse(place, KNOWS_NOTHING, OPENED, "opened"))


def _measure(row: dict[str, Any]) -> str:
    limit = json.loads(row["parameters"]).get("limit")
    cells = [NAMES[row["metric"]], *("" if one is None else f"{one:+.3f}" for one in (row["value"], row["reference"])),
             *("" if one is None else f"{one:.3f}" for one in (row["null_value"], limit)),
             "**beyond**" if row["level"] == BEYOND else row["level"]]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Rehearse, and print or write the page."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path)
    chosen = options.parse_args()
    last = months_before(KNOWS_NOTHING.as_of, -1)
    with tempfile.TemporaryDirectory() as folder, started(Path(folder), BOOK, last, KINDS) as place:
        written = rehearse(place)
    if chosen.out:
        chosen.out.write_text(written, encoding="utf-8")
    print(written)


if __name__ == "__main__":
    main()
