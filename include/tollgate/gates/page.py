"""The gate report as one page of HTML: no script, no network, readable in print and in the dark."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

from tollgate.errors import Refused
from tollgate.gates.base import Verdict
from tollgate.gates.report import MEANINGS, Report, interval, limit, shown

BADGES = {"pass": "Pass", "refuse": "Refused", "n/a": "Not applicable"}
MARKS = {"pass": "✓", "refuse": "✗", "n/a": "–"}  # noqa: RUF001
CLASSES = {"pass": "pass", "refuse": "refuse", "n/a": "silent"}
WIDTH, HEIGHT, EDGE = 300, 40, 10

STYLE = """
:root { --ink: #1c2530; --soft: #5d6977; --line: #e3e7ec; --paper: #ffffff; --ground: #f4f6f8;
  --pass: #18794e; --pass-soft: #e3f4ea; --refuse: #b4232c; --refuse-soft: #fce8e8; --silent: #667382;
  --silent-soft: #edf0f3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf1; --soft: #9aa7b5; --line: #2e3742; --paper: #1a212a;
  --ground: #11161c; --pass: #58c48c; --pass-soft: #16352a; --refuse: #f2828a; --refuse-soft: #43201f;
  --silent: #9aa7b5; --silent-soft: #28313b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); line-height: 1.5;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 36px 20px 56px; }
.kind { margin: 0 0 8px; color: var(--soft); font-size: 13px; }
.verdict { background: var(--paper); border: 1px solid var(--line); border-left: 6px solid; border-radius: 10px;
  padding: 22px 26px; }
.verdict.pass { border-left-color: var(--pass); } .verdict.refuse { border-left-color: var(--refuse); }
h1 { margin: 0 0 4px; font-size: 26px; line-height: 1.25; letter-spacing: -0.01em; }
.verdict.pass h1 { color: var(--pass); } .verdict.refuse h1 { color: var(--refuse); }
.verdict p { margin: 0; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px 24px; margin: 18px 0 0;
  padding-top: 16px; border-top: 1px solid var(--line); }
dt { color: var(--soft); font-size: 12.5px; } dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
ol { list-style: none; margin: 20px 0 0; padding: 0; background: var(--paper); border: 1px solid var(--line);
  border-radius: 10px; }
li { display: grid; grid-template-columns: 1fr 300px; gap: 4px 28px; align-items: start; padding: 18px 26px;
  break-inside: avoid; } li + li { border-top: 1px solid var(--line); }
h2 { display: flex; flex-wrap: wrap; align-items: center; gap: 10px; margin: 0 0 6px; font-size: 16.5px; }
.badge { padding: 2px 10px; border-radius: 99px; font-size: 12.5px; font-weight: 600; }
.badge.pass { color: var(--pass); background: var(--pass-soft); }
.badge.refuse { color: var(--refuse); background: var(--refuse-soft); }
.badge.silent { color: var(--silent); background: var(--silent-soft); }
.sentence { margin: 0; overflow-wrap: anywhere; }
.numbers { display: flex; justify-content: space-between; align-items: baseline; white-space: nowrap;
  font-variant-numeric: tabular-nums; color: var(--soft); font-size: 13px; }
.numbers strong { font-size: 19px; color: var(--ink); }
.limit { margin: 0; text-align: right; color: var(--soft); font-size: 13px; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; }
.track { fill: var(--silent-soft); } .good { fill: var(--pass-soft); }
.edge { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 3 2; }
.reach { stroke-width: 5; stroke-linecap: round; opacity: .5; } .point { stroke: var(--paper); stroke-width: 2; }
.pass .reach { stroke: var(--pass); } .pass .point { fill: var(--pass); }
.refuse .reach { stroke: var(--refuse); } .refuse .point { fill: var(--refuse); }
.behind { grid-column: 1 / -1; margin-top: 8px; overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 16px 3px 0; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 500; } tr:last-child td { border-bottom: 0; }
nav { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 16px; }
footer { margin-top: 16px; color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
@media (max-width: 720px) { li { grid-template-columns: 1fr; } }
@media print { body { background: none; font-size: 12px; } main { padding: 0; max-width: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } li { padding: 10px 14px; } }
"""


def page(report: Report) -> str:
    """The whole document."""
    facts = {"Book": report.title, "As of": report.as_of, "Model": (report.model_digest or "")[:12] or "none",
             "Snapshot": (report.snapshot_digest or "")[:12] or "none",
             "Champion": report.champion_version or "none yet"}
    told = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())
    title = "Passed" if report.passed else "Refused"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: {escape(report.title)}, {escape(report.as_of)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<p class="kind">Tollgate gate report</p>
<header class="verdict {'pass' if report.passed else 'refuse'}">
<h1>{title}</h1>
<p>{escape(report.summary)}</p>
<nav>{"".join(_chip(verdict) for verdict in report.verdicts)}</nav>
<dl>{told}</dl>
</header>
<ol>
{"".join(_row(verdict) for verdict in report.verdicts)}</ol>
<footer>Bars: the dot is the measured value, the thick line its interval, the dashed line the limit, the green side
is where it must lie. Every loan was scored again by every model, and all numbers come from these scores. Model digest
{escape(report.model_digest or 'none')}.</footer>
</main>
</body>
</html>
"""


def write_report(report: Report, folder: Path) -> None:
    """Write ``gates.json``, ``gates.md`` and ``gates.html`` into ``folder``; equal reports give equal bytes."""
    for name, content in _files(report).items():
        (folder / name).write_bytes(content)


def check_report(report: Report, folder: Path) -> None:
    """Raise ``Refused`` unless the files in ``folder`` are those that ``write_report`` would write."""
    other = [name for name, content in _files(report).items()
             if not (folder / name).is_file() or (folder / name).read_bytes() != content]
    if other:
        raise Refused("The gates, asked again, say something else than the files of this run",
                      value=", ".join(other), remedy="Run the gate stage again; if that gives the same, find out who "
                                                     "wrote these files, or the limits, since.")


def _files(report: Report) -> dict[str, bytes]:
    return {"gates.json": report.to_json().encode(), "gates.md": report.to_markdown().encode(),
            "gates.html": page(report).encode()}


def _row(verdict: Verdict) -> str:
    kind = CLASSES[verdict.verdict]
    return f"""<li class="{kind}">
<div><h2>{escape(MEANINGS[verdict.gate].title)} <span class="badge {kind}">{BADGES[verdict.verdict]}</span></h2>
<p class="sentence">{escape(verdict.sentence)}</p></div>
<div>{_numbers(verdict)}</div>{_table(verdict)}
</li>
"""


def _chip(verdict: Verdict) -> str:
    return (f'<span class="badge {CLASSES[verdict.verdict]}">{MARKS[verdict.verdict]} '
            f'{escape(MEANINGS[verdict.gate].title)}</span>')


def _table(verdict: Verdict) -> str:
    """What stands behind the sentence; empty when there is nothing."""
    if not verdict.table:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in verdict.table[0])
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row.values()) + "</tr>"
                   for row in verdict.table)
    return f'<div class="behind"><table><tr>{head}</tr>{rows}</table></div>'


