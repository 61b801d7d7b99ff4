"""A picture by matplotlib as an SVG that stands inside a page: its colours are the page's, its text stays text."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Each stands for a variable of the page's style sheet, which knows the day from the night.
INK, SOFT, LINE, PAPER, BLUE, RED = (f"#00000{place}" for place in range(1, 7))
STABLE, MINOR, MODERATE, MAJOR = LEVEL_COLOURS = tuple(f"#00001{place}" for place in range(4))
VARIABLES = dict(zip((INK, SOFT, LINE, PAPER, BLUE, RED, *LEVEL_COLOURS), (
    "ink", "soft", "line", "paper", "blue", "red", "stable", "minor", "moderate", "major"), strict=True))
SIZE = 4.6, 2.8  # inches: about as many points as a telephone is wide


@dataclass(frozen=True)
class Picture:
    """A picture and the same in words and numbers, for whoever does not see it.

    Attributes:
        name: its id on the page. title: what is shown. said: what is to be seen, in a sentence.
        svg: the drawing. head, rows: its numbers, the newest first.
    """

    name: str
    title: str
    said: str
    svg: str
    head: list[str]
    rows: list[list[str]]


class Canvas:
    """Where a picture is drawn: ``axes``, and ``svg`` once that is done."""

    axes: Axes
    svg: str


@contextmanager
def canvas(name: str, size: tuple[float, float] = SIZE) -> Iterator[Canvas]:
    """A canvas of a picture with this name; the same drawing gives the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    # A salt of its own, so that no two pictures of a page have an element of the same name.
    with matplotlib.rc_context({
            "svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif", "text.parse_math": False,
            "font.size": 10, "text.color": INK, "axes.labelcolor": SOFT, "axes.edgecolor": LINE, "xtick.color": SOFT,
            "ytick.color": SOFT, "grid.color": LINE, "legend.frameon": False, "legend.labelcolor": INK,
            "axes.spines.top": False, "axes.spines.right": False, "hatch.color": LINE, "legend.fontsize": 9}):
        figure, drawing = Figure(figsize=size, layout="constrained"), Canvas()
        figure.patch.set_visible(False)
        drawing.axes = figure.subplots()
        drawing.axes.patch.set_visible(False)
        yield drawing
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    drawing.svg = _for_page(name, out.getvalue())


def at(days: Iterable[date]) -> list[float]:
    """Where days stand on an axis of time."""
    from matplotlib.dates import date2num

    return [float(date2num(day)) for day in days]


def by_day(axes: Axes, shown: Callable[[float], str] | None, columns: int = 3) -> None:
    """The axes of a picture over time: few dates, values as people write them, a legend above."""
    from matplotlib.dates import AutoDateLocator, DateFormatter

    axes.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=5))
    axes.xaxis.set_major_formatter(DateFormatter("%Y-%m"))
    if shown is not None:
        axes.yaxis.set_major_formatter(lambda value, _: shown(value))
        axes.grid(axis="y", alpha=.6)
        axes.figure.legend(loc="outside upper left", ncols=columns, handlelength=1.4, columnspacing=1.2)


def _for_page(name: str, svg: str) -> str:
    """The element alone: named by the page's own words, without what would speak of other elements of the page."""
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if f"#{found[1]}" in svg else "", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None
    named = f'role="img" aria-labelledby="{name}-title" aria-describedby="{name}-said"'
    return re.sub(r"<svg[^>]*>", lambda _: f"<svg {named} {box[0]}>", svg, count=1)
