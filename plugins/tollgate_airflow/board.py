"""The Model Board inside Airflow and its login: one page a book, and the reports that it leads to.

The pages are made on the other side of the command line, of what the nights published; here they are only shown.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from enum import StrEnum
from html import escape
from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, Path
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from tollgate_airflow import forms
from tollgate_airflow.process import LIGHT, Child, CommandFailed

FRESH = 5.0  # seconds after a question in which its answer is shown again without asking
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
           "Cache-Control": "no-store"}
# Evidently's page draws with scripts: it gets no origin, so that they reach neither Airflow nor its login.
SCRIPTED = {**HEADERS, "Content-Security-Policy": (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; frame-ancestors 'self'; sandbox allow-scripts")}
FAULT = """<!doctype html><html lang=en><meta charset=utf-8>
<meta name=viewport content='width=device-width, initial-scale=1'><title>Tollgate</title>
<style>:root{{color-scheme:light dark}}
body{{font:15px/1.5 system-ui,sans-serif;margin:2rem;overflow-wrap:anywhere}}</style>
<p role=alert>{}</p></html>"""

Book = Annotated[str, Path(pattern=forms.BOOK_NAME)]
MlflowRun = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
AirflowRun = Annotated[str, Path(pattern=r"^\w[\w.-]*$")]  # as the tasks spell it: a plain folder name


class NightPage(StrEnum):
    """The pages of a night's report, by the names under which they lead to each other."""

    INDEX = "index.html"
    DISTRIBUTIONS = "drift.html"


may_read = requires_access_dag("GET")  # whoever may see the DAGs: a login alone may be of no role at all
app = FastAPI(title="Tollgate Model Board", docs_url=None, redoc_url=None, openapi_url=None,
              dependencies=[Depends(may_read)])  # a plugin's app is open to the world unless it asks for a login
_lock = threading.Lock()
_asked: dict[tuple[str, ...], tuple[float, Future[dict[str, Any]]]] = {}
_children = ThreadPoolExecutor(max_workers=4)  # commands that run at once, whoever asks


@app.get("/")
def first() -> Response:
    """The page of the book that params.yaml names."""
    try:
        return RedirectResponse(forms.default_book())
    except ValueError as fault:
        return error_page(fault)


@app.get("/{book}", response_class=HTMLResponse)
def board(book: Book) -> HTMLResponse:
    """One book's page."""
    return made_by(["board", book])


@app.get("/{book}/nights/{day}/{page}", response_class=HTMLResponse)
def night(book: Book, day: date, page: NightPage) -> HTMLResponse:
    """The report of a night, and the distributions that it leads to."""
    command = ["monitor", "page", book, "--as-of", day.isoformat()]
    return made_by(command) if page is NightPage.INDEX else made_by([*command, "--distributions"], SCRIPTED)


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


def made_by(command: list[str], headers: dict[str, str] = HEADERS) -> HTMLResponse:
    """The page that a command answers, or its own words when it failed."""
    try:
        return HTMLResponse(asked(command)["html"], headers=headers)
    except (CommandFailed, OSError) as failure:
        return error_page(failure)


def error_page(failure: Exception) -> HTMLResponse:
    """Why there is no page, in the words of the failure."""
    return HTMLResponse(FAULT.format(escape(str(failure))), 404, HEADERS)


def asked(command: list[str]) -> dict[str, Any]:
    """The answer of the command, or its failure, asked for at most ``FRESH`` seconds ago.

    Whoever asks meanwhile waits for the same one.
    """
    key, now = tuple(command), time.monotonic()
    with _lock:
        for stale in [it for it, (at, told) in _asked.items() if now - at > FRESH and told.done()]:
            del _asked[stale]  # an answer may be a whole page, and nobody may ask for it again
        if key not in _asked:
            _asked[key] = now, _children.submit(lambda: Child(command).answer(LIGHT))
        answer = _asked[key][1]
    return answer.result()
