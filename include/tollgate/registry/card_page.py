"""The model card as one page of HTML: no script, no network, readable in print and in the dark."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

from tollgate.gates import Verdict, cells
from tollgate.registry.origin import MODIFIED

STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#1c2530, #e8ecf1); --soft: light-dark(#5d6977, #9aa7b5);
  --line: light-dark(#e3e7ec, #2e3742); --paper: light-dark(#fff, #1a212a); --ground: light-dark(#f4f6f8, #11161c); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 14.5px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 32px 20px 48px; }
header, section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 18px 24px;
  margin-bottom: 14px; break-inside: avoid; }
.kind, .note { margin: 0; color: var(--soft); font-size: 13px; }
h1 { margin: 2px 0 6px; font-size: 25px; line-height: 1.25; } h2 { margin: 0 0 8px; font-size: 16px; }
p { margin: 0 0 6px; } ul { margin: 0; padding-left: 18px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } tr:last-child td { border-bottom: 0; }
td { max-width: 30em; overflow-wrap: break-word; white-space: pre-line; } td:first-child { white-space: nowrap; }
code { font-size: 12.5px; overflow-wrap: anywhere; }
@media (max-width: 720px) { section { padding: 14px 16px; } table { display: block; overflow-x: auto; }
  td:last-child { min-width: 240px; } }
@media print { body { background: none; } main { padding: 0; } }
"""
STATES = {"champion": "It is the champion: its scores count.", "challenger": "It waits for a person's decision.",
          "former champion": "It was the champion once.", "rejected": "A person turned it down.",
          "replaced": "A newer challenger took its place before anyone decided."}

NIGHTS_SHOWN = 31
DECIDED = {"promotion-committed": "promoted", "rollback-committed": "rolled back to", "rejected": "rejected"}


