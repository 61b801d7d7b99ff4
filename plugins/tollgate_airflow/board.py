"""The Model Board: who the champion is, who challenges it, and what was decided, one page a book."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from html import escape
from typing import Annotated, Any, NamedTuple

from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Path
from fastapi.responses import HTMLResponse, RedirectResponse

from tollgate_airflow import forms
from tollgate_airflow.process import Child, CommandFailed

FRESH = 5.0  # seconds after a question in which its answer is shown again without asking
LATEST = 20  # rows of a long list that are shown, the newest
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
           "Cache-Control": "no-store"}
STYLE = """body{font:14px system-ui,sans-serif;margin:2rem;color:#1d2b26;background:#fff}nav a{margin-right:1rem}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}table{border-collapse:collapse}
th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid #dde5e0;vertical-align:top}
th{font-weight:600}td:first-child{white-space:nowrap}code{font-size:.9em}.fault{color:#9c2b1b}
@media(max-width:720px){body{margin:1rem}table{display:block;overflow-x:auto}}"""
HEAD = ("<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<style>{STYLE}</style>")

Row = dict[str, Any]


class Link(NamedTuple):
    """A cell that leads somewhere."""

    text: str
    to: str


BOOKS = ["book", "list"]
Book = Annotated[str, Path(pattern=forms.BOOK_NAME)]
MlflowRun = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
AirflowRun = Annotated[str, Path(pattern=r"^\w[\w.-]*$")]  # as the tasks spell it: a plain folder name

may_read = requires_access_dag("GET")  # whoever may see the DAGs: a login alone may be of no role at all
app = FastAPI(title="Tollgate Model Board", docs_url=None, redoc_url=None, openapi_url=None,
              dependencies=[Depends(may_read)])  # a plugin's app is open to the world unless it asks for a login
_lock = threading.Lock()
_asked: dict[tuple[str, ...], tuple[float, Future[dict[str, Any]]]] = {}
_children = ThreadPoolExecutor(max_workers=4)  # commands that run at once, whoever asks


@app.get("/")
def first() -> RedirectResponse:
    """The page of the book that params.yaml names."""
    return RedirectResponse(forms.default_book())


@app.get("/{book}", response_class=HTMLResponse)
def board(book: Book) -> HTMLResponse:
    """One book's page."""
    return HTMLResponse(page(book), headers=HEADERS)


@app.get("/{book}/card/{version}", response_class=HTMLResponse)
def card(book: Book, version: int) -> HTMLResponse:
    """The model card of one version."""
    return made_by(["card", book, str(version)])


@app.get("/{book}/gates/{run}", response_class=HTMLResponse)
def gates(book: Book, run: MlflowRun) -> HTMLResponse:
    """The gate report that MLflow keeps, for whom the approval or the Board brings here."""
    return made_by(["report", book, run])


@app.get("/runs/{run}/gates", response_class=HTMLResponse)
def gates_of_run(run: AirflowRun) -> HTMLResponse:
    """The gate report of one run of train_weekly, for whom the button of a task brings here."""
    return made_by(["run", "report", run])


def made_by(command: list[str]) -> HTMLResponse:
    """The page that a command answers, or its own words when it failed."""
    try:
        return HTMLResponse(asked(command)["html"], headers=HEADERS)
    except (CommandFailed, OSError) as failure:
        return HTMLResponse(f"{HEAD}<title>Tollgate</title><p class=fault>{escape(str(failure))}</p></html>", 404,
                            HEADERS)


def page(book: str) -> str:
    """The HTML of one book's page. Raises ``HTTPException`` for a book that is none."""
    sections: list[tuple[str, list[str], str | None, Callable[[Row], Row]]] = [
        ("Models", ["models", book], "models", _model),
        ("Alerts under way", ["alerts", "list", book], "alerts", _alert),
        ("Verdicts of monitoring", ["monitor", "list", book], "verdicts", _verdict),
        ("Open requests to retrain", ["requests", "list", f"--book={book}"], "requests", dict),
        ("Decisions (times are UTC)", ["history", book], "decisions", _decision),
        ("Ledger", ["ledger", "verify", book], None, dict),
    ]
    for command in (BOOKS, *(command for _, command, _, _ in sections)):
        begun(command)  # side by side: each is a process of its own
    try:
        known = [record["book"] for record in asked(BOOKS)["books"]]
    except (CommandFailed, OSError):
        known = [book]  # the sections tell why
    if book not in known:
        raise HTTPException(404, f"There is no book of this name. Use one of: {', '.join(known)}.")
    links = "".join(f'<a href="{escape(name)}">{escape(name)}</a>' for name in known)
    return (f"{HEAD}<title>Model Board: {escape(book)}</title><nav>{links}</nav>"
            f"<h1>Model Board: {escape(book)}</h1>{''.join(section(*told) for told in sections)}</html>")


def section(title: str, command: list[str], key: str | None, row: Callable[[Row], Row]) -> str:
    """One heading and a table of what ``tollgate COMMAND`` answers, newest first.

    A failed command is told in its own words.
    """
    try:
        answer = asked(command)
        body = table([row(record) for record in (answer[key] if key else [answer])])
    except (CommandFailed, OSError) as failure:
        body = f"<p class=fault>{escape(str(failure))}</p>"
    return f"<h2>{escape(title)}</h2>{body}"


def _model(record: Row) -> Row:
    metrics = record["metrics"]
    book, version = record["book"], record["version"]
    return {"version": version, "card": Link("model card", f"{book}/card/{version}"),
            "gates": Link("gate report", f"{book}/gates/{record['run_id']}"),
            "state": record["state"], "as of": record["as_of"],
            "AUC": f"{metrics['auc']:.4f}", "KS": f"{metrics['ks']:.4f}",
            "missed defaults": f"{metrics['false_negative_rate']:.1%}", "approved": f"{metrics['approval_rate']:.1%}",
            "digest": record["digest"][:12], "snapshot": record["snapshot"][:12]}


def _alert(record: Row) -> Row:
    return {"since": record["since"], "alert": record["event"], "severity": record["severity"],
            "what": record["message"], "seen by": (record["acknowledged"] or {}).get("by")}


def _verdict(record: Row) -> Row:
    return {"as of": record["as_of"], "level": record["level"], "finding": record["sentence"]}


def _decision(record: Row) -> Row:
    return {"line": record["seq"], "recorded": _second(record["at"]), "what": record["kind"],
            "version": record["version"], "by": record["by"], "answered": _second(record["answered_at"] or ""),
            "why": record["comment"]}


def _second(instant: str) -> str:
    return instant[:19].replace("T", " ")


def asked(command: list[str]) -> dict[str, Any]:
    """The answer of the command, or its failure, asked for at most ``FRESH`` seconds ago."""
    return begun(command).result()


def begun(command: list[str]) -> Future[dict[str, Any]]:
    """The answer to come; whoever asks meanwhile waits for the same one."""
    key, now = tuple(command), time.monotonic()
    with _lock:
        for stale in [it for it, (at, answer) in _asked.items() if now - at > FRESH and answer.done()]:
            del _asked[stale]  # an answer may be a whole page, and nobody may ask for it again
        if key not in _asked:
            _asked[key] = now, _children.submit(lambda: Child(command).answer())
        return _asked[key][1]


def table(rows: list[Row]) -> str:
    """Rows of the same keys as an HTML table, every cell escaped."""
    if not rows:
        return "<p>none</p>"
    head = "".join(f"<th>{escape(str(name))}</th>" for name in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row.values()) + "</tr>"
                   for row in rows[:LATEST])
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, Link):
        return f'<a href="{escape(value.to)}">{escape(value.text)}</a>'
    return "" if value is None else escape(str(value))
