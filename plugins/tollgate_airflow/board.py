"""The Model Board: who the champion is, who challenges it, and what was decided, one page a book."""

from __future__ import annotations

import threading
import time
from html import escape
from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse

from tollgate_airflow import forms
from tollgate_airflow.process import Child, CommandFailed

FRESH = 5.0  # seconds that an answer is shown again without asking
SECTIONS = (("Models", ["models"]), ("Decisions", ["decisions"]), ("Ledger", ["ledger", "verify"]))
LATEST = 30  # rows of a long list that are shown, the newest
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
           "Cache-Control": "no-store"}
STYLE = """body{font:14px system-ui,sans-serif;margin:2rem;color:#1d2b26;background:#fff}nav a{margin-right:1rem}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}table{border-collapse:collapse}
th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid #dde5e0;vertical-align:top}
th{font-weight:600}code{font-size:.9em}.fault{color:#9c2b1b}"""

app = FastAPI(title="Tollgate Model Board", docs_url=None, redoc_url=None, openapi_url=None,
              dependencies=[Depends(get_user)])  # a plugin's app is open to the world unless it asks for a login
_lock = threading.Lock()
_asked: dict[tuple[str, ...], tuple[float, dict[str, Any]]] = {}


@app.get("/")
def first() -> RedirectResponse:
    """The page of the book that params.yaml names."""
    return RedirectResponse(forms.default_book())


@app.get("/{book}", response_class=HTMLResponse)
def board(book: str, known: Annotated[list[str], Depends(forms.books)]) -> HTMLResponse:
    """One book's page."""
    if book not in known:
        raise HTTPException(404, f"There is no book of this name. Use one of: {', '.join(known)}.")
    return HTMLResponse(page(book, known), headers=HEADERS)


def page(book: str, known: list[str]) -> str:
    """The HTML of one book's page."""
    links = "".join(f'<a href="{escape(name)}">{escape(name)}</a>' for name in known)
    sections = [section(title, [*verb, book]) for title, verb in SECTIONS]
    sections.append(section("Open requests to retrain", ["requests", "list", f"--book={book}"]))
    return (f"<!doctype html><html lang=en><meta charset=utf-8><title>Model Board: {escape(book)}</title>"
            f"<style>{STYLE}</style><nav>{links}</nav><h1>Model Board: {escape(book)}</h1>{''.join(sections)}</html>")


def section(title: str, command: list[str]) -> str:
    """One heading and what ``tollgate COMMAND`` answers; a failed command is told in its own words."""
    try:
        body = table(asked(command))
    except (CommandFailed, OSError) as failure:
        body = f"<p class=fault>{escape(str(failure))}</p>"
    return f"<h2>{escape(title)}</h2>{body}"


def asked(command: list[str]) -> dict[str, Any]:
    """The answer of the command, at most ``FRESH`` seconds old."""
    key = tuple(command)
    with _lock:
        at, answer = _asked.get(key, (float("-inf"), {}))
        if time.monotonic() - at > FRESH:
            answer = Child(command).answer()
            _asked[key] = (time.monotonic(), answer)
    return answer


def table(value: Any) -> str:
    """A JSON value as nested HTML tables: an object by its keys, a list of objects by its columns, newest first."""
    if isinstance(value, dict):
        rows = "".join(f"<tr><th>{escape(str(key))}</th><td>{table(inner)}</td></tr>" for key, inner in value.items())
        return f"<table>{rows}</table>"
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        columns = list(dict.fromkeys(key for row in value for key in row))
        head = "".join(f"<th>{escape(str(column))}</th>" for column in columns)
        rows = "".join("<tr>" + "".join(f"<td>{table(row.get(column))}</td>" for column in columns) + "</tr>"
                       for row in reversed(value[-LATEST:]))
        return f"<table><tr>{head}</tr>{rows}</table>"
    if isinstance(value, list):
        return escape(", ".join(map(str, value))) or "none"
    return "" if value is None else f"<code>{escape(str(value))}</code>"
