"""The explanation of one loan's score as a page of HTML: no script, no network, readable in print and in the dark."""

from __future__ import annotations

import io
import json
from html import escape
from typing import Any

from tollgate.numerals import numeral

STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#1c2530, #e8ecf1); --soft: light-dark(#5d6977, #9aa7b5);
  --line: light-dark(#e3e7ec, #2e3742); --paper: light-dark(#fff, #1a212a); --ground: light-dark(#f4f6f8, #11161c); }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 900px; margin: 0 auto; padding: 32px 20px 48px; }
header, section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 18px 24px;
  margin-bottom: 14px; break-inside: avoid; }
.note { margin: 0; color: var(--soft); font-size: 13px; }
h1 { margin: 2px 0 6px; font-size: 24px; } h2 { margin: 0 0 8px; font-size: 16px; } p { margin: 0 0 6px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; } .picture { background: #fff; overflow-x: auto; } .picture svg { max-width: 100%; }
@media print { body { background: none; } main { padding: 0; } }
"""
RAISED, LOWERED = "#c2410c", "#1d6fa5"  # told apart by colour-blind readers too, and by the side that they go to
LETTERS = 40    # of what a feature measures, and of its value, beside its bar


def page(title: str, told: dict[str, Any]) -> str:
    """The whole document.

    Args:
        title: of the book. told: the answer of ``explain`` without the page.
    """
    name = f"Loan {told['loan_id']}"
    said = "".join(f"<li>{escape(one['sentence'])}.</li>" for one in told["reasons"])
    decided = ("declined: its score is not below the threshold" if told["reasons"] or told["decision"] == "decline"
               else "approved: its score is below the threshold")
    why = f"<section><h2>Reasons</h2><ol>{said}</ol></section>" if said else ""
    if "changes" in told:
        would = "".join(f"<li>{escape(in_words(one))} ({one['score']:.4f}).</li>" for one in told["changes"])
        why += ("<section><h2>What would have been approved</h2>"
                + (f"<ul>{would}</ul>" if would else "<p>No change of what the applicant chooses was found.</p>")
                + "</section>")
    rows = "".join(f"<tr><td>{escape(part['what'])}</td><td><code>{escape(part['feature'])}</code></td>"
                   f"<td>{escape(shown(part['value']))}</td><td class=n>{part['contribution']:+.4f}</td></tr>"
                   for part in told["contributions"])
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(name)}: why it was scored so</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header><p class="note">{escape(title)}, night of {escape(told["night"])}</p><h1>{escape(name)}</h1>
<p>It was {decided} ({told["score"]:.4f} against {told["threshold"]:.4f}).</p>
<p class="note">Model version {escape(told["model_version"])}, run {escape(told["run_id"])}</p></header>
{why}
<section><h2>What moved the score</h2><div class="picture">{picture(told)}</div></section>
<section><h2>All contributions</h2><table><tr><th>what</th><th>feature</th><th>value</th><th class=n>log-odds</th></tr>
<tr><td>nothing known of the loan</td><td></td><td></td><td class=n>{told["base_log_odds"]:+.4f}</td></tr>{rows}
<tr><td>together</td><td></td><td></td><td class=n>{told["log_odds"]:+.4f}</td></tr></table>
<p class="note">Shapley values of the model that scored the loan, in log-odds of default: above 0 they raised the risk,
below 0 they lowered it.</p></section>
</main>
<script type="application/json" id="explanation">{json.dumps(told, sort_keys=True).replace("<", chr(92) + "u003c")}
</script>
</body>
</html>
"""


def picture(told: dict[str, Any]) -> str:
    """A waterfall by matplotlib, as SVG: from what is said of nobody to the loan's log-odds, a bar a feature.

    The same explanation gives the same bytes.
    """
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.use("agg")
    names, widths, starts, at = [], [], [], told["base_log_odds"]
    for part in told["contributions"]:
        names.append(f"{_short(part['what'])} = {_short(shown(part['value']))}")
        widths.append(part["contribution"])
        starts.append(at)
        at += part["contribution"]
    # Text stays text, so that it can be searched and read aloud; a fixed salt gives elements the same names each time.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tollgate", "font.size": 9,
                                "font.family": "sans-serif", "text.parse_math": False}):
        figure = Figure(figsize=(8.4, 1.4 + 0.3 * len(names)), layout="constrained")
        axes = figure.subplots()
        bars = axes.barh(range(len(names)), widths, left=starts,
                         color=[RAISED if width > 0 else LOWERED for width in widths])
        axes.bar_label(bars, [f"{width:+.2f}" for width in widths], padding=3)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.axvline(told["base_log_odds"], color="#888888", linewidth=1, linestyle=":", label="nothing known")
        axes.axvline(told["log_odds"], color="#222222", linewidth=1, label="this loan")
        if told["threshold_log_odds"] is not None:
            axes.axvline(told["threshold_log_odds"], color="#222222", linewidth=1, linestyle="--", label="threshold")
        axes.set_xlabel("log-odds of default")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        figure.legend(loc="outside upper right", ncols=3, frameon=False)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return drawn.getvalue()[drawn.getvalue().index("<svg"):]


def in_words(change: dict[str, Any]) -> str:
    """A change as a phrase: what would have stood in the application, and what stood there."""
    return " and ".join(f"{name} of {shown(value)} instead of {shown(change['from'][name])}"
                        for name, value in change["to"].items())


def shown(value: float | str | None) -> str:
    """A value for people."""
    if not isinstance(value, int | float):
        return "missing" if value is None else value
    return numeral(value)


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else text[:LETTERS - 1] + "…"