def _numbers(verdict: Verdict) -> str:
    if verdict.measured is None:
        return ""
    reach = "" if verdict.low is None else f"<span>{escape(interval(verdict))}</span>"
    value = f"{shown(verdict, verdict.measured)} {MEANINGS[verdict.gate].noun}".strip()
    return (f'<div class="numbers"><strong>{escape(value)}</strong>{reach}</div>{_bar(verdict)}'
            f'<p class="limit">{MEANINGS[verdict.gate].judged}must be {escape(limit(verdict))}</p>')


def _bar(verdict: Verdict) -> str:
    """Measured value, interval and limit on one line; empty where there is no room between them."""
    values = [v for v in (verdict.measured, verdict.low, verdict.high, verdict.limit, verdict.limit_high)
              if v is not None]
    if verdict.measured is None or verdict.limit is None or not all(map(math.isfinite, values)):
        return ""
    span = max(values) - min(values)
    if span == 0:
        return ""
    start, middle = min(values) - span / 4, HEIGHT / 2

    def x(value: float) -> float:
        return EDGE + (value - start) / (1.5 * span) * (WIDTH - 2 * EDGE)

    edges = [x(verdict.limit)]
    left, right = (edges[0], WIDTH) if MEANINGS[verdict.gate].above_is_good else (0.0, edges[0])
    if verdict.limit_high is not None:
        left, right = edges = [*edges, x(verdict.limit_high)]
    dashes = "".join(f'<line class="edge" x1="{at:.1f}" x2="{at:.1f}" y1="6" y2="34"/>' for at in edges)
    reach = "" if verdict.low is None or verdict.high is None else (
        f'<line class="reach" x1="{x(verdict.low):.1f}" x2="{x(verdict.high):.1f}" y1="{middle:.1f}" '
        f'y2="{middle:.1f}"/>')
    told = escape(f"measured {shown(verdict, verdict.measured)}, must be {limit(verdict)}")
    return (f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{told}">'
            f'<rect class="track" x="0" y="14" width="{WIDTH}" height="12" rx="6"/>'
            f'<rect class="good" x="{left:.1f}" y="14" width="{right - left:.1f}" height="12" rx="6"/>'
            f'{dashes}{reach}'
            f'<circle class="point" cx="{x(verdict.measured):.1f}" cy="{middle:.1f}" r="6"/></svg>')
