"""The pictures of the Board, each of rows of the lake, and None where there is nothing to show yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from tollgate.config import SEVERITIES
from tollgate.labels import grouped
from tollgate.monitoring.baselines import Baseline
from tollgate.monitoring.board.canvas import (
    BLUE,
    INK,
    LEVEL_COLOURS,
    MAJOR,
    MINOR,
    MODERATE,
    RED,
    SIZE,
    Picture,
    at,
    by_day,
    canvas,
)
from tollgate.monitoring.events import ENDED
from tollgate.monitoring.levels import LEVELS
from tollgate.monitoring.performance import AUC, DEFAULT_RATE, auc_error
from tollgate.stats.intervals import normal_quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

YEARS = 8    # of booking, in the picture of vintages
EVENTS = 12  # in that of alerts, the newest
GROWN = 12   # months on book from which a year is spoken of
AGES = (6, 12, 18, 24, 36)  # months on book, in the table beside it
SEVERITY_COLOURS = dict(zip(SEVERITIES, (MINOR, MODERATE, MAJOR), strict=True))

Row = dict[str, Any]


def psi_picture(rows: Iterable[Row], decides: Sequence[str]) -> Picture | None:
    """PSI by feature and month, by its level: the highest of a month's nights.

    Args:
        rows: of ``measures``, PSI alone. decides: the subjects that decide the verdict, which come first.
    """
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = row["subject"], row["day"][:7]
        if row["value"] is not None and row["value"] >= found.get(key, row)["value"]:
            found[key] = row
    if not found:
        return None
    months = sorted({month for _, month in found})
    others = sorted({subject for subject, _ in found} - set(decides))
    subjects = [*(one for one in decides if any((one, month) in found for month in months)), *others]
    shade = [[_shade(found.get((subject, month))) for month in months] for subject in subjects]
    with canvas("psi", (SIZE[0], 1.0 + 0.2 * len(subjects))) as drawing:
        _draw_levels(drawing.axes, shade, [f"{s} *" if s in decides else s for s in subjects], months)

    def cell(subject: str, month: str) -> str:
        row = found.get((subject, month))
        return "" if row is None else f"{row['value']:.2f} {row['level']}"

    newest = sorted((row for (_, month), row in found.items() if month == months[-1] and row["level"] in LEVELS[1:]),
                    key=lambda row: (-row["value"], row["subject"]))
    moved = ", ".join(f"{row['subject']} {row['level']} ({row['value']:.2f})" for row in newest)
    said = f"In {months[-1]}: {moved or 'every feature and the score stable'}. Those marked * decide the verdict."
    return Picture("psi", "Drift (PSI) by feature and month", said, drawing.svg, ["month", *subjects],
                   [[month, *(cell(subject, month) for subject in subjects)] for month in reversed(months)])


def _shade(row: Row | None) -> float:
    return LEVELS.index(row["level"]) if row and row["level"] in LEVELS else float("nan")


def _draw_levels(axes: Axes, shade: list[list[float]], names: list[str], months: list[str]) -> None:
    import numpy as np
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Patch

    axes.pcolormesh(np.ma.masked_invalid(np.array(shade)), cmap=ListedColormap(LEVEL_COLOURS),
                    norm=BoundaryNorm(range(5), 4), edgecolors="face", linewidth=.2)
    axes.set_yticks([place + .5 for place in range(len(names))], names)
    axes.invert_yaxis()
    step = max(1, -(-len(months) // 5))
    axes.set_xticks([place + .5 for place in range(0, len(months), step)], months[::step])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.figure.legend(handles=[Patch(color=colour, label=level) for colour, level in
                                zip(LEVEL_COLOURS, LEVELS, strict=True)], loc="outside upper right", ncols=4,
                       handlelength=1, columnspacing=1.2)


def auc_picture(rows: Iterable[Row], baselines: Mapping[str, Baseline], confidence: float) -> Picture | None:
    """AUC as each night's scores promise it, as it came true once their loans had matured, and on the test months.

    Args:
        rows: of ``measures``, on performance. baselines: what each version promised when it was registered.
        confidence: of the interval around what came true.
    """
    told = list(rows)
    defaults = {measured(row): row["value"] * row["n"] for row in told
                if row["metric"] == DEFAULT_RATE and row["value"] is not None}
    errors = {row["window_to"]: normal_quantile((1 + confidence) / 2) * auc_error(
        row["value"], defaults[measured(row)], row["n"] - defaults[measured(row)])
        for row in told if row["metric"] == AUC and row["value"] is not None}
    tested = [(row["as_of"], baselines[row["model_version"]].auc) for row in told
              if row["metric"] == AUC and row["segment"] is None and row["model_version"] in baselines]
    return promise_and_truth("auc", "Ranking (AUC): estimated and realised", AUC, told,
                             lambda value: f"{value:.3f}", errors, tested)


def default_picture(rows: Iterable[Row], confidence: float) -> Picture | None:
    """Calibration over time: the default rate that the scores of each night promise, and the one that came true.

    Args:
        rows: of ``measures``, on performance. confidence: of the interval around what came true.
    """
    told, reach = list(rows), normal_quantile((1 + confidence) / 2)
    errors = {row["window_to"]: reach * (row["value"] * (1 - row["value"]) / row["n"]) ** .5 for row in told
              if row["metric"] == DEFAULT_RATE and row["value"] is not None}
    return promise_and_truth("defaults", "Calibration: promised and true defaults", DEFAULT_RATE, told,
                             lambda value: f"{value:.1%}", errors, [])


def measured(row: Row) -> tuple[date, str]:
    """Of which loans it tells, and when: a night is told of anew as labels are corrected, by itself and with others."""
    return row["as_of"], row["segment"]


def promise_and_truth(name: str, title: str, metric: str, rows: Iterable[Row], shown: Callable[[float], str],
                      errors: Mapping[date, float], tested: list[tuple[date, float]]) -> Picture | None:
    """A band of what was promised, and points of what came true with their own intervals, by the night of scoring.

    Of a night that has matured both are of the loans whose outcome is known: a lender that declines the risky ones is
    never told theirs, and what was promised of them too would look as if it had not come true.
    """
    promised: dict[date, Row] = {}
    true: dict[date, Row] = {}
    for row in sorted((row for row in rows if row["metric"] == metric and row["reference"] is not None),
                      key=lambda row: row["as_of"]):
        if row["segment"] is None:
            promised[row["as_of"]] = row
        elif row["value"] is not None:
            true[row["window_to"]] = row
    promised |= true
    if not promised:
        return None
    days = sorted(promised)
    with canvas(name) as drawing:
        axes = drawing.axes
        low, high = zip(*((row["reference"] - (row["null_value"] or 0), row["reference"] + (row["null_value"] or 0))
                          for row in map(promised.__getitem__, days)), strict=True)
        axes.fill_between(at(days), low, high, color=BLUE, alpha=.2, linewidth=0)
        axes.plot(at(days), [promised[day]["reference"] for day in days], color=BLUE, linewidth=1.6, marker=".",
                  markersize=4, label="promised")
        if true:
            ripe = sorted(true)
            axes.errorbar(at(ripe), [true[day]["value"] for day in ripe], yerr=[errors.get(day, 0.0) for day in ripe],
                          color=RED, fmt="o", markersize=4, elinewidth=1.2, label="came true")
        if tested:
            axes.plot(at(day for day, _ in tested), [value for _, value in tested], color=INK, linewidth=1,
                      linestyle=":", label="test months")
        by_day(axes, shown)

    def line(day: date) -> list[str]:
        row, came = promised[day], true.get(day)
        reach = "" if row["null_value"] is None else f" ± {shown(row['null_value'])}"
        error = f" ± {shown(errors[day])}" if came and day in errors else ""
        return [day.isoformat(), f"{shown(row['reference'])}{reach}", f"{shown(came['value'])}{error}" if came else ""]

    newest = line(days[-1])
    said = f"The scores of {newest[0]} promise {newest[1]}"
    if true:
        last = line(max(true))
        said += (f"; of those of {last[0]}, the newest that have matured, {last[2]} came true where {last[1]} was "
                 "promised.")
    else:
        said += ". No cohort has matured yet, and a change in what the features mean is not seen before one does."
    return Picture(name, title, said, drawing.svg, ["scored as of", "promised", "came true"],
                   [line(day) for day in reversed(days)])


def decline_picture(rows: Iterable[Row]) -> Picture | None:
    """The share of the applications that is declined, and what each version was approved for.

    Args:
        rows: of ``measures``, the decline rates, oldest first.
    """
    told = [row for row in rows if row["segment"] is None and row["value"] is not None]
    if not told:
        return None
    asked = {row["as_of"]: row["reference"] for row in told if row["reference"] is not None}
    with canvas("declined") as drawing:
        axes = drawing.axes
        axes.plot(at(row["as_of"] for row in told), [row["value"] for row in told], color=BLUE, linewidth=1.6,
                  marker=".", markersize=4, label="declined")
        if asked:
            axes.plot(at(asked), list(asked.values()), color=INK, linewidth=1, linestyle=":", label="approved for",
                      drawstyle="steps-post")
        axes.margins(y=.15)
        axes.set_ylim(bottom=0)
        by_day(axes, lambda value: f"{value:.0%}")
    last = told[-1]
    said = f"On {last['as_of']} {last['value']:.1%} of {last['n']:,} applications were declined"
    if last["as_of"] in asked:
        said += f"; version {last['model_version']} was approved for {asked[last['as_of']]:.1%}"
    return Picture("declined", "Decline rate", f"{said}.", drawing.svg,
                   ["night", "applications", "declined", "approved for", "version"],
                   [[row["as_of"].isoformat(), f"{row['n']:,}", f"{row['value']:.1%}",
                     f"{asked[row['as_of']]:.1%}" if row["as_of"] in asked else "", row["model_version"]]
                    for row in reversed(told)])


def alerts_picture(events: Iterable[Row]) -> Picture | None:
    """What was going on, from when until when, by how grave it was.

    Args:
        events: rows of that table, every night's, and those of incidents, of which one event may begin twice on a day.
    """
    lives: dict[tuple[str, str, date, int], list[Row]] = {}
    for row in sorted(events, key=lambda row: row["as_of"]):
        lives.setdefault((row["event"], row["model_version"], row["since"], row.get("began", 0)), []).append(row)
    if not lives:
        return None
    end = max(rows[-1]["as_of"] for rows in lives.values())
    least = max((end - min(rows[0]["as_of"] for rows in lives.values())).days / 60, 1)  # days that can be seen
    names = list(dict.fromkeys(event for event, *_ in sorted(
        lives, key=lambda life: (lives[life][-1]["as_of"], life[2], life[0]), reverse=True)))[:EVENTS]
    with canvas("alerts", (SIZE[0], 1.0 + 0.2 * len(names))) as drawing:
        axes = drawing.axes
        for (event, *_), rows in lives.items():
            if event in names:
                for row, after in zip(rows, [*rows[1:], None], strict=True):
                    until = (after or row)["as_of"]
                    if row["status"] != ENDED:
                        axes.barh(names.index(event), max((until - row["as_of"]).days, least), left=at([row["as_of"]]),
                                  height=.6, color=SEVERITY_COLOURS[row["severity"]])
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - .5, -.5)
        axes.tick_params(axis="y", length=0)
        by_day(axes, None)
        _legend_of_severities(axes)
    under_way = [life for life, rows in lives.items() if rows[-1]["as_of"] == end and rows[-1]["status"] != ENDED]
    told = ", ".join(sorted(event for event, *_ in under_way)) or "none"
    said = f"{len(lives)} alerts in all; under way on {end}: {told}."
    return Picture("alerts", "Alerts, from when until when", said, drawing.svg,
                   ["alert", "model", "since", "until", "gravest"],
                   [[event, version and f"v{version}", since.isoformat(),
                     "under way" if (event, version, since, began) in under_way else rows[-1]["as_of"].isoformat(),
                     max((row["severity"] for row in rows), key=SEVERITIES.index)]
                    for (event, version, since, began), rows in sorted(
                        lives.items(), key=lambda life: (life[0][2], life[0]), reverse=True)])


def _legend_of_severities(axes: Axes) -> None:
    from matplotlib.patches import Patch

    axes.figure.legend(handles=[Patch(color=colour, label=severity) for severity, colour in SEVERITY_COLOURS.items()],
                       loc="outside upper right", ncols=3, handlelength=1, columnspacing=1.2)


def vintages_picture(vintages: list[Row]) -> Picture | None:
    """Of the loans booked in each year, the share known to be bad by months on book; the newest year stands out.

    Args:
        vintages: as ``labels.vintages`` answers.
    """
    years = dict(list(grouped(vintages, lambda row: row["booked"][:4]).items())[-YEARS:])
    if not years:
        return None
    from matplotlib.ticker import MaxNLocator

    with canvas("vintages") as drawing:
        axes = drawing.axes
        for place, (year, (*_, shares)) in enumerate(years.items()):
            newest = place == len(years) - 1
            colour = RED if newest else BLUE
            axes.plot(range(len(shares)), shares, color=colour, linewidth=2 if newest else 1.2,
                      alpha=1 if newest else .35 + .65 * place / len(years))
            axes.annotate(year, (len(shares) - 1, shares[-1]), xytext=(3, 0), textcoords="offset points", color=colour,
                          va="center", fontsize=8)
        oldest = max(len(shares) for *_, shares in years.values()) - 1
        axes.set(xlabel="months on book", ylim=(0, None), xlim=(0, max(oldest, 1)))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.grid(axis="y", alpha=.6)
    grown = [(year, of) for year, of in years.items() if len(of[-1]) > GROWN]
    year, (loans, bad, due, _) = (grown or list(years.items()))[-1]
    said = (f"Of {loans:,} loans booked in {year}, {bad:,} are known to be bad; by the years before it, {due:,.0f} "
            "were to be expected by now.")
    return Picture("vintages", "Vintages: bad by months on book", said, drawing.svg,
                   ["booked", "loans", "bad", "expected", *(f"at {age} m" for age in AGES)],
                   [[year, f"{loans:,}", f"{bad:,}", f"{due:,.0f}",
                     *(f"{shares[age]:.2%}" if age < len(shares) else "" for age in AGES)]
                    for year, (loans, bad, due, shares) in reversed(years.items())])
