"""The verbs of books: which there are, a new one from a lender's files, and whether one is well described."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollgate.cli.arguments import Panel
from tollgate.errors import PassingFault, Refused
from tollgate.terminal import readable
from tollgate.terminal.answers import answer as _answer
from tollgate.terminal.progress import progress_bar

if TYPE_CHECKING:
    from tollgate.config import Params

app = typer.Typer()
book = typer.Typer(no_args_is_help=True, help="Which books there are, a new one, and whether one is well described.")
app.add_typer(book, name="book", rich_help_panel=Panel.DATA)


@book.command("list")
def book_list(context: typer.Context) -> None:
    """Every book and where it lies: your own, installed ones, and those that Tollgate ships."""
    from tollgate.config import all_books

    _answer(context, {"books": [{"book": found.name, "where": str(found)} for found in all_books()]})


@book.command("new")
def book_new(context: typer.Context,
             name: Annotated[str, typer.Argument(metavar="BOOK", help="what it is to be called")],
             files: Annotated[list[Path], typer.Option("--from", metavar="FILE", exists=True, dir_okay=False,
                                                       readable=True, help="of the lender; several may follow")],
             more: Annotated[list[Path] | None, typer.Argument(metavar="FILES", exists=True, dir_okay=False,
                                                               readable=True, show_default=False,
                                                               help="more of them")] = None) -> None:
    """Draft a book from a lender's files: a module of your own to edit, each line with what it was concluded from."""
    from tollgate.books.drafting import new_book

    found = new_book(name, [*files, *(more or [])], progress_bar)
    found["next"] = (f"{'mend what is to do in' if found['todo'] else 'read'} {found['module']}, then: tollgate book "
                     f"check {name} {files[0]}")
    _answer(context, found, readable.drafted)


@book.command("check")
def book_check(context: typer.Context,
               name: Annotated[str, typer.Argument(metavar="BOOK", help="its name, as `tollgate book list` shows")],
               file: Annotated[Path | None, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True,
                                                           help="to be judged as ingesting would")] = None) -> None:
    """Load a book and its parameters, judge a file if one is given, and say what comes next.

    After a first fit it also suggests the limits of the book's gates, with what was measured; it changes nothing.
    Exit 2 names every fault of the description with its line; exit 3 says why the file would be refused whole.
    """
    from tollgate.books import load_book
    from tollgate.config import load_params, settings
    from tollgate.ingest import check_file

    of = load_book(name)
    params = load_params(book=name)
    landing = f"{settings().landing}/{name}"
    answer: dict[str, Any] = {
        "book": name, "tables": [{"table": table.name, "columns": len(table.columns), "key": ", ".join(table.key)}
                                 for table in of.tables],
        "features": len(of.features),
        "next": f"tollgate fetch {name}" if of.sender else
                f"put its files into {landing}, then: tollgate ingest files {name}; `tollgate book check {name} FILE` "
                "judges one beforehand"}
    refused = None
    if file is None:
        answer |= _limits(name, params)
    else:
        found = check_file(of, file, params.ingest)
        answer["file"], refused = found.answer(), found.refused
        answer["next"] = (
            f"mend the file or the book and check again; `tollgate contract show {name}` prints what is asked of it"
            if refused else
            f"cp {file} {landing}/, then write `book: {name}` and an as_of into params.yaml and run `dvc repro`; or "
            f"write `{name}: {{}}` below its `schedules:` and start train_weekly__{name} in Airflow")
    _answer(context, answer, readable.checked)
    if refused is not None:
        raise refused


def _limits(book: str, params: Params) -> dict[str, Any]:
    """The limits that the fits of a book suggest, of its registered versions and of the workspace we stand in."""
    from tollgate.config import settings
    from tollgate.gates import suggested_limits
    from tollgate.registry import registered_gates

    unread: dict[str, Any] = {}
    try:
        reports = registered_gates(book)
    except (PassingFault, Refused) as err:  # the description is well all the same
        reports, unread = [], {"not looked at": str(err)}
    for folder in dict.fromkeys((Path.cwd(), settings().project)):
        path = folder / "run" / "gates.json"
        if path.is_file() and (report := json.loads(path.read_text(encoding="utf-8")))["book"] == book:
            reports.append(report)
    if not reports:
        return unread
    found = suggested_limits(reports, params)
    step = (f"paste what you stand behind into {book}.yaml beside its module, each with your reason"
            if found["params"] else "nothing: the limits in force are those that its fits suggest")
    return {**unread, "suggested": found, "next": step}
