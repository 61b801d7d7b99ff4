"""The page itself: what the last night published, and what people and runs have done since."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tollgate import nights, registry, requests
from tollgate.config import known_books
from tollgate.monitoring.board.judgement import ACT, BLIND, NONE, WATCH, WELL, judge
from tollgate.monitoring.board.published import read_board
from tollgate.monitoring.events import gravest_first, of_operation, seen

DECISIONS = 12  # lines of the ledger that are shown, the newest
NIGHTS = 12     # nights whose reports are linked
CONTENDERS = ("champion", "challenger")
METRICS = {"auc": ("AUC", ".3f"), "ks": ("KS", ".3f"), "false_negative_rate": ("missed defaults", ".1%"),
           "approval_rate": ("approved", ".1%")}
MARKS = {ACT: "▲", WATCH: "◆", WELL: "●", BLIND: "?", NONE: "○"}  # no level is told by its colour alone

Row = dict[str, Any]


def board_page(book: str) -> str:
    """One book's page of HTML: no script, no network, every text of it escaped. Its links are the Airflow plugin's.

    The title is that of the last night; the book's own description is read where there was none.

    Raises:
        Refused: the ledger is not to be trusted. PassingFault: the lake or the store did not answer.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(loader=PackageLoader("tollgate.monitoring.board", ""), autoescape=True,
                        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return pages.get_template("page.html.j2").render(_contents(book), metrics=_metrics)


def _contents(name: str) -> Row:
    """What the template shows."""
    night = read_board(name)
    models, decisions = [_with_pages(model) for model in registry.models(name)], registry.decisions(name)
    judgement = judge(models, night["nights"], night["alerts"])
    return {
        **night, "book": name, "title": night["title"] or _title(name), "books": known_books(),
        "judgement": judgement, "mark": MARKS[judgement.level],
        "notes": _notes(models, nights.publications(name)[:1], night["as_of"]), "models": models,
        "contenders": [_contender(model, decisions) for state in CONTENDERS for model in models
                       if model["state"] == state],
        "alerts": seen(name, gravest_first([*night["alerts"], *of_operation(name)])),
        "requests": requests.open_requests(name),
        "decisions": decisions[:DECISIONS], "lines": len(decisions), "nights": night["nights"][:NIGHTS]}


def _title(book: str) -> str:
    from tollgate.books import load_book

    return load_book(book).title


def _with_pages(model: Row) -> Row:
    """A version with where MLflow shows it, ``mlflow``, and where Airflow shows the run that trained it, or None."""
    dag, _, run = (model["trained_in"] or "").partition("/")
    return {**model, "mlflow": registry.mlflow_pages(model["book"], model["version"], model["run_id"]),
            "training": f"../dags/{quote(dag)}/runs/{quote(run, safe='')}" if run else None}


def _notes(models: list[Row], scored: list[nights.Publication], judged: str | None) -> list[str]:
    """What else a person has to know before trusting the judgement, or has to do.

    Args:
        scored: the newest published night, where there is one. judged: the day of the newest that was reported on.
    """
    notes = [f"Version {model['version']} passed its gates and waits for a person's answer." for model in models
             if model["state"] == "challenger"]
    if scored and (judged is None or scored[0].attempt.day.isoformat() > judged):
        notes.append(f"The night of {scored[0].attempt.day} is published, and monitor_drift did not report on it yet.")
    return notes


def _metrics(model: Row) -> list[tuple[str, str]]:
    """What a version reached on its test months, as far as its line of the ledger tells."""
    told = model["metrics"]
    return [(name, format(told[key], how)) for key, (name, how) in METRICS.items() if key in told]


def _contender(model: Row, decisions: list[Row]) -> Row:
    """The champion or the challenger, with the verdicts of its gates and since when it is in force."""
    made = [line for line in decisions if line["kind"].endswith("-committed") and line["version"] == model["version"]]
    return {**model, "gates": registry.published_gates(model["book"], model["version"]),
            "in_force": made[0]["payload"]["effective_on"] if made and model["state"] == "champion" else None,
            "by": made[0]["by"] if made else None}
