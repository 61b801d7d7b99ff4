"""The picture of fairness: how far apart the decline rates of protected groups lie, each pair beside its own luck."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from tollgate.monitoring.board.canvas import BLUE, INK, MODERATE, RED, Picture, at, by_day, canvas

COLOURS = (RED, BLUE, MODERATE, INK)  # of the pairs that are drawn, the widest first

Row = dict[str, Any]


def fairness_picture(rows: Iterable[Row]) -> Picture | None:
    """The gap of every pair of groups by night, and dotted what luck alone explains of it.

    Drawn are those that lie furthest beyond their own null in the newest night of each; the table beside has them all.

    Args:
        rows: of ``measures``, the gaps of decline rates, in any order.
    """
    pairs: dict[str, dict[date, Row]] = {}
    for row in sorted((row for row in rows if row["value"] is not None), key=lambda row: row["as_of"]):
        pairs.setdefault(f"{row['subject']}: {row['segment']}", {})[row["as_of"]] = row
    if not pairs:
        return None
    days = sorted({day for nights in pairs.values() for day in nights})
    names = sorted(pairs, key=lambda name: (-_beyond(pairs[name][max(pairs[name])]), name))
    with canvas("fairness", (4.6, 3.2)) as drawing:
        for name, colour in zip(names, COLOURS, strict=False):
            nights = pairs[name]
            drawing.axes.plot(at(nights), [row["value"] for row in nights.values()], color=colour, linewidth=1.6,
                              marker=".", markersize=4, label=name)
            drawing.axes.plot(at(nights), [row["null_value"] for row in nights.values()], color=colour, linewidth=1,
                              linestyle=":")
        drawing.axes.set_ylim(bottom=0)
        by_day(drawing.axes, lambda value: f"{value:.0%}", columns=1)

    def cell(name: str, day: date) -> str:
        row = pairs[name].get(day)
        return "" if row is None else f"{row['value']:.1%} (luck {row['null_value']:.1%})"

    newest = {name: pairs[name][days[-1]] for name in names if days[-1] in pairs[name]}
    wide = [f"{name} ({row['value']:.1%})" for name, row in newest.items() if _beyond(row) > 0]
    least = min(row["n"] for row in newest.values())
    said = (f"On {days[-1]} the decline rates lie further apart than luck explains (dotted) of {', '.join(wide)}."
            if wide else f"On {days[-1]} no two of the groups lie further apart than luck explains (dotted); "
            f"the smallest pair has {least:,} applications.")
    return Picture("fairness", "Fairness: gaps between decline rates", said, drawing.svg, ["night", *names],
                   [[day.isoformat(), *(cell(name, day) for name in names)] for day in reversed(days)])


def _beyond(row: Row) -> float:
    """How far a gap lies above its own null, as a share."""
    return float(row["value"] - row["null_value"])
