"""The verbs of a book's data: fetch, land, labels, ingest, contract, quarantine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tollgate.cli.arguments import AsOf, BookName, By, Fingerprint, MaybeBook, Month, Page, Panel, known
from tollgate.errors import BadInput, Refused
from tollgate.terminal import readable
from tollgate.terminal.answers import answer as _answer
from tollgate.terminal.answers import page as _page
from tollgate.terminal.progress import progress_bar

SHOWN = 5  # names of files in a sentence

app = typer.Typer()
ingest_app = typer.Typer(no_args_is_help=True, help="Take landed files into the lake, or refuse them.")
contract_app = typer.Typer(no_args_is_help=True, help="What a book's files must look like.")
quarantine_app = typer.Typer(no_args_is_help=True, help="The rows that were refused, and why.")
for group, name in ((ingest_app, "ingest"), (contract_app, "contract"), (quarantine_app, "quarantine")):
    app.add_typer(group, name=name, rich_help_panel=Panel.DATA)


@app.command(rich_help_panel=Panel.DATA)
def fetch(context: typer.Context, book: BookName,
          seed: Annotated[int | None, typer.Option(help="seed of a simulated book; default: params.yaml")] = None,
          scenario: Annotated[str, typer.Option(help="world of a simulated book")] = "stationary") -> None:
    """Bring a book's source data: hash-checked, resumed by running it again."""
    from tollgate.books import load_book
    from tollgate.config import load_params, settings

    sender = load_book(book).require_sender()
    if scenario != "stationary" and scenario not in sender.scenarios:
        raise BadInput(f"{book} has no such scenario", value=scenario,
                       remedy=f"Use one of: {', '.join(sender.scenarios) or 'none, it is real'}.")
    folder = settings().data / "sources" / book
    with progress_bar(f"fetching {book}") as progress:
        sender.fetch(folder, progress, load_params(book=book).seed if seed is None else seed, scenario)
    _answer(context, {"book": book, "folder": str(folder)})


@app.command(rich_help_panel=Panel.DATA)
def land(context: typer.Context, book: BookName, month: Month,
         since: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="an extract from here on")] = None) -> None:
    """Drop a month's applications and newly known outcomes into landing, as the lender's system would send them."""
    from tollgate.books import load_book
    from tollgate.ingest import land as land_month

    _answer(context, land_month(load_book(book), month, since))


@app.command(rich_help_panel=Panel.DATA)
def labels(context: typer.Context, book: BookName, as_of: AsOf, out: Page = None) -> None:
    """What became of a book's loans as known before a day, vintage by vintage, and whether outcomes still arrive."""
    from tollgate.books import load_book
    from tollgate.config import load_params
    from tollgate.labels import labels_report, page, readable

    found = labels_report(load_book(book), as_of, load_params(book=book))
    if out is None:
        _answer(context, found, readable)
    else:
        _answer(context, {"book": book, "as_of": as_of.isoformat(), **_page(page(found), out)})


@ingest_app.command("list")
def ingest_list(context: typer.Context, book: MaybeBook = None) -> None:
    """Complete files in landing that were not taken in yet."""
    from tollgate.ingest import look

    _answer(context, look(book))


@ingest_app.command("files")
def ingest_all(context: typer.Context, book: BookName) -> None:
    """Take in everything that waits in landing, the oldest delivery first; exit 3 names the files that are refused."""
    from tollgate.books import load_book
    from tollgate.config import load_params
    from tollgate.ingest import take_in

    _taken(context, take_in(load_book(book), load_params(book=book).ingest))


def _taken(context: typer.Context, answer: dict[str, Any]) -> None:
    """Print what was taken in; raise for what was not."""
    _answer(context, answer, readable.taken_in)
    for level, fault in (("refused", Refused), ("unreadable", BadInput)):
        if kept := answer[level]:
            names = ", ".join(file["name"] for file in kept[:SHOWN])
            more = f" and {len(kept) - SHOWN} more" if len(kept) > SHOWN else ""
            raise fault(f"{len(kept)} of the files in landing could not be taken in, the others were: {kept[0]['why']}",
                        value=names + more, remedy="The log says why of each.")


@ingest_app.command("file")
def ingest_one(context: typer.Context, book: BookName,
               name: Annotated[str, typer.Argument(metavar="NAME", help="of the file in landing")]) -> None:
    """Check one file, publish its good rows, quarantine the rest; exit 3 when it is refused whole.

    Files of its table that came before it and still wait are taken in first: the order of the deliveries decides.
    """
    from tollgate.books import load_book
    from tollgate.config import load_params
    from tollgate.ingest import ingest_file, take_in

    chosen, params = load_book(book), load_params(book=book).ingest
    take_in(chosen, params, before=name)
    _answer(context, ingest_file(chosen, name, params))


