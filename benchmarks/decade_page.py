"""The page of the decade: Markdown and one picture, of what `decade_told.told` answers, and of nothing else."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.decade_alerts import CAUSES, Explained, explain, together

Row = dict[str, Any]

COMMAND = "python -m benchmarks.decade --every {every} --ask-every {ask_every} --out docs/decade.md"
EVERY = {1: "a night a month", 3: "a night a quarter"}
WORDS = {True: "true", False: "false", None: "cannot be told"}
PICTURE = "decade.svg"
BLUE, RED, GREY, INK = "#1f6fb4", "#c0392b", "#888888", "#222222"

PAGE = """# The decade, replayed

`{command}` writes this page whole, through the Airflow that `make demo` starts: the real loans of `sba`, asked for a
first model from {begun} on, and from the first that passed its gates on {nights} nights to {last}, with monitoring,
requests, retrains, approvals and the guard as they come ({every}: it scores all applications since the night before,
and monitoring compares them as one window). `--every 3` has a night a quarter, in less time. A replay that was
stopped goes on where it was; `--page` makes the page of what there is, without Airflow. `.ci/run` replays its first two
nights.

Whoever approves is the script: what passed its gates, it approves, as of the night that asked. The files of many months
land in one piece; what a night, a training or a measure may see of them is what was known before its as-of. Landing is
watched, and `retrain_on_drift` runs, only while there is something for them. What came true is told by the labels that
were known in the end (charged off within 24 months), also where the replay did not live to see them mature.

These parameters are not as shipped:

| section | values | why |
|---|---|---|
{overlay}

![Drift, AUC, calibration and decisions of every night](images/{picture})

{summary}

## Before the first champion

Each of these was asked for through `train_weekly`, and no model came of it: the loans of 1995 on that had matured by
then hold too few charge-offs. Until there is a champion nothing is scored, and nothing can drift. Line by line, as the
tasks told it:

| as of | why not |
|---|---|
{attempts}

## The timeline

Drift is the largest PSI among the critical features and the score, from the reference of the model in force. AUC and
default rate stand as *promised by the scores of the night → came true*. `alone` is the first champion on the very same
loans, had nobody ever retrained; `plain` the number of features whose PSI is above 0.10 and above 0.25.

| night | loans | model | drift | alerts | AUC | default rate | alone: AUC | alone: default rate | plain | what else |
|---|---|---|---|---|---|---|---|---|---|---|
{timeline}

## Models, requests, refusals

| decided | version | in force from | by | reason |
|---|---|---|---|---|
{decisions}

| request | cause | reason | what came of it |
|---|---|---|---|
{requests}

## Beside the first champion left alone

Each night weighted by its defaults. The difference is the champion's AUC less that of the first champion on the same
loans, with a 95 % interval from DeLong's paired errors; calibration is defaults that came true over those promised.

| year | nights | defaults | AUC, the loop | AUC, alone | difference | calibration, the loop | alone |
|---|---|---|---|---|---|---|---|
{alone}

## Beside plain PSI rules

On the same windows and references: any feature, or the score, above the limit.

| rule | nights on which it calls | of these Tollgate alerted on drift | of these the loans ranked worse than promised |
|---|---|---|---|
{plain}

## Every alert

{counted} `True` is an alert that says what is so, and what lasts: a move of a feature of which
a cause below is known, or that the next night on the same model still sees; what became of loans, for labels say it. A
complaint about the feed of outcomes is false, for nothing is missing from this release. The guard is right where the
former champion fared better on the same loans, in rank and in calibration, and cannot be told where these disagree. A
request is true where the model that came of it ranked better than the one that it replaced; where none came of it, as
the drift is that it names.
*Where it moved* names the bin that adds most to the PSI: its share of the reference then, of the window now.

The causes, by shares and medians counted in the release by the year of approval:

{causes}

| night | about | measured | luck | limit | where it moved, or what was said | what followed | true? | why |
|---|---|---|---|---|---|---|---|---|
{alerts}