def page(card: dict[str, Any]) -> str:
    """The whole document; ``card`` is the answer of ``registry.card`` without the page."""
    facts, name = card["facts"], f"{card['book']} version {card['version']}"
    sections = {"Intended use": f"<p>{escape(facts['use'])}</p>", "Limits": _list(facts["limits"]),
                "Decisions": _decisions(card), **_shadow(card["shadow"]), "Data and label": _data(facts),
                "Gates": _gates(facts), **_refit(facts),
                "Fairness": _fairness(facts), "Features and their constraints": _features(facts),
                **_selection(facts), "Lineage": _lineage(card)}
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Model card: {escape(name)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header><p class="kind">Tollgate model card</p><h1>{escape(facts["title"])}: version {escape(card["version"])}</h1>
<p>{escape(STATES[card["state"]])} Trained as of {escape(card["as_of"])}.</p>
<p class="note">Artefact <code>{card["digest"]}</code></p></header>
{"".join(f"<section><h2>{title}</h2>{body}</section>" for title, body in sections.items())}
<p class="note">Rendered from the facts that were registered in line {card["registered"]["line"]} of the ledger at
{escape(card["registered"]["at"])}, and from the decisions since.</p>
</main>
<script type="application/json" id="card">{json.dumps(card, sort_keys=True).replace("<", chr(92) + "u003c")}</script>
</body>
</html>
"""


def _list(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>{body}</table>"


def _decisions(card: dict[str, Any]) -> str:
    if not card["decisions"]:
        return "<p>Nobody has decided about it yet.</p>"
    return _table(("answered", "what", "by", "comment", "recorded", "ledger"), (
        (_second(d["answered_at"]), DECIDED[d["kind"]], d["by"], d["comment"] or "", _second(d["at"]),
         f"line {d['line']}") for d in card["decisions"])) + '<p class="note">Times are UTC.</p>'


def _shadow(shadow: dict[str, Any]) -> dict[str, str]:
    """A section of its own where the version has scored beside a champion."""
    if not shadow["nights"]:
        return {}
    scored = [night for night in shadow["nights"] if night["fault"] is None]
    both, agree, declines, approves = (sum(night[name] for night in scored)
                                       for name in ("both", "agree", "only_declines", "only_approves"))
    told = f"<p>On {len(scored)} of {len(shadow['nights'])} nights it scored beside the champion"
    told += (f": {agree:,} of {both:,} decisions are alike ({agree / both:.1%}); it alone would have declined "
             f"{declines:,} and approved {approves:,}.</p>" if both else ".</p>")
    newest = _table(("night", "champion", "alike", "it alone declines", "it alone approves", "PSI", "fault"), (
        (night["day"], night["champion"], *((f"{night['agree']:,} of {night['both']:,}", f"{night['only_declines']:,}",
         f"{night['only_approves']:,}", _number(night["psi"])) if night["fault"] is None else ("", "", "", "")),
         night["fault"] or "") for night in shadow["nights"][:NIGHTS_SHOWN]))
    matured = _table(("matured night", "loans", "defaults", "AUC of the champion", "its own", "difference",
                      "of those it alone declines went bad", "of those it alone approves"), (
        (row["scored_as_of"], f"{row['labelled']:,}", f"{row['defaults']:,}", _number(row["auc_champion"]),
         _number(row["auc_shadow"]), "" if row["difference"] is None else
         f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})",
         f"{row['only_declines_bad']:,} of {row['only_declines']:,}",
         f"{row['only_approves_bad']:,} of {row['only_approves']:,}") for row in shadow["matured"][:NIGHTS_SHOWN]))
    return {"In the champion's shadow": told + newest + (matured if shadow["matured"] else "")}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _data(facts: dict[str, Any]) -> str:
    data, point = facts["data"], facts["operating"]
    chosen_on = ("scores of the newest months by fits that did not see them" if facts.get("refit", {}).get("refitted")
                 else "validation rows")
    rule = f" by {point['rule']} at {point['target']:g}" if "rule" in point else ""  # older models do not say
    return (f"<p>{data['rows']:,} applications of {data['first_month']} to {data['last_month']}, of which "
            f"{data['defaults']:,} defaulted ({data['label_rate']:.2%}).</p><p>Label: {escape(facts['label'])}.</p>"
            f"<p>Operating threshold {point['threshold']:.4f}, chosen on {chosen_on}{rule}: scores at or above it "
            f"are declined; {point['approval_rate']:.1%} are approved and {point['false_negative_rate']:.1%} of "
            "defaults missed.</p>")


def _gates(facts: dict[str, Any]) -> str:
    return _table(("gate", "measured", "interval", "limit", "verdict", "why"), map(_gate, facts["gates"]))


def _features(facts: dict[str, Any]) -> str:
    return _table(("feature", "made of", "a larger value", "share of gain", "critical"), (
        (f["name"], f"{f['made']} ({', '.join(f['from'])})", f["constraint"], f"{f['gain']:.1%}",
         "yes" if f["critical"] else "") for f in facts["features"]))


def _selection(facts: dict[str, Any]) -> dict[str, str]:
    """A section of its own where features were selected; older facts do not say."""
    if not (selection := facts.get("selection")):
        return {}
    return {"Selection of features": (
        f"<p>Chosen by the estimator in each of {selection['halves']} halves of the training rows, ahead of columns "
        f"that tell nothing; kept where at least {selection['share_min']:.0%} of the halves chose it.</p>"
        + _table(("feature", "share of halves", "kept"), (
            (f["name"], f"{f['share']:.0%}", "yes" if f["kept"] else "no") for f in selection["features"])))}


def _refit(facts: dict[str, Any]) -> dict[str, str]:
    """Whether the model was fitted again after its gates, and what guarded that; older facts do not say."""
    if not (refit := facts.get("refit")):
        return {}
    asked = _table(("asked of it", "measured", "interval", "limit", "verdict", "why"), map(_gate, refit["verdicts"]))
    return {"Refit": f"<p>{escape(refit['why'])}</p>{asked if refit['verdicts'] else ''}"}


def _gate(verdict: dict[str, Any]) -> tuple[str, ...]:
    return (*cells(Verdict(**verdict)), verdict["verdict"], verdict["sentence"])


def _fairness(facts: dict[str, Any]) -> str:
    if not facts["fairness"]:
        return "<p>The book holds no protected attribute, so that nothing can be said.</p>"
    rows = ((f["attribute"], f["group"], f"{f['rows']:,}", f"{f['approved']:.1%}",
             f"{f['low']:.1%} to {f['high']:.1%}", f"{f['default_rate']:.1%}",
             "-" if f["missed"] is None else f"{f['missed']:.1%}") for f in facts["fairness"])
    return (_table(("attribute", "group", "rows", "approved", f"{facts['confidence']:.0%} interval", "defaulted",
                    "defaults missed"), rows)
            + '<p class="note">Test rows; Wilson\'s interval. The fairness gate above judges the widest gap.</p>')


def _lineage(card: dict[str, Any]) -> str:
    origin = card["origin"]
    versions = ", ".join(f"{table} at Delta version {at}" for table, at in origin["lake_versions"].items())
    return _table(("what", "which"), (
        ("data", f"{versions}; snapshot {origin['snapshot']}"),
        ("code", f"commit {_commit(origin['commit'])}; modules {origin['code']}"),
        ("lock", origin["lock"]), ("run", f"Python {origin['python']} on {origin['platform']}"),
        ("libraries", ", ".join(f"{name} {version}" for name, version in origin["libraries"].items())),
        ("parameters", json.dumps(origin["params"], sort_keys=True)), ("MLflow run", card["run_id"]),
        ("make it again", f"tollgate reproduce {card['book']} {card['version']}")))


def _second(instant: str) -> str:
    return instant[:19].replace("T", " ")


def _commit(name: str) -> str:
    return f"{name.removesuffix(MODIFIED)}, with changes that were not committed" if name.endswith(MODIFIED) else name