@ingest_app.command("history")
def ingest_history(context: typer.Context, book: BookName, as_of: AsOf) -> None:
    """Land and ingest every month before the as-of that is not in the lake yet."""
    from tollgate.books import load_book
    from tollgate.config import load_params
    from tollgate.ingest import bring_history

    _answer(context, bring_history(load_book(book), as_of, load_params(book=book).ingest))


@ingest_app.command("warnings")
def ingest_warnings(context: typer.Context, book: BookName) -> None:
    """What was surprising in the files that came, by the months before each."""
    from tollgate.ingest import noted

    _answer(context, {"book": book, "warnings": noted(book)})


@ingest_app.command("audit")
def ingest_audit(context: typer.Context, book: MaybeBook = None) -> None:
    """Hold the counts of every file against the lake's tables; exit 3 when received is not published + quarantined."""
    from tollgate.books import load_book
    from tollgate.config import known_books
    from tollgate.ingest import audit

    names = known_books() if book is None else [book]
    _answer(context, {"books": [audit(load_book(name)) for name in names]})


@app.command(rich_help_panel=Panel.DATA)
def tidy(context: typer.Context, book: BookName,
         dry_run: Annotated[bool, typer.Option("--dry-run", help="tell what would go, touch nothing")] = False) -> None:
    """Delete what nights and training runs have kept for long enough, by params.yaml; put small files together."""
    from tollgate import retention
    from tollgate.books import load_book

    _answer(context, retention.tidy(load_book(book), dry_run))


@ingest_app.command("migrate")
def ingest_migrate(context: typer.Context, book: BookName) -> None:
    """Bring the tables that an older Tollgate wrote of a book up to date; again, it changes nothing."""
    from tollgate.books import load_book
    from tollgate.ingest import migrate

    _answer(context, migrate(load_book(book)))


@contract_app.command("show")
def contract_show(context: typer.Context, book: BookName) -> None:
    """What a book's files must look like, column by column, and what holds between the columns."""
    from tollgate.books import load_book
    from tollgate.ingest import contract_rules, contract_table

    chosen = load_book(book)
    tables = [table.name for table in chosen.tables]
    _answer(context, {"book": book, **{table: contract_table(chosen, table) for table in tables},
                      **{f"{table}_rules": contract_rules(chosen, table) for table in tables}})


@contract_app.command("check")
def contract_check(context: typer.Context,
                   file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True,
                                                        help="named like its table, applications..., in any folder")],
                   book: Annotated[str, typer.Option("--book", help="whose contract", callback=known)]) -> None:
    """Judge a file as ingesting would, touching nothing; exit 3 when it would be refused whole."""
    from tollgate.books import load_book
    from tollgate.config import load_params
    from tollgate.ingest import check_file

    found = check_file(load_book(book), file, load_params(book=book).ingest)
    _answer(context, found.answer())
    if found.refused is not None:
        raise found.refused


@quarantine_app.command("list")
def quarantine_list(context: typer.Context, book: BookName) -> None:
    """How many rows each rule refused, file by file."""
    from tollgate.ingest import quarantined

    _answer(context, {"book": book, "quarantined": quarantined(book)})


@quarantine_app.command("show")
def quarantine_show(context: typer.Context, book: BookName, fingerprint: Fingerprint) -> None:
    """The refused rows of one file: place, rule, column, value, and the row as it came."""
    from tollgate.ingest import quarantined_rows

    _answer(context, quarantined_rows(book, fingerprint))


@quarantine_app.command("release")
def quarantine_release(context: typer.Context, book: BookName, fingerprint: Fingerprint,
                       why: Annotated[str, typer.Option("--why", help="the reason, for the ledger")],
                       by: By = None) -> None:
    """Judge a published file's refused rows anew after a fix of the contract, and publish those that pass.

    A row whose key the lake holds by now is not overwritten: it stays, as superseded. So do malformed rows.
    """
    from tollgate.books import load_book
    from tollgate.ingest import release

    _answer(context, release(load_book(book), fingerprint, by, why))


@app.command(rich_help_panel=Panel.DATA)
def erase(context: typer.Context, book: BookName,
          loans: Annotated[list[str], typer.Argument(metavar="LOAN...", help="the ids that their applications came "
                                                     "with; all of a person's, where there are several")],
          reason: Annotated[str, typer.Option("--reason", help="for the ledger; without the person")], by: By = None,
          dry_run: Annotated[bool, typer.Option("--dry-run", help="tell what would go, touch nothing")] = False,
          ) -> None:
    """Erase loans wherever a copy of them is; the ledger says that it was done, not to whom."""
    from tollgate import erasure
    from tollgate.books import load_book

    _answer(context, erasure.erase(load_book(book), loans, reason, by, dry_run))
