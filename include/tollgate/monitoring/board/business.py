"""The pictures of what decisions are worth: how many apply, what they earn and lose, promised and come true."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from typing import Any

from tollgate.monitoring.board.canvas import BLUE, INK, Picture, at, by_day, canvas
from tollgate.monitoring.board.pictures import measured, promise_and_truth
from tollgate.monitoring.business import APPROVAL_RATE, LOSS, LOSS_AMOUNT, PROFIT, VOLUME
from tollgate.stats.intervals import wilson

Row = dict[str, Any]


def volume_picture(rows: Iterable[Row]) -> Picture | None:
    """The applications of each night and the usual number; beside it what is approved, and due to be lost and earned.

    Args:
        rows: of ``measures``, on business.
    """
    nights: dict[date, dict[str, Row]] = {}
    for row in sorted((row for row in rows if row["segment"] is None), key=lambda row: row["as_of"]):
        nights.setdefault(row["as_of"], {})[row["metric"]] = row
    nights = {day: told for day, told in nights.items() if VOLUME in told}
    if not nights:
        return None
    usual = {day: told[VOLUME]["reference"] for day, told in nights.items() if told[VOLUME]["reference"] is not None}
    with canvas("volume") as drawing:
        axes = drawing.axes
        axes.plot(at(nights), [told[VOLUME]["value"] for told in nights.values()], color=BLUE, linewidth=1.6,
                  marker=".", markersize=4, label="applications")
        if usual:
            axes.plot(at(usual), list(usual.values()), color=INK, linewidth=1, linestyle=":", label="usual")
        axes.margins(y=.15)
        axes.set_ylim(bottom=0)
        by_day(axes, lambda value: f"{value:,.0f}")

    def cell(day: date, metric: str, column: str, how: str) -> str:
        value = nights[day].get(metric, {}).get(column)
        return "" if value is None else format(value, how)

    def line(day: date) -> list[str]:
        return [day.isoformat(), *(cell(day, *what) for what in (
            (VOLUME, "value", ",.0f"), (VOLUME, "reference", ",.0f"), (APPROVAL_RATE, "value", ".1%"),
            (LOSS, "reference", ".3f"), (PROFIT, "reference", ".3f"), (LOSS_AMOUNT, "reference", ",.0f")))]

    night, applied, mean, approved, loss, profit, lost = line(max(nights))
    said = f"{applied} applied in the night of {night}{f', where {mean} are usual' if mean else ''}"
    said += f"; {approved} of all applications are approved" if approved else ""
    said += f", and each is due to be worth {profit} of a paid loan once defaults have cost {loss}" if profit else ""
    if lost:
        lent = json.loads(nights[max(nights)][LOSS_AMOUNT]["parameters"])["lent"]
        said += f". Of {lent:,.0f} that the approved ask for, {lost} are due to be lost, were nothing recovered"
    return Picture("volume", "Applications, and what they are worth", f"{said}.", drawing.svg,
                   ["night", "applications", "usual", "approved", "loss, promised", "profit, promised",
                    "loss, promised, in money"],
                   [line(day) for day in reversed(nights)])


def profit_picture(rows: Iterable[Row], confidence: float) -> Picture | None:
    """What an application is worth in paid loans, as each night's scores promise it and as it came true.

    Args:
        rows: of ``measures``, on business. confidence: of the interval around what came true.
    """
    told = list(rows)
    known = [row for row in told if row["value"] is not None]
    lost = {measured(row): row["value"] for row in known if row["metric"] == LOSS}
    errors = {row["window_to"]: _error(row, lost[measured(row)], confidence) for row in known
              if row["metric"] == PROFIT}
    return promise_and_truth("profit", "Profit of an application, in paid loans", PROFIT, told,
                             lambda value: f"{value:.3f}", errors, [])


def loss_picture(rows: Iterable[Row]) -> Picture | None:
    """What the approved loans lose of the money lent, as each night's scores promise it and as it came true.

    Args:
        rows: of ``measures``, on business.
    """
    shares = [{**row, **{column: row[column] / lent for column in ("value", "reference", "null_value")
                         if row[column] is not None}}
              for row in rows if row["metric"] == LOSS_AMOUNT and (lent := json.loads(row["parameters"])["lent"])]
    return promise_and_truth("loss_amount", "Loss of the money lent, were nothing recovered", LOSS_AMOUNT, shares,
                             lambda value: f"{value:.1%}", {}, [])


def _error(profit: Row, loss: float, confidence: float) -> float:
    """How far what came true may lie from what was to be expected, by the share of the approved that defaulted."""
    cost, n = json.loads(profit["parameters"])["cost_of_default"], profit["n"]
    bad = loss * n / cost
    approved = (profit["value"] + loss) * n + bad
    if not round(approved):
        return 0.0
    low, high = wilson(round(bad), round(approved), confidence)
    return (1 + cost) * max(high - bad / approved, bad / approved - low) * approved / n
