"""The labels of a book as of a day as people look at them: counts, findings, vintages, and a page with a picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from html import escape
from typing import TYPE_CHECKING, Any

from tollgate.books import Book
from tollgate.config import Params
from tollgate.labels.evidence import feed_evidence
from tollgate.labels.feed import findings
from tollgate.labels.targets import LABELS, mature_before, read_labels
from tollgate.labels.vintage import arrivals, vintages

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Answer = dict[str, Any]
AGES = (6, 12, 18, 24, 36)   # months on book at which a table shows a vintage
ROWS = 24                    # of a table: the newest quarters of booking
MONTHS = 48                  # of arrivals in the picture

STYLE = """
body { margin: 0; background: #f4f6f8; color: #1c2530; font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto,
  "Helvetica Neue", Arial, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 32px 20px 48px; }
section { background: #fff; border: 1px solid #e3e7ec; border-radius: 10px; padding: 18px 24px; margin-bottom: 14px;
  break-inside: avoid; overflow-x: auto; }
h1 { margin: 2px 0 6px; font-size: 25px; line-height: 1.25; } h2 { margin: 0 0 8px; font-size: 16px; }
p { margin: 0 0 6px; } .note { color: #5d6977; font-size: 13px; } img { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 14px 4px 0; border-bottom: 1px solid #e3e7ec; vertical-align: top; }
th { color: #5d6977; font-weight: 600; } tr:last-child td { border-bottom: 0; }
td.n, th.n { text-align: right; white-space: nowrap; }
.refuse { color: #b4232c; font-weight: 600; } .warn { color: #8a5300; font-weight: 600; } .unknown { color: #5d6977; }
.ok { color: #18794e; }
"""


def labels_report(book: Book, as_of: date, params: Params) -> Answer:
    """Counts of all applications by label, the findings on the feed, and the vintages, as known before ``as_of``.

    Raises:
        BadInput: an older Tollgate wrote a table. PassingFault: the lake did not answer.
    """
    horizon = params.snapshot.horizon_months
    found = read_labels(book, as_of, horizon)["label"].value_counts()
    counted = {row["values"]: row["counts"] for row in found.to_pylist()}
    evidence = feed_evidence(book, as_of)
    return {"book": book.name, "title": book.title, "as_of": as_of.isoformat(), "horizon_months": horizon,
            "lag_days": book.target.lag_days, "mature_before": mature_before(book, as_of, horizon).isoformat(),
            "labels": {name: counted.get(name, 0) for name in LABELS},
            "findings": [asdict(one) for one in findings(evidence, book, as_of, params.labels)],
            "vintages": vintages(evidence, as_of),
            "arrivals": arrivals(evidence, as_of, params.labels.reference_months)}


def readable(answer: Answer) -> Answer:
    """What a person at a terminal reads of ``labels_report``: its vintages by quarter, at a few ages."""
    return {
        "book": answer["book"], "as of": answer["as_of"],
        "mature": f"booked before {answer['mature_before']} (horizon {answer['horizon_months']} months, reporting lag "
                  f"{answer['lag_days']} days)",
        "labels": [{"label": name, "applications": f"{count:,}"} for name, count in answer["labels"].items()],
        "feed": [{"check": one["check"].replace("_", " "), "level": one["level"], "finding": one["sentence"]}
                 for one in answer["findings"]],
        "vintages by quarter": [dict(zip(_head(), cells, strict=True)) for cells in _cells(answer["vintages"])]}


def _head() -> list[str]:
    return ["booked", "loans", "bad", "expected", *(f"at {age} m" for age in AGES)]


def _cells(rows: list[Answer]) -> list[list[str]]:
    """A line a quarter: its loans, how many are bad and ought to be, and the cumulative share at each of ``AGES``."""
    def quarter(row: Answer) -> str:
        return f"{row['booked'][:4]} Q{(int(row['booked'][5:]) + 2) // 3}"

    return [[name, f"{loans:,}", f"{bad:,}", f"{due:,.0f}",
             *(f"{shares[age]:.2%}" if age < len(shares) else "" for age in AGES)]
            for name, (loans, bad, due, shares) in list(grouped(rows, quarter).items())[-ROWS:]]


def page(answer: Answer) -> str:
    """``labels_report`` as one page of HTML with the picture of the vintages in it: no script, no network."""
    title = f"{answer['title']}: labels as of {answer['as_of']}"
    counts = _table(["label", "applications"], [[name, f"{count:,}"] for name, count in answer["labels"].items()])
    findings = "".join(f'<tr><td>{escape(one["check"].replace("_", " "))}</td><td class="{one["level"]}">'
                       f'{one["level"]}</td><td>{escape(one["sentence"])}.</td></tr>' for one in answer["findings"])
    shown = base64.b64encode(picture(answer)).decode() if answer["vintages"] else ""
    image = f'<img alt="Vintages and arrivals" src="data:image/png;base64,{shown}">' if shown else "<p>No loans.</p>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p class="note">Mature: booked before {answer["mature_before"]} (horizon {answer["horizon_months"]} months, reporting
lag {answer["lag_days"]} days). Only good and bad loans train, are gated on and are monitored on.</p>
<section><h2>Labels</h2>{counts}</section>
<section><h2>The feed of outcomes</h2><table><tr><th>check</th><th>level</th><th>finding</th></tr>{findings}</table>
</section>
<section><h2>Vintages</h2>{image}
<p class="note">A loan counts as bad from the month in which that was known. Above: cumulative share of each year's
loans, as long as its youngest loans are that old. Below: loans that became known as bad, and what the months before
let expect. The table takes the months of a quarter together.</p>
{_table(_head(), _cells(answer["vintages"]), numbers=True)}</section>
</main>
</body>
</html>
"""


def _table(head: list[str], rows: list[list[str]], numbers: bool = False) -> str:
    kind = ' class="n"' if numbers else ""
    body = "".join(f"<tr><td>{row[0]}</td>" + "".join(f"<td{kind}>{cell}</td>" for cell in row[1:]) + "</tr>"
                   for row in rows)
    return f"<table><tr><th>{head[0]}</th>{''.join(f'<th{kind}>{name}</th>' for name in head[1:])}</tr>{body}</table>"


def picture(answer: Answer) -> bytes:
    """Development of each year's loans, and arrivals beside those expected, as a PNG; equal answers, equal bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 7.4), layout="constrained")
        upper, lower = figure.subplots(2, 1, height_ratios=(3, 2))
        _draw_vintages(upper, answer["vintages"])
        _draw_arrivals(lower, answer["arrivals"][-MONTHS:])
        out = io.BytesIO()
        FigureCanvasAgg(figure).print_png(out, metadata={"Software": None})
    return out.getvalue()


def _draw_vintages(axes: Axes, rows: list[Answer]) -> None:
    import matplotlib
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    years = {year: shares for year, (*_, shares) in grouped(rows, lambda row: row["booked"][:4]).items()}
    colours = matplotlib.colormaps["viridis_r"]
    for place, (year, shares) in enumerate(years.items()):
        newest = place == len(years) - 1
        colour = "#b4232c" if newest else colours(0.15 + 0.85 * place / max(1, len(years) - 1))
        axes.plot(range(len(shares)), shares, color=colour, linewidth=2.4 if newest else 1.3)
        axes.annotate(year, (len(shares) - 1, shares[-1]), xytext=(3, 0), textcoords="offset points", color=colour,
                      va="center", fontsize=8)
    axes.set(xlabel="months on book", ylabel="known to be bad", title="Loans by year of booking")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.grid(alpha=.25)


def grouped(rows: list[Answer], by: Callable[[Answer], str]) -> dict[str, tuple[int, int, float, list[float]]]:
    """Vintages taken together: loans, known to be bad, expected, and the share known to be bad by months on book.

    The share reaches as far as the youngest of them is old.
    """
    found = {}
    for name in dict.fromkeys(map(by, rows)):
        own = [row for row in rows if by(row) == name]
        loans, ages = sum(row["loans"] for row in own), min(len(row["by_month"]) for row in own)
        shares = [sum(row["by_month"][age] * row["loans"] for row in own) / loans for age in range(ages)]
        bad, due = (sum(row[column] or 0 for row in own) for column in ("known_bad", "expected_bad"))
        found[name] = (loans, bad, due, shares)
    return found


def _draw_arrivals(axes: Axes, rows: list[Answer]) -> None:
    place = range(len(rows))
    axes.bar(place, [row["known"] for row in rows], color="#9db4cc", label="became known as bad")
    axes.plot(place, [float("nan") if row["expected"] is None else row["expected"] for row in rows], color="#b4232c",
              linewidth=1.8, label="expected")
    step = max(1, len(rows) // 12)
    axes.set_xticks(list(place)[::step], [row["month"] for row in rows][::step], rotation=45, ha="right", fontsize=8)
    axes.set(ylabel="loans a month", title="Arrivals")
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    axes.grid(alpha=.25, axis="y")