What went wrong in operation, or waited for a person, meanwhile: {incidents}.
"""


def write(told: Row, out: Path) -> None:
    """The page to ``out``, its picture to ``images`` beside it."""
    (out.parent / "images").mkdir(parents=True, exist_ok=True)
    (out.parent / "images" / PICTURE).write_text(picture(told), encoding="utf-8")
    out.write_text(page(told), encoding="utf-8")


def page(told: Row) -> str:
    """The page in Markdown; of a replay that has not come to its end, what it has come to."""
    nights, explained = told["nights"], explain(told)
    every = EVERY.get(told["every"], f"a night every {told['every']} months")
    return PAGE.format(
        command=COMMAND.format(**told), begun=told["first"], nights=len(nights), every=every,
        last=nights[-1]["day"] if nights else "", picture=PICTURE,
        overlay=_rows((name, ", ".join(f"`{key}: {value}`" for key, value in values.items()), why)
                      for name, values, why in told["overlay"]),
        summary=_summary(told, explained),
        attempts=_rows((one["as_of"], _short(one["message"])) for one in told["attempts"]),
        timeline=_rows(_night(told, night, explained) for night in nights),
        decisions=_rows((one["kind"], one["version"], one["since"] or "", one["by"] or "", _short(one["reason"] or ""))
                        for one in told["decisions"]),
        requests=_rows((one["key"], one["cause"], _short(one["reason"]), _came(one))
                       for one in told["requests"]) or "| none | | | |",
        alone=_rows(_years(nights)), plain=_rows(_plain(nights, explained)),
        causes="\n".join(f"{place}. {', '.join(f'`{name}`' for name in cause.subjects)}: {cause.what}."
                         for place, cause in enumerate(CAUSES, 1)),
        counted=_counted(explained), alerts=_rows(_alert(one) for one in explained),
        incidents=", ".join(f"{count} of `{kind}`" for kind, count in sorted(Counter(
            line["event"].split(":")[0] for line in told["incidents"] if line["status"] == "began").items())) or "none")


def _came(request: Row) -> str:
    result = str(request["result"] or request["state"])
    return f"{result}: {_short(request['why'], 400)}" if request["why"] else result


def _rows(rows: Iterable[Sequence[Any]]) -> str:
    return "\n".join("| " + " | ".join(str(cell).replace("|", "/").replace("\n", " ") for cell in row) + " |"
                     for row in rows)


def _short(text: str, most: int = 220) -> str:
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"


def _number(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)


def _pair(row: Row | None, before: str, after: str, form: str) -> str:
    return "" if row is None else f"{_number(row[before], form)} → {_number(row[after], form)}"


def _night(told: Row, night: Row, explained: Sequence[Explained]) -> tuple[str, ...]:
    mine = [one for one in explained if one.alert["day"] == night["day"]]
    alone = night.get("alone") if night["version"] != "1" else None
    return (night["day"], f"{night['rows']:,}", f"v{night['version']}",
            f"{night['level']}: {night['worst']} {_number(night['worst_psi'], '.2f')}", str(len(mine) or ""),
            _pair(night["own"], "expected_auc", "auc", ".3f"), _pair(night["own"], "expected_rate", "rate", ".1%"),
            "is in force" if night["version"] == "1" else _pair(alone, "expected_auc", "auc", ".3f"),
            "" if alone is None else _pair(alone, "expected_rate", "rate", ".1%"),
            " / ".join(str(len(names)) for _, names in sorted(night["plain"].items())), "; ".join(_else(told, night)))


def _else(told: Row, night: Row) -> list[str]:
    """What else a night led to: a request and its result, the guard's judgement."""
    request = next((one for one in told["requests"] if one["key"] == night["request"]
                    and one["as_of"] == night["day"]), None)
    found = [] if request is None else [f"requested a retrain: {request['result'] or request['state']}"]
    return [*(one.split(" by ")[0] for one in found), *([f"guard: {night['guard']}"] if night["guard"] else [])]


def _years(nights: Sequence[Row]) -> list[tuple[Any, ...]]:
    """A row a year, and one of them all."""
    known = [night for night in nights if night["own"]["defaults"] and night["own"]["auc"] is not None]
    years: dict[str, list[Row]] = {}
    for night in known:
        years.setdefault(night["day"][:4], []).append(night)
    return [_year(name, of) for name, of in [*years.items(), *([("all", known)] if known else [])]]


def _year(name: str, nights: Sequence[Row]) -> tuple[Any, ...]:
    own, alone = [night["own"] for night in nights], [night["alone"] for night in nights]
    ahead, low, high = together(alone) if all(one["ahead"] is not None for one in alone) else (None, None, None)
    same = all(night["version"] == "1" for night in nights)
    between = "is in force" if same else "-" if ahead is None else f"{ahead:+.3f} ({low:+.3f} to {high:+.3f})"
    return (name, len(nights), sum(one["defaults"] for one in own), _number(_weighted(own)), _number(_weighted(alone)),
            between, _number(_calibration(own), ".2f"), _number(_calibration(alone), ".2f"))


def _weighted(rows: Sequence[Row]) -> float | None:
    known = [row for row in rows if row["auc"] is not None]
    total = sum(row["defaults"] for row in known)
    return sum(row["auc"] * row["defaults"] for row in known) / total if total else None


def _calibration(rows: Sequence[Row]) -> float | None:
    promised = sum(row["expected_rate"] * row["labelled"] for row in rows)
    return sum(row["defaults"] for row in rows) / promised if promised else None


