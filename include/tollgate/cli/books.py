"""The verbs of books: which there are, and whether one is well described."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tollgate.cli.arguments import Panel
from tollgate.terminal.answers import answer as _answer

app = typer.Typer()
book = typer.Typer(no_args_is_help=True, help="Which books there are, and whether one is well described.")
app.add_typer(book, name="book", rich_help_panel=Panel.DATA)


@book.command("list")
def book_list(context: typer.Context) -> None:
    """Every book and where it lies: your own, installed ones, and those that Tollgate ships."""
    from tollgate.config import all_books

    _answer(context, {"books": [{"book": found.name, "where": str(found)} for found in all_books()]})


@book.command("check")
def book_check(context: typer.Context,
               name: Annotated[str, typer.Argument(metavar="BOOK", help="its name, as `tollgate book list` shows")],
               ) -> None:
    """Load a book and its parameters, and say what comes next; exit 2 names every fault with its line."""
    from tollgate.books import load_book
    from tollgate.config import load_params, settings

    of = load_book(name)
    load_params(book=name)
    feed = (f"tollgate fetch {name}" if of.sender else
            f"put its files into {settings().landing}/{name}, then: tollgate ingest files {name}")
    answer: dict[str, Any] = {
        "book": name, "tables": [{"table": table.name, "columns": len(table.columns), "key": ", ".join(table.key)}
                                 for table in of.tables],
        "features": len(of.features), "next": feed}
    _answer(context, answer)
