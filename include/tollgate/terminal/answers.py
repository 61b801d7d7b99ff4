"""How a verb's answer is shown: one JSON object a line for programs, a table for people at a terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tollgate.errors import BadInput
from tollgate.numerals import numeral

if TYPE_CHECKING:
    import typer
    from rich.table import Table

Answer = dict[str, Any]
DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b")  # its beginning tells it from others
WORD = 12  # characters of a cell that is not broken over lines, as dates, names and short digests are
PROSE = 8  # characters that a column of anything else can do with
MOST = 6  # entries of a record that a cell shows


def answer(context: typer.Context, content: Answer, read: Callable[[Answer], Answer] | None = None) -> None:
    """Print what a verb found: JSON, unless a person is watching and did not ask for it; ``read`` is what they see."""
    if context.find_root().obj["json"] or not sys.stdout.isatty():
        print(json.dumps(content, sort_keys=True, default=str), flush=True)
    else:
        _show_to_person(content if read is None else read(content))


def page(html: str, out: Path | None) -> dict[str, str]:
    """A page in the answer, or where it was written. Raises ``BadInput`` where it cannot be."""
    if out is None:
        return {"html": html}
    try:
        out.write_text(html, encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as err:
        raise BadInput(f"The page cannot be written: {err.strerror}", value=out,
                       remedy="Name a file in a folder that is there and yours.") from err
    return {"page": str(out)}


def _show_to_person(answer: Answer) -> None:
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.text import Text

    console = Console()
    for key, value in answer.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            console.print(table(key, value, console.width))
        elif key == "table":
            console.print(Markdown(value))
        elif key == "html":
            console.print(Text(f"A page of {len(value):,} characters: --out FILE writes it, for a browser."))
        else:
            # Lines are left to the terminal, so that a long path stays whole and can be copied.
            console.print(Text.assemble((key, "bold"), ": ", _short(value)), soft_wrap=True)


def table(title: str, records: list[Answer], width: int) -> Table:
    """Records of the same keys, a line each, for a terminal of so many characters."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title, title_justify="left")
    rows = [[_short(cell) for cell in record.values()] for record in records]
    columns = list(zip(map(str, records[0]), *rows, strict=True))
    for (name, *_), whole in zip(columns, _whole(columns, width), strict=True):
        shown.add_column(name.replace(" ", "\n") if whole else name, no_wrap=whole, overflow="fold")
    for row in rows:
        shown.add_row(*map(Text, row))
    return shown


def _whole(columns: list[tuple[str, ...]], width: int) -> list[bool]:
    """Which columns, a heading and its cells each, are not broken over lines: short words, if there is room for all."""
    words = [all(len(cell) <= WORD and " " not in cell for cell in cells) for _, *cells in columns]
    needed = 1 + sum(3 + (max(map(len, [*name.split(), *cells])) if word else PROSE)
                     for (name, *cells), word in zip(columns, words, strict=True))
    return [word and needed <= width for word in words]


def _short(value: Any) -> str:
    match value:
        case None:
            return "-"
        case float():
            return numeral(value, 4)
        case list():
            return ", ".join(map(_short, value)) or "none"
        case dict():
            shown = [f"{key} {_short(inner)}" for key, inner in list(value.items())[:MOST]]
            return ", ".join(shown) + (f" and {len(value) - MOST} more: --json" if len(value) > MOST else "")
        case _:
            text = DIGEST.sub(r"\1", str(value))
            return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