def _plain(nights: Sequence[Row], explained: Sequence[Explained]) -> list[tuple[Any, ...]]:
    """What plain limits would have called, beside what Tollgate told of features."""
    drift = {one.alert["day"] for one in explained if one.alert["key"].split(":")[0] in ("psi", "ks")}
    asked = {night["day"] for night in nights if night["request"]}

    def row(name: str, days: set[str]) -> tuple[Any, ...]:
        worse = [night for night in nights if night["day"] in days and night["own"]["auc"] is not None
                 and night["own"]["auc"] < night["own"]["expected_auc"]]
        return name, f"{len(days)} of {len(nights)}", len(days & drift), len(worse)

    limits = sorted({limit for night in nights for limit in night["plain"]})
    return [*(row(f"PSI > {limit}", {night["day"] for night in nights if night["plain"][limit]}) for limit in limits),
            row("Tollgate: an alert on drift", drift & {night["day"] for night in nights}),
            row("Tollgate: a retrain requested", asked)]


def _counted(explained: Sequence[Explained]) -> str:
    found = Counter(WORDS[one.true] for one in explained)
    return f"{len(explained)} in all: " + ", ".join(f"{found[word]} {word}" for word in WORDS.values()) + "."


def _alert(one: Explained) -> tuple[str, ...]:
    alert = one.alert
    return (alert["day"], alert["key"].split(":v")[0].replace(":", " "), _number(alert["value"]),
            _number(alert["null"]), _number(alert["limit"]), "; ".join(alert["moved"]) or _short(alert["message"]),
            one.followed, WORDS[one.true], one.why)


def _summary(told: Row, explained: Sequence[Explained]) -> str:
    nights = told["nights"]
    outcomes = Counter(str(one["result"] or one["state"]).split(" by ")[0] for one in told["requests"])
    kinds = Counter(one["kind"] for one in told["decisions"])
    return (f"In short: {len(nights)} nights, {len(explained)} alerts, {len(told['requests'])} retrains requested "
            f"({', '.join(f'{count} {what}' for what, count in sorted(outcomes.items())) or 'none'}), "
            f"{kinds['promotion']} promotions, {kinds['rollback']} rollbacks.")


def picture(told: Row) -> str:
    """Three panels over the nights as an SVG; the same replay gives the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    nights = told["nights"]
    days = [date.fromisoformat(night["day"]) for night in nights]
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "decade", "font.size": 9,
                                "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 9), layout="constrained")
        drift, auc, calibration = figure.subplots(3, 1, sharex=True)
        drift.plot(days, [night["worst_psi"] for night in nights], ".-", color=INK, label="largest PSI")
        for limit in (0.10, 0.25):
            drift.axhline(limit, color=GREY, linewidth=0.6)
        drift.set(ylabel="drift (PSI)", yscale="log")
        for name, colour in (("own", BLUE), ("alone", GREY)):
            rows, who = [night[name] for night in nights], "the loop" if name == "own" else "first champion alone"
            auc.plot(days, [row["expected_auc"] for row in rows], "--", color=colour, linewidth=1,
                     label=f"{who}: promised")
            auc.plot(days, [row["auc"] for row in rows], ".-", color=colour, label=f"{who}: came true")
            calibration.plot(days, [row["rate"] / row["expected_rate"] if row["rate"] else None for row in rows], ".-",
                             color=colour, label=who)
        calibration.axhline(1, color=GREY, linewidth=0.6)
        auc.set(ylabel="AUC")
        calibration.set(ylabel="defaults: came true / promised", yscale="log")
        _mark(told, (drift, auc, calibration))
        for axes in (drift, auc, calibration):
            axes.legend(fontsize=8, frameon=False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return out.getvalue()


def _mark(told: Row, panels: Sequence[Any]) -> None:
    """Alerts as marks below the drift, decisions and refusals as lines through every panel."""
    alerted = sorted({date.fromisoformat(alert["day"]) for alert in told["alerts"]})
    panels[0].plot(alerted, [0.02] * len(alerted), "|", color=RED, label="alerts")
    refused = [one["as_of"] for one in told["requests"] if str(one["result"]).startswith("refused")]
    lines = [*((one["since"], BLUE if one["kind"] == "promotion" else RED, "-") for one in told["decisions"]
               if one["since"]), *((day, RED, ":") for day in refused)]
    for day, colour, style in lines:
        for axes in panels:
            axes.axvline(date.fromisoformat(day), color=colour, linestyle=style, linewidth=0.8, alpha=0.6)
    panels[0].set_title("blue: a promotion; red: a rollback; dotted: a retrain that its gates refused", fontsize=8,
                        loc="left")
