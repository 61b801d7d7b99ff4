"""How a verb's answer is shown: one JSON object a line for programs, a table for people at a terminal."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typer

Answer = dict[str, Any]
DIGEST = re.compile(r"[0-9a-f]{32,}")
MOST = 6  # entries of a record that a cell shows


def answer(context: typer.Context, content: Answer) -> None:
    """Print what a verb found, as its caller asked for it."""
    show(content, as_json=context.find_root().obj["json"])


def show(answer: Answer, *, as_json: bool) -> None:
    """Print an answer on standard output; JSON unless a person is watching and did not ask for it."""
    if as_json or not sys.stdout.isatty():
        print(json.dumps(answer, sort_keys=True, default=str), flush=True)
    else:
        _show_to_person(answer)


def _show_to_person(answer: Answer) -> None:
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for key, value in answer.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            table = Table(*[str(name) for name in value[0]], title=key, title_justify="left")
            for row in value:
                table.add_row(*[Text(_cell(value), overflow="fold") for value in row.values()])
            console.print(table)
        elif key == "table":
            console.print(Markdown(value))
        else:
            console.print(Text.assemble((key, "bold"), ": ", _short(value)))


def _cell(value: Any) -> str:
    """What a table shows: of a record within which others lie, only how many."""
    deep = isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values())
    return f"{len(value)}: --json" if deep else _short(value)


def _short(value: Any) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:.4g}"
        case dict():
            shown = [f"{key} {_short(inner)}" for key, inner in list(value.items())[:MOST]]
            return ", ".join(shown) + (f" and {len(value) - MOST} more: --json" if len(value) > MOST else "")
        case str() if DIGEST.fullmatch(value):
            return value[:12]
        case _:
            return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(value))
