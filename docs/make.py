"""Write the pages that are derived from the code: one a book, of params.yaml, its rules, bad files and bad inputs."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from tollgate.books import load_book
from tollgate.books.page import render
from tollgate.config import (
    MEASURES,
    PROJECT,
    SECTIONS,
    Params,
    Retention,
    Rule,
    Schedule,
    known_books,
    load_params,
    read_params_file,
)

sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]
from tests.gates import bad_inputs  # noqa: E402  (found by the line above)
from tests.ingest import bad_files  # noqa: E402

KEY_LINE = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<value>[^#]*)(?:#\s*(?P<comment>.*))?$")


def comments(text: str) -> dict[str, str]:
    """The comment beside every key of a params.yaml, by its dotted path."""
    found: dict[str, str] = {}
    path: list[str] = []
    for line in text.splitlines():
        if at := KEY_LINE.match(line):
            path[len(at["indent"]) // 2:] = [at["key"]]
            found[".".join(path)] = (at["comment"] or "").strip()
    return found


def allowed(schema: dict[str, Any]) -> str:
    """The type and range of one key, from its JSON schema."""
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if "anyOf" in schema:  # or nothing
        return f"{allowed(schema['anyOf'][0])}, or null"
    if schema["type"] == "array":
        if "$ref" in schema["items"]:
            return "list of [rules](rules.md)"
        return "list of version numbers" if schema["items"]["type"] == "string" else (
            f"list, each {allowed(schema['items'])}")
    if schema["type"] == "string":
        return "date" if schema.get("format") == "date" else "text"
    kind = {"integer": "whole number", "number": "number"}[schema["type"]]
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    limits = [f"{word} {schema[key]:.10g}" for key, word in words.items() if key in schema]
    return f"{kind}, {', '.join(limits)}"


def ends(of: dict[str, Any]) -> str:
    """What is drawn of one hyperparameter."""
    return f"{of['low']} to {of['high']}{', log' if of.get('log') else ''}"


def params_page() -> str:
    """The Markdown of docs/params.md."""
    path = PROJECT / "params.yaml"
    raw, said, schema = read_params_file(path), comments(path.read_text(encoding="utf-8")), Params.model_json_schema()
    lines = [
        "# params.yaml",
        "",
        "<!-- Rendered from config/params.py and params.yaml by `make docs`. -->",
        "",
        "Everything that decides what a run computes. It is checked whole before any step runs; an unknown key, a",
        "wrong type or a value out of range ends with exit code 2 and names the key. Where things live is not here but",
        "in the environment ([settings](settings.md)).",
        "",
    ]

    def row(name: str, rule: dict[str, Any], default: object) -> str:
        limits = f"one of {', '.join(known_books())}" if name == "book" else allowed(rule)
        return f"| `{name}` | {limits} | {'null' if default is None else default} | {said[name]} |"

    head = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    plain = [name for name in Params.model_fields if name not in SECTIONS]
    lines += [*head, *(row(name, schema["properties"][name], raw[name]) for name in plain), ""]
    lines += ["## schedules", "",
              "The books that Airflow has DAGs of, an entry a book, such as `consumer: {}`. A DAG without a cron is",
              "started by hand; that of ingestion also by files, that of monitoring by a night, that of retraining by",
              "a request. An entry that is wrong costs its own book the DAGs, and no other. Read by Airflow alone;",
              "what a run computes does not depend on it.", "", "| key | default | meaning |", "|---|---|---|",
              *(f"| `schedules.BOOK.{key}` | {of['default'] or ''} | {of['description']} |"
                for key, of in Schedule.model_json_schema()["properties"].items()), ""]
    kept = Retention.model_json_schema()["properties"]
    lines += ["## retention", "", "Read by `tollgate tidy` alone.", "", *head,
              *(row(f"retention.{key}", rule, raw["retention"][key]) for key, rule in kept.items()), ""]
    for section in (name for name in SECTIONS if name != "space"):
        rules = schema["$defs"][section.capitalize()]["properties"]
        lines += [f"## {section}", "", *head,
                  *(row(f"{section}.{key}", rule, "[the default rules](rules.md)" if key == "rules" else
                        raw[section][key]) for key, rule in rules.items()), ""]
    lines += ["## space", "", said["space"].capitalize() + ".", "", *head,
              *(f"| `space.{kind}.{name}` | low, high, and whether log | {ends(of)} | {said[f'space.{kind}.{name}']} |"
                for kind, space in raw["space"].items() for name, of in space.items()), ""]
    lines += ["## What the books override", "",
              "A book's block is laid over the defaults, section by section. A book of your own may have its values",
              "in a file beside its module instead: `include/books/mortgages.yaml`.", "",
              "| key | value | reason |", "|---|---|---|"]
    for book, block in raw["books"].items():
        for section, own in block.items():
            for key, value in own.items():
                name = f"books.{book}.{section}.{key}"
                lines.append(f"| `{name}` | {value} | {said[name]} |")
    return "\n".join([*lines, ""])


def rules_page() -> str:
    """The Markdown of docs/rules.md: the default rules with the comment above each, and what a rule may ask."""
    path = PROJECT / "params.yaml"
    said = re.findall(r"^ +# (.+)\n +- \{measure:", path.read_text(encoding="utf-8"), re.MULTILINE)
    rules = load_params(path, book="card").monitoring.rules

    def limit(rule: Rule) -> str:
        by = f"{rule.limit:.0%} of what it is held against" if rule.relative else f"{rule.limit:g}"
        together = f", {rule.together} of them together" if rule.together > 1 else ""
        return f"{rule.condition.replace('_', ' ')} {'' if 'above' in rule.condition else 'by '}{by}{together}"

    scope = {None: "", "critical": "critical features and the score", "features": "every feature"}
    return "\n".join([
        "# Alert rules",
        "",
        "<!-- Rendered from params.yaml and config/rules.py by `make docs`. -->",
        "",
        "`monitoring.rules` of [params.yaml](params.md) is a list. A rule holds in a window where its measure moves by",
        "more than the limit, by more than luck explains (its own null, at `monitoring.confidence`), and, of a measure",
        "that many features or parts have, where the move is a discovery among all of that window: by Benjamini and",
        "Yekutieli's procedure at most `monitoring.false_discovery_rate` of what one measure calls moved is luck. A",
        "measure of fewer than `monitoring.min_sample` rows says nothing. How often this calls without a cause, and",
        "how soon with one, is [measured](alarms.md).",
        "",
        "All rules on one feature, on the `residual` of one column, or on one other measure are one event. Its rank",
        "is how many hold, its severity that of the gravest, and what any of them asks for is done. It keeps the limit",
        "that it was judged by, night by night.",
        "",
        "A book that has `monitoring.rules` of its own has these no more: its list is whole.",
        "",
        "No default rule is about `calibration`, `residual`, the two default rates at equal age, or the business: what",
        "of it a lender bears is the book's to say. A book that wants to be told adds, say,",
        "",
        "    - {measure: residual, condition: moves, limit: 0.25, relative: true, severity: warning, action: review}",
        "    - {measure: volume, condition: falls, limit: 0.50, relative: true, severity: warning, action: tell}",
        "",
        "| rule | measure | of | holds where it is | severity | action |",
        "|---|---|---|---|---|---|",
        *(row(why, f"`{rule.measure}`", scope[rule.of], limit(rule), rule.severity, rule.action)
          for why, rule in zip(said, rules, strict=True)),
        "",
        "## Actions",
        "",
        "| action | what is done when the event begins or worsens |",
        "|---|---|",
        row("`tell`", "a message to the team, by [whichever channels there are](operating.md#be-told-of-alerts)"),
        row("`review`", "the message asks somebody to look into it"),
        row("`request`", "a retrain is asked for, once such rules held in `trips` of the last `windows` windows that "
                         "share no night, the latest among them"),
        row("`page`", "the message has the severity `page`, and so has the gauge that Prometheus reads"),
        "",
        "## Measures",
        "",
        "| measure | what it is | of every feature | what may be asked of it | limit may be a share of its reference |",
        "|---|---|---|---|---|",
        *(row(f"`{name}`", of.about, "yes" if of.features else "", ", ".join(of.conditions),
              "with `relative: true`" if of.relative else "") for name, of in MEASURES.items()),
        "",
    ])


def bad_files_page() -> str:
    """The Markdown of docs/bad-files.md, from the cases that the tests bring."""
    def said(case: bad_files.Case) -> str:
        reasons = [f"`{rule}`" + (f" in `{column}`" if column else "") + (f": `{value}`" if value else "")
                   for row, rule, column, value in case.reasons if row]
        return case.says or " ".join(case.warns) or "; ".join(dict.fromkeys(reasons))

    return "\n".join([
        "# Bad files",
        "",
        "<!-- Rendered from tests/ingest/bad_files.py by `make docs`; the tests bring each of these files. -->",
        "",
        "What becomes of every bad file that was thought of. A file that is *refused whole* changes no published",
        "table; its message is the last line of the command, and of the red square's log in Airflow. A *quarantined*",
        "row keeps its place, rule, column, value and itself (`tollgate quarantine show BOOK FINGERPRINT`). Numbers",
        "that vary are written N.",
        "[Files](files.md) says what a good file looks like.",
        "",
        "| bad input | what is sent | what happens | message, or rule and value | why |",
        "|---|---|---|---|---|",
        *(row(case.item, case.sent, case.outcome, said(case), case.note) for case in bad_files.CASES),
        "",
    ])


def bad_inputs_page() -> str:
    """The Markdown of docs/bad-inputs.md, from the cases that the tests take through the stages."""
    def told(case: bad_inputs.Case) -> str:
        if tuple(case.says) == bad_inputs.OF_EVIDENCE:
            return f"every gate that judges scores: {case.says['auc']}"
        return " ".join(f"`{who}`: {words}" for who, words in case.says.items())

    def end(case: bad_inputs.Case) -> str:
        if case.passes:
            return "passes, with a warning"
        return f"the stage `{next(iter(case.says))}` fails" if set(case.says) <= {"snapshot", "split"} else "refused"

    return "\n".join([
        "# Bad input to training",
        "",
        "<!-- Rendered from tests/gates/bad_inputs.py by `make docs`; the tests take each through every stage. -->",
        "",
        "What becomes of bad input that got past the [contract](bad-files.md), on the simulated book. A stage that",
        "fails ends with exit code 2 and its message; a [gate](gates.md) that refuses writes its sentence into the",
        "report, and the model is recorded and goes no further. What is left out of a message is written ….",
        "",
        "| bad input | what was done | what happens | who says what |",
        "|---|---|---|---|",
        *(row(case.item, case.done, end(case), told(case)) for case in bad_inputs.CASES),
        "",
    ])


def row(*cells: str) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write(folder: Path) -> None:
    """Write every derived page under ``folder``."""
    (folder / "books").mkdir(parents=True, exist_ok=True)
    (folder / "params.md").write_text(params_page(), encoding="utf-8")
    (folder / "rules.md").write_text(rules_page(), encoding="utf-8")
    (folder / "bad-files.md").write_text(bad_files_page(), encoding="utf-8")
    (folder / "bad-inputs.md").write_text(bad_inputs_page(), encoding="utf-8")
    for name in known_books():
        (folder / "books" / f"{name}.md").write_text(render(load_book(name)), encoding="utf-8")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path, help="where they go; `docs` of this checkout is where they belong")
    write(options.parse_args().folder)
